-- Holds of every tenant whose instant has come by the database's clock and that are not recorded as expired; at most $1
-- per tenant, the longest due first.
SELECT t.tenant_id, due.reservation_id
FROM tenant t
CROSS JOIN LATERAL (
    SELECT r.reservation_id
    FROM view_reservation r
    WHERE r.tenant_id = t.tenant_id AND r.status = 'held'
      AND r.expires_at <= (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
    ORDER BY r.expires_at
    LIMIT $1
) due
