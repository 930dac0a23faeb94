-- Versions $3 and positions $4 of the items $2 of tenant $1; how many of them had no row (a new one has no `xmax`).
WITH written AS (
    INSERT INTO view_item AS i (tenant_id, sku, stream_version, position, definition)
    SELECT $1, k.*, '{}' FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS k
    ON CONFLICT (tenant_id, sku) DO UPDATE SET stream_version = excluded.stream_version, position = excluded.position
    RETURNING i.xmax
)
SELECT count(*) FROM written WHERE xmax = 0
