-- Read models: every row is a fold of the log up to view_cursor.position, and can be dropped and rebuilt.

CREATE TABLE view_cursor (
    tenant_id   bigint PRIMARY KEY REFERENCES tenant,
    position    bigint NOT NULL,
    recorded_at bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Highest position whose message the broker has acknowledged, and every one before it.
CREATE TABLE feed_cursor (
    tenant_id bigint PRIMARY KEY REFERENCES tenant,
    position  bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE view_item (
    tenant_id      bigint NOT NULL,
    sku            text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    definition     jsonb NOT NULL,
    PRIMARY KEY (tenant_id, sku)
);

CREATE TABLE view_location (
    tenant_id      bigint NOT NULL,
    code           text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    definition     jsonb NOT NULL,
    PRIMARY KEY (tenant_id, code)
);

-- Quantities and values are whole units of `scale` and `money` decimals.
CREATE TABLE view_stock_level (
    tenant_id bigint NOT NULL,
    sku       text COLLATE "C" NOT NULL,
    location  text COLLATE "C" NOT NULL,
    position  bigint NOT NULL,
    on_hand   bigint NOT NULL,
    -- Sum of the open reservation lines, lapsed ones included until they are recorded as expired.
    reserved  bigint NOT NULL,
    value     bigint NOT NULL,
    scale     smallint NOT NULL,
    money     smallint NOT NULL,
    PRIMARY KEY (tenant_id, sku, location)
) WITH (fillfactor = 70);

CREATE TABLE view_stock_card (
    tenant_id      bigint NOT NULL,
    sku            text COLLATE "C" NOT NULL,
    location       text COLLATE "C" NOT NULL,
    position       bigint NOT NULL,
    -- Place of the movement in its event.
    line           integer NOT NULL,
    type           smallint NOT NULL,
    scale          smallint NOT NULL,
    money          smallint NOT NULL,
    effective_at   bigint NOT NULL,
    recorded_at    bigint NOT NULL,
    quantity       bigint NOT NULL,
    value          bigint NOT NULL,
    on_hand_after  bigint NOT NULL,
    value_after    bigint NOT NULL,
    reference      text,
    reason         text,
    PRIMARY KEY (tenant_id, sku, location, position, line)
);

CREATE TABLE view_reservation (
    tenant_id      bigint NOT NULL,
    reservation_id text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    status         text NOT NULL,
    owner          text,
    expires_at     bigint NOT NULL,
    opened_at      bigint NOT NULL,
    lines          jsonb NOT NULL,
    PRIMARY KEY (tenant_id, reservation_id),
    CONSTRAINT view_reservation_status CHECK (status IN ('held', 'released', 'expired', 'committed'))
) WITH (fillfactor = 80);
CREATE INDEX view_reservation_due ON view_reservation (tenant_id, expires_at) WHERE status = 'held';
CREATE INDEX view_reservation_owner ON view_reservation (tenant_id, owner, reservation_id) WHERE owner IS NOT NULL;

-- One row per open line: what a read subtracts once the hold's instant has come.
CREATE TABLE view_hold (
    tenant_id      bigint NOT NULL,
    sku            text COLLATE "C" NOT NULL,
    location       text COLLATE "C" NOT NULL,
    expires_at     bigint NOT NULL,
    reservation_id text COLLATE "C" NOT NULL,
    line           integer NOT NULL,
    quantity       bigint NOT NULL,
    PRIMARY KEY (tenant_id, reservation_id, line)
);
CREATE INDEX view_hold_item ON view_hold (tenant_id, sku, location, expires_at);

CREATE TABLE view_account (
    tenant_id       bigint NOT NULL,
    code            text COLLATE "C" NOT NULL,
    stream_version  bigint NOT NULL,
    position        bigint NOT NULL,
    definition      jsonb NOT NULL,
    holds_inventory boolean NOT NULL,
    PRIMARY KEY (tenant_id, code)
);

CREATE TABLE view_account_balance (
    tenant_id bigint NOT NULL,
    account   text COLLATE "C" NOT NULL,
    position  bigint NOT NULL,
    money     smallint NOT NULL,
    debits    numeric(38, 0) NOT NULL,
    credits   numeric(38, 0) NOT NULL,
    PRIMARY KEY (tenant_id, account)
) WITH (fillfactor = 70);

ALTER TABLE view_stock_card SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
ALTER TABLE view_stock_level SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
ALTER TABLE view_hold SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
