-- Journal entry $2 of tenant $1.
SELECT head.as_of, entry.entry_id, entry.stream_version, entry.opened_at_position, entry.position, entry.status, entry.reversed,
       entry.effective_at, entry.recorded_at, entry.expires_at, entry.series, entry.number_year, entry.number,
       entry.body::text AS body
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_entry entry ON entry.tenant_id = $1 AND entry.entry_id = $2
