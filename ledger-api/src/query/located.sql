-- Levels at location $2 of tenant $1 after item $3 at the instant $5, by item; at most $4.
SELECT head.as_of, head.location_known, level.sku, item.definition ->> 'name' AS name, item.stream_version,
       (item.definition ->> 'scale')::smallint AS scale,
       level.position, level.pool, level.on_hand, level.unsellable, level.allocated, level.incoming, level.safety,
       level.value, level.money,
       -- What has lapsed is free although nothing has recorded it yet.
       level.reserved - coalesce(lapsed.quantity, 0)::bigint AS reserved,
       level.waiting - coalesce(lapsed.waiting, 0)::bigint AS waiting,
       pool.on_hand AS pool_on_hand, pool.value AS pool_value, '[]' AS cells
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           EXISTS (SELECT FROM view_location WHERE tenant_id = $1 AND code = $2) AS location_known
) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_stock_level
    WHERE tenant_id = $1 AND location = $2 AND sku > $3
    ORDER BY sku
    LIMIT $4
) level ON true
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = level.sku
LEFT JOIN LATERAL (
    SELECT sum(hold.quantity) AS quantity, sum(hold.waiting) AS waiting
    FROM view_hold hold
    WHERE hold.tenant_id = $1 AND hold.sku = level.sku AND hold.location = $2 AND hold.expires_at <= $5
) lapsed ON true
LEFT JOIN LATERAL (
    SELECT sum(other.on_hand)::bigint AS on_hand, sum(other.value)::bigint AS value
    FROM view_stock_level other
    WHERE other.tenant_id = $1 AND other.sku = level.sku AND other.pool = level.pool
) pool ON true
ORDER BY level.sku
