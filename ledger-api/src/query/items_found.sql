-- Definitions of tenant $1 after $2 that have every pattern of $4 in their code or name, by code; at most $3. At most $5 are
-- looked at, the last of them is `looked_to` if there may be more.
WITH scanned AS MATERIALIZED (
    SELECT * FROM view_item WHERE tenant_id = $1 AND sku > $2 ORDER BY sku LIMIT $5
)
SELECT head.as_of, found.stream_version, found.position, found.definition::text AS definition, head.looked_to
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           (SELECT CASE WHEN count(*) >= $5 THEN max(sku) END FROM scanned) AS looked_to
) head
LEFT JOIN LATERAL (
    SELECT *
    FROM scanned
    WHERE lower(sku || ' ' || coalesce(definition ->> 'name', '')) LIKE ALL ($4::text[])
    ORDER BY sku
    LIMIT $3
) found ON true
ORDER BY found.sku
