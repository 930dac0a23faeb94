-- Documents of kind $2 of tenant $1 after id $3 by id; at most $4. With a status $5, those; with an item $6, those of it.
SELECT head.as_of, found.document_id, found.stream_version, found.position, found.status, found.body::text AS body
FROM (SELECT coalesce(max(position), 0) AS as_of FROM view_cursor WHERE tenant_id = $1) head
LEFT JOIN LATERAL (
    SELECT *
    FROM view_document
    WHERE tenant_id = $1 AND kind = $2 AND document_id > $3
      AND ($5::text IS NULL OR status = $5) AND ($6::text IS NULL OR sku = $6)
    ORDER BY document_id
    LIMIT $4
) found ON true
ORDER BY found.document_id
