-- Moves tenant $1 from position $2 of generation $5 to $3, recorded at $4: no row when another projector has moved it, or
-- the views were rebuilt.
UPDATE view_cursor
SET position = $3, recorded_at = $4, updated_at = now()
WHERE tenant_id = $1 AND position = $2 AND generation = $5
