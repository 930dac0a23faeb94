-- What was verified, what the sample that never ends has looked at, and what was found. None of it is part of the log.

-- One asked for through the API; its progress is that of the job with the same name.
CREATE TABLE verification (
    tenant_id       bigint NOT NULL REFERENCES tenant,
    verification_id uuid NOT NULL,
    asked_by        text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    -- Where the head stood.
    position        bigint,
    findings        integer,
    -- The whole report, and the same as a form to file.
    report          jsonb,
    form            text,
    PRIMARY KEY (tenant_id, verification_id),
    CONSTRAINT verification_whole CHECK ((finished_at IS NULL) = (report IS NULL) AND (finished_at IS NULL) = (form IS NULL)
        AND (finished_at IS NULL) = (findings IS NULL) AND (finished_at IS NULL) = (position IS NULL))
);
CREATE INDEX verification_newest ON verification (tenant_id, created_at, verification_id);

-- The tenant looked at longest ago is next.
CREATE TABLE audit_sample (
    tenant_id  bigint PRIMARY KEY REFERENCES tenant,
    sampled_at timestamptz NOT NULL DEFAULT now(),
    runs       bigint NOT NULL
) WITH (fillfactor = 50);

-- What the sample found, until a whole verification finds nothing.
CREATE TABLE audit_finding (
    tenant_id  bigint NOT NULL REFERENCES tenant,
    position   bigint NOT NULL,
    invariant  text COLLATE "C" NOT NULL,
    until      bigint,
    what       text NOT NULL,
    times      bigint NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, position, invariant)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON verification, audit_sample, audit_finding TO ledger_service;
