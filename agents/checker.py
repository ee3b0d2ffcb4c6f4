"""The checker: a whole decision log re-verified from the YAML alone.

It answers one question, whether any customer was reached against a guardrail, and it answers it
without a line of the code that decided: it reads the documents itself (`agents.checker_yaml`),
evaluates the expressions itself, and counts contacts from the log, not from what a decision says
it knew. What it finds must be nothing.
"""

from __future__ import annotations

import json
import math
from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from agents.checker_yaml import ActionLaw, AgentLaw, Cap, ChannelLaw, read_laws

Finding = tuple[str, str]
"""The guardrail that was broken, and how."""

_SLACK = 1e-9
_AHEAD = timedelta(days=2)  # a daily window opens again at the latest on the day after next
_COLUMNS = (
    "position", "decision_id", "at", "agent", "revision", "group", "customer", "context",
    "actions", "mask", "distribution", "action", "propensity", "send_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Breach:
    """One decision that should not have been made so.

    Args:
        position: of the row, in the order of commit.
        guardrail: name of a declared rule, or `consent`, `quiet_hours`, `send_window`, `audience`,
            `eligible`, `always_act`, `control`, `random`, `distribution`, `propensity`, `action`,
            `decision_id`, `unreadable`.
        detail: what was expected and what was got.
    """

    position: int
    decision_id: str
    guardrail: str
    detail: str


def check_log(
    table: pa.Table, folder: Path, *, revisions: Mapping[str, Path] | None = None
) -> list[Breach]:
    """Check every decision of a log, open ones included, against a workspace folder.

    Contacts are recounted per customer in the order of commit, each at its sending instant. A cap
    is broken by the decision that puts more than its `max` into some span of `per`; two contacts
    exactly `per` apart share no span. Beyond the contact that was made, every action that could
    have been drawn must satisfy consent and the expressions.

    Args:
        table: of the log's schema; rows of agents that the folder does not have are counted as
            contacts and not checked otherwise.
        folder: the workspace that was in force.
        revisions: other workspace folders for the rows of these revision ids.

    Returns:
        All breaches in the order of commit; an empty list for a clean log.
    """
    books = {path: read_laws(path) for path in {folder, *(revisions or {}).values()}}
    by_revision = {name: books[path] for name, path in (revisions or {}).items()}
    history: _History = defaultdict(list)
    seen: set[str] = set()
    breaches: list[Breach] = []
    for row in _rows(table):
        law = by_revision.get(row["revision"], books[folder]).get(row["agent"])
        for name, detail in _check(row, law, history, seen):
            breaches.append(Breach(row["position"], row["decision_id"], name, detail))
    return breaches


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.select(_COLUMNS).sort_by("position").to_batches(max_chunksize=4_096):
        yield from batch.to_pylist()


@dataclass(frozen=True, slots=True)
class _Sent:
    at: datetime
    agent: str
    action: str
    law: ActionLaw

    def key(self, scope: str) -> tuple[str, ...]:
        """What this contact shares with all others that one cap counts together."""
        return {
            "all": (),
            "agent": (self.agent,),
            "kind": (self.law.kind,),
            "channel": (self.law.channel,),
            "offer": (self.agent, self.law.offer),
            "action": (self.agent, self.action),
        }[scope]


_History = defaultdict[str, list[_Sent]]


def _check(
    row: dict[str, Any], law: AgentLaw | None, history: _History, seen: set[str]
) -> Iterator[Finding]:
    if row["decision_id"] in seen:
        yield "decision_id", "an earlier row has the same id"
    seen.add(row["decision_id"])
    if law is not None:
        try:
            yield from _check_alone(row, law)
        except (KeyError, TypeError, ValueError) as error:
            yield "unreadable", f"{type(error).__name__}: {error}"
    if row["send_at"] is not None and row["action"] != "none":
        yield from _recount(row, law, history[row["customer"]])


def _check_alone(row: dict[str, Any], law: AgentLaw) -> Iterator[Finding]:
    """Check what one row says of itself."""
    drawn: str = row["action"]
    chances = dict(zip(row["actions"], row["distribution"], strict=True))
    unknown = {*row["actions"], drawn} - law.actions.keys()
    if unknown:
        yield "action", f"the agent has no action {sorted(unknown)[0]!r}"
        return
    yield from _check_distribution(row, chances)
    yield from _check_group(row, chances, law)
    yield from _check_instant(row, law.actions[drawn])
    reachable = {name for name, chance in chances.items() if chance > 0.0} | {drawn}
    reachable.discard("none")
    if reachable:
        features = json.loads(row["context"])["features"]
        yield from _check_conditions(reachable, law, features)
        yield from _check_local_time(row, reachable, law, features)


def _check_distribution(row: dict[str, Any], chances: Mapping[str, float]) -> Iterator[Finding]:
    values = chances.values()
    if not all(math.isfinite(p) and 0.0 <= p <= 1.0 + _SLACK for p in values):
        yield "distribution", "expected probabilities, got a number outside [0, 1]"
    if abs(math.fsum(values) - 1.0) > _SLACK:
        yield "distribution", f"expected a sum of 1, got {math.fsum(values)!r}"
    for name, reason in zip(row["actions"], row["mask"], strict=True):
        if reason is not None and chances[name] != 0.0:
            yield "distribution", f"{name} is barred ({reason}) but has {chances[name]!r}"
    chance = chances.get(row["action"], 0.0)
    if chance <= 0.0 or abs(row["propensity"] - chance) > _SLACK:
        yield "propensity", f"expected {chance!r} as distributed, got {row['propensity']!r}"


def _check_group(
    row: dict[str, Any], chances: Mapping[str, float], law: AgentLaw
) -> Iterator[Finding]:
    if row["group"] == "control":
        if row["action"] != "none" or chances.get("none") != 1.0:
            yield "control", f"expected none with probability 1, got {row['action']}"
        return
    allowed = [
        chances[n] for n, why in zip(row["actions"], row["mask"], strict=True) if why is None
    ]
    if row["group"] == "random" and max(allowed) - min(allowed) > _SLACK:
        yield "random", f"expected equal chances, got {min(allowed)!r} to {max(allowed)!r}"
    if law.always_act and 0.0 < chances.get("none", 0.0) < 1.0:
        yield "always_act", "none could be drawn although another action was allowed"


def _check_instant(row: dict[str, Any], action: ActionLaw) -> Iterator[Finding]:
    """Check that the drawn action is sent when it may be."""
    at, send_at = row["at"], row["send_at"]
    if (row["action"] == "none") != (send_at is None):
        yield "send_window", f"the sending instant of {row['action']} is {send_at}"
    elif send_at is not None and not at <= send_at <= (at + _AHEAD if action.window else at):
        yield "send_window", f"decided at {at}, sent at {send_at}"


def _check_conditions(
    reachable: set[str], law: AgentLaw, features: Mapping[str, object]
) -> Iterator[Finding]:
    """Check consent and the expressions of every action that could have been drawn."""
    bound = law.bind(features)
    for condition in law.conditions:
        reached = reachable & condition.actions
        if reached and not condition.holds(bound):
            yield condition.name, f"{condition.source} is not true for {min(reached)}"
    for channel in sorted({law.actions[name].channel for name in reachable}):
        field = law.channels[channel].consent
        if field and features.get(field) is not True:
            yield "consent", f"customer.{field} is {features.get(field)!r} for {channel}"


def _check_local_time(
    row: dict[str, Any], reachable: set[str], law: AgentLaw, features: Mapping[str, object]
) -> Iterator[Finding]:
    """Check quiet hours and send windows where the customer is.

    What was not drawn has no sending instant in the log. Without a send window it would have been
    sent at once; with one, all that can be asked is whether the zone was known.
    """
    zone = _zone(features.get(law.zone_field)) if law.zone_field else None
    slots = {(law.actions[n].channel, law.actions[n].window, n == row["action"]) for n in reachable}
    for name, window, drawn in sorted(slots):
        channel = law.channels[name]
        instant = row["send_at"] if drawn else row["at"]
        if channel.quiet is None and not window:
            continue
        if zone is None:
            yield "quiet_hours", f"the time zone is unknown for a contact by {name}"
        elif instant is not None and (drawn or not window):
            yield from _check_local(name, window, channel, instant, zone)


def _check_local(
    name: str, window: str, channel: ChannelLaw, instant: datetime, zone: ZoneInfo
) -> Iterator[Finding]:
    local = f"{instant.astimezone(zone):%H:%M} in {zone.key}"
    if channel.quiet is not None and channel.quiet.holds(instant, zone):
        yield "quiet_hours", f"{name} is quiet at {local}"
    if window and not channel.windows[window].holds(instant, zone):
        yield "send_window", f"{local} is not in {window}"


def _recount(row: dict[str, Any], law: AgentLaw | None, sent: list[_Sent]) -> Iterator[Finding]:
    """Add a contact to its customer's history and check the caps that bind its agent."""
    known = law.actions.get(row["action"]) if law else None
    contact = _Sent(row["send_at"], row["agent"], row["action"], known or _from_id(row["action"]))
    insort(sent, contact, key=lambda other: other.at)
    for cap in law.caps if law else ():
        key = contact.key(cap.scope)
        times = [other.at for other in sent if other.key(cap.scope) == key]
        if _overfull(times, contact.at, cap):
            per = f"{cap.per.total_seconds():.0f} s"
            yield cap.name, f"more than {cap.most} contacts in {per} (scope {cap.scope} {key})"


def _overfull(times: list[datetime], at: datetime, cap: Cap) -> bool:
    """Say whether some span that holds `at` has more than the most; `times` ascend."""
    near = [time for time in times if abs(time - at) < cap.per]
    return any(last - first < cap.per for first, last in zip(near, near[cap.most :], strict=False))


def _from_id(action: str) -> ActionLaw:
    """Read what an unknown agent's action says of itself: `offer/variant@channel#window`."""
    creative, _, sending = action.partition("@")
    channel, _, window = sending.partition("#")
    return ActionLaw(creative.partition("/")[0], "", channel, window)


@cache
def _zone(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
