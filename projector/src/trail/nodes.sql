-- Nodes of tenant $1: levels $2, indices $3, hashes $4. One that stands there already, as after the cursor was set back,
-- is put right.
INSERT INTO view_tree_node AS n (tenant_id, level, index, hash)
SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bytea[])
ON CONFLICT (tenant_id, level, index) DO UPDATE SET hash = excluded.hash WHERE n.hash <> excluded.hash
