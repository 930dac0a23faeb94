-- Stops whose part has gone on.
DELETE FROM projection_stop s
WHERE s.position <= CASE s.part
    WHEN 'views' THEN (SELECT c.position FROM view_cursor c WHERE c.tenant_id = s.tenant_id)
    WHEN 'feed' THEN (SELECT c.position FROM feed_cursor c WHERE c.tenant_id = s.tenant_id)
    WHEN 'trail' THEN (SELECT c.position FROM trail_cursor c WHERE c.tenant_id = s.tenant_id)
END
