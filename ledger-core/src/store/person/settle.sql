-- Makes the row of command $3 of tenant $1 what the log says it should be; $2 is the key of the person's stream, $4 the event
-- type that erases. A row whose command the log does not know goes only if it was last submitted more than $5 seconds ago.
WITH named AS MATERIALIZED (
    SELECT stream FROM event WHERE tenant_id = $1 AND stream_key = $2
),
verdict AS MATERIALIZED (
    SELECT
        EXISTS (
            SELECT FROM named n
            CROSS JOIN LATERAL (
                SELECT type FROM event WHERE tenant_id = $1 AND stream = n.stream ORDER BY stream_version DESC LIMIT 1
            ) newest
            WHERE newest.type = $4
        ) AS erased,
        EXISTS (
            SELECT FROM event e JOIN named n ON n.stream = e.stream WHERE e.tenant_id = $1 AND e.command_id = $3
        ) AS recorded,
        EXISTS (SELECT FROM command_without_event q WHERE q.tenant_id = $1 AND q.command_id = $3) AS quiet
),
gone AS (
    DELETE FROM person_data d
    USING verdict v
    WHERE d.tenant_id = $1 AND d.command_id = $3
      AND (v.erased OR (NOT v.recorded AND NOT v.quiet AND d.stored_at <= now() - make_interval(secs => $5)))
    RETURNING 1
),
kept AS (
    UPDATE person_data d
    SET settled = true, data = CASE WHEN v.recorded THEN d.data END
    FROM verdict v
    WHERE d.tenant_id = $1 AND d.command_id = $3 AND NOT d.settled AND NOT v.erased AND (v.recorded OR v.quiet)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM kept) AS kept
