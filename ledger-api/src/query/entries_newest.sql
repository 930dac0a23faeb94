-- Journal entries of tenant $1 before the one whose first event has position $2, the newest first; at most $3. With a
-- status $4, those that have it at the instant $6; with an account $5, those that post to it, or would. At most $7 entries
-- are looked at.
SELECT head.as_of, entry.entry_id, entry.stream_version, entry.opened_at_position, entry.position, entry.status, entry.reversed,
       entry.effective_at, entry.recorded_at, entry.expires_at, entry.series, entry.number_year, entry.number,
       entry.body::text AS body
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT found.*
    FROM (
        SELECT * FROM view_entry WHERE tenant_id = $1 AND opened_at_position < $2 ORDER BY opened_at_position DESC LIMIT $7
    ) found
    WHERE ($4::text IS NULL
           OR $4 = CASE WHEN found.status = 'pending' AND found.expires_at <= $6 THEN 'expired' ELSE found.status END)
      AND ($5::text IS NULL
           OR found.body @> jsonb_build_object('postings', jsonb_build_array(jsonb_build_object('account', $5)))
           OR found.body @> jsonb_build_object('held', jsonb_build_array(jsonb_build_object('account', $5))))
    ORDER BY found.opened_at_position DESC
    LIMIT $3
) entry ON true
ORDER BY entry.opened_at_position DESC
