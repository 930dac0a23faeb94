-- Tenants whose views are behind their log, and by how many events. Whoever waited longest comes first, so that no
-- tenant waits for ever while others write all the time.
SELECT h.tenant_id, h.position - coalesce(c.position, 0)
FROM tenant_head h
LEFT JOIN view_cursor c USING (tenant_id)
WHERE h.position > coalesce(c.position, 0)
ORDER BY c.updated_at NULLS FIRST, h.tenant_id
