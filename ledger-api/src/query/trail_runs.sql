-- Of the last $8 runs from $6 to $7 of tenant $1 that mention the word $3 (kind $2): those that mention every word $5 (kinds $4)
-- as well, newest first; the oldest run looked at, and how many were.
WITH looked_at AS MATERIALIZED (
    SELECT run
    FROM view_mention
    WHERE tenant_id = $1 AND kind = $2 AND word = $3 AND run BETWEEN $6 AND $7
    ORDER BY run DESC
    LIMIT $8
), fitting AS (
    SELECT l.run
    FROM looked_at l
    WHERE NOT EXISTS (
        SELECT
        FROM unnest($4::smallint[], $5::text[]) AS w (kind, word)
        WHERE NOT EXISTS (
            SELECT FROM view_mention m WHERE m.tenant_id = $1 AND m.kind = w.kind AND m.word = w.word AND m.run = l.run
        )
    )
)
SELECT coalesce((SELECT array_agg(run ORDER BY run DESC) FROM fitting), '{}'),
       coalesce((SELECT min(run) FROM looked_at), 0),
       (SELECT count(*) FROM looked_at)
