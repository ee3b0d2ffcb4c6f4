-- The embedded ledger. Instants are microseconds since 1970 (UTC); bodies are JSON.

CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('revision', 'decision', 'outcome')),
    body BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS decision (
    decision_id TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    request BLOB NOT NULL,
    position INTEGER NOT NULL REFERENCES log (position)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS contact (
    customer TEXT NOT NULL,
    at INTEGER NOT NULL,
    decision_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    offer TEXT NOT NULL,
    kind TEXT NOT NULL,
    channel TEXT NOT NULL,
    action TEXT NOT NULL,
    PRIMARY KEY (customer, at, decision_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outcome (
    outcome_id TEXT PRIMARY KEY,
    decision_id TEXT NOT NULL,
    counted INTEGER NOT NULL,
    request BLOB NOT NULL,
    position INTEGER NOT NULL REFERENCES log (position)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS outcome_decision ON outcome (decision_id, position);

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
