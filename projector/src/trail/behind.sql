-- Tenants with a complete run of $1 events after their trail. Whoever waited longest comes first.
SELECT h.tenant_id, h.position - coalesce(c.position, 0)
FROM tenant_head h
LEFT JOIN trail_cursor c USING (tenant_id)
WHERE h.position - coalesce(c.position, 0) >= $1
ORDER BY c.updated_at NULLS FIRST, h.tenant_id
