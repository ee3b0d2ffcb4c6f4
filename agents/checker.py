"""The checker: a whole decision log re-verified from the YAML alone.

It answers one question, whether any customer was reached against a guardrail, and it answers it
without a line of the code that decided: `agents.checking` reads the documents, evaluates the
expressions, and counts contacts and totals from the log, not from what a decision says it knew;
what a decision says it knew is compared with that. What it finds must be nothing.
"""

from __future__ import annotations

import heapq
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from agents.checking.book import read_laws
from agents.checking.hidden import Hidden
from agents.checking.history import Finding, History, read_past
from agents.checking.late import late_faults
from agents.checking.laws import AgentLaw, Totals, View
from agents.checking.rows import ALWAYS, HOLDOUT, check_row, unknown_actions
from agents.checking.supplied import logged_faults
from agents.checking.times import zone_of

_COLUMNS = (
    "position", "decision_id", "at", "agent", "revision", "group", "reason", "customer", "context",
    "actions", "mask", "distribution", "action", "propensity", "send_at", "outcomes",
    "given_back", "late", "retracted",
)  # fmt: skip
_FAILED = "could not be checked"
_BESIDE = ("", HOLDOUT, ALWAYS)  # allowed, or barred by what is no rule
_Why = dict[str, str]
_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Breach:
    """One decision that should not have been made so.

    Args:
        position: of the row, in the order of commit.
        guardrail: name of a declared rule, or of what documents imply (`audience`, `eligible`,
            `applicable`, `suitable`, `opt_out`, `consent`, `dates`, `placement`, `channels`,
            `content`, `quiet_hours`, `stock`, `capacity`, `maturity`, `fallback`, `always_act`,
            `suppressed`, `request`), or what is wrong with the row: `context`, `usage`, `mask`,
            `send_at`, `control`, `random`, `group`, `reason`, `distribution`, `propensity`,
            `action`, `decision_id`, `unreadable`.
        detail: what was expected and what was got.
    """

    position: int
    decision_id: str
    guardrail: str
    detail: str


class Report(list[Breach]):
    """All breaches in the order of commit; empty for a clean log.

    Attributes:
        unchecked: what the log could not tell, in words; it is neither right nor wrong.
    """

    def __init__(self, breaches: list[Breach], unchecked: tuple[str, ...]) -> None:
        super().__init__(breaches)
        self.unchecked = unchecked


def check_log(
    table: pa.Table,
    folder: Path,
    *,
    revisions: Mapping[str, Path] | None = None,
    hash_key: bytes | None = None,
) -> Report:
    """Check every decision of a log, open ones included, against a workspace folder.

    In the order of commit, each row's mask is derived again: from the contacts of the customer in
    earlier rows, the events that the decision knew, and the totals of all earlier rows. A breach
    is an action that was left open, had a chance or was drawn against a rule; one that was barred
    though its rule allows it; and whatever a decision knew otherwise than the log has it.

    Args:
        table: of the log's schema; rows of agents that the folder does not have are counted as
            contacts and not checked otherwise.
        folder: the workspace that was in force.
        revisions: other workspace folders for the rows of these revision ids.
        hash_key: secret of the customer hash, by which exclusion lists can be checked.
    """
    books = {path: read_laws(path, hash_key) for path in {folder, *(revisions or {}).values()}}
    by_revision = {name: books[path] for name, path in (revisions or {}).items()}
    audit = _Audit(complete=_without_gaps(table["position"].to_pylist()))
    breaches: list[Breach] = []
    for row in _rows(table):
        law = by_revision.get(row["revision"], books[folder]).get(row["agent"])
        law = None if law is None else law.offering(row["actions"])
        findings = [*audit.change(row["position"]), *((row, *f) for f in audit.check(row, law))]
        breaches += [_breach(*finding) for finding in findings]
    breaches += [_breach(*finding) for finding in audit.change(sys.maxsize)]
    return Report(breaches, audit.unchecked())


def _breach(row: _Row, name: str, detail: str) -> Breach:
    return Breach(row["position"], row["decision_id"], name, detail)


def _without_gaps(positions: list[int]) -> bool:
    """Say whether a log holds every position from the first on, so that totals are all in it."""
    return (
        bool(positions) and min(positions) <= 1 and max(positions) - min(positions) < len(positions)
    )


def _rows(table: pa.Table) -> Iterator[_Row]:
    for batch in table.select(_COLUMNS).sort_by("position").to_batches(max_chunksize=4_096):
        yield from batch.to_pylist()


