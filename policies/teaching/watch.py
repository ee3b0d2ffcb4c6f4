"""What is watched while the windows of decisions are open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from agents.errors import SnapshotError
from agents.units import parse_instant
from policies.base import Label
from policies.teaching.delay import Curve, Weights


class Decided(Protocol):
    """A decision of the log, as far as it matters when what is told of it."""

    @property
    def position(self) -> int:
        """Its place in the log."""

    @property
    def at(self) -> datetime:
        """Its instant (UTC)."""

    @property
    def teaches(self) -> bool:
        """Whether the learner learns from it."""

    @property
    def windows(self) -> Mapping[str, timedelta]:
        """The window of each outcome of the revision that decided."""

    @property
    def weight(self) -> float:
        """How often it counts."""


D = TypeVar("D", bound=Decided)


@dataclass(slots=True)
class Watch(Generic[D]):
    """One outcome of one decision while its window is open.

    Args:
        since: position of the entry from which it can be told again.
        decided_at, window: of the decision and the outcome.
        weights: of its negatives; None if its one negative was given at once.
        weight: of the decision.
        kept: the decision, None if it is to be recalled.
        delay: age by which it has happened, None while it has not.
    """

    since: int
    decided_at: datetime
    window: timedelta
    weights: Weights | None
    weight: float
    kept: D | None
    delay: int | None = None


class Due(NamedTuple):
    """An age that an outcome's watch is to reach; in the order in which ages are reached."""

    at: datetime
    position: int
    outcome: str
    age: int


def facts_of(clock: datetime, since: int | None, curves: Mapping[str, Curve]) -> dict[str, Any]:
    """Return the state of a teacher as plain values for JSON."""
    told = {name: curve.facts() for name, curve in curves.items()}
    return {"clock": clock.isoformat(), "since": since, "curves": told}


def read_facts(facts: Mapping[str, Any]) -> tuple[datetime, int | None, dict[str, Curve]]:
    """Read what `facts_of` returned: clock, where to read again from, curves.

    Raises:
        SnapshotError: it is no such state.
    """
    try:
        since = facts["since"]
        curves = {name: Curve.of(curve) for name, curve in facts["curves"].items()}
        return parse_instant(facts["clock"]), None if since is None else int(since), curves
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"the state of a teacher lacks a part: {error!r}") from error


def negative(outcome: str, weight: float) -> list[Label]:
    """Return the label that an outcome has not happened, none if it weighs nothing."""
    return [Label(outcome, happened=False, weight=weight)] if weight else []
