-- Projectors that share the work, what stops them, and which version of a view its rows are.
--
-- The first two tables and the last belong to the whole installation, not to a tenant.

-- Projectors that run: each says so twice a second, by this database's clock.
CREATE TABLE projector_member (
    member_id uuid PRIMARY KEY,
    -- The server process that answered it last: one that is gone means a projector that is gone.
    backend   integer NOT NULL,
    seen_at   timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Who works for the tenants of a shard (tenant_id modulo 64). A row is written when it changes hands only: a lease lasts as
-- long as its holder is seen.
CREATE TABLE projector_lease (
    shard     smallint PRIMARY KEY,
    holder    uuid,
    CONSTRAINT projector_lease_shard CHECK (shard BETWEEN 0 AND 63)
) WITH (fillfactor = 50);
INSERT INTO projector_lease (shard) SELECT generate_series(0, 63);

-- Tenants whose log cannot be folded or published beyond a position, until it is mended.
CREATE TABLE projection_stop (
    tenant_id bigint NOT NULL REFERENCES tenant,
    part      text COLLATE "C" NOT NULL,
    -- The event it stopped before.
    position  bigint NOT NULL,
    since     timestamptz NOT NULL,
    why       text NOT NULL,
    PRIMARY KEY (tenant_id, part),
    CONSTRAINT projection_stop_part CHECK (part IN ('views', 'feed', 'trail'))
);

-- Which fold made a view's rows. Written by `ledgerd rebuild`.
CREATE TABLE view_version (
    view       text COLLATE "C" PRIMARY KEY,
    version    smallint NOT NULL,
    rebuilt_at timestamptz
);
INSERT INTO view_version (view, version) VALUES
    ('view_account', 1), ('view_account_balance', 1), ('view_definition', 1), ('view_document', 1), ('view_entry', 1),
    ('view_hold', 1), ('view_item', 1), ('view_location', 1), ('view_lot', 1), ('view_pending', 1), ('view_posting', 1),
    ('view_reservation', 1), ('view_serial', 1), ('view_stock_card', 1), ('view_stock_cell', 1), ('view_stock_level', 1);

-- Rows in a projector's memory are those of one generation: rebuilt tables are another, and it loads its rows again.
ALTER TABLE view_cursor ADD COLUMN generation bigint NOT NULL DEFAULT 0;

GRANT SELECT, INSERT, UPDATE, DELETE ON projector_member, projection_stop TO ledger_service;
GRANT SELECT, UPDATE ON projector_lease, view_version TO ledger_service;
