-- Tenants with refusals from before $1, or jobs that may be forgotten: one or two look-ups by key each.
SELECT t.tenant_id FROM tenant t
WHERE EXISTS (SELECT 1 FROM command_without_event c WHERE c.tenant_id = t.tenant_id AND c.recorded_at < $1)
   OR EXISTS (SELECT 1 FROM job j WHERE j.tenant_id = t.tenant_id AND j.expires_at < now())
ORDER BY t.tenant_id
