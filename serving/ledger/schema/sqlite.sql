-- The embedded ledger. Instants are microseconds since 1970 (UTC); bodies are JSON.
-- What is removed from the log takes the rows that refer to it along; those of `past`, which grows
-- with each decision, are removed beside it and cost no index by position.

CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at INTEGER,        -- from when its age counts; null if it is kept for good
    closes INTEGER,    -- until when it is needed, whatever its age
    customer TEXT,     -- whom it is about, if anybody
    id TEXT,           -- of a decision or an outcome
    key TEXT,          -- under which a decision was asked for
    decision_id TEXT,  -- which an outcome followed; null if it followed none
    request BLOB,      -- fingerprint of what asked for a decision or reported an outcome
    record BLOB NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS log_kind ON log (kind);

CREATE INDEX IF NOT EXISTS log_age ON log (at, closes) WHERE at IS NOT NULL;

CREATE UNIQUE INDEX IF NOT EXISTS log_decision ON log (id) WHERE kind = 'decision';

CREATE UNIQUE INDEX IF NOT EXISTS log_outcome ON log (id) WHERE kind = 'outcome';

CREATE UNIQUE INDEX IF NOT EXISTS log_key ON log (key) WHERE key IS NOT NULL;

CREATE INDEX IF NOT EXISTS log_followed ON log (decision_id) WHERE decision_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS past (  -- one row for each of the log that is about a customer
    customer TEXT NOT NULL,
    at INTEGER NOT NULL,        -- as in the log
    position INTEGER NOT NULL,  -- in the log
    event TEXT,         -- its word; empty: a contact; null: neither, or no longer
    decision_id TEXT,   -- this and what follows: of the contact, or of what the event followed
    agent TEXT,
    offer TEXT,
    kind TEXT,
    channel TEXT,
    action TEXT,
    includes TEXT,      -- names of offers, a space between
    PRIMARY KEY (customer, at, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS usage (
    counter TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    amount REAL NOT NULL,
    PRIMARY KEY (counter, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS revision (
    revision_id TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    yaml TEXT NOT NULL,
    source BLOB NOT NULL,
    at INTEGER NOT NULL,  -- when it was put, and by whom
    actor TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS revision_agent ON revision (agent, at);

CREATE TABLE IF NOT EXISTS activation (  -- of another active revision; a stack
    position INTEGER PRIMARY KEY REFERENCES log (position) ON DELETE CASCADE,
    agent TEXT NOT NULL,
    revision_id TEXT NOT NULL REFERENCES revision (revision_id),
    back INTEGER REFERENCES activation (position)  -- where a rollback goes; null: nowhere
) STRICT;

CREATE TABLE IF NOT EXISTS active (
    agent TEXT PRIMARY KEY,
    revision_id TEXT NOT NULL REFERENCES revision (revision_id),
    canary_id TEXT REFERENCES revision (revision_id),
    percent INTEGER NOT NULL,  -- of customers, for whom the canary decides
    shadow_id TEXT REFERENCES revision (revision_id),
    position INTEGER NOT NULL REFERENCES activation (position)  -- the top of the stack
) STRICT;

CREATE TABLE IF NOT EXISTS action_list (  -- of a revision, in the order of its decisions' arrays
    revision_id TEXT PRIMARY KEY,
    ids BLOB NOT NULL  -- as JSON
) STRICT;

CREATE TABLE IF NOT EXISTS note (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS api_key (
    key_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,    -- SHA-256 of the key, which itself is stored nowhere
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,    -- a space between
    created INTEGER NOT NULL,
    expires INTEGER,         -- null: never
    revoked INTEGER,         -- null: not
    replaces TEXT NOT NULL,  -- id of the key it was rotated in for, empty if none
    rate REAL,               -- requests per second, null: no limit
    burst REAL
) STRICT;

CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    body BLOB NOT NULL,
    previous BLOB NOT NULL,  -- hash of the row before
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS correction (
    correction_id TEXT PRIMARY KEY,
    outcome_id TEXT NOT NULL,   -- what it adjusts
    decision_id TEXT NOT NULL,  -- empty if that followed none
    request BLOB NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS correction_outcome ON correction (outcome_id, position);

CREATE INDEX IF NOT EXISTS correction_decision ON correction (decision_id, position);

CREATE TABLE IF NOT EXISTS delivery (
    decision_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,  -- reserved, delivered, released or expired
    due INTEGER,          -- when a reservation expires
    changed INTEGER,      -- position of the entry that says so; null for a reservation
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS delivery_due ON delivery (due) WHERE state = 'reserved';

CREATE TABLE IF NOT EXISTS pending_outcome (
    outcome_id TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL,  -- which the ledger does not have yet
    request BLOB NOT NULL,
    body BLOB NOT NULL,
    until INTEGER NOT NULL,     -- how long it waits; if dead, how long it is kept
    dead TEXT                   -- why it waits no longer
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS suppression (
    customer TEXT NOT NULL,     -- keyed hash
    channel TEXT NOT NULL,      -- '*' for all
    until INTEGER,              -- null: for good
    position INTEGER NOT NULL,  -- of the entry that said so
    PRIMARY KEY (customer, channel)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS elsewhere (
    contact_id TEXT PRIMARY KEY,
    request BLOB NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
