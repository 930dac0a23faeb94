-- Reservations of tenant $1 that hold item $4 at the instant $6, after id $2 by id; at most $3. With an instant $5, those
-- that lapse before it; with an owner $7, that owner's.
SELECT head.as_of, r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text AS lines
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT found.*
    FROM (
        SELECT DISTINCT reservation_id
        FROM view_hold
        WHERE tenant_id = $1 AND sku = $4 AND expires_at > $6 AND ($5::bigint IS NULL OR expires_at < $5)
    ) holding
    JOIN view_reservation found ON found.tenant_id = $1 AND found.reservation_id = holding.reservation_id
    WHERE found.reservation_id > $2 AND ($7::text IS NULL OR found.owner = $7)
    ORDER BY found.reservation_id
    LIMIT $3
) r ON true
ORDER BY r.reservation_id
