-- Item $2 of tenant $1 (at location $3, if given): its decimals, the number of its places, and when it first moved.
SELECT head.as_of, item.sku IS NOT NULL AS item_known, place.code IS NOT NULL AS location_known,
       (item.definition ->> 'scale')::smallint AS scale, level.money, level.places, level.began
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = $2
LEFT JOIN view_location place ON place.tenant_id = $1 AND place.code = $3
CROSS JOIN LATERAL (
    SELECT max(level.money) AS money, count(DISTINCT level.location) AS places, min(first.effective_at) AS began
    FROM view_stock_level level
    CROSS JOIN LATERAL generate_series(-1, cardinality(string_to_array(level.lanes, ',')) - 1) AS lanes (lane)
    LEFT JOIN LATERAL (
        SELECT card.effective_at
        FROM view_stock_card card
        WHERE card.tenant_id = $1 AND card.sku = $2 AND card.location = level.location AND card.lane = lanes.lane::smallint
        ORDER BY card.effective_at, card.position, card.line
        LIMIT 1
    ) first ON true
    WHERE level.tenant_id = $1 AND level.sku = $2 AND ($3::text IS NULL OR level.location = $3)
) level
