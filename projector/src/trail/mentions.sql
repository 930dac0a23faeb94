-- Mentions of tenant $1: kinds $2, words $3, runs $4.
INSERT INTO view_mention (tenant_id, kind, word, run)
SELECT $1, * FROM unnest($2::smallint[], $3::text[], $4::bigint[])
ON CONFLICT DO NOTHING
