-- Moves tenant $1 from position $2 to $3: no row when another projector has moved it.
UPDATE trail_cursor
SET position = $3, updated_at = now()
WHERE tenant_id = $1 AND position = $2
