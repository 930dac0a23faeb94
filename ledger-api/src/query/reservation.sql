-- Reservation $2 of tenant $1.
SELECT head.as_of, r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text AS lines
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN view_reservation r ON r.tenant_id = $1 AND r.reservation_id = $2
