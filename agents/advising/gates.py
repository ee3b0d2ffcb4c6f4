"""Conditions of one offer that no customer can meet together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from agents.advising.documents import Advice, Place, WrittenRule
from agents.advising.never import fields_of, never_true
from agents.load import LoadedWorkspace
from agents.spec import EligibilitySpec, SuppressionSpec


class Gate(NamedTuple):
    """An expression that must be true for an offer, and where it stands."""

    place: Place
    condition: str


def never_together(
    loaded: LoadedWorkspace, agent: str, rules: list[WrittenRule]
) -> Iterator[Advice]:
    """Yield pairs of conditions on one field that leave nobody for an offer of an agent.

    Each pair is named once, at the first offer that it closes.
    """
    schema = loaded.workspace.customer
    seen: set[tuple[str, str]] = set()
    for offer in loaded.revisions[agent].agent.offers:
        for one, two in combinations(_gates(loaded, agent, offer, rules), 2):
            pair = (one.condition, two.condition)
            if pair in seen or len(fields_of(" ".join(pair))) != 1:
                continue
            seen.add(pair)
            alone = any(never_true(condition, schema) for condition in pair)
            if not alone and never_true(f"({pair[0]}) && ({pair[1]})", schema):
                words = f"{pair[1]} and {pair[0]} are true together for no customer, so"
                yield Advice(two.place, f"{words} nobody can get {offer}", one.place)


def _gates(
    loaded: LoadedWorkspace, agent: str, name: str, rules: list[WrittenRule]
) -> Iterator[Gate]:
    """Yield the conditions that every action of an offer must meet."""
    revision, source = loaded.revisions[agent], loaded.sources[agent]
    offer = revision.agent.offers[name]
    if revision.agent.audience is not None:
        yield Gate(Place(source, ("audience",)), revision.agent.audience)
    for word in ("eligible", "applicable", "suitable"):
        condition = getattr(offer, word)
        if condition is not None:
            yield Gate(Place(source, ("offers", name, word)), condition)
    own = {action for action in revision.actions if action.offer == name}
    for rule in rules:
        if not isinstance(rule.spec, (EligibilitySpec, SuppressionSpec)):
            continue
        if own <= set(rule.actions.get(agent, ())):
            when, path = rule.spec.when, (*rule.place.path, "when")
            said = when if isinstance(rule.spec, EligibilitySpec) else f"!({when})"
            yield Gate(Place(rule.place.source, path), said)
