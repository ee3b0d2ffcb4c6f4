-- The first schema of the shared ledger; `postgres_0002.sql` changes it.

CREATE TABLE log (
    position bigint PRIMARY KEY,
    kind text NOT NULL,
    at bigint,      -- from when its age counts; null if it is kept for good
    closes bigint,  -- until when it is needed, whatever its age
    customer text,  -- whom it is about, if anybody
    body bytea NOT NULL
);

CREATE INDEX log_age ON log (at, closes) WHERE at IS NOT NULL;

CREATE INDEX log_customer ON log (customer, position) WHERE customer IS NOT NULL;

CREATE TABLE decision (
    decision_id text PRIMARY KEY,
    key text UNIQUE,
    request bytea NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
);

CREATE TABLE contact (
    customer text NOT NULL,
    at bigint NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE,
    decision_id text NOT NULL,
    agent text NOT NULL,
    offer text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    action text NOT NULL,
    includes text NOT NULL,  -- names of offers, a space between
    PRIMARY KEY (customer, at, position)
);

CREATE TABLE event (
    customer text NOT NULL,
    at bigint NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE,
    event text NOT NULL,
    decision_id text NOT NULL,  -- this and what follows: empty if it followed nothing
    agent text NOT NULL,
    offer text NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    action text NOT NULL,
    includes text NOT NULL,
    PRIMARY KEY (customer, at, position)
);

CREATE TABLE outcome (
    outcome_id text PRIMARY KEY,
    decision_id text NOT NULL,  -- empty if it followed none
    request bytea NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
);

CREATE INDEX outcome_decision ON outcome (decision_id, position);

CREATE TABLE usage (
    counter text NOT NULL,
    bucket bigint NOT NULL,
    amount double precision NOT NULL,
    PRIMARY KEY (counter, bucket)
);

CREATE TABLE revision (
    revision_id text PRIMARY KEY,
    agent text NOT NULL,
    yaml text NOT NULL,
    source bytea NOT NULL,
    at bigint NOT NULL,  -- when it was put, and by whom
    actor text NOT NULL
);

CREATE INDEX revision_agent ON revision (agent, at);

CREATE TABLE activation (  -- of another active revision; a stack
    position bigint PRIMARY KEY REFERENCES log (position) ON DELETE CASCADE,
    agent text NOT NULL,
    revision_id text NOT NULL REFERENCES revision (revision_id),
    back bigint REFERENCES activation (position)  -- where a rollback goes; null: nowhere
);

CREATE TABLE active (
    agent text PRIMARY KEY,
    revision_id text NOT NULL REFERENCES revision (revision_id),
    canary_id text REFERENCES revision (revision_id),
    percent bigint NOT NULL,  -- of customers, for whom the canary decides
    shadow_id text REFERENCES revision (revision_id),
    position bigint NOT NULL REFERENCES activation (position)  -- the top of the stack
);

CREATE TABLE action_list (  -- of a revision, in the order of its decisions' arrays
    revision_id text PRIMARY KEY,
    ids bytea NOT NULL  -- as JSON
);

CREATE TABLE note (
    name text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE api_key (
    key_id text PRIMARY KEY,
    digest bytea NOT NULL,    -- SHA-256 of the key, which itself is stored nowhere
    name text NOT NULL,
    scopes text NOT NULL,    -- a space between
    created bigint NOT NULL,
    expires bigint,         -- null: never
    revoked bigint,         -- null: not
    replaces text NOT NULL,  -- id of the key it was rotated in for, empty if none
    rate double precision,               -- requests per second, null: no limit
    burst double precision
);

CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    at bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    body bytea NOT NULL,
    previous bytea NOT NULL,  -- hash of the row before
    hash bytea NOT NULL
);

CREATE TABLE correction (
    correction_id text PRIMARY KEY,
    outcome_id text NOT NULL,   -- what it adjusts
    decision_id text NOT NULL,  -- empty if that followed none
    request bytea NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
);

CREATE INDEX correction_outcome ON correction (outcome_id, position);

CREATE INDEX correction_decision ON correction (decision_id, position);

CREATE TABLE delivery (
    decision_id text PRIMARY KEY,
    state text NOT NULL,  -- reserved, delivered, released or expired
    due bigint,          -- when a reservation expires
    changed bigint,      -- position of the entry that says so; null for a reservation
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
);

CREATE INDEX delivery_due ON delivery (due) WHERE state = 'reserved';

CREATE TABLE pending_outcome (
    outcome_id text PRIMARY KEY,
    decision_id text NOT NULL,  -- which the ledger does not have yet
    request bytea NOT NULL,
    body bytea NOT NULL,
    until bigint NOT NULL,     -- how long it waits; if dead, how long it is kept
    dead text                   -- why it waits no longer
);

CREATE TABLE suppression (
    customer text NOT NULL,     -- keyed hash
    channel text NOT NULL,      -- '*' for all
    until bigint,              -- null: for good
    position bigint NOT NULL,  -- of the entry that said so
    PRIMARY KEY (customer, channel)
);

CREATE TABLE elsewhere (
    contact_id text PRIMARY KEY,
    request bytea NOT NULL,
    position bigint NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
);
