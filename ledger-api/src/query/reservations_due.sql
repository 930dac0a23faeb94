-- Holds of tenant $1 that lapse before $4, after (instant $5, id $2), the next to lapse first; at most $3. The first page
-- begins after the present instant.
SELECT head.as_of, r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text AS lines
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_reservation
    WHERE tenant_id = $1 AND status = 'held' AND expires_at < $4 AND (expires_at, reservation_id) > ($5, $2)
    ORDER BY expires_at, reservation_id
    LIMIT $3
) r ON true
ORDER BY r.expires_at, r.reservation_id
