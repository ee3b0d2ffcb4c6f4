-- The embedded ledger. Instants are microseconds since 1970 (UTC); bodies are JSON.
-- What is removed from the log takes with it all that was indexed of it.

CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('revision', 'decision', 'outcome')),
    at INTEGER,      -- from when its age counts; null if it is kept for good
    closes INTEGER,  -- until when it is needed, whatever its age
    body BLOB NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS log_age ON log (at, closes) WHERE at IS NOT NULL;

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
    source BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS active (
    agent TEXT PRIMARY KEY,
    revision_id TEXT NOT NULL REFERENCES revision (revision_id)
) STRICT;

CREATE TABLE IF NOT EXISTS note (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
