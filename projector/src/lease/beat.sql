-- Projector $1 is there. Answers which of the $2 shards are its own from now on: those it has, and those whose holder is
-- gone or was not seen for $3 seconds, up to its fair share. Who was not seen for $4 seconds is forgotten.
WITH seen AS (
    INSERT INTO projector_member AS m (member_id, backend, seen_at)
    VALUES ($1, pg_backend_pid(), statement_timestamp())
    ON CONFLICT (member_id) DO UPDATE SET backend = excluded.backend, seen_at = excluded.seen_at
),
forgotten AS (
    DELETE FROM projector_member
    WHERE member_id <> $1 AND seen_at < statement_timestamp() - make_interval(secs => $4)
),
-- A server process ends with the connection of the program behind it. Where a pooler stands in between, it does not, and
-- the time decides.
alive AS MATERIALIZED (
    SELECT $1::uuid AS member_id
    UNION
    SELECT m.member_id
    FROM projector_member m
    WHERE m.seen_at >= statement_timestamp() - make_interval(secs => $3)
      AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = m.backend)
),
-- Rounded up: the shares of all cover all shards.
share AS MATERIALIZED (
    SELECT ($2::bigint + count(*) - 1) / count(*) AS shards FROM alive
),
kept AS MATERIALIZED (
    SELECT l.shard
    FROM projector_lease l
    WHERE l.holder IS NULL OR l.holder = $1 OR l.holder NOT IN (SELECT member_id FROM alive)
    -- Neighbours spread evenly: the share is of 37, 10, 47, 20 … 64ths.
    ORDER BY (l.holder = $1) DESC NULLS LAST, l.shard * 37 % 64
    LIMIT (SELECT shards FROM share)
    FOR UPDATE OF l SKIP LOCKED
),
taken AS (
    UPDATE projector_lease l SET holder = $1
    FROM kept
    WHERE l.shard = kept.shard AND l.holder IS DISTINCT FROM $1
),
-- What is beyond the share goes back, for the others to take at their next beat.
given AS (
    UPDATE projector_lease l SET holder = NULL
    WHERE l.holder = $1 AND l.shard NOT IN (SELECT shard FROM kept)
)
SELECT shard FROM kept
