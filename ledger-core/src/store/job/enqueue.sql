-- One row, unless the tenant has as many waiting as it may have, or there is one with this name or this key.
INSERT INTO job (tenant_id, job_id, kind, priority, status, unique_key, fingerprint, actor, payload, run_at, attempts_max)
SELECT $1, $2, $3, $4, 'queued', $5, $6, $7, $8::jsonb, coalesce(to_timestamp($9::bigint / 1000000.0), now()), $10
WHERE $11 > (SELECT count(*) FROM (SELECT 1 FROM job WHERE tenant_id = $1 AND status = 'queued' LIMIT $11) waiting)
ON CONFLICT DO NOTHING
