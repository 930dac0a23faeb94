-- Postings one by one, balances per currency, pending entries, and what groups accounts.
--
-- The views are folded anew from the log: what they hold so far lacks what is new here.
TRUNCATE view_cursor, view_item, view_location, view_stock_level, view_stock_card, view_reservation, view_hold, view_account,
    view_account_balance, view_stock_cell, view_lot, view_serial, view_document;

-- One row per account and currency; '' is the base currency, whose foreign columns are zero. The account's balance in the
-- base currency is the sum over its rows. All in whole units of `money` (base) and `scale` (currency) decimals.
DROP TABLE view_account_balance;
CREATE TABLE view_account_balance (
    tenant_id        bigint NOT NULL,
    account          text COLLATE "C" NOT NULL,
    currency         text COLLATE "C" NOT NULL,
    position         bigint NOT NULL,
    debits           bigint NOT NULL,
    credits          bigint NOT NULL,
    currency_debits  bigint NOT NULL,
    currency_credits bigint NOT NULL,
    -- Sum of the pending entries, lapsed ones included until they are recorded as expired.
    pending_debits           bigint NOT NULL,
    pending_credits          bigint NOT NULL,
    currency_pending_debits  bigint NOT NULL,
    currency_pending_credits bigint NOT NULL,
    money            smallint NOT NULL,
    scale            smallint NOT NULL,
    -- Running totals by effective time: `effective_at:debits:credits:currency_debits:currency_credits` of the last posting
    -- of each lane.
    lanes            text NOT NULL,
    PRIMARY KEY (tenant_id, account, currency)
) WITH (fillfactor = 70);

-- Every posting. Within a lane postings stand in the order of their positions and of their effective times too, so that
-- the total as of any position, any time, or both is that of one of them, found by one or two look-ups per lane. Lane -1
-- has no order and is summed; lane -2 holds the closing of fiscal years, which income statements leave out.
CREATE TABLE view_posting (
    tenant_id        bigint NOT NULL,
    position         bigint NOT NULL,
    effective_at     bigint NOT NULL,
    recorded_at      bigint NOT NULL,
    debit            bigint NOT NULL,
    credit           bigint NOT NULL,
    currency_debit   bigint NOT NULL,
    currency_credit  bigint NOT NULL,
    lane_debits           bigint NOT NULL,
    lane_credits          bigint NOT NULL,
    lane_currency_debits  bigint NOT NULL,
    lane_currency_credits bigint NOT NULL,
    due_at           bigint,
    -- Place of the posting in its event.
    line             integer NOT NULL,
    type             smallint NOT NULL,
    lane             smallint NOT NULL,
    money            smallint NOT NULL,
    scale            smallint NOT NULL,
    account          text COLLATE "C" NOT NULL,
    currency         text COLLATE "C" NOT NULL,
    -- The stream of its event: `entry-<id>`, `item-<sku>`, `goods-<position>` …
    stream           text COLLATE "C" NOT NULL,
    reference        text,
    description      text,
    party            text COLLATE "C",
    item             text COLLATE "C",
    tax              text COLLATE "C",
    memo             text,
    dimensions       jsonb,
    PRIMARY KEY (tenant_id, account, currency, lane, position, line)
);
CREATE INDEX view_posting_as_of ON view_posting (tenant_id, account, currency, lane, effective_at, position, line);
CREATE INDEX view_posting_party ON view_posting (tenant_id, account, party, effective_at) WHERE party IS NOT NULL;
CREATE INDEX view_posting_tax ON view_posting (tenant_id, tax, effective_at) WHERE tax IS NOT NULL;

-- Journal entries by hand.
CREATE TABLE view_entry (
    tenant_id      bigint NOT NULL,
    entry_id       text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    -- Its first event, and its newest.
    opened_at_position bigint NOT NULL,
    position       bigint NOT NULL,
    status         text NOT NULL,
    reversed       boolean NOT NULL,
    effective_at   bigint NOT NULL,
    recorded_at    bigint NOT NULL,
    expires_at     bigint,
    series         text COLLATE "C",
    number_year    integer,
    number         bigint,
    -- What it says, with its postings and what is pending of it.
    body           jsonb NOT NULL,
    PRIMARY KEY (tenant_id, entry_id),
    CONSTRAINT view_entry_status CHECK (status IN ('posted', 'pending', 'settled', 'voided', 'expired'))
) WITH (fillfactor = 80);
CREATE INDEX view_entry_order ON view_entry (tenant_id, opened_at_position);
CREATE INDEX view_entry_due ON view_entry (tenant_id, expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;
CREATE INDEX view_entry_number ON view_entry (tenant_id, series, number_year, number) WHERE series IS NOT NULL;

-- One row per pending posting: what a read leaves out once the entry's instant has come.
CREATE TABLE view_pending (
    tenant_id       bigint NOT NULL,
    entry_id        text COLLATE "C" NOT NULL,
    line            integer NOT NULL,
    account         text COLLATE "C" NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    expires_at      bigint,
    debit           bigint NOT NULL,
    credit          bigint NOT NULL,
    currency_debit  bigint NOT NULL,
    currency_credit bigint NOT NULL,
    PRIMARY KEY (tenant_id, entry_id, line)
);
CREATE INDEX view_pending_account ON view_pending (tenant_id, account, currency, expires_at);

-- Account sets, dimensions, tax codes, posting rules, the calendar, periods and years: few, and small.
CREATE TABLE view_definition (
    tenant_id      bigint NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    code           text COLLATE "C" NOT NULL,
    stream_version bigint NOT NULL,
    position       bigint NOT NULL,
    body           jsonb NOT NULL,
    PRIMARY KEY (tenant_id, kind, code),
    CONSTRAINT view_definition_kind
        CHECK (kind IN ('account_set', 'dimension', 'tax_code', 'posting_rule', 'calendar', 'period', 'year'))
) WITH (fillfactor = 80);

GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON view_account_balance, view_posting, view_entry, view_pending,
    view_definition TO ledger_service;
ALTER TABLE view_posting SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
                              autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000);
ALTER TABLE view_entry SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
ALTER TABLE view_account_balance SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
