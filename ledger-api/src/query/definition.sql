-- The definition of kind $2 and code $3 of tenant $1.
SELECT head.as_of, found.stream_version, found.position, found.body::text AS body, found.code
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_definition found ON found.tenant_id = $1 AND found.kind = $2 AND found.code = $3
