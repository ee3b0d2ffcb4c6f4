-- Fewer indexes for each decision: the log knows ids, keys and fingerprints by itself, and what is
-- remembered of a customer is one table. The record has a new name, so whoever still runs the
-- version before is refused whatever it asks, and nothing is written that would be found by halves.

SELECT pg_advisory_xact_lock(730833400, hashtext(current_schema()));  -- nobody appends meanwhile

ALTER TABLE log RENAME TO log_before;

CREATE TABLE log (
    position bigint NOT NULL,
    kind text NOT NULL,
    at bigint,         -- from when its age counts; null if it is kept for good
    closes bigint,     -- until when it is needed, whatever its age
    customer text,     -- whom it is about, if anybody
    id text,           -- of a decision or an outcome
    key text,          -- under which a decision was asked for
    decision_id text,  -- which an outcome followed; null if it followed none
    request bytea,     -- fingerprint of what asked for a decision or reported an outcome
    record bytea NOT NULL
);

INSERT INTO log
SELECT position, l.kind, l.at, l.closes, l.customer, coalesce(d.decision_id, o.outcome_id),
    d.key, nullif(o.decision_id, ''), coalesce(d.request, o.request), l.body
FROM log_before l LEFT JOIN decision d USING (position) LEFT JOIN outcome o USING (position)
ORDER BY position;

CREATE TABLE past (  -- one row for each of the log that is about a customer
    customer text NOT NULL,
    at bigint NOT NULL,        -- as in the log
    position bigint NOT NULL,  -- in the log
    event text,         -- its word; empty: a contact; null: neither, or no longer
    decision_id text,   -- this and what follows: of the contact, or of what the event followed
    agent text,
    offer text,
    kind text,
    channel text,
    action text,
    includes text       -- names of offers, a space between
);

INSERT INTO past
SELECT l.customer, l.at, position, CASE WHEN c.customer IS NULL THEN e.event ELSE '' END,
    coalesce(c.decision_id, e.decision_id), coalesce(c.agent, e.agent),
    coalesce(c.offer, e.offer), coalesce(c.kind, e.kind), coalesce(c.channel, e.channel),
    coalesce(c.action, e.action), coalesce(c.includes, e.includes)
FROM log_before l LEFT JOIN contact c USING (position) LEFT JOIN event e USING (position)
WHERE l.customer IS NOT NULL;

DROP TABLE decision, contact, event, outcome;

DROP TABLE log_before CASCADE;  -- and the references to it

ALTER TABLE log ADD PRIMARY KEY (position);

ALTER TABLE past ADD PRIMARY KEY (customer, at, position);

CREATE INDEX log_kind ON log (kind, position);

CREATE INDEX log_age ON log (at, closes) WHERE at IS NOT NULL;

CREATE UNIQUE INDEX log_decision ON log (id) WHERE kind = 'decision';

CREATE UNIQUE INDEX log_outcome ON log (id) WHERE kind = 'outcome';

CREATE UNIQUE INDEX log_key ON log (key) WHERE key IS NOT NULL;

CREATE INDEX log_followed ON log (decision_id, position) WHERE decision_id IS NOT NULL;

ALTER TABLE activation ADD FOREIGN KEY (position) REFERENCES log (position) ON DELETE CASCADE;

ALTER TABLE correction ADD FOREIGN KEY (position) REFERENCES log (position) ON DELETE CASCADE;

ALTER TABLE delivery ADD FOREIGN KEY (position) REFERENCES log (position) ON DELETE CASCADE;

ALTER TABLE elsewhere ADD FOREIGN KEY (position) REFERENCES log (position) ON DELETE CASCADE;
