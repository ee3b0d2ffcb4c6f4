-- The embedded ledger. Instants are microseconds since 1970 (UTC); bodies are JSON.
-- What is removed from the log takes with it all that was indexed of it.

CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at INTEGER,      -- from when its age counts; null if it is kept for good
    closes INTEGER,  -- until when it is needed, whatever its age
    customer TEXT,   -- whom it is about, if anybody
    body BLOB NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS log_age ON log (at, closes) WHERE at IS NOT NULL;

CREATE INDEX IF NOT EXISTS log_customer ON log (customer, position) WHERE customer IS NOT NULL;

CREATE TABLE IF NOT EXISTS decision (
    decision_id TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    request BLOB NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS contact (
    customer TEXT NOT NULL,
    at INTEGER NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE,
    decision_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    offer TEXT NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    action TEXT NOT NULL,
    includes TEXT NOT NULL,  -- names of offers, a space between
    PRIMARY KEY (customer, at, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS event (
    customer TEXT NOT NULL,
    at INTEGER NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE,
    event TEXT NOT NULL,
    decision_id TEXT NOT NULL,  -- this and what follows: empty if it followed nothing
    agent TEXT NOT NULL,
    offer TEXT NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    action TEXT NOT NULL,
    includes TEXT NOT NULL,
    PRIMARY KEY (customer, at, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outcome (
    outcome_id TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL,  -- empty if it followed none
    request BLOB NOT NULL,
    position INTEGER NOT NULL UNIQUE REFERENCES log (position) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS outcome_decision ON outcome (decision_id, position);

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
