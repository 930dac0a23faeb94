-- Reservations of tenant $1 after id $2 by id; at most $3.
SELECT head.as_of, r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text AS lines
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_reservation
    WHERE tenant_id = $1 AND reservation_id > $2
    ORDER BY reservation_id
    LIMIT $3
) r ON true
ORDER BY r.reservation_id
