"""What one DSJSON event, or one slot of it, says of a draw: probabilities, choice and reward."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from agents.errors import LogError
from experiments.logs.importers.base import NEAR, rounded

ABSENT = "not in the request"
_FRACTION = re.compile(r"(\.\d{1,6})\d*")


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw among A actions.

    Args:
        name: id of the decision.
        placement: the slot, counted from 1; empty if the event has none.
        chosen: place of the chosen action.
        distribution: length A; as logged, but for rounding to float32.
        mask: length A, None where the action could be drawn.
        reward: currency; None if no outcome was joined.
        kept: probability with which the row was kept, in (0, 1].
        skipped: whether nothing shall be learned from it.
    """

    name: str
    placement: str
    chosen: int
    distribution: list[float]
    mask: list[str | None]
    reward: float | None
    kept: float
    skipped: bool


def event_draw(event: Mapping[str, Any], actions: int) -> Draw:
    """Read an event of one choice: `a` names the actions from 1, the chosen one first.

    Raises:
        LogError: it contradicts itself.
    """
    order = [number - 1 for number in _integers(event, "a", 1, actions)]
    probabilities = _numbers(event, "p")
    for name, first in (("_labelIndex", order[0]), ("_label_Action", order[0] + 1)):
        label = event.get(name)
        if label is not None and label != first:
            raise LogError(f"{name}: expected {first}, as `a` has it first, got {label!r:.60}")
    distribution, mask = _laid_out(order, probabilities, actions)
    return Draw(
        name=_text(event, "EventId"), placement="", chosen=order[0],
        distribution=distribution, mask=mask, reward=_reward(event),
        kept=_kept(event, event.get("_label_probability"), distribution[order[0]]),
        skipped=_skipped(event, event.get("o")),
    )  # fmt: skip


def slot_draw(
    event: Mapping[str, Any], outcome: Mapping[str, Any], number: int, actions: int
) -> Draw:
    """Read one slot: `_a` names the actions that were left from 0, the chosen one first.

    Raises:
        LogError: it contradicts itself.
    """
    order = _integers(outcome, "_a", 0, actions - 1)
    distribution, mask = _laid_out(order, _numbers(outcome, "_p"), actions)
    return Draw(
        name=_text(outcome, "_id"), placement=str(number + 1), chosen=order[0],
        distribution=distribution, mask=mask, reward=_reward(outcome),
        kept=_kept(event, None, distribution[order[0]]),
        skipped=_skipped(event, outcome.get("_o")),
    )  # fmt: skip


def instant(event: Mapping[str, Any]) -> datetime:
    """Read `Timestamp`, which is UTC where it has no zone; digits below a microsecond are cut.

    Example:
        >>> instant({"Timestamp": "2021-02-04T16:31:29.2460000Z"}).isoformat()
        '2021-02-04T16:31:29.246000+00:00'
    """
    text = _text(event, "Timestamp")
    try:
        found = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise LogError(f"Timestamp: expected an ISO 8601 instant, got {text[:40]!r}") from None


def _laid_out(
    order: Sequence[int], probabilities: Sequence[float], actions: int
) -> tuple[list[float], list[str | None]]:
    """Put probabilities in the order of the actions; what was rounded to float32 sums to 1 again.

    A sum that is further off stays as it is, and is found when the log is checked.
    """
    if len(order) != len(probabilities):
        raise LogError(f"p: expected {len(order)} probabilities, got {len(probabilities)}")
    values = np.array(probabilities, dtype=np.float64)
    total = float(values.sum())
    if rounded(np.array(total)):
        values = values / total
    distribution = np.zeros(actions)
    distribution[list(order)] = values
    mask: list[str | None] = [ABSENT] * actions
    for place in order:
        mask[place] = None
    return distribution.tolist(), mask


def _reward(part: Mapping[str, Any]) -> float | None:
    """Return what was earned: the negative of the real cost, None if there is no label."""
    if part.get("_label_cost") is None:
        return None
    cost = part.get("_original_label_cost")
    cost = part["_label_cost"] if cost is None else cost
    if not isinstance(cost, (int, float)) or isinstance(cost, bool):
        raise LogError(f"_label_cost: expected a number, got {cost!r:.60}")
    return -float(cost) + 0.0  # no negative zero


def _kept(event: Mapping[str, Any], labelled: object, drawn: float) -> float:
    """Return the pass probability times one less the drop probability."""
    dropped = event.get("pdrop", 0.0)
    if not isinstance(dropped, (int, float)) or not 0.0 <= dropped < 1.0:
        raise LogError(f"pdrop: expected a probability below 1, got {dropped!r:.60}")
    passed = 1.0
    if labelled is not None and drawn > 0.0:
        if not isinstance(labelled, (int, float)) or not 0.0 < labelled <= drawn * (1.0 + NEAR):
            raise LogError(
                f"_label_probability: expected above 0 and at most p of the chosen action,"
                f" {drawn:g}, got {labelled!r:.60}"
            )
        passed = labelled / drawn
    return (1.0 - dropped) * (passed if passed < 1.0 - NEAR else 1.0)


def _skipped(event: Mapping[str, Any], observations: object) -> bool:
    if event.get("_skipLearn"):
        return True
    seen = observations if isinstance(observations, list) else []
    activated = any(isinstance(each, Mapping) and each.get("ActionTaken") for each in seen)
    return bool(event.get("DeferredAction")) and not activated


def _text(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    if not isinstance(found, str) or not found:
        raise LogError(f"{name}: expected text, got {found!r:.60}")
    return found


def _integers(part: Mapping[str, Any], name: str, low: int, high: int) -> list[int]:
    found = part.get(name)
    good = isinstance(found, list) and all(
        type(each) is int and low <= each <= high
        for each in found  # True is no number
    )
    if not isinstance(found, list) or not good or not found or len(set(found)) < len(found):
        expected = f"different numbers from {low} to {high}"
        raise LogError(f"{name}: expected {expected}, got {found!r:.60}")
    return found


def _numbers(part: Mapping[str, Any], name: str) -> list[float]:
    found = part.get(name)
    if not isinstance(found, list) or not all(type(each) in (int, float) for each in found):
        raise LogError(f"{name}: expected a list of probabilities, got {found!r:.60}")
    return found
