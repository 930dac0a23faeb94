-- Events, tenants and seconds that the views are behind the logs; tenants that stand still; views whose rows are of another
-- version than the views $1 have here ($2).
SELECT coalesce(sum(head.position - coalesce(seen.position, 0)), 0)::bigint,
       count(*),
       coalesce(max(extract(epoch FROM now() - seen.updated_at)), 0)::bigint,
       (SELECT count(DISTINCT tenant_id) FROM projection_stop),
       (SELECT count(*) FROM view_version v FULL JOIN unnest($1::text[], $2::smallint[]) AS known (view, version) USING (view)
        WHERE coalesce(v.version, 0) <> coalesce(known.version, 0))
FROM tenant_head head
LEFT JOIN view_cursor seen USING (tenant_id)
WHERE head.position > coalesce(seen.position, 0)
