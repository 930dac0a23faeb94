-- The rows of the views $1 are of the versions $2.
INSERT INTO public.view_version (view, version, rebuilt_at)
SELECT view, version, now() FROM unnest($1::text[], $2::smallint[]) AS k (view, version)
ON CONFLICT (view) DO UPDATE SET version = excluded.version, rebuilt_at = excluded.rebuilt_at
