-- Definitions of kind $2 of tenant $1 after code $3, by code; at most $4.
SELECT head.as_of, found.stream_version, found.position, found.body::text AS body, found.code
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_definition
    WHERE tenant_id = $1 AND kind = $2 AND code > $3
    ORDER BY code
    LIMIT $4
) found ON true
ORDER BY found.code
