-- Where no event is in the views yet: they are of the versions $2 of the views $1.
UPDATE view_version v
SET version = known.version
FROM unnest($1::text[], $2::smallint[]) AS known (view, version)
WHERE v.view = known.view AND v.version < known.version AND NOT EXISTS (SELECT FROM view_cursor WHERE position > 0)
