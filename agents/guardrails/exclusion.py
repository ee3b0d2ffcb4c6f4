"""Exclusion lists: customers whom nobody contacts."""

from __future__ import annotations

from collections.abc import Iterator

from agents.guardrails.base import Bar, Indices, Moment, Plain, Rulebook
from agents.spec import ExclusionListSpec


class ExclusionList(Plain):
    """Bars its actions for the customers of a list.

    Args:
        name: the name that reasons begin with.
        actions: positions of all actions it speaks of.
        customers: identifiers, compared as they are written.
    """

    def __init__(self, name: str, actions: Indices, customers: frozenset[str]) -> None:
        self.name, self.actions, self.customers = name, actions, customers

    @classmethod
    def compile(cls, name: str, spec: ExclusionListSpec, book: Rulebook) -> ExclusionList:
        """Compile a declared list, whose file has been read.

        Raises:
            ValueError: the list is still a file's name: bars nobody if it were let through.
        """
        if spec.file is not None and not spec.customers:
            raise ValueError(
                f"exclusion list {name!r}: expected the customers of {spec.file!r}, got its name;"
                " load the workspace from its folder"
            )
        return cls(name, book.chosen(spec), frozenset(spec.customers))

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar all its actions, or none."""
        if moment.context.customer in self.customers:
            yield Bar(self.actions, "the customer is on the list")
