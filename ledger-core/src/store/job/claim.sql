-- The job of this priority that has waited longest past its time, of the kinds and tenants that have a place free.
WITH picked AS MATERIALIZED (
    SELECT tenant_id, job_id FROM job
    WHERE status = 'queued' AND priority = $1 AND run_at <= now() AND kind = ANY ($2::text[]) AND tenant_id <> ALL ($3::bigint[])
    ORDER BY run_at LIMIT 1
    -- Another worker's pick is not waited for.
    FOR UPDATE SKIP LOCKED
)
UPDATE job j
SET status = 'running', attempts = j.attempts + 1, worker = $4, leased_until = now() + $5::bigint * interval '1 microsecond',
    started_at = now(), last_error = NULL
FROM picked p
WHERE j.tenant_id = p.tenant_id AND j.job_id = p.job_id
RETURNING j.tenant_id, j.job_id, j.kind, j.priority, j.actor, j.payload::text, j.attempts, j.attempts_max, j.progress
