-- Movements of item $2 of tenant $1 at location $3 after (position $4, line $5) up to position $7,
-- oldest first; at most $6. Of one type, if $8 is
-- given: then at most $9 are looked at, and the last of them is told if there may be more.
WITH scanned AS MATERIALIZED (
    SELECT *
    FROM view_stock_card
    WHERE tenant_id = $1 AND sku = $2 AND location = $3 AND (position, line) > ($4, $5) AND position <= $7
    ORDER BY position, line
    LIMIT $9
)
SELECT head.as_of, head.item_known, head.location_known, looked.position AS looked_position, looked.line AS looked_line,
       card.position, card.line, card.type, card.scale, card.money, card.effective_at, card.recorded_at,
       card.quantity, card.value, card.on_hand_after, card.value_after, card.reference, card.reason, card.status, card.lot
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           EXISTS (SELECT FROM view_item WHERE tenant_id = $1 AND sku = $2) AS item_known,
           EXISTS (SELECT FROM view_location WHERE tenant_id = $1 AND code = $3) AS location_known
) head
LEFT JOIN LATERAL (
    SELECT position, line FROM scanned WHERE $8::smallint IS NOT NULL ORDER BY position, line OFFSET $9 - 1 LIMIT 1
) looked ON true
LEFT JOIN LATERAL (
    SELECT *
    FROM scanned
    WHERE $8::smallint IS NULL OR type = $8
    ORDER BY position, line
    LIMIT $6
) card ON true
ORDER BY card.position, card.line
