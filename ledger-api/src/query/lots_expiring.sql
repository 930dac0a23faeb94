-- Lots of tenant $1 that expire before $7, after (instant $8, item $2, lot $3), the next to expire first; at most $4. With
-- an item $5, those of that item.
SELECT head.as_of, lot.sku, lot.lot, lot.expires_at, (item.definition ->> 'scale')::smallint AS scale,
       coalesce(there.on_hand, 0)::bigint AS on_hand, coalesce(there.sellable, 0)::bigint AS sellable,
       coalesce(held.quantity, 0)::bigint AS held
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_lot
    WHERE tenant_id = $1 AND expires_at < $7 AND (expires_at, sku, lot) > ($8, $2, $3) AND ($5::text IS NULL OR sku = $5)
    ORDER BY expires_at, sku, lot
    LIMIT $4
) lot ON true
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = lot.sku
LEFT JOIN LATERAL (
    SELECT sum(on_hand) AS on_hand, sum(on_hand) FILTER (WHERE status = 0) AS sellable
    FROM view_stock_cell
    WHERE tenant_id = $1 AND sku = lot.sku AND view_stock_cell.lot = lot.lot
) there ON true
LEFT JOIN LATERAL (
    SELECT sum(quantity - waiting) AS quantity
    FROM view_hold
    WHERE tenant_id = $1 AND sku = lot.sku AND view_hold.lot = lot.lot AND expires_at > $6
) held ON true
ORDER BY lot.expires_at, lot.sku, lot.lot
