-- Journal entries of tenant $1 that have a number of series $2 after (year $3, number $4), by number; at most $5. With a
-- year $6, those of that fiscal year.
SELECT head.as_of, entry.entry_id, entry.stream_version, entry.opened_at_position, entry.position, entry.status, entry.reversed,
       entry.effective_at, entry.recorded_at, entry.expires_at, entry.series, entry.number_year, entry.number,
       entry.body::text AS body
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_entry
    WHERE tenant_id = $1 AND series = $2 AND (number_year, number) > ($3, $4) AND number_year <= coalesce($6, 2147483647)
    ORDER BY number_year, number
    LIMIT $5
) entry ON true
ORDER BY entry.number_year, entry.number
