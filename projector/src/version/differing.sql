-- Views whose rows are not of the version that the views $1 have here ($2), and whether theirs is the newer one. A view that
-- is not known here counts as version 0.
SELECT coalesce(v.view, known.view), coalesce(v.version, 0) > coalesce(known.version, 0)
FROM view_version v
FULL JOIN unnest($1::text[], $2::smallint[]) AS known (view, version) USING (view)
WHERE coalesce(v.version, 0) <> coalesce(known.version, 0)
ORDER BY 1
