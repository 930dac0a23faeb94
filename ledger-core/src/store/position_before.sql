-- The last position of tenant $1 recorded before the instant $2: bisected, for recording times never run backwards.
WITH RECURSIVE bisect AS (
    SELECT 0::bigint AS low, (SELECT position FROM tenant_head WHERE tenant_id = $1) AS high
    UNION ALL
    SELECT CASE WHEN middle.recorded_at < $2 THEN middle.position ELSE bisect.low END,
           CASE WHEN middle.recorded_at < $2 THEN bisect.high ELSE middle.position - 1 END
    FROM bisect
    JOIN LATERAL (
        SELECT position, recorded_at
        FROM event
        WHERE tenant_id = $1 AND position = (bisect.low + bisect.high + 1) / 2
    ) middle ON bisect.low < bisect.high
)
SELECT low FROM bisect WHERE low >= high
