-- Accounts of tenant $1 from code $2 on, by code; at most $3. With a code $4, that one.
SELECT code
FROM view_account
WHERE tenant_id = $1 AND code >= $2 AND ($4::text IS NULL OR code = $4)
ORDER BY code
LIMIT $3
