-- The tenant logs. Keys start with tenant_id; positions come from tenant_head inside the append, never from a sequence.

CREATE TABLE tenant (
    tenant_id   bigint PRIMARY KEY,
    code        text NOT NULL,
    suspended   boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_code_key UNIQUE (code),
    CONSTRAINT tenant_id_positive CHECK (tenant_id > 0)
);

CREATE TABLE tenant_head (
    tenant_id   bigint PRIMARY KEY REFERENCES tenant,
    position    bigint NOT NULL,
    recorded_at bigint NOT NULL,
    -- Compact range of the RFC 6962 tree over the events 1..position: the roots of its complete subtrees, largest first.
    frontier    bytea NOT NULL
) WITH (fillfactor = 50);

-- Append-only. Columns in falling alignment; what belongs to a command stands on its first event only.
CREATE TABLE event (
    tenant_id      bigint NOT NULL,
    position       bigint NOT NULL,
    stream         bigint NOT NULL,
    stream_version bigint NOT NULL,
    recorded_at    bigint NOT NULL,
    effective_at   bigint,
    type           smallint NOT NULL,
    schema_version smallint NOT NULL,
    -- First 4 bytes of the event's leaf hash: names the row that was changed, where the tree only tells that one was.
    leaf_check     integer NOT NULL,
    payload        bytea NOT NULL,
    command_id     uuid,
    fingerprint    uuid,
    stream_key     uuid,
    meta           bytea,
    CONSTRAINT event_pkey PRIMARY KEY (tenant_id, position),
    CONSTRAINT event_stream_version_key UNIQUE (tenant_id, stream, stream_version),
    CONSTRAINT event_stream_starts CHECK ((stream_version = 1) = (stream_key IS NOT NULL) AND (stream_version > 1 OR stream = position)),
    CONSTRAINT event_command_whole CHECK ((command_id IS NULL) = (fingerprint IS NULL) AND (command_id IS NULL) = (meta IS NULL))
);
-- Idempotency: one index entry per command instead of a row and an index entry in a table of its own.
CREATE UNIQUE INDEX event_command_key ON event (tenant_id, command_id) WHERE command_id IS NOT NULL;
-- A stream's name is unique, and leads to its number: one index entry per stream.
CREATE UNIQUE INDEX event_stream_key ON event (tenant_id, stream_key) WHERE stream_key IS NOT NULL;
ALTER TABLE event SET (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
                       autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 1000000);

-- Commands that made no event: refused ones, and those that found everything already so.
CREATE TABLE command_without_event (
    tenant_id   bigint NOT NULL,
    command_id  uuid NOT NULL,
    position    bigint NOT NULL,
    recorded_at bigint NOT NULL,
    fingerprint uuid NOT NULL,
    answer      bytea NOT NULL,
    PRIMARY KEY (tenant_id, command_id)
);
CREATE INDEX command_without_event_age ON command_without_event (tenant_id, recorded_at);

CREATE TABLE api_key (
    tenant_id  bigint NOT NULL REFERENCES tenant,
    key_id     text NOT NULL,
    name       text NOT NULL,
    hash       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, key_id),
    CONSTRAINT api_key_hash_is_sha256 CHECK (octet_length(hash) = 32)
);
