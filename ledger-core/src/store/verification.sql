-- Verifications, the newest first; one of them when it is named.
SELECT v.verification_id, v.asked_by, (extract(epoch FROM v.created_at) * 1000000)::bigint,
       (extract(epoch FROM v.finished_at) * 1000000)::bigint, v.position, v.findings, j.status, j.progress, j.progress_of
FROM verification v
LEFT JOIN job j ON j.tenant_id = v.tenant_id AND j.job_id = v.verification_id
WHERE v.tenant_id = $1
  AND ($2::uuid IS NULL OR v.verification_id = $2)
  AND ($3::bigint IS NULL OR ((extract(epoch FROM v.created_at) * 1000000)::bigint, v.verification_id) < ($3, $4))
ORDER BY v.created_at DESC, v.verification_id DESC
LIMIT $5
