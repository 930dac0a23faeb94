-- What is known of people, beside the log: the log has an opaque id and a salted commitment, so that this can be removed
-- without a trace there.

-- One row per command that records a person, written before the command is submitted and keyed by it: a repeated call finds
-- its salt here, and with it comes to the same commitment.
CREATE TABLE person_data (
    tenant_id  bigint NOT NULL REFERENCES tenant,
    command_id uuid NOT NULL,
    person_id  text COLLATE "C" NOT NULL,
    salt       bytea NOT NULL,
    -- Deterministic CBOR, as committed to. Null where the command recorded nothing: then only its salt is needed again.
    data       bytea,
    -- When the command was last submitted.
    stored_at  timestamptz NOT NULL DEFAULT now(),
    -- What became of the command is known, and this row is as it should be.
    settled    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, command_id),
    CONSTRAINT person_data_salt_is_256_bits CHECK (octet_length(salt) = 32),
    CONSTRAINT person_data_whole CHECK (settled OR data IS NOT NULL)
);
CREATE INDEX person_data_person ON person_data (tenant_id, person_id);
-- What the sweep looks at; both are almost empty.
CREATE INDEX person_data_unsettled ON person_data (stored_at) WHERE NOT settled;
CREATE INDEX person_data_quiet ON person_data (stored_at) WHERE data IS NULL;

-- Erasures under way: written before the command is submitted, removed with the data. Whoever finds one goes on with it.
CREATE TABLE person_erasure (
    tenant_id bigint NOT NULL REFERENCES tenant,
    person_id text COLLATE "C" NOT NULL,
    begun_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, person_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON person_data, person_erasure TO ledger_service;
-- A deleted row's bytes stay in the file until it is vacuumed: here one such row is enough for the next round.
ALTER TABLE person_data SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);
