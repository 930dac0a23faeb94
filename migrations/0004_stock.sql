-- Stock in every state, lots, serials, documents under way, and as-of questions from one look-up.
--
-- The views are folded anew from the log: what they hold so far lacks what is new here.
TRUNCATE view_cursor, view_item, view_location, view_stock_level, view_stock_card, view_reservation, view_hold, view_account,
    view_account_balance;

ALTER TABLE view_stock_level
    ADD COLUMN allocated  bigint NOT NULL,
    -- Of reserved and allocated: waits for stock.
    ADD COLUMN waiting    bigint NOT NULL,
    -- Of on_hand: not sellable.
    ADD COLUMN unsellable bigint NOT NULL,
    ADD COLUMN incoming   bigint NOT NULL,
    ADD COLUMN safety     bigint NOT NULL,
    -- Topmost location of its cost pool; empty for the tenant's one pool. `value` is what was posted for this place; the
    -- value of a pool is the sum over its places.
    ADD COLUMN pool       text COLLATE "C" NOT NULL,
    -- Running totals by effective time: `effective_at:on_hand:value` of the last movement of each lane.
    ADD COLUMN lanes      text NOT NULL;

-- Within a lane movements stand in the order of their effective time too, so that the total as of any time is that of
-- the last movement before it, one index look-up per lane. A late movement begins, or goes on, another lane.
ALTER TABLE view_stock_card
    ADD COLUMN lane         smallint NOT NULL,
    ADD COLUMN lane_on_hand bigint NOT NULL,
    ADD COLUMN lane_value   bigint NOT NULL,
    ADD COLUMN status       smallint NOT NULL,
    ADD COLUMN lot          text COLLATE "C";
CREATE INDEX view_stock_card_as_of ON view_stock_card (tenant_id, sku, location, lane, effective_at, position, line);

ALTER TABLE view_hold
    ADD COLUMN waiting bigint NOT NULL,
    ADD COLUMN lot     text COLLATE "C";

ALTER TABLE view_reservation
    ADD COLUMN priority smallint NOT NULL,
    DROP CONSTRAINT view_reservation_status,
    ADD CONSTRAINT view_reservation_status CHECK (status IN ('held', 'allocated', 'released', 'expired', 'committed'));

-- Quantities by lot and status; what is sellable and of no lot is the rest of its level.
CREATE TABLE view_stock_cell (
    tenant_id bigint NOT NULL,
    sku       text COLLATE "C" NOT NULL,
    location  text COLLATE "C" NOT NULL,
    lot       text COLLATE "C" NOT NULL,
    status    smallint NOT NULL,
    on_hand   bigint NOT NULL,
    PRIMARY KEY (tenant_id, sku, location, lot, status)
) WITH (fillfactor = 80);

CREATE TABLE view_lot (
    tenant_id  bigint NOT NULL,
    sku        text COLLATE "C" NOT NULL,
    lot        text COLLATE "C" NOT NULL,
    expires_at bigint,
    position   bigint NOT NULL,
    PRIMARY KEY (tenant_id, sku, lot)
);
CREATE INDEX view_lot_expiry ON view_lot (tenant_id, expires_at, sku, lot) WHERE expires_at IS NOT NULL;

-- Units on hand.
CREATE TABLE view_serial (
    tenant_id bigint NOT NULL,
    sku       text COLLATE "C" NOT NULL,
    serial    text COLLATE "C" NOT NULL,
    location  text COLLATE "C" NOT NULL,
    status    smallint NOT NULL,
    PRIMARY KEY (tenant_id, sku, serial)
) WITH (fillfactor = 80);

-- Transfers, counts and expected receipts.
CREATE TABLE view_document (
    tenant_id      bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    document_id    text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    status         text NOT NULL,
    -- Of an expected receipt.
    sku            text COLLATE "C",
    due_at         bigint,
    body           jsonb NOT NULL,
    PRIMARY KEY (tenant_id, kind, document_id),
    CONSTRAINT view_document_kind CHECK (kind IN ('expectation', 'transfer', 'count')),
    CONSTRAINT view_document_status CHECK (status IN ('open', 'closed', 'cancelled'))
) WITH (fillfactor = 80);
CREATE INDEX view_document_expected ON view_document (tenant_id, sku, due_at, document_id)
    WHERE kind = 'expectation' AND status = 'open';

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON view_stock_cell, view_lot, view_serial, view_document TO ledger_service;
ALTER TABLE view_item SET (fillfactor = 70);
ALTER TABLE view_stock_cell SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
ALTER TABLE view_serial SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
