"""Rows of a log as DSJSON events: the objects that Vowpal Wabbit's services write line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from experiments.logs.importers.base import Features
from experiments.logs.importers.dsjson import ID, SLOT
from experiments.logs.importers.nested import nest
from experiments.logs.supplied import SUPPLIED

_ACTIONS = "_multi"

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of a log that is to be an event, or one slot of it.

    Args:
        values: plain values by column of the log's schema.
        context: the row's, read.
    """

    values: Values
    context: Mapping[str, Any]

    @classmethod
    def of(cls, values: Values) -> Row:
        """Read the context of a row."""
        return cls(values, orjson.loads(values["context"]))

    @property
    def supplied(self) -> Mapping[str, Any] | None:
        """The actions that came with the request; None for an agent that declares its offers."""
        found: Mapping[str, Any] | None = self.context.get(SUPPLIED)
        return found

    @property
    def slot(self) -> str:
        """Which of several slots the row filled, empty if there was one only."""
        found: str = self.context["placement"] if self.supplied is None else self.supplied["slot"]
        return found

    @property
    def event(self) -> str:
        """The caller's id of the event, or else that of the decision."""
        told = "" if self.supplied is None else self.supplied.get("event", "")
        return str(told or self.values["decision_id"])

    @property
    def acts(self) -> bool:
        """Whether an action was drawn that an event can list: not if all supplied were barred."""
        return self.supplied is None or self.values["action"] in self.supplied["ids"]

    @property
    def order(self) -> list[str]:
        """The allowed actions, the drawn one first."""
        drawn = self.values["action"]
        free = [
            name
            for name, why in zip(self.values["actions"], self.values["mask"], strict=True)
            if why is None
        ]
        return [drawn, *(name for name in free if name != drawn)]

    @property
    def probabilities(self) -> list[float]:
        """Those of `order`."""
        known = dict(zip(self.values["actions"], self.values["distribution"], strict=True))
        return [known[name] for name in self.order]

    @property
    def cost(self) -> float:
        """The negative of the reward, currency."""
        return -float(self.values["reward"])

    @property
    def kept(self) -> float:
        """The probability with which the row was kept."""
        kept = self.values.get("kept")
        return 1.0 if kept is None else float(kept)

    @property
    def made(self) -> bool:
        """Whether its contact was made, as far as is known: deferred ones must be activated."""
        return self.values["given_back"] is None and self.values["state"] != "reserved"

    @property
    def skipped(self) -> Mapping[str, bool]:
        """The mark of a decision that nothing is to be learned from, if it is one."""
        return {} if self.made else {"_skipLearn": True}

    @property
    def observed(self) -> list[dict[str, Any]]:
        """What was seen of it, in the services' words."""
        seen = {"v": self.values["reward"], "EventId": self.event}
        return [{**seen, "ActionTaken": self.made}]


def dsjson_event(row: Row, known: Mapping[str, Features]) -> dict[str, Any]:
    """Return the event of one decision, with the keys in the order of the services' own writer.

    `_label_probability` is the propensity times the share of rows that was kept.

    Args:
        row: of the log.
        known: content of declared actions by id, as far as it is known.
    """
    names, content = _listed([row], known)
    chosen = names.index(row.values["action"])
    return {
        "_label_cost": row.cost,
        "_label_probability": row.values["propensity"] * row.kept,
        "_label_Action": chosen + 1,
        "_labelIndex": chosen,
        **row.skipped,
        "o": row.observed,
        "Timestamp": _stamp(row.values["at"]),
        "Version": "1",
        "EventId": row.event,
        "a": [names.index(name) + 1 for name in row.order],
        "c": content,
        "p": row.probabilities,
        "VWState": {"m": row.values["snapshot"]},
        "_original_label_cost": row.cost,
    }


def slots_event(rows: Sequence[Row], known: Mapping[str, Features]) -> dict[str, Any]:
    """Return the event whose slots were filled by several decisions, in their order.

    Args:
        rows: decisions of the same request.
        known: content of declared actions by id, as far as it is known.
    """
    first = rows[0]
    names, content = _listed(rows, known)
    dropped = {"pdrop": 1.0 - first.kept} if first.kept < 1.0 else {}
    slots = [{ID: row.values["decision_id"], **_slot(row)} for row in rows]
    return {
        "Timestamp": _stamp(first.values["at"]),
        "Version": "1",
        **first.skipped,
        "c": {**{name: value for name, value in content.items() if name != SLOT}, "_slots": slots},
        "_outcomes": [_outcome(row, names) for row in rows],
        "VWState": {"m": first.values["snapshot"]},
        **dropped,
    }


def _outcome(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {
        "_label_cost": row.cost,
        "_id": row.values["decision_id"],
        "_a": [names.index(name) for name in row.order],
        "_p": row.probabilities,
        "_o": row.observed,
        "_original_label_cost": row.cost,
    }


def _listed(
    rows: Sequence[Row], known: Mapping[str, Features]
) -> tuple[Sequence[str], Mapping[str, Any]]:
    """Return the actions that an event lists, and its `c`.

    What came with the request stays as it came, barred actions too: `a` lists the allowed. Of
    declared actions the barred are left out, so that no learner takes them for what could have
    been chosen.
    """
    first = rows[0]
    if first.supplied is not None:
        return first.supplied["ids"], first.supplied["content"]
    free = {name for row in rows for name in row.order}
    names = [name for name in first.values["actions"] if name in free]
    contents = [
        known.get(name) or {"_tag": name, "i": {"constant": 1, "id": name}} for name in names
    ]
    return names, {**nest(first.context["features"]), _ACTIONS: contents}


def _slot(row: Row) -> Mapping[str, Any]:
    """Return the features of a slot; a list of them, as a live loop has it, keeps its name."""
    own = None if row.supplied is None else row.supplied["content"].get(SLOT)
    if own is None:
        return {}
    return own if isinstance(own, Mapping) else {SLOT: own}


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "0Z")
