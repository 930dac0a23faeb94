-- The newest event of the stream with key $2 of tenant $1, with what lies beside the log for it, and the head: one snapshot.
-- Every row is reached by its full key.
WITH named AS MATERIALIZED (
    SELECT stream FROM event WHERE tenant_id = $1 AND stream_key = $2
),
newest AS MATERIALIZED (
    SELECT e.*
    FROM named n
    CROSS JOIN LATERAL (
        SELECT * FROM event WHERE tenant_id = $1 AND stream = n.stream ORDER BY stream_version DESC LIMIT 1
    ) e
)
SELECT e.tenant_id, e.position, e.stream, e.stream_version, e.recorded_at, e.effective_at, e.type, e.schema_version, e.leaf_check,
       e.payload, e.command_id, e.fingerprint, e.stream_key, e.meta, d.salt, d.data,
       (SELECT h.position FROM tenant_head h WHERE h.tenant_id = $1) AS as_of
FROM newest e
LEFT JOIN person_data d ON d.tenant_id = $1 AND d.command_id = e.command_id
