-- Removes all that is left of a person ($3 of tenant $1) whose stream (key $2) ends with the event type that erases ($4). An
-- erasure that never came to be is forgotten $5 seconds after it was begun.
WITH erased AS MATERIALIZED (
    SELECT newest.type = $4 AS is_so
    FROM (SELECT stream FROM event WHERE tenant_id = $1 AND stream_key = $2) n
    CROSS JOIN LATERAL (
        SELECT type FROM event WHERE tenant_id = $1 AND stream = n.stream ORDER BY stream_version DESC LIMIT 1
    ) newest
),
gone AS (
    DELETE FROM person_data d
    WHERE d.tenant_id = $1 AND d.person_id = $3 AND (SELECT is_so FROM erased)
    RETURNING 1
),
done AS (
    DELETE FROM person_erasure e
    WHERE e.tenant_id = $1 AND e.person_id = $3
      AND (coalesce((SELECT is_so FROM erased), false) OR e.begun_at <= now() - make_interval(secs => $5))
)
SELECT coalesce((SELECT is_so FROM erased), false) AS erased, (SELECT count(*) FROM gone) AS gone
