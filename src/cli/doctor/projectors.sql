-- Projectors seen lately, and the shards they have.
SELECT count(DISTINCT m.member_id), count(l.shard)
FROM projector_member m
LEFT JOIN projector_lease l ON l.holder = m.member_id
WHERE m.seen_at > now() - interval '5 seconds'
