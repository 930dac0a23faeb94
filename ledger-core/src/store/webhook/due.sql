-- Endpoints that are behind their tenant's log and not waiting after a failure, or have something set aside that is due, and
-- whose job does not wait or run already.
SELECT w.tenant_id, w.webhook_id
FROM webhook w
JOIN tenant_head h ON h.tenant_id = w.tenant_id
JOIN tenant t ON t.tenant_id = w.tenant_id
WHERE w.enabled AND NOT t.suspended
  AND (h.position > w.position AND coalesce(w.next_at, '-infinity') <= now()
       OR EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.webhook_id
                  AND d.status = 'parked' AND d.next_at <= now()))
  AND NOT EXISTS (SELECT 1 FROM job j WHERE j.tenant_id = w.tenant_id AND j.kind = $1 AND j.unique_key = w.webhook_id
                  AND j.status IN ('queued', 'running'))
ORDER BY w.position - h.position DESC
LIMIT $2
