-- Where the last of $3 journal entries of tenant $1 before the one at position $2, the newest first, begins, up to position $4;
-- none if there are fewer.
SELECT opened_at_position
FROM view_entry
WHERE tenant_id = $1 AND opened_at_position < $2 AND opened_at_position <= $4
ORDER BY opened_at_position DESC
OFFSET $3 - 1
LIMIT 1
