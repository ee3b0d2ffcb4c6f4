"""What a multi-slot Rank or Reward asks, read strictly, with Personalizer's limits.

A page has several slots, each to be filled with another one of the same actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.spec.supplied import SuppliedSpec
from agents.supplied import MAX_ID, Supplied, supply
from agents.supplied_size import MOST_FEATURES, count_features
from serving.loops.asked import (
    read_actions,
    read_event_id,
    read_features,
    read_flag,
    read_object,
)
from serving.loops.caller import Features, who
from serving.loops.errors import REWARD, LoopError, refuse

_EXCLUDED = "excluded"
_MOST_PAIRS = 4 * MOST_FEATURES**2  # of features, in all slots together: four of the largest Ranks
_MOST_BYTES = 4 * 1024 * 1024  # that are kept of an event, as each slot keeps its own


@dataclass(frozen=True, slots=True)
class Slot:
    """One place to fill.

    Args:
        id: unique in the event.
        features: what is known of the place.
        excluded: ids of actions that it must not show.
        baseline: the action that the caller would show there by itself.
    """

    id: str
    features: Features
    excluded: frozenset[str]
    baseline: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one multi-slot Rank asks.

    Args:
        event_id: of the caller, empty if it gave none.
        shared: what is known of the moment.
        actions: the features of each, by id.
        slots: at least one, and no more than actions.
        customer: the customer's id, empty if none is told.
        features: of the customer, by the workspace's names.
        defer: whether the event waits for its activation.
    """

    event_id: str
    shared: Features
    actions: Mapping[str, Features]
    slots: tuple[Slot, ...]
    customer: str
    features: Mapping[str, object]
    defer: bool

    def supplied(self, slot: Slot, shown: Mapping[str, str]) -> Supplied:
        """Return the actions of one slot.

        Args:
            slot: one of the slots.
            shown: by action, the slot before that shows it.
        """
        barred = {name: f"shown in slot {where}" for name, where in shown.items()}
        barred |= dict.fromkeys((name for name in self.actions if name in slot.excluded), _EXCLUDED)
        return supply(
            self.shared, self.actions,
            barred=barred, slot=slot.id, place=slot.features, baseline=slot.baseline,
        )  # fmt: skip

    def check_size(self, content: bytes) -> None:
        """Refuse a page that would hold up all others: every slot is decided and kept by itself.

        Args:
            content: of the first slot.

        Raises:
            LoopError: there is too much in it for so many slots.
        """
        slots = len(self.slots)
        most = int((_MOST_PAIRS / slots) ** 0.5)
        got = count_features(self.shared) + max(map(count_features, self.actions.values()))
        got += max(count_features(slot.features) for slot in self.slots)
        if got > most:
            raise refuse(
                f"expected at most {most} features of the moment, a slot and an action together"
                f" where there are {slots} slots, got {got:,}; leave out what cannot matter",
                "slots",
            )  # fmt: skip
        if len(content) * slots > _MOST_BYTES:
            raise refuse(
                f"expected at most {_MOST_BYTES // slots:,} bytes of features where there are"
                f" {slots} slots, got {len(content):,}", "slots",
            )  # fmt: skip


def read_page(body: object, spec: SuppliedSpec) -> Page:
    """Read the body of a multi-slot Rank, as JSON values; it is the reader's own from now on.

    Raises:
        LoopError: it does not fit.
    """
    asked = read_object(body)
    shared = read_features(asked.get("contextFeatures"), "contextFeatures")
    actions = read_actions(asked, spec.at_most)
    slots = _slots(asked, actions)
    customer, told = who(shared, spec)
    return Page(
        read_event_id(asked), shared, actions, slots, customer, told,
        read_flag(asked, "deferActivation"),
    )  # fmt: skip


def _slots(asked: Mapping[str, Any], actions: Mapping[str, Features]) -> tuple[Slot, ...]:
    given = asked.get("slots")
    if not isinstance(given, list) or not 1 <= len(given) <= len(actions):
        got = f"{len(given)}" if isinstance(given, list) else "no list"
        raise refuse(
            f"expected 1 to {len(actions)}, at most one for each action, got {got}", "slots",
            "MultiSlotsCountOutOfBounds",
        )  # fmt: skip
    by_action = _excluded_slots(asked["actions"], given)
    slots = tuple(_slot(each, number, actions, by_action) for number, each in enumerate(given))
    if len({slot.id for slot in slots}) < len(slots):
        raise refuse("expected ids that are unique", "slots", "MultiSlotInvalidSlotIds")
    if len({slot.baseline for slot in slots}) < len(slots):
        raise refuse(
            "expected a baselineAction of its own for each slot", "slots", "InvalidBaselineActionId"
        )
    return slots


def _slot(
    given: object, number: int, actions: Mapping[str, Features], by_action: Mapping[str, set[str]]
) -> Slot:
    target = f"slots[{number}]"
    if not isinstance(given, dict):
        raise refuse("expected an object", target, "SlotContainsNull")
    name, baseline = given.get("id"), given.get("baselineAction")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_ID or not name.isprintable():
        raise refuse(
            f"expected a text of 1 to {MAX_ID} printable characters", f"{target}.id",
            "MultiSlotInvalidSlotIds",
        )  # fmt: skip
    if not isinstance(baseline, str) or baseline not in actions:
        raise refuse(
            "expected the id of one of the actions", f"{target}.baselineAction",
            "InvalidBaselineActionId",
        )  # fmt: skip
    own = _ids(given.get("excludedActions"), f"{target}.excludedActions")
    if not own <= actions.keys():
        raise refuse(
            "expected ids of the actions", f"{target}.excludedActions",
            "MultiSlotInvalidExcludedActions",
        )  # fmt: skip
    excluded = own | {action for action, slots in by_action.items() if name in slots}
    if baseline in excluded:
        raise refuse(
            "expected one that is not excluded from the slot", f"{target}.baselineAction",
            "ExcludedBaselineAction",
        )  # fmt: skip
    features = read_features(given.get("features"), f"{target}.features", nulls=True)
    return Slot(name, features, frozenset(excluded), baseline)


def _excluded_slots(
    actions: Sequence[Mapping[str, Any]], slots: Sequence[object]
) -> dict[str, set[str]]:
    """Return the slots in which each action must not be shown, by what the actions say."""
    known = {each.get("id") for each in slots if isinstance(each, dict)}
    found: dict[str, set[str]] = {}
    for number, action in enumerate(actions):
        target = f"actions[{number}].excludedSlots"
        named = _ids(action.get("excludedSlots"), target)
        if not named <= known:
            raise refuse("expected ids of the slots", target)
        found[action["id"]] = named
    return found


def _ids(value: object, target: str) -> set[str]:
    if value is None:
        return set()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refuse("expected a list of ids", target)
    return set(value)


def read_rewards(body: object) -> list[tuple[str, float]]:
    """Read the body of a multi-slot Reward: the slot and the value of each.

    Raises:
        LoopError: it does not fit.
    """
    given = body.get("reward") if isinstance(body, dict) else None
    if not isinstance(given, list) or not given:
        raise LoopError("reward: expected a list with a reward in it", REWARD, target="reward")
    return [_reward(each, f"reward[{number}]") for number, each in enumerate(given)]


def _reward(given: object, target: str) -> tuple[str, float]:
    slot, value = (given.get("slotId"), given.get("value")) if isinstance(given, dict) else ("", 0)
    if not isinstance(slot, str) or not slot:
        raise LoopError(f"{target}.slotId: expected the id of a slot", REWARD, target=target)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LoopError(f"{target}.value: expected a number", REWARD, target=target)
    return slot, float(value)
