"""The decision log: one Arrow schema, from the server's export to the researcher's estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from agents.decisions import Decision, OutcomeEvent, context_record
from agents.keyed import keyed
from agents.revision import Revision
from agents.rewards import closes_at, counted, reward

_INSTANT = pa.timestamp("us", tz="UTC")

SCHEMA = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),  # order of commit
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("at", _INSTANT, nullable=False),
        pa.field("agent", pa.string(), nullable=False),
        pa.field("revision", pa.string(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),
        pa.field("snapshot", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("customer", pa.string(), nullable=False),  # keyed hash
        pa.field("context", pa.string(), nullable=False),  # JSON: `context_record`
        pa.field("actions", pa.list_(pa.string()), nullable=False),
        pa.field("mask", pa.list_(pa.string()), nullable=False),  # null where allowed
        pa.field("distribution", pa.list_(pa.float64()), nullable=False),
        pa.field("expected", pa.list_(pa.float64()), nullable=False),  # null where unknown
        pa.field("action", pa.string(), nullable=False),
        pa.field("propensity", pa.float64(), nullable=False),
        pa.field("floor", pa.float64(), nullable=False),
        pa.field("explored", pa.bool_(), nullable=False),
        pa.field("arbitration", pa.string()),  # JSON; null if no agents bid
        pa.field("send_at", _INSTANT),
        pa.field(
            "outcomes",
            pa.list_(
                pa.struct(
                    [
                        pa.field("outcome", pa.string(), nullable=False),
                        pa.field("value", pa.float64(), nullable=False),  # currency, weighted
                        pa.field("at", _INSTANT, nullable=False),
                    ]
                )
            ),
            nullable=False,
        ),
        pa.field("reward", pa.float64(), nullable=False),  # currency
        pa.field("closed_at", _INSTANT),  # null while an outcome could still arrive
        pa.field("state", pa.string()),  # what became of the contact; null if nobody has said
        pa.field("given_back", pa.int64()),  # position from which it was not made; null if it was
        pa.field(
            "late",  # when it was made if later than planned, and the position from which
            pa.struct(
                [
                    pa.field("at", _INSTANT, nullable=False),
                    pa.field("position", pa.int64(), nullable=False),
                ]
            ),
        ),
        pa.field(
            "retracted",  # events that were taken back, and the position from which
            pa.list_(
                pa.struct(
                    [
                        pa.field("event", pa.string(), nullable=False),
                        pa.field("at", _INSTANT, nullable=False),
                        pa.field("position", pa.int64(), nullable=False),
                    ]
                )
            ),
        ),
        pa.field("kept", pa.float64()),  # probability with which the row was kept; null means 1
    ]
)
LATER = frozenset({"kept"})  # columns that a log may lack: they came after the first release


def hash_customer(key: bytes, customer: str) -> str:
    """Return the keyed hash by which a customer is known outside the ledger; 32 hex digits."""
    return keyed(key)(customer.encode()).hex()[:32]


def log_row(
    position: int,
    decision: Decision,
    revision: Revision,
    events: Sequence[OutcomeEvent],
    *,
    now: datetime,
    key: bytes,
    arbitration: Mapping[str, Any] | None = None,
    state: str | None = None,
    given_back: int | None = None,
    late: Mapping[str, Any] | None = None,
    retracted: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Make the log's row of one decision and the outcomes that came after it.

    Args:
        position: order in which the ledger committed the decision.
        decision: what was decided.
        revision: the revision of the agent that decided it.
        events: all outcomes received for it, as corrected; those that do not count are left out.
        now: the ledger's clock; windows that end later are open, so `closed_at` is null.
        key: secret of the customer hash.
        arbitration: how it was settled which agent decides; None if one was asked or none could
            act.
        state: what became of its contact: reserved, delivered, released or expired.
        given_back: position of the log from which its contact counts as never made: then nothing
            followed it, and it cost nothing.
        late: when its contact was made, `at`, if that was later than planned, and the `position`
            from which guardrails count it there.
        retracted: events that were taken back: word, instant, position.
    """
    closes = closes_at(revision.agent, decision.at)
    made = given_back is None
    record = decision.to_record()
    names = ("decision_id", "agent", "revision", "policy", "snapshot", "floor", "explored",
             "actions", "mask", "distribution", "expected")  # fmt: skip
    return {name: record[name] for name in names} | {
        "position": position,
        "at": decision.at,
        "group": str(decision.group),
        "reason": str(decision.reason),
        "customer": hash_customer(key, decision.context.customer),
        "context": orjson.dumps(context_record(decision.context)).decode(),
        "action": decision.action_id,
        "propensity": decision.propensity,
        "arbitration": None if arbitration is None else orjson.dumps(arbitration).decode(),
        "send_at": decision.send_at,
        "outcomes": _outcomes(decision, revision, events) if made else [],
        "reward": _reward(decision, revision, events, closed=closes <= now) if made else 0.0,
        "closed_at": closes if closes <= now else None,
        "state": state,
        "given_back": given_back,
        "late": late,
        "retracted": [dict(each) for each in retracted],
        "kept": None,
    }


def _outcomes(
    decision: Decision, revision: Revision, events: Sequence[OutcomeEvent]
) -> list[dict[str, Any]]:
    return [
        {"outcome": entry.outcome, "value": entry.value, "at": entry.event.at}
        for entry in counted(revision.agent, decision.at, events)
    ]


def _reward(
    decision: Decision, revision: Revision, events: Sequence[OutcomeEvent], *, closed: bool
) -> float:
    action = revision.offering(decision.actions).actions[decision.action]
    return reward(revision.agent, action, decision.at, events, closed=closed)


def read_row(row: Mapping[str, Any]) -> Decision:
    """Rebuild the decision of a row; its customer is the hash, and nothing else is lost.

    Args:
        row: plain values by column, as `pyarrow.Table.to_pylist` gives them.

    Raises:
        LookupError, TypeError, ValueError: it is no such row.
    """
    context = orjson.loads(row["context"])
    send_at = row["send_at"]
    return Decision.from_record(
        {
            **row,
            **context,
            "at": row["at"].isoformat(),
            "send_at": None if send_at is None else send_at.isoformat(),
            "action": row["actions"].index(row["action"]),
        }
    )


def log_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Gather rows into a table of `SCHEMA`."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
