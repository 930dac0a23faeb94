-- What was at every place of item $2 of tenant $1 (at location $3, if given) after the event at position $4: the last
-- movement up to it, one index look-up per place.
SELECT head.as_of, item.stream_version, (item.definition ->> 'scale')::smallint AS scale, place.code IS NOT NULL AS location_known,
       level.location, level.pool, level.money, past.on_hand, past.value
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = $2
LEFT JOIN view_location place ON place.tenant_id = $1 AND place.code = $3
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = $2 AND ($3::text IS NULL OR level.location = $3)
LEFT JOIN LATERAL (
    SELECT card.on_hand_after AS on_hand, card.value_after AS value
    FROM view_stock_card card
    WHERE card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.position <= $4
    ORDER BY card.position DESC, card.line DESC
    LIMIT 1
) past ON true
ORDER BY level.location
LIMIT $5
