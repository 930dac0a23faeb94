-- Jobs whose worker gave no sign of life in time: they run again, unless they may not or need not.
UPDATE job
SET status = CASE WHEN cancel THEN 'cancelled' WHEN attempts >= attempts_max THEN 'dead' ELSE 'queued' END,
    worker = NULL, leased_until = NULL, run_at = now(),
    last_error = 'the worker that ran it gave no sign of life',
    finished_at = CASE WHEN cancel OR attempts >= attempts_max THEN now() END,
    expires_at = CASE WHEN cancel THEN now() + $1::bigint * interval '1 microsecond' END
WHERE status = 'running' AND leased_until < now()
RETURNING tenant_id, job_id, kind, status
