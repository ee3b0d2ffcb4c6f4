"""Rules over what is known of the customer now: expressions, consent, days, slots, words, hours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel

from agents.checking.actions import Group
from agents.checking.laws import Bar, View

_FIELD = re.compile(r"\{\{-?\s*customer\.(\w+)")
_WRITTEN = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SIMPLE = re.compile(r"-?\s*customer\.\w+\s*(\|\s*(?!d\b|default\b)\w+(\([^()]*\))?\s*)*-?")


def truth(compiled: Any, bound: Any) -> bool | None:
    """Evaluate an expression: None if it is anything but exactly true or false."""
    value = compiled.eval(bound)
    if value.type() != cel.Type.BOOL:
        return None
    return bool(value.value())


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that must be exactly `wanted` for some actions."""

    name: str
    ids: tuple[str, ...]
    source: str
    compiled: Any
    wanted: bool = True

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar unless it is."""
        if truth(self.compiled, view.bound) is not self.wanted:
            yield self.ids, f"{self.source} is not {str(self.wanted).lower()}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean field that must be exactly `wanted`: consent given, or not opted out."""

    name: str
    ids: tuple[str, ...]
    field: str
    wanted: bool

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar unless it is."""
        if view.features.get(self.field) is not self.wanted:
            yield self.ids, f"customer.{self.field} is {view.features.get(self.field)!r}"


@dataclass(frozen=True, slots=True)
class Days:
    """The first and last day of an offer, where the organisation is."""

    name: str
    groups: tuple[Group, ...]
    first: date | None
    last: date | None
    zone: ZoneInfo

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what would be sent on another day."""
        for group in self.groups:
            at = view.sends.get(group.slot)
            day = None if at is None else at.astimezone(self.zone).date()
            if (
                day is None
                or (self.first is not None and day < self.first)
                or (self.last is not None and day > self.last)
            ):
                yield group.ids, f"it would be sent on {day}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Which slots of on-site channels each action may fill; None for channels without slots."""

    name: str
    slots: Mapping[str, frozenset[str] | None]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what does not fill the slot that is asked for."""
        asked = view.placement
        wrong = tuple(
            name for name, slots in self.slots.items()
            if (bool(asked) if slots is None else asked not in slots)
        )  # fmt: skip
        if wrong:
            yield wrong, f"the slot asked for is {asked!r}"


@dataclass(frozen=True, slots=True)
class Objection:
    """By action, its channel, on which the customer must not have objected to be contacted."""

    name: str
    channels: Mapping[str, str]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what is sent by a channel that is suppressed, or everything."""
        wrong = tuple(
            name for name, channel in self.channels.items()
            if not view.suppressed.isdisjoint((channel, "*"))
        )  # fmt: skip
        if wrong:
            yield wrong, f"suppressed: {', '.join(sorted(view.suppressed))}"


@dataclass(frozen=True, slots=True)
class Channels:
    """By action, its channel, which must be among those that a request names, if any."""

    name: str
    channels: Mapping[str, str]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what is sent by another channel."""
        wrong = tuple(
            name for name, channel in self.channels.items()
            if view.channels and channel not in view.channels
        )  # fmt: skip
        if wrong:
            yield wrong, f"only {', '.join(sorted(view.channels))} may be used"


@dataclass(frozen=True, slots=True)
class Wording:
    """The templates of one action by language; `""` holds the variant's own words."""

    ids: tuple[str, ...]
    needs: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Content:
    """Every field that is written into the words must be known."""

    name: str
    wordings: tuple[Wording, ...]
    locale_field: str

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar the actions whose words lack a field in the customer's language."""
        locale = view.features.get(self.locale_field) if self.locale_field else None
        for wording in self.wordings:
            lacking = self._needs(wording, locale) - view.features.keys()
            if lacking:
                yield wording.ids, f"customer.{min(lacking)} is written but unknown"

    @staticmethod
    def _needs(wording: Wording, locale: object) -> frozenset[str]:
        tag = locale if isinstance(locale, str) else ""
        while tag and tag not in wording.needs:
            tag = tag.rpartition("-")[0]
        return wording.needs.get(tag, frozenset())


def fields_of(*templates: str) -> frozenset[str]:
    """List the customer fields that templates write.

    Example:
        >>> sorted(fields_of("Dear {{ customer.name }}, {{customer.plan|upper}}"))
        ['name', 'plan']
    """
    return frozenset(found for text in templates for found in _FIELD.findall(text))


def plain(*templates: str) -> bool:
    """Say whether templates only write fields, so that a regex tells what they need.

    Example:
        >>> plain("{{ customer.name }}"), plain("{% if customer.name %}you{% endif %}")
        (True, False)
    """
    return all(
        "{%" not in text and all(_SIMPLE.fullmatch(part) for part in _WRITTEN.findall(text))
        for text in templates
    )


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No contact while it is quiet where the customer is, or where the time there is unknown."""

    name: str
    groups: tuple[Group, ...]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar by slot what would be sent in a quiet span."""
        for group in self.groups:
            at, channel = view.sends.get(group.slot), view.law.channels[group.slot[0]]
            if view.zone is None or at is None:
                yield group.ids, "the customer's time zone is unknown"
            elif channel.quiet is not None and not channel.queued:
                local = at.astimezone(view.zone)
                if channel.quiet.holds(local):
                    yield group.ids, f"{group.slot[0]} is quiet at {local:%a %H:%M}"


@dataclass(frozen=True, slots=True)
class Listed:
    """Customers who are never contacted, by their hashes."""

    name: str
    ids: tuple[str, ...]
    hashes: frozenset[str]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar all for a customer on the list."""
        if view.customer in self.hashes:
            yield self.ids, "the customer is on the list"


Hash = Callable[[str], str]
