WITH
-- What the caller decided on, and what the heads become.
want AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
        AS w (tenant_id, expected, next, recorded_at, frontier)
),
-- Locks the heads, in key order so that two nodes cannot deadlock. After a wait this sees the newest row.
head AS MATERIALIZED (
    SELECT h.tenant_id, h.position
    FROM tenant_head h
    WHERE h.tenant_id = ANY ($1::bigint[])
    ORDER BY h.tenant_id
    FOR UPDATE
),
-- Commands that were answered before. If the head is as expected, nothing was committed after this statement's
-- snapshot, so this look is exact; if not, the tenant is refused anyway.
known_command AS MATERIALIZED (
    SELECT c.tenant_id, c.command_id
    FROM (
        SELECT tenant_id, command_id FROM unnest($6::bigint[], $15::uuid[]) AS e (tenant_id, command_id) WHERE command_id IS NOT NULL
        UNION ALL
        SELECT tenant_id, command_id FROM unnest($19::bigint[], $20::uuid[]) AS q (tenant_id, command_id)
    ) c
    WHERE EXISTS (SELECT FROM event e WHERE e.tenant_id = c.tenant_id AND e.command_id = c.command_id)
       OR EXISTS (SELECT FROM command_without_event q WHERE q.tenant_id = c.tenant_id AND q.command_id = c.command_id)
),
-- Streams that the caller thought new.
known_stream AS MATERIALIZED (
    SELECT s.tenant_id, s.stream_key
    FROM unnest($6::bigint[], $17::uuid[]) AS s (tenant_id, stream_key)
    WHERE s.stream_key IS NOT NULL
      AND EXISTS (SELECT FROM event e WHERE e.tenant_id = s.tenant_id AND e.stream_key = s.stream_key)
),
-- Tenants whose part is written.
fit AS MATERIALIZED (
    SELECT w.tenant_id, w.expected, w.next, w.recorded_at, w.frontier
    FROM want w
    JOIN head h ON h.tenant_id = w.tenant_id AND h.position = w.expected
    WHERE NOT EXISTS (SELECT FROM known_command k WHERE k.tenant_id = w.tenant_id)
      AND NOT EXISTS (SELECT FROM known_stream k WHERE k.tenant_id = w.tenant_id)
),
moved AS (
    UPDATE tenant_head h
    SET position = f.next, recorded_at = f.recorded_at, frontier = f.frontier
    FROM fit f
    WHERE h.tenant_id = f.tenant_id AND f.next > f.expected
),
appended AS (
    INSERT INTO event (tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, payload,
                       command_id, fingerprint, stream_key, meta)
    SELECT e.*
    FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::smallint[],
                $13::smallint[], $25::integer[], $14::bytea[], $15::uuid[], $16::uuid[], $17::uuid[], $18::bytea[])
        AS e (tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, payload,
              command_id, fingerprint, stream_key, meta)
    WHERE e.tenant_id IN (SELECT f.tenant_id FROM fit f)
),
answered AS (
    INSERT INTO command_without_event (tenant_id, command_id, position, recorded_at, fingerprint, answer)
    SELECT q.*
    FROM unnest($19::bigint[], $20::uuid[], $21::bigint[], $22::bigint[], $23::uuid[], $24::bytea[])
        AS q (tenant_id, command_id, position, recorded_at, fingerprint, answer)
    WHERE q.tenant_id IN (SELECT f.tenant_id FROM fit f)
)
-- Verdicts: 0 the clock, 1 appended, 2 the head as it is, 3 a known command, 4 a known stream.
SELECT 0::smallint AS verdict, 0::bigint AS tenant_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS number, NULL::uuid AS id
UNION ALL SELECT 1::smallint, tenant_id, next, NULL FROM fit
UNION ALL SELECT 2::smallint, tenant_id, position, NULL FROM head
UNION ALL SELECT 3::smallint, tenant_id, 0, command_id FROM known_command
UNION ALL SELECT 4::smallint, tenant_id, 0, stream_key FROM known_stream
