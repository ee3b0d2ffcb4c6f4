"""Content: no action whose words cannot be written for the customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from agents.content import Catalog, nearest
from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook

_Group = tuple[frozenset[str], Indices]


class Content(Plain):
    """Bars actions whose template, in the customer's language, needs a field that is missing.

    What each template needs is known when the agent is loaded; a decision only looks whether the
    fields are there.
    """

    name = "content"

    def __init__(self, book: Rulebook) -> None:
        self._catalog = Catalog(book.workspace, book.agent)
        self.groups = {
            locale: tuple(self._grouped(book, locale)) for locale in ("", *self._catalog.locales)
        }
        barred = {i for groups in self.groups.values() for _, actions in groups for i in actions}
        self.actions: Indices = tuple(sorted(barred))

    def _grouped(self, book: Rulebook, locale: str) -> Iterator[_Group]:
        groups: dict[frozenset[str], list[int]] = defaultdict(list)
        for index in book.every():
            groups[self._catalog.needs(book.actions[index], locale)].append(index)
        groups.pop(frozenset(), None)
        for needs, actions in groups.items():
            yield needs, tuple(actions)

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what needs the same fields together."""
        features = moment.context.features
        locale = nearest(self._catalog.locale_of(features), self._catalog.locales)
        for needs, actions in self.groups[locale]:
            if not needs <= features.keys():
                missing = ", ".join(f"customer.{name}" for name in sorted(needs - features.keys()))
                yield Bar(actions, f"no value for {missing}")
