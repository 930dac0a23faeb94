-- The definition of $2 of tenant $1.
SELECT head.as_of, found.stream_version, found.position, found.definition::text AS definition, found.holds_inventory
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_account found ON found.tenant_id = $1 AND found.code = $2
