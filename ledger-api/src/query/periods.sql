-- What was said of the periods of tenant $1 from month $2 on, by month, of fiscal year $3 and of the calendar; and the version
-- of the stream all of that is in. At most $4 rows.
SELECT head.as_of, head.version, found.kind, found.code, found.position, found.body::text AS body
FROM (
    SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of,
           (SELECT coalesce(max(stream_version), 0) FROM view_definition
            WHERE tenant_id = $1 AND kind IN ('calendar', 'period', 'year')) AS version
) head
LEFT JOIN view_definition found
       ON found.tenant_id = $1
      AND (found.kind = 'calendar' OR (found.kind = 'period' AND found.code >= $2) OR (found.kind = 'year' AND found.code = $3))
ORDER BY found.kind, found.code
LIMIT $4
