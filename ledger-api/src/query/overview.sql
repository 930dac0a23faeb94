-- How far tenant $1 is: its log, what follows it, and at the instant $2 its open holds and pending entries, each counted up
-- to $3.
SELECT head.position, head.recorded_at,
       views.position AS views, feed.position AS feed, trail.position AS trail,
       (
           SELECT count(*)
           FROM (
               SELECT FROM view_reservation
               WHERE tenant_id = $1 AND status = 'held' AND expires_at > $2
               LIMIT $3
           ) held
       ) AS holds,
       (
           SELECT count(*)
           FROM (
               SELECT DISTINCT entry_id FROM view_pending
               WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > $2)
               LIMIT $3
           ) pending
       ) AS pending
FROM tenant_head head
LEFT JOIN view_cursor views ON views.tenant_id = $1
LEFT JOIN feed_cursor feed ON feed.tenant_id = $1
LEFT JOIN trail_cursor trail ON trail.tenant_id = $1
WHERE head.tenant_id = $1
