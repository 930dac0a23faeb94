-- The level of item $2 of tenant $1 at location $3 at the instant $4, and whether item and location are known.
SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
       item.stream_version, (item.definition ->> 'scale')::smallint AS scale,
       place.code IS NOT NULL AS location_known,
       level.position, level.on_hand, level.value, level.money,
       level.reserved - (
           -- What has lapsed is free although nothing has recorded it yet.
           SELECT coalesce(sum(hold.quantity), 0)::bigint
           FROM view_hold hold
           WHERE hold.tenant_id = $1 AND hold.sku = $2 AND hold.location = $3 AND hold.expires_at <= $4
       ) AS reserved
FROM (VALUES (1)) AS one (n)
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = $2
LEFT JOIN view_location place ON place.tenant_id = $1 AND place.code = $3
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = $2 AND level.location = $3
