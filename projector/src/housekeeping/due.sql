-- Holds and pending entries of every tenant whose instant has come by the database's clock and that are not recorded as
-- expired; at most $1 of either per tenant, the longest due first.
SELECT t.tenant_id, due.is_entry, due.id
FROM tenant t
CROSS JOIN LATERAL (
    (
        SELECT false AS is_entry, r.reservation_id AS id
        FROM view_reservation r
        WHERE r.tenant_id = t.tenant_id AND r.status = 'held'
          AND r.expires_at <= (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
        ORDER BY r.expires_at
        LIMIT $1
    )
    UNION ALL
    (
        SELECT true, e.entry_id
        FROM view_entry e
        WHERE e.tenant_id = t.tenant_id AND e.status = 'pending' AND e.expires_at IS NOT NULL
          AND e.expires_at <= (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
        ORDER BY e.expires_at
        LIMIT $1
    )
) due
