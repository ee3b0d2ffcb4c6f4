"""Action suppression: an expression over a supplied action that must be false of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.open_shortcuts import ACTION, ACTION_ID, CONTEXT
from agents.spec import ActionSuppressionSpec
from agents.supplied_features import SuppliedFeatures, features_of


class ActionSuppression(Plain):
    """Bars every supplied action of which its expression is not exactly false.

    What an action lacks, or has twice with different values, is unknown, and unknown is not false.

    Args:
        name: the name that reasons begin with.
        spec: as written.
        book: the actions, and what the expression is compiled by.

    Raises:
        ValueError: the expression does not compile.
    """

    def __init__(self, name: str, spec: ActionSuppressionSpec, book: Rulebook) -> None:
        self.name = name
        self.actions: Indices = book.chosen(spec)
        self._language = book.language.over_actions
        self._condition = self._language.compile(spec.when)

    @classmethod
    def compile(cls, name: str, spec: ActionSuppressionSpec, book: Rulebook) -> ActionSuppression:
        """Compile a rule that an agent declares."""
        return cls(name, spec, book)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar, by reason, the actions of which it is not known to be false."""
        if moment.context.supplied is None:
            raise ValueError("expected actions that came with the request, got none")
        names = moment.context.supplied.actions
        features = features_of(moment.context.supplied)
        values: dict[str, Any] = {**moment.context.features, CONTEXT: features.context}
        barred: defaultdict[str, list[int]] = defaultdict(list)
        for index in self.actions:
            name = names[index]
            values[ACTION], values[ACTION_ID] = features.actions[name], name
            bound = self._language.bind(values, moment.context.at)
            reason = self._unclear(features, name) or self._condition.denial(bound)
            if reason is not None:
                barred[reason].append(index)
        for reason, indices in barred.items():
            yield Bar(tuple(indices), reason)

    def _unclear(self, features: SuppliedFeatures, name: str) -> str | None:
        """Say what has two values, of the moment or of an action."""
        if not features.contradictions:
            return None
        for owner, whose in (("", "context"), (name, "action")):
            if owner in features.contradictions:
                twice = f"{whose}.{features.contradictions[owner]}"
                return self._condition.told(f"two values for {twice}")
        return None
