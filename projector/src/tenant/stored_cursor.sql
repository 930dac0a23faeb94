-- Where the views of tenant $1 stand, and which of them are of a newer version than the views $2 have here ($3). One
-- statement: the generation and the versions are of the same moment.
SELECT c.position, c.generation, (
    SELECT string_agg(v.view, ', ' ORDER BY v.view)
    FROM view_version v
    LEFT JOIN unnest($2::text[], $3::smallint[]) AS known (view, version) USING (view)
    WHERE v.version > coalesce(known.version, 0)
)
FROM view_cursor c
WHERE c.tenant_id = $1
