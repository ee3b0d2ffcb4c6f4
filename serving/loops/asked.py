"""What a Rank request asks, read strictly, with Personalizer's limits.

Unknown members are passed over, as they were. Features may be any JSON objects: the learner reads
what Vowpal Wabbit alone would refuse. The customer's id, where the agent says where it stands, is
taken out of them: it is no feature, and no log needs to have it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from agents.spec.supplied import SuppliedSpec
from agents.supplied import MAX_ID, Supplied, supply
from serving.api.strict import parse_json
from serving.loops.caller import Features, who
from serving.loops.errors import RANK, LoopError, refuse
from serving.loops.known import KnownLists

_EXCLUDED = "excluded"
_KNOWN = KnownLists()


@dataclass(frozen=True, slots=True)
class Asked:
    """What one Rank asks.

    Args:
        event_id: of the caller, empty if it gave none.
        supplied: the actions.
        customer: the customer's id, empty if none is told.
        features: of the customer, by the workspace's names.
        defer: whether the event waits for its activation.
    """

    event_id: str
    supplied: Supplied
    customer: str
    features: Mapping[str, object]
    defer: bool


def read_rank(raw: bytes, spec: SuppliedSpec) -> Asked:
    """Read the body of a Rank.

    Raises:
        LoopError: it does not fit.
        BodyError: it is no JSON.
        ContextError: an action's id cannot be one.
    """
    return _read_known(raw, spec) or _read_new(raw, spec)


def _read_known(raw: bytes, spec: SuppliedSpec) -> Asked | None:
    """Read a body whose actions came before; None of any other, and of what may be too large."""
    found = _KNOWN.take(raw)
    if found is None or len(found[1].ids) > spec.at_most:
        return None
    asked, known = found
    shared = read_features(asked.get("contextFeatures"), "contextFeatures")
    barred = _barred(asked, known.ids)
    customer, told = who(shared, spec)
    supplied = known.supply(shared, barred)
    return None if supplied is None else _asked(asked, supplied, customer, told)


def _read_new(raw: bytes, spec: SuppliedSpec) -> Asked:
    asked = read_object(parse_json(raw))
    shared = read_features(asked.get("contextFeatures"), "contextFeatures")
    actions = read_actions(asked, spec.at_most)
    barred = _barred(asked, actions)
    customer, told = who(shared, spec)
    supplied = supply(shared, actions, barred=barred)
    return _asked(asked, supplied, customer, told)


def _asked(
    asked: Mapping[str, Any], supplied: Supplied, customer: str, told: Mapping[str, object]
) -> Asked:
    event_id, defer = read_event_id(asked), read_flag(asked, "deferActivation")
    return Asked(event_id, supplied, customer, told, defer)


def _barred(asked: Mapping[str, Any], actions: Collection[str]) -> dict[str, str]:
    """Read why the request itself bars actions.

    Raises:
        LoopError: it excludes all of them.
    """
    barred = dict.fromkeys(_excluded(asked, actions), _EXCLUDED)
    if len(barred) == len(actions):
        raise refuse("expected an action that is not excluded, got none", "excludedActions")
    return barred


def read_object(body: object) -> dict[str, Any]:
    """Require a JSON object.

    Raises:
        LoopError: it is another kind of value.
    """
    if not isinstance(body, dict):
        raise LoopError("expected a JSON object as the body", RANK)
    return body


def read_flag(asked: Mapping[str, Any], name: str) -> bool:
    """Read a flag that may be null or left out.

    Raises:
        LoopError: it is another kind of value.
    """
    value = asked.get(name)
    if value is not None and not isinstance(value, bool):
        raise refuse("expected true or false", name)
    return bool(value)


def read_event_id(asked: Mapping[str, Any]) -> str:
    """Read the caller's id of the event; empty if it gave none.

    Raises:
        LoopError: it cannot be one.
    """
    value = asked.get("eventId")
    if value is None:
        return ""
    if value == "":
        raise refuse("expected an id or null, got an empty text", "eventId", "EmptyEventId")
    if not isinstance(value, str) or not is_event_id(value):
        raise refuse(f"expected a text of 1 to {MAX_ID} printable characters, no slash", "eventId")
    return value


def is_event_id(value: str) -> bool:
    """Say whether a text can be an event's id, as it stands in a path, too."""
    return 1 <= len(value) <= MAX_ID and value.isprintable() and "/" not in value


def read_actions(asked: Mapping[str, Any], at_most: int) -> dict[str, Features]:
    """Read the actions by id, in the caller's order.

    Args:
        asked: the body.
        at_most: how many there may be.

    Raises:
        LoopError: there are none or too many, an id is missing or stands twice, or the features
            of one do not fit.
    """
    given = asked.get("actions")
    if not isinstance(given, list) or not 1 <= len(given) <= at_most:
        got = f"{len(given)}" if isinstance(given, list) else "no list"
        raise refuse(f"expected 1 to {at_most}, got {got}", "actions", "ActionCountOutOfBounds")
    if actions := _usual_actions(given):
        return actions
    for number, action in enumerate(given):
        if not isinstance(action, dict):
            raise refuse("expected an object", f"actions[{number}]", "ActionsContainsNull")
        name = action.get("id")
        if not isinstance(name, str) or not name:
            raise refuse("expected a text that is not empty", f"actions[{number}].id",
                         "EmptyActionId")  # fmt: skip
        if name in actions:
            raise refuse("expected each id once, got this one twice",
                         f"actions[{number}].id", "DuplicateActionId")  # fmt: skip
        actions[name] = _action_features(action.get("features"), number)
    return actions


def _usual_actions(given: list[Any]) -> dict[str, Features]:
    """Read actions of the usual shape, all at once; none if anything is to be looked at closely."""
    try:
        actions = {action["id"]: action["features"] for action in given}
    except (TypeError, KeyError):
        return {}
    features = actions.values()
    usual = (
        len(actions) == len(given)
        and set(map(type, actions)) == {str}
        and "" not in actions
        and set(map(type, features)) == {list}
        and all(features)
        and set(map(type, chain.from_iterable(features))) == {dict}
    )
    return actions if usual else {}


def _action_features(value: object, number: int) -> Features:
    target = f"actions[{number}].features"
    features = read_features(value, target, nulls=True)
    if not features:
        raise refuse("expected at least one feature", target, "ActionHasNoNonNullFeatures")
    return features


def _excluded(asked: Mapping[str, Any], actions: Collection[str]) -> list[str]:
    """Read which actions are excluded; ids that are not among the actions exclude nothing."""
    given = asked.get("excludedActions")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise refuse("expected a list of ids", "excludedActions")
    return [each for each in given if each in actions]


def read_features(value: object, target: str, *, nulls: bool = False) -> Features:
    """Read a list of objects; none of null.

    Args:
        value: as JSON.
        target: its name in messages.
        nulls: whether null in the list is passed over.

    Raises:
        LoopError: it is no such list.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise refuse("expected a list of objects", target, "FeaturesNotInKeyValueFormat")
    if nulls and None in value:
        value = [each for each in value if each is not None]
    for each in value:
        if type(each) is not dict:
            what = "ContextFeaturesContainsNull" if each is None else "FeaturesNotInKeyValueFormat"
            raise refuse("expected a list of objects", target, what)
    return value
