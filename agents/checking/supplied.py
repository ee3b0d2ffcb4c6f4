"""Supplied actions: what the request says of them, read again from the logged content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.checking.conditions import truth
from agents.checking.laws import AgentLaw, Bar, View

_TWICE = object()  # in the place of a value that was given twice, each time another


def logged_faults(actions: Sequence[str], supplied: Mapping[str, Any]) -> Iterator[str]:
    """Find where a row's actions are not those of the request that it logs."""
    ids, content = supplied["ids"], supplied["content"]
    if list(actions) != ["none", *ids]:
        yield f"expected the actions none and {len(ids)} of the request, got {len(actions)}"
    tags = [entry.get("_tag") for entry in content["_multi"]]
    if tags != list(ids):
        yield "the logged features are not of the actions of the request"


@dataclass(frozen=True, slots=True)
class Requested:
    """What the request itself rules out."""

    name: str

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar each action that it names."""
        for name, why in view.supplied.get("barred", {}).items():
            yield (name,), why


@dataclass(frozen=True, slots=True)
class ActionSuppression:
    """An expression that must be exactly false of an action."""

    name: str
    ids: tuple[str, ...]
    source: str
    compiled: Any

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar unless it is."""
        content = view.supplied["content"]
        features = dict(zip(view.supplied["ids"], content["_multi"], strict=True))
        context = one_object(content.get("FromUrl"))
        for name in self.ids:
            action = one_object(features[name].get("j"))
            if context is None or action is None:
                yield (name,), "a feature has two values"
            elif truth(self.compiled, _bound(view.law, view, name, action, context)) is not False:
                yield (name,), f"{self.source} is not false"


def _bound(
    law: AgentLaw, view: View, name: str, action: dict[str, Any], context: dict[str, Any]
) -> Any:
    fields = {f"customer.{field}": value for field, value in view.features.items()}
    own = {"action": action, "action_id": name, "context": context, "now": view.at}
    return law.environment.Activation(fields | own)


def one_object(written: object) -> dict[str, Any] | None:
    """Make one object of a list of them; None if it says two things of one name.

    Example:
        >>> one_object([{"user": {"age": 17}}, {"user": {"vip": True}}])
        {'user': {'age': 17, 'vip': True}}
        >>> one_object([{"age": 17}, {"age": 18}]) is None
        True
    """
    parts = written if isinstance(written, list) else [written]
    whole = _joined([part for part in parts if isinstance(part, dict)])
    return whole if isinstance(whole, dict) else None


def _joined(values: list[Any]) -> Any:
    """Join what is said of one name: of objects each part, else all must say the same."""
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, dict) for value in values):
        same = all(type(v) is type(values[0]) and v == values[0] for v in values)
        return values[0] if same else _TWICE
    said: defaultdict[str, list[Any]] = defaultdict(list)
    for value in values:
        for name, part in value.items():
            said[name].append(part)
    joined = {name: _joined(parts) for name, parts in said.items()}
    return _TWICE if any(part is _TWICE for part in joined.values()) else joined
