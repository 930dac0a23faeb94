-- What is still expected of item $2 of tenant $1, the first to come first; at most $3.
SELECT due_at, body ->> 'location' AS location, body ->> 'outstanding' AS outstanding
FROM view_document
WHERE tenant_id = $1 AND sku = $2 AND kind = 'expectation' AND status = 'open'
ORDER BY due_at, document_id
LIMIT $3
