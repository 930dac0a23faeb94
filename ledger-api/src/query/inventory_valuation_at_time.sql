-- Quantity and value of each item of tenant $1 by cost pool as of the effective time $4, as known after the event at
-- position $3: of each place and lane the last movement up to both, and every one of lane -1. At most $2 rows.
-- `position + 0`: found by effective time. A planner without statistics of a new history else goes by position, and sorts.
SELECT head.as_of, level.sku, item.definition ->> 'name' AS name, (item.definition ->> 'scale')::smallint AS scale,
       item.definition ->> 'method' AS method, level.pool, level.on_hand::text AS on_hand, level.value::text AS value
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN (
    SELECT place.sku, place.pool, sum(past.on_hand) AS on_hand, sum(past.value) AS value
    FROM view_stock_level place
    CROSS JOIN LATERAL (
        SELECT last.lane_on_hand AS on_hand, last.lane_value AS value
        FROM generate_series(0, cardinality(string_to_array(place.lanes, ',')) - 1) AS lanes (lane)
        CROSS JOIN LATERAL (
            SELECT card.lane_on_hand, card.lane_value
            FROM view_stock_card card
            WHERE card.tenant_id = $1 AND card.sku = place.sku AND card.location = place.location
              AND card.lane = lanes.lane::smallint AND card.effective_at <= $4 AND card.position + 0 <= $3
            ORDER BY card.effective_at DESC, card.position DESC, card.line DESC
            LIMIT 1
        ) last
        UNION ALL
        SELECT card.quantity, card.value
        FROM view_stock_card card
        WHERE card.tenant_id = $1 AND card.sku = place.sku AND card.location = place.location AND card.lane = -1
          AND card.effective_at <= $4 AND card.position + 0 <= $3
    ) past
    WHERE place.tenant_id = $1
    GROUP BY place.sku, place.pool
    HAVING sum(past.on_hand) <> 0 OR sum(past.value) <> 0
) level ON true
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = level.sku
ORDER BY level.sku, level.pool
LIMIT $2
