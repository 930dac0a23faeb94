-- Part $2 of tenant $1 stands still after its cursor, because of $3.
INSERT INTO projection_stop AS s (tenant_id, part, position, since, why)
SELECT $1, $2, 1 + coalesce(CASE $2
    WHEN 'views' THEN (SELECT position FROM view_cursor WHERE tenant_id = $1)
    WHEN 'feed' THEN (SELECT position FROM feed_cursor WHERE tenant_id = $1)
    WHEN 'trail' THEN (SELECT position FROM trail_cursor WHERE tenant_id = $1)
END, 0), now(), $3
ON CONFLICT (tenant_id, part) DO UPDATE
SET position = excluded.position,
    why = excluded.why,
    since = CASE WHEN s.position = excluded.position THEN s.since ELSE excluded.since END
