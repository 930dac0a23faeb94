-- What auditors ask of: the tree's inner nodes, who did what, and signed checkpoints.
--
-- Nodes and mentions are views with a cursor of their own: they fill from position 1 while the other views stay as they are.
CREATE TABLE trail_cursor (
    tenant_id  bigint PRIMARY KEY REFERENCES tenant,
    position   bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Roots of complete subtrees of the RFC 6962 tree over the tenant's events: level k spans 256^k leaves (k = 1, 2, …), the
-- first of them is leaf number index * 256^k (position - 1). Leaves themselves are hashed from their rows.
CREATE TABLE view_tree_node (
    tenant_id bigint NOT NULL,
    level     smallint NOT NULL,
    index     bigint NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (tenant_id, level, index),
    CONSTRAINT view_tree_node_hash_is_sha256 CHECK (octet_length(hash) = 32)
);

-- Which runs of 256 positions (run 0 is positions 1 to 256) mention a word: one row per run however often it stands there.
CREATE TABLE view_mention (
    tenant_id bigint NOT NULL,
    -- 1 actor, 2 reference, 3 reason, 4 correlation id.
    kind      smallint NOT NULL,
    word      text COLLATE "C" NOT NULL,
    run       bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind, word, run)
);

-- Signed tree heads (C2SP tlog-checkpoint) as they were given out. Never changed: a copy of each belongs where the owner of
-- this database cannot write.
CREATE TABLE checkpoint (
    tenant_id bigint NOT NULL REFERENCES tenant,
    size      bigint NOT NULL,
    root      bytea NOT NULL,
    note      text NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, size),
    CONSTRAINT checkpoint_root_is_sha256 CHECK (octet_length(root) = 32)
);

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON trail_cursor, view_tree_node, view_mention TO ledger_service;
GRANT SELECT, INSERT ON checkpoint TO ledger_service;
ALTER TABLE view_tree_node SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
ALTER TABLE view_mention SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
