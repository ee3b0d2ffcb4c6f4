"""The log of a ledger: decisions, outcomes and all else in their order, and the ways to find them.

It is only appended to, but for what has become older than the workspace keeps, and for what a
customer has the right to have erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson

from agents.context import Contact, PastEvent
from agents.decisions import Decision, OutcomeEvent
from agents.units import parse_instant
from serving.ledger.database import to_micros
from serving.ledger.packing import pack, unpack
from serving.ledger.past import ADD_PAST, Past, PastReader, past_row
from serving.ledger.records import Entry, EntryKind, Made, StoredDecision, StoredOutcome

_OPTION = orjson.OPT_SERIALIZE_NUMPY

LAST = 2**63 - 1
"""A position that no row of the log has or comes after."""

LAST_POSITION = "SELECT coalesce(max(position), 0) FROM log"
ADD_ENTRY = (  # by name, so that a version to which a column is unknown is refused
    "INSERT INTO log (position, kind, at, closes, customer, id, key, decision_id, request, record)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DECISION = "SELECT position, request, record FROM log WHERE "
_NEWEST = (  # for max(position), a database that has none yet plans to read all of the kind
    "SELECT record FROM (SELECT record FROM log WHERE kind = '{0}'"
    " ORDER BY position DESC LIMIT 1) AS newest_{0}"
)
_LAST_INSTANT = f"{_NEWEST.format('decision')} UNION ALL {_NEWEST.format('outcome')}"
_FIND_DECISION = {
    "id": _DECISION + "kind = 'decision' AND id = ?",
    "key": _DECISION + "key = ?",  # nothing else has one; by kind, too, all decisions were read
}


class Named(NamedTuple):
    """By what an entry is found besides its position.

    Args:
        id: of a decision or an outcome.
        key: the idempotency key of a decision, None if it has none.
        decision_id: which an outcome followed, None if it followed none.
        request: the fingerprint of the request.
    """

    id: str | None = None
    key: str | None = None
    decision_id: str | None = None
    request: bytes | None = None


_NAMELESS = Named()


def read_body(stored: bytes) -> Mapping[str, Any]:
    """Read a record; what is no JSON object is an empty one, so its reader finds nothing in it."""
    try:
        body = orjson.loads(stored)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _as_stored(_kind: str, stored: bytes) -> Mapping[str, Any]:
    return read_body(stored)


class LogReader(PastReader):
    """Reads the log."""

    _action_ids: dict[str, list[str]]  # by revision, as far as they were asked for
    _put: set[str]  # revisions that were stored since the last commit, and may be undone

    def _read(self, kind: str, stored: bytes) -> Mapping[str, Any]:
        """Read what is stored of an entry; what is no such record is an empty one."""
        body = read_body(stored)
        return self.whole(body) if kind == "decision" else body

    def whole(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a decision with all that `Decision.to_record` has, from what is stored of it.

        What is no such decision is an empty record.
        """
        try:
            actions = body.get("actions") or self.action_ids(body["revision"])
            return unpack(body, actions)
        except (LookupError, TypeError):
            return {}

    def action_ids(self, revision_id: str) -> list[str]:
        """Return the ids of a stored revision's actions, none if there is no such revision."""
        known = self._action_ids.get(revision_id)
        if known is None:
            sql = "SELECT ids FROM action_list WHERE revision_id = ?"
            rows = self._db.rows(sql, (revision_id,))
            known = orjson.loads(rows[0][0]) if rows else []
            if known and revision_id not in self._put:
                self._action_ids[revision_id] = known
        return known

    def entries(self, after: int, limit: int, *, stored: bool = False) -> list[Entry]:
        """Return up to `limit` rows of the log with a position above `after`, in order.

        Args:
            after: a position.
            limit: at least 1.
            stored: leave decisions as they are stored, for `whole`: that is quicker.
        """
        rows = self._db.rows(
            "SELECT position, kind, record FROM log WHERE position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
        read = _as_stored if stored else self._read
        return [Entry(position, kind, read(kind, body)) for position, kind, body in rows]

    def last_position(self) -> int:
        """Return the position of the newest row of the log, 0 if there is none."""
        return int(self._db.rows(LAST_POSITION)[0][0])

    def first_decision(self) -> int:
        """Return the position of the oldest decision, or of what comes next if there is none."""
        sql = "SELECT position FROM log WHERE kind = 'decision' ORDER BY position LIMIT 1"
        rows = self._db.rows(sql)
        return int(rows[0][0]) if rows else self.last_position() + 1

    def last_instant(self) -> datetime | None:
        """Return the later one of the newest decision's instant and the newest outcome's."""
        rows = self._db.rows(_LAST_INSTANT)
        bodies = [read_body(body) for (body,) in rows]
        told = [body.get("event", body).get("at") for body in bodies]
        return max((parse_instant(at) for at in told if at is not None), default=None)

    def find_decision(self, decision_id: str) -> StoredDecision | None:
        """Return a decision by its id."""
        return self._decision("id", decision_id)

    def find_made(self, decision_id: str) -> Made | None:
        """Return what came of a decision, by its id; cheaper than all of it."""
        rows = self._db.rows(_FIND_DECISION["id"], (decision_id,))
        return Made.from_record(read_body(rows[0][2])) if rows else None

    def _decision(self, column: Literal["id", "key"], value: str) -> StoredDecision | None:
        rows = self._db.rows(_FIND_DECISION[column], (value,))
        if not rows:
            return None
        position, request, body = rows[0]
        record = self._read("decision", body)
        decision = Decision.from_record(record)
        told = record.get("arbitration"), record.get("shadow")
        return StoredDecision(position, bytes(request), decision, *told)

    def find_by_key(self, key: str) -> StoredDecision | None:
        """Return the decision made under an idempotency key."""
        return self._decision("key", key)

    def find_outcome(self, outcome_id: str) -> StoredOutcome | None:
        """Return an outcome by its id."""
        rows = self._db.rows(
            "SELECT request, record FROM log WHERE kind = 'outcome' AND id = ?", (outcome_id,)
        )
        if not rows:
            return None
        body = orjson.loads(rows[0][1])
        event = OutcomeEvent.from_record(body["event"])
        return StoredOutcome(bytes(rows[0][0]), tuple(body["counted"]), event)

    def find_events(self, decision_id: str, until: int = LAST) -> list[OutcomeEvent]:
        """Return all outcomes received for a decision up to a position, in order of commit."""
        rows = self._db.rows(
            "SELECT record FROM log WHERE decision_id = ? AND position <= ? ORDER BY position",
            (decision_id, until),
        )
        return [OutcomeEvent.from_record(orjson.loads(body)["event"]) for (body,) in rows]


class Log(LogReader, Past):
    """Appends to the log, inside a transaction."""

    _position: int

    def add_decision(
        self,
        decision: Decision,
        contact: Contact | None,
        *,
        key: str | None,
        request: bytes,
        closes: datetime,
        arbitration: Mapping[str, Any] | None = None,
        shadow: Mapping[str, Any] | None = None,
        deferred: bool = False,
    ) -> int:
        """Append a decision and its contact; return its position.

        Args:
            decision: what was decided.
            contact: what it sends, None for `none`.
            key: the caller's idempotency key.
            request: the fingerprint of the request.
            arbitration: how it was settled which agent decides, if several were asked.
            shadow: what the agent's shadow would have decided, if it has one.
            deferred: whether the contact is only reserved, and may yet not be made.
            closes: when its last outcome window ends, before which it is never pruned.
        """
        record = pack(decision)
        if "actions" not in record and not self.action_ids(decision.revision):
            record["actions"] = decision.actions
        if arbitration is not None:
            record["arbitration"] = arbitration
        if shadow is not None:
            record["shadow"] = shadow
        if deferred:
            record["deferred"] = True
        aged_from = decision.at if contact is None else contact.at
        customer = decision.context.customer
        return self.append(
            "decision", record, customer=customer, at=aged_from, closes=closes, past=contact,
            named=Named(decision.decision_id, key, None, request),
        )  # fmt: skip

    def add_outcome(
        self,
        event: OutcomeEvent,
        past: PastEvent,
        *,
        counted: Iterable[str],
        request: bytes,
        closes: datetime,
    ) -> int:
        """Append an outcome, and what later decisions remember of it; return its position.

        Args:
            event: what happened, as it was reported.
            past: the same as later decisions remember it.
            counted: names of the outcomes that count once more because of it.
            request: the fingerprint of the report.
            closes: when the last outcome window of its decision ends; its own instant if it
                followed none.
        """
        body = {"event": event, "counted": list(counted)}
        return self.append(
            "outcome", body, customer=event.customer, at=event.at, closes=closes, past=past,
            named=Named(event.outcome_id, None, event.decision_id or None, request),
        )  # fmt: skip

    def append(
        self,
        kind: EntryKind,
        body: Mapping[str, Any],
        *,
        customer: str | None = None,
        at: datetime | None = None,
        closes: datetime | None = None,
        past: Contact | PastEvent | None = None,
        named: Named = _NAMELESS,
    ) -> int:
        """Append a row to the log, and what is remembered of its customer; return its position.

        Args:
            kind: what it is.
            body: the record, as plain JSON values.
            customer: whom it is about, if anybody.
            at: from when its age counts; None if it is kept for good, and about nobody.
            closes: until when it is needed, whatever its age.
            past: what later decisions remember of the customer, of the same instant.
            named: by what it is found.
        """
        self._position += 1
        aged = None if at is None else to_micros(at)
        ends = None if closes is None else to_micros(closes)
        stored = orjson.dumps(body, option=_OPTION)
        self._db.run(ADD_ENTRY, (self._position, kind, aged, ends, customer, *named, stored))
        if customer is not None and aged is not None:
            self._db.run(ADD_PAST, past_row(customer, aged, self._position, past))
        return self._position
