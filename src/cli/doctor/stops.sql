-- Tenants that stand still, the longest first; at most $1.
SELECT t.code, s.part, s.position, to_char(s.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), s.why
FROM projection_stop s
JOIN tenant t USING (tenant_id)
ORDER BY s.since, s.tenant_id, s.part
LIMIT $1
