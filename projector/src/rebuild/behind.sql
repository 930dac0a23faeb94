-- Tenants whose copy is behind their views: where the views stand, and the copy.
SELECT c.tenant_id, c.position, coalesce(r.position, 0)
FROM public.view_cursor c
LEFT JOIN ledger_rebuild.view_cursor r USING (tenant_id)
WHERE c.position > coalesce(r.position, 0)
ORDER BY c.position - coalesce(r.position, 0) DESC, c.tenant_id
