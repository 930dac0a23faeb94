-- Events, tenants and seconds that the views are behind the logs.
SELECT coalesce(sum(head.position - coalesce(seen.position, 0)), 0)::bigint,
       count(*),
       coalesce(max(extract(epoch FROM now() - seen.updated_at)), 0)::bigint
FROM tenant_head head
LEFT JOIN view_cursor seen USING (tenant_id)
WHERE head.position > coalesce(seen.position, 0)
