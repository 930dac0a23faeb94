-- Work that is done beside the requests, and the endpoints that are told of events. Nothing here is part of the log, and
-- nothing of the log depends on it.

CREATE TABLE job (
    tenant_id    bigint NOT NULL REFERENCES tenant,
    job_id       uuid NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    -- 0 urgent, 1 normal, 2 background: each has places of its own, so none waits for another.
    priority     smallint NOT NULL,
    status       text COLLATE "C" NOT NULL,
    -- While it is queued or running, there is no other of its kind with this key.
    unique_key   text COLLATE "C",
    -- Digest of what was asked for, where a caller names the job: the same name for something else is refused.
    fingerprint  uuid,
    actor        text,
    payload      jsonb NOT NULL,
    run_at       timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    attempts_max integer NOT NULL,
    -- The worker that runs it, and until when it is believed to live without a sign of life.
    worker       uuid,
    leased_until timestamptz,
    cancel       boolean NOT NULL DEFAULT false,
    progress     bigint NOT NULL DEFAULT 0,
    progress_of  bigint,
    progress_note text,
    -- What it answered, and the attempt whose chunks are its result.
    result       jsonb,
    result_type  text,
    result_attempt integer,
    last_error   text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    -- When it may be forgotten; a dead one stays until somebody deletes it or has it run again.
    expires_at   timestamptz,
    PRIMARY KEY (tenant_id, job_id),
    CONSTRAINT job_priority CHECK (priority BETWEEN 0 AND 2),
    CONSTRAINT job_status CHECK (status IN ('queued', 'running', 'done', 'dead', 'cancelled')),
    CONSTRAINT job_leased CHECK ((status = 'running') = (worker IS NOT NULL AND leased_until IS NOT NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX job_unique_key ON job (tenant_id, kind, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('queued', 'running');
CREATE INDEX job_due ON job (priority, run_at) WHERE status = 'queued';
CREATE INDEX job_leases ON job (leased_until) WHERE status = 'running';
CREATE INDEX job_waiting ON job (tenant_id) WHERE status = 'queued';
CREATE INDEX job_alive ON job (kind, status) WHERE status IN ('queued', 'running', 'dead');
CREATE INDEX job_newest ON job (tenant_id, created_at, job_id);
CREATE INDEX job_expiry ON job (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

-- Large input (attempt 0) and results, in pieces. Each attempt writes pieces of its own, so that a worker that was taken for
-- dead cannot mix its pieces with those of the next.
CREATE TABLE job_chunk (
    tenant_id bigint NOT NULL,
    job_id    uuid NOT NULL,
    attempt   integer NOT NULL,
    number    integer NOT NULL,
    bytes     bytea NOT NULL,
    PRIMARY KEY (tenant_id, job_id, attempt, number),
    FOREIGN KEY (tenant_id, job_id) REFERENCES job ON DELETE CASCADE
);

-- Endpoints outside that are sent events.
CREATE TABLE webhook (
    tenant_id    bigint NOT NULL REFERENCES tenant,
    webhook_id   text COLLATE "C" NOT NULL,
    url          text NOT NULL,
    description  text,
    -- Empty: all. An event goes out when each of the three lists is empty or names it.
    types        text[] NOT NULL,
    categories   text[] NOT NULL,
    streams      text[] NOT NULL,
    enabled      boolean NOT NULL,
    -- Why the program switched it off itself.
    disabled_why text,
    -- Everything up to here was delivered, is set aside, or does not concern it.
    position     bigint NOT NULL,
    -- Of the delivery that is next and fails: how often, since when, and when it is tried again.
    failures     integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    next_at      timestamptz,
    last_error   text,
    last_delivered_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, webhook_id)
) WITH (fillfactor = 50);

-- Signing secrets, as they are: a signature needs the secret itself. Read by the service role alone; each opens nothing but
-- the receiver's belief in who sent a message.
CREATE TABLE webhook_secret (
    tenant_id  bigint NOT NULL,
    webhook_id text COLLATE "C" NOT NULL,
    number     integer NOT NULL,
    secret     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (tenant_id, webhook_id, number),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhook ON DELETE CASCADE
);

-- Deliveries that are set aside (parked), given up (dead), and the last few that went well.
CREATE TABLE webhook_delivery (
    tenant_id  bigint NOT NULL,
    webhook_id text COLLATE "C" NOT NULL,
    position   bigint NOT NULL,
    status     text COLLATE "C" NOT NULL,
    attempts   integer NOT NULL,
    http_status smallint,
    error      text,
    next_at    timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, webhook_id, position),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhook ON DELETE CASCADE,
    CONSTRAINT webhook_delivery_status CHECK (status IN ('delivered', 'parked', 'dead')),
    CONSTRAINT webhook_delivery_again CHECK ((status = 'parked') = (next_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX webhook_delivery_again_at ON webhook_delivery (next_at) WHERE status = 'parked';
CREATE INDEX webhook_delivery_of_status ON webhook_delivery (tenant_id, webhook_id, status, position);

GRANT SELECT, INSERT, UPDATE, DELETE ON job, job_chunk, webhook, webhook_secret, webhook_delivery TO ledger_service;
ALTER TABLE job SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
                     autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 1000);
