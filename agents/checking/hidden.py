"""What depends on a customer's name, which a log hides: only what hashes still tell is checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.checking.history import Finding
from agents.checking.laws import AgentLaw
from agents.checking.rows import HOLDOUT

_UNLIKELY = 25.0
"""A share is refuted by what would happen with a probability below exp(-25), 1.4e-11."""


@dataclass(slots=True)
class _Opened:
    """What is known of one ramped action: by customer, between which shares they are let in."""

    inside: dict[str, float] = field(default_factory=dict)
    outside: dict[str, float] = field(default_factory=dict)
    widest: float = 0.0
    refuted: bool = False


class Hidden:
    """Groups and maturities of the customers seen so far."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str], str] = {}
        self._opened: dict[tuple[str, str], _Opened] = {}

    def group(self, row: Mapping[str, Any], law: AgentLaw, managed: object) -> Iterator[Finding]:
        """Check that a group is the managed one, or that it stays within a revision."""
        group = row["group"]
        if law.managed:
            expected = managed if isinstance(managed, str) else "control"
            if group != expected and not (law.universal and group == "control"):
                yield "group", f"expected {expected!r} as managed, got {group!r}"
            return
        key = (row["agent"], row["revision"], row["customer"])
        before = self._groups.setdefault(key, group)
        if before != group:
            yield "group", f"the customer was in {before!r} before and is in {group!r} now"

    def maturity(
        self, row: Mapping[str, Any], law: AgentLaw, usage: Mapping[str, float]
    ) -> Iterator[Finding]:
        """Check shares of actions that are ramped up, where nothing asked earlier bars them."""
        if law.ramp is None:
            return
        late = _later_names(law)
        known = {key.rpartition("@")[0]: amount for key, amount in usage.items()}
        for action, reason in zip(row["actions"][1:], row["mask"][1:], strict=True):
            name = "" if reason is None else reason.partition(": ")[0]
            if "could not be checked" in (reason or ""):
                continue
            if name == "maturity" or name in late:
                positives = known.get(f"positives:{law.agent}/{action}")
                share = _share(law.ramp, positives)
                opened = self._opened.setdefault((law.agent, action), _Opened())
                customer = row["customer"]
                yield from _judge(opened, action, customer, share, inside=name != "maturity")


def _later_names(law: AgentLaw) -> frozenset[str]:
    """Names of what is asked after maturity: what these bar, or nothing bars, was let in."""
    rules = {*law.declared, *(order.name for order in law.orders)}
    return frozenset({"", HOLDOUT, *rules})


def _share(ramp: tuple[float, int], positives: float | None) -> float:
    if positives is None:
        return 0.0
    start, full = ramp
    return min(1.0, start + (1.0 - start) * positives / full)


def _judge(
    opened: _Opened, action: str, customer: str, share: float, *, inside: bool
) -> Iterator[Finding]:
    if inside:
        opened.inside[customer] = min(share, opened.inside.get(customer, 1.0))
    else:
        opened.outside[customer] = max(share, opened.outside.get(customer, 0.0))
        if share >= 1.0:
            yield "maturity", f"{action} is barred without cause: it is open to all customers"
    low, high = opened.outside.get(customer, -1.0), opened.inside.get(customer, 2.0)
    if low >= high:
        yield "maturity", f"{action} is barred at a share of {low:g} and allowed at {high:g}"
    if share <= 0.0 and inside:
        yield "maturity", f"{action} is allowed though its successes are unknown"
    opened.widest = max(opened.widest, share)
    count, all_ = len(opened.inside), len(opened.inside.keys() | opened.outside.keys())
    if inside and not opened.refuted and _refuted(count, all_, opened.widest):
        opened.refuted = True
        yield (
            "maturity",
            f"{action} is open to {count} of {all_} customers, not {opened.widest:.1%}",
        )


def _refuted(count: int, all_: int, share: float) -> bool:
    """Say whether so many insiders are next to impossible (Chernoff's bound on a binomial)."""
    seen = count / all_
    if share <= 0.0 or share >= 1.0 or seen <= share:
        return False
    rest = (1.0 - seen) * math.log((1.0 - seen) / (1.0 - share)) if seen < 1.0 else 0.0
    return all_ * (seen * math.log(seen / share) + rest) > _UNLIKELY
