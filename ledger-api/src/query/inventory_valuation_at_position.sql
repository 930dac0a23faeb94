-- Quantity and value of each item of tenant $1 by cost pool after the event at position $3: what stands there where nothing
-- has happened since, else the last movement up to it, one index look-up. At most $2 rows.
SELECT head.as_of, level.sku, item.definition ->> 'name' AS name, (item.definition ->> 'scale')::smallint AS scale,
       item.definition ->> 'method' AS method, level.pool, level.on_hand::text AS on_hand, level.value::text AS value
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN (
    SELECT place.sku, place.pool, sum(past.on_hand) AS on_hand, sum(past.value) AS value
    FROM view_stock_level place
    LEFT JOIN LATERAL (
        SELECT card.on_hand_after, card.value_after
        FROM view_stock_card card
        WHERE place.position > $3
          AND card.tenant_id = $1 AND card.sku = place.sku AND card.location = place.location AND card.position <= $3
        ORDER BY card.position DESC, card.line DESC
        LIMIT 1
    ) card ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN place.position > $3 THEN coalesce(card.on_hand_after, 0) ELSE place.on_hand END AS on_hand,
               CASE WHEN place.position > $3 THEN coalesce(card.value_after, 0) ELSE place.value END AS value
    ) past
    WHERE place.tenant_id = $1
    GROUP BY place.sku, place.pool
    HAVING sum(past.on_hand) <> 0 OR sum(past.value) <> 0
) level ON true
LEFT JOIN view_item item ON item.tenant_id = $1 AND item.sku = level.sku
ORDER BY level.sku, level.pool
LIMIT $2
