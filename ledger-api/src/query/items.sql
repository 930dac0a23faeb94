-- Definitions of tenant $1 after $2, by code; at most $3.
SELECT head.as_of, found.stream_version, found.position, found.definition::text AS definition
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_item
    WHERE tenant_id = $1 AND sku > $2
    ORDER BY sku
    LIMIT $3
) found ON true
ORDER BY found.sku
