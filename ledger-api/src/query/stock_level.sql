-- The level of item $2 of tenant $1 at location $3 at the instant $4, whether item and location are known, and the cost
-- pool that the level is part of.
SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
       item.stream_version, (item.definition ->> 'scale')::smallint AS scale,
       place.code IS NOT NULL AS location_known,
       level.position, level.pool, level.on_hand, level.unsellable, level.allocated, level.incoming, level.safety,
       level.value, level.money,
       level.reserved - coalesce(lapsed.quantity, 0)::bigint AS reserved,
       level.waiting - coalesce(lapsed.waiting, 0)::bigint AS waiting,
       pool.on_hand AS pool_on_hand, pool.value AS pool_value,
       (
           SELECT coalesce(json_agg(json_build_array(cell.lot, cell.status, cell.on_hand) ORDER BY cell.lot, cell.status), '[]')::text
           FROM view_stock_cell cell
           WHERE cell.tenant_id = $1 AND cell.sku = $2 AND cell.location = $3
       ) AS cells
FROM (VALUES (1)) AS one (n)
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = $2
LEFT JOIN view_location place ON place.tenant_id = $1 AND place.code = $3
LEFT JOIN view_stock_level level ON level.tenant_id = $1 AND level.sku = $2 AND level.location = $3
LEFT JOIN LATERAL (
    -- What has lapsed is free although nothing has recorded it yet.
    SELECT sum(hold.quantity) AS quantity, sum(hold.waiting) AS waiting
    FROM view_hold hold
    WHERE hold.tenant_id = $1 AND hold.sku = $2 AND hold.location = $3 AND hold.expires_at <= $4
) lapsed ON true
LEFT JOIN LATERAL (
    SELECT sum(other.on_hand)::bigint AS on_hand, sum(other.value)::bigint AS value
    FROM view_stock_level other
    WHERE other.tenant_id = $1 AND other.sku = $2 AND other.pool = level.pool
) pool ON true
