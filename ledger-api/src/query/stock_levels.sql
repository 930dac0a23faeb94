-- Levels of the items $2 of tenant $1 at the instant $3, sorted by item and location; at most $4 rows.
WITH head AS (
    SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1
)
SELECT head.as_of, item.sku, item.stream_version, (item.definition ->> 'scale')::smallint AS scale,
       level.location, level.pool, level.position, level.on_hand, level.unsellable, level.allocated, level.incoming, level.safety,
       level.value, level.money,
       -- What has lapsed is free although nothing has recorded it yet. A confirmed hold never lapses.
       level.reserved - coalesce(lapsed.quantity, 0)::bigint AS reserved,
       level.waiting - coalesce(lapsed.waiting, 0)::bigint AS waiting
FROM head
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = ANY ($2)
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = item.sku
LEFT JOIN LATERAL (
    SELECT sum(hold.quantity) AS quantity, sum(hold.waiting) AS waiting
    FROM view_hold hold
    WHERE hold.tenant_id = $1 AND hold.sku = level.sku AND hold.location = level.location AND hold.expires_at <= $3
) lapsed ON true
ORDER BY item.sku, level.location
LIMIT $4
