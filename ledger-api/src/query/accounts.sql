-- Definitions of tenant $1 after $2, by code; at most $3.
SELECT head.as_of, found.stream_version, found.position, found.definition::text AS definition, found.holds_inventory
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_account
    WHERE tenant_id = $1 AND code > $2
    ORDER BY code
    LIMIT $3
) found ON true
ORDER BY found.code
