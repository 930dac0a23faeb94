-- Levels of the items $2 of tenant $1 at the instant $3, sorted by item and location; at most $4 rows.
WITH head AS (
    SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1
)
SELECT head.as_of, item.sku, item.stream_version, (item.definition ->> 'scale')::smallint AS scale,
       level.location, level.position, level.on_hand, level.value, level.money,
       -- What has lapsed is free although nothing has recorded it yet.
       level.reserved - coalesce(lapsed.quantity, 0)::bigint AS reserved
FROM head
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = ANY ($2)
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = item.sku
LEFT JOIN LATERAL (
    SELECT sum(hold.quantity) AS quantity
    FROM view_hold hold
    WHERE hold.tenant_id = $1 AND hold.sku = level.sku AND hold.location = level.location AND hold.expires_at <= $3
) lapsed ON true
ORDER BY item.sku, level.location
LIMIT $4
