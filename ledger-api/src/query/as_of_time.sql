-- What was at every place of item $2 of tenant $1 (at location $3, if given) as of the effective time $4, as known after
-- the event at position $6. Within a lane the movements stand in the order of their effective times, so the last one
-- before the time has the lane's total: one index look-up per lane. Lane -1 has no order and is summed.
-- `position + 0`: found by effective time. A planner without statistics of a new history else goes by position, and sorts.
SELECT head.as_of, item.stream_version, (item.definition ->> 'scale')::smallint AS scale, place.code IS NOT NULL AS location_known,
       level.location, level.pool, level.money,
       (coalesce(ordered.on_hand, 0) + coalesce(unordered.on_hand, 0))::bigint AS on_hand,
       (coalesce(ordered.value, 0) + coalesce(unordered.value, 0))::bigint AS value
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = $2
LEFT JOIN view_location place ON place.tenant_id = $1 AND place.code = $3
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = $2 AND ($3::text IS NULL OR level.location = $3)
LEFT JOIN LATERAL (
    SELECT sum(last.lane_on_hand) AS on_hand, sum(last.lane_value) AS value
    FROM generate_series(0, cardinality(string_to_array(level.lanes, ',')) - 1) AS lanes (lane)
    CROSS JOIN LATERAL (
        SELECT card.lane_on_hand, card.lane_value
        FROM view_stock_card card
        WHERE card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.lane = lanes.lane::smallint
          AND card.effective_at <= $4 AND card.position + 0 <= $6
        ORDER BY card.effective_at DESC, card.position DESC, card.line DESC
        LIMIT 1
    ) last
) ordered ON true
LEFT JOIN LATERAL (
    SELECT sum(card.quantity) AS on_hand, sum(card.value) AS value
    FROM view_stock_card card
    WHERE card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.lane = -1
      AND card.effective_at <= $4 AND card.position + 0 <= $6
) unordered ON true
ORDER BY level.location
LIMIT $5
