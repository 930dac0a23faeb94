-- `failed`: again after the pause, or dead after the last attempt. A job that is to be cancelled is, however its run ended.
WITH ended AS (
    SELECT tenant_id, job_id,
        CASE WHEN cancel OR $5 = 'cancelled' THEN 'cancelled'
             WHEN $5 = 'dead' OR $5 = 'failed' AND attempts >= attempts_max THEN 'dead'
             ELSE 'queued' END AS status
    FROM job
    WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND worker = $4 AND status = 'running'
    FOR UPDATE
)
UPDATE job j
SET status = e.status, worker = NULL, leased_until = NULL, last_error = coalesce($6, j.last_error),
    attempts = CASE WHEN $5 = 'postponed' THEN j.attempts - 1 ELSE j.attempts END,
    run_at = CASE WHEN e.status = 'queued' THEN now() + $7::bigint * interval '1 microsecond' ELSE j.run_at END,
    finished_at = CASE WHEN e.status <> 'queued' THEN now() END,
    expires_at = CASE WHEN e.status = 'cancelled' THEN now() + $8::bigint * interval '1 microsecond' END
FROM ended e
WHERE j.tenant_id = e.tenant_id AND j.job_id = e.job_id
RETURNING j.status
