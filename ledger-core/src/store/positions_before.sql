-- For each instant of $2 the last position of tenant $1 recorded before it: bisected, for recording times never run
-- backwards.
WITH RECURSIVE bisect AS (
    SELECT bound.n, bound.at, 0::bigint AS low, head.position AS high
    FROM unnest($2::bigint[]) WITH ORDINALITY AS bound (at, n)
    CROSS JOIN (SELECT coalesce(max(position), 0) AS position FROM tenant_head WHERE tenant_id = $1) head
    UNION ALL
    SELECT bisect.n, bisect.at,
           CASE WHEN middle.recorded_at < bisect.at THEN middle.position ELSE bisect.low END,
           CASE WHEN middle.recorded_at < bisect.at THEN bisect.high ELSE middle.position - 1 END
    FROM bisect
    JOIN LATERAL (
        SELECT position, recorded_at
        FROM event
        WHERE tenant_id = $1 AND position = (bisect.low + bisect.high + 1) / 2
    ) middle ON bisect.low < bisect.high
)
SELECT low FROM bisect WHERE low >= high ORDER BY n