class _Audit:
    """What was learned from the rows so far."""

    def __init__(self, *, complete: bool) -> None:
        self._complete = complete
        self._history, self._totals, self._hidden = History(), Totals(), Hidden()
        self._changes: list[tuple[int, int, _Row, AgentLaw | None]] = []  # a heap
        self._seen: set[str] = set()
        self._unchecked: dict[str, None] = {}

    def check(self, row: _Row, law: AgentLaw | None) -> Iterator[Finding]:
        """Check one row, and remember it."""
        if row["decision_id"] in self._seen:
            yield "decision_id", "an earlier row has the same id"
        self._seen.add(row["decision_id"])
        if law is not None:
            self._unchecked |= dict.fromkeys(law.unchecked)
            try:
                yield from self._judge(row, law)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                yield "unreadable", f"{type(error).__name__}: {error}"
        else:
            self._complete = False
        self._history.learn(row, law)
        self._count(row, law, 1.0)
        changed = (row["late"] or {}).get("position") or row["given_back"]
        if changed is not None:
            heapq.heappush(self._changes, (changed, row["position"], row, law))

    def change(self, position: int) -> Iterator[tuple[_Row, str, str]]:
        """Take up what became of contacts before a position, and check those made late.

        What was given back was never made; what was made later than planned is known as of then.
        """
        while self._changes and self._changes[0][0] < position:
            _, _, row, law = heapq.heappop(self._changes)
            contact = self._history.of(row["customer"]).remove(row["decision_id"])
            if row["late"] is None:
                self._count(row, law, -1.0)
            elif contact is not None:
                at = row["late"]["at"]
                if law is not None:
                    context = orjson.loads(row["context"])
                    view = self._view(row | {"at": at}, law, context, [], [])
                    yield from ((row, *each) for each in late_faults(view, row["action"]))
                self._history.of(row["customer"]).add(replace(contact, at=at))

    def _count(self, row: _Row, law: AgentLaw | None, times: float) -> None:
        """Count what a contact uses of the totals."""
        if law is None or row["send_at"] is None:
            return
        for meter in law.meters:
            amount = meter.amounts.get(row["action"])
            if amount is not None:
                self._totals.add(meter.name, meter.place(row["send_at"]), times * amount)

    def unchecked(self) -> tuple[str, ...]:
        """Say what could not be told."""
        if self._history.late:
            late = f"{self._history.late} outcomes were not known to later decisions"
            self._unchecked[f"events: {late} (reported late)"] = None
        return tuple(self._unchecked)

    def _judge(self, row: _Row, law: AgentLaw) -> Iterator[Finding]:
        unknown = list(unknown_actions(row, law))
        if unknown:
            yield from unknown
            return
        context = orjson.loads(row["context"])
        recalled = [read_past(entry) for entry in context["contacts"]]
        events = [read_past(entry) for entry in context.get("events", ())]
        yield from self._history.compare(row, law, recalled, events)
        view = self._view(row, law, context, recalled, events)
        if "request" in law.names:
            for fault in logged_faults(row["actions"], view.supplied):
                yield "context", fault
        yield from check_row(row, law, view)
        yield from self._hidden.group(row, law, view.features.get(law.managed))
        yield from self._hidden.maturity(row, law, view.usage)
        for meter in law.meters:
            for fault in meter.faults(view, complete=self._complete):
                yield "usage", fault
        yield from _compare(row, law, _barred(row, law, view))

    def _view(
        self, row: _Row, law: AgentLaw, context: _Row, recalled: list[Any], events: list[Any]
    ) -> View:
        features = {name: _feature(value) for name, value in context["features"].items()}
        zone = zone_of(features.get(law.zone_field)) if law.zone_field else None
        return View(
            law=law, at=row["at"], customer=row["customer"], features=features, zone=zone,
            bound=law.bind(features, row["at"]),
            sends={
                (channel, window): law.channels[channel].send_at(window, row["at"], zone)
                for channel, window in law.slots
            },
            contacts=self._history.of(row["customer"]).contacts,
            recalled=recalled, events=events, usage=context.get("usage", {}), totals=self._totals,
            placement=context.get("placement", ""),
            channels=frozenset(context.get("channels", ())),
            suppressed=frozenset(context.get("suppressed", ())),
            supplied=context.get("supplied") or {},
        )  # fmt: skip


def _feature(value: object) -> object:
    return datetime.fromisoformat(value["instant"]) if isinstance(value, dict) else value


def _barred(row: _Row, law: AgentLaw, view: View) -> dict[str, _Why]:
    """Derive what each rule bars: by its name, the actions and why."""
    barred: defaultdict[str, _Why] = defaultdict(dict)
    for rule in law.laws:
        for ids, why in rule.bars(view):
            barred[rule.name] |= dict.fromkeys(ids, why)
    named = _reasons(row) if law.orders else {}
    named.pop("none", None)
    waiting = [order.name for order in law.orders]
    for order in law.orders:
        # Open so far: not barred yet, or barred by this order or one that is asked after it.
        allowed = frozenset(
            action for action, name in named.items()
            if name in ("", HOLDOUT) or (name in waiting and action not in barred[name])
        )  # fmt: skip
        waiting.pop(0)
        for ids, why in order.bars(view, allowed):
            barred[order.name] |= dict.fromkeys(ids, why)
    return barred


def _reasons(row: _Row) -> dict[str, str]:
    """Name what bars each action; empty if nothing does."""
    return dict(zip(row["actions"], map(_name, row["mask"]), strict=True))


@lru_cache(maxsize=4_096)
def _name(reason: str | None) -> str:
    return "" if reason is None else reason.partition(": ")[0]


def _compare(row: _Row, law: AgentLaw, barred: Mapping[str, _Why]) -> Iterator[Finding]:
    """Find what is open against a rule, and what is barred without one."""
    reachable = {row["action"]} | {
        action
        for action, reason, chance in zip(
            row["actions"], row["mask"], row["distribution"], strict=True
        )
        if reason is None or chance > 0.0
    }
    for name, why in barred.items():
        wrong = reachable & why.keys()
        if wrong:
            action = row["action"] if row["action"] in wrong else min(wrong)
            yield name, f"{action}: {why[action]}"
    decidable = law.names - law.undecided
    for action, reason in zip(row["actions"], row["mask"], strict=True):
        name = _name(reason)
        if name in _BESIDE or _FAILED in reason:
            continue
        if name not in law.names:
            yield "mask", f"{action} is barred by no rule of the agent ({reason})"
        elif name in decidable and action not in barred.get(name, {}):
            yield name, f"{action} is barred without cause ({reason})"
