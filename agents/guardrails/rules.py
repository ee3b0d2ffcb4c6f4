"""All rules of an agent, compiled; for another list of supplied actions only what must be.

What a rule is compiled to holds positions of actions. Of two lists of as many supplied actions
that is mostly the same: they share kind, channel and cost, and differ by their names, which few
rules look at. So an agent is compiled once for each length of list, and for a list that was never
seen before only the rules that look at names are compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from agents.counters import Counter
from agents.guardrails.action_suppression import ActionSuppression
from agents.guardrails.base import Guardrail, Ranking, Rulebook, names_offers
from agents.guardrails.budget import Budget, Pace
from agents.guardrails.capacity import capacities, stocks
from agents.guardrails.channels import Channels
from agents.guardrails.consent import Consent, OptOut
from agents.guardrails.content import Content
from agents.guardrails.cooldown import Cooldown
from agents.guardrails.dates import Dates
from agents.guardrails.eligibility import Eligibility, Suppression
from agents.guardrails.escalation import Escalation
from agents.guardrails.exclusion import ExclusionList
from agents.guardrails.exclusive import Exclusive
from agents.guardrails.fallback import Fallback
from agents.guardrails.frequency import FrequencyCap
from agents.guardrails.maturity import Maturity
from agents.guardrails.placement import Placement
from agents.guardrails.precedence import Precedence
from agents.guardrails.quiet_hours import QuietHours
from agents.guardrails.requested import Requested
from agents.guardrails.sequence import Sequence
from agents.guardrails.suppressed import Suppressed
from agents.spec import (
    ActionSuppressionSpec,
    BudgetSpec,
    CooldownSpec,
    EligibilitySpec,
    EscalationSpec,
    EventSuppressionSpec,
    ExclusionListSpec,
    ExclusiveSpec,
    FrequencyCapSpec,
    PrecedenceSpec,
    Rule,
    SequenceSpec,
    SuppressionSpec,
)

G = TypeVar("G", Guardrail, Ranking)

_RULES: dict[type[Any], Callable[[str, Any, Rulebook], Guardrail | None]] = {
    ActionSuppressionSpec: ActionSuppression.compile,
    BudgetSpec: Budget.compile,
    CooldownSpec: Cooldown.compile,
    EligibilitySpec: Eligibility.compile,
    EscalationSpec: Escalation.compile,
    EventSuppressionSpec: Cooldown.ending,
    ExclusionListSpec: ExclusionList.compile,
    ExclusiveSpec: Exclusive.compile,
    FrequencyCapSpec: FrequencyCap.compile,
    SequenceSpec: Sequence.compile,
    SuppressionSpec: Suppression.compile,
}
_RANKINGS: dict[type[Any], Callable[[str, Any, Rulebook], Ranking | None]] = {
    PrecedenceSpec: Precedence.compile,
    BudgetSpec: Pace.compile,
}
_NAMELESS = frozenset({  # look at no names but those that a rule selects by
    ActionSuppressionSpec, BudgetSpec, EligibilitySpec, ExclusionListSpec, ExclusiveSpec,
    PrecedenceSpec, SuppressionSpec,
})  # fmt: skip
_COUNTING = (CooldownSpec, EventSuppressionSpec, FrequencyCapSpec)


@dataclass(frozen=True, slots=True)
class _Part(Generic[G]):
    """One or more rules that are compiled together.

    Args:
        make: compiles them.
        rules: what came of it, those that speak of some action.
        named: whether that depends on what supplied actions are called.
    """

    make: Callable[[Rulebook], Iterable[G]]
    rules: tuple[G, ...]
    named: bool

    def over(self, book: Rulebook) -> tuple[G, ...]:
        """Return the rules for another list of as many actions."""
        return _compiled(self.make, book) if self.named else self.rules


@dataclass(frozen=True, slots=True)
class _Reach:
    """What several rules read and count, as `Rules` tells it."""

    lookback: timedelta
    event_lookback: timedelta
    hears: frozenset[str]
    counters: tuple[Counter, ...]

    @classmethod
    def of(cls, rules: _All) -> _Reach:
        counters = (counter for rule in rules for counter in rule.counters)
        return cls(
            max((rule.lookback for rule in rules if rule.reads_contacts), default=timedelta(0)),
            max((rule.lookback for rule in rules if rule.hears), default=timedelta(0)),
            frozenset[str]().union(*(rule.hears for rule in rules)),
            tuple({counter.name: counter for counter in counters}.values()),
        )


def _alike(rules: _All, others: _All) -> bool:
    """Say whether rules surely read and count what others do."""
    return len(rules) == len(others) and all(
        rule is other
        or (
            rule.reads_contacts == other.reads_contacts
            and rule.lookback == other.lookback
            and rule.hears == other.hears
            and rule.counters == other.counters
        )
        for rule, other in zip(rules, others, strict=True)
    )


class Rules:
    """The guardrails of one agent, and the rankings, which depend on what guardrails allow.

    Guardrails are in the order in which their reasons are given: first who is suppressed, then what
    offers, audience and channels imply, then the workspace's rules, then the agent's. Rankings are
    in the order in which they are asked: the workspace's, the agent's, fallback offers last.

    Args:
        book: what they are compiled from.
        like: those of as many other supplied actions of the same agent.

    Raises:
        ValueError: an expression or a template does not compile against the customer schema.
    """

    def __init__(self, book: Rulebook, like: Rules | None = None) -> None:
        first, last = _parts(book) if like is None else like._parts
        if like is None:
            self.guardrails = tuple(rule for part in first for rule in part.rules)
            self.rankings = tuple(rule for part in last for rule in part.rules)
        else:
            self.guardrails = tuple(rule for part in first for rule in part.over(book))
            self.rankings = tuple(rule for part in last for rule in part.over(book))
        self._parts: _Parts = first, last
        self._all: _All = (*self.guardrails, *self.rankings)
        alike = like is not None and _alike(self._all, like._all)
        self._reach: _Reach = like._reach if like is not None and alike else _Reach.of(self._all)

    @property
    def named(self) -> bool:
        """Whether a list of other actions has other rules."""
        first, last = self._parts
        return any(part.named for part in first) or any(part.named for part in last)

    @property
    def lookback(self) -> timedelta:
        """How far back in a customer's contacts they look."""
        return self._reach.lookback

    @property
    def event_lookback(self) -> timedelta:
        """How far back in a customer's events they look."""
        return self._reach.event_lookback

    @property
    def hears(self) -> frozenset[str]:
        """The words of the events that they must know of."""
        return self._reach.hears

    @property
    def counters(self) -> tuple[Counter, ...]:
        """What they count over all customers, each once."""
        return self._reach.counters


_All = tuple[Guardrail | Ranking, ...]
_Parts = tuple[tuple[_Part[Guardrail], ...], tuple[_Part[Ranking], ...]]


def _parts(book: Rulebook) -> _Parts:
    implied = _Part(_implied, _compiled(_implied, book), named=False)
    maturity = _Part(_maturity, _compiled(_maturity, book), named=book.agent.maturity is not None)
    fallback = _Part(_fallback, _compiled(_fallback, book), named=False)
    return (
        (implied, maturity, *_declared(book, _RULES)),
        (*_declared(book, _RANKINGS), fallback),
    )


def _implied(book: Rulebook) -> list[Guardrail]:
    said = book.agent.supplied is None  # of supplied actions no document says anything
    return [
        Suppressed(book), Requested(book), *Eligibility.implied(book, offers=said), OptOut(book),
        Consent(book), *([Dates(book)] if said else []), Placement(book), Channels(book),
        *([Content(book)] if said else []), QuietHours(book),
        *(stocks(book) if said else []), *capacities(book),
    ]  # fmt: skip


def _maturity(book: Rulebook) -> list[Guardrail]:
    return [Maturity(book)]


def _fallback(book: Rulebook) -> list[Ranking]:
    return [Fallback(book)]


def _declared(
    book: Rulebook, kinds: dict[type[Any], Callable[[str, Any, Rulebook], G | None]]
) -> list[_Part[G]]:
    parts: list[_Part[G]] = []
    for named in (book.workspace.guardrails, book.agent.guardrails):
        for name, spec in named.items():
            if type(spec) in kinds:
                make = partial(_single, kinds[type(spec)], name, spec)
                parts.append(_Part(make, _compiled(make, book), named=looks_at_names(spec)))
    return parts


def _single(
    make: Callable[[str, Any, Rulebook], G | None], name: str, spec: Rule, book: Rulebook
) -> tuple[G, ...]:
    rule = make(name, spec, book)
    return () if rule is None else (rule,)


def _compiled(make: Callable[[Rulebook], Iterable[G]], book: Rulebook) -> tuple[G, ...]:
    return tuple(rule for rule in make(book) if rule.actions)


def looks_at_names(spec: Rule) -> bool:
    """Say whether what a rule is compiled to depends on what supplied actions are called.

    A doubt counts as yes.

    Example:
        >>> from agents.spec import CooldownSpec
        >>> cooldown = {"rule": "cooldown", "pause": "1d", "scope": "all"}
        >>> looks_at_names(CooldownSpec.model_validate(cooldown))
        False
        >>> looks_at_names(CooldownSpec.model_validate(cooldown | {"scope": "offer"}))
        True
    """
    if names_offers(spec):
        return True
    if isinstance(spec, _COUNTING):  # with a choice, they ask what earlier contacts were
        chooses = spec.on is not None or spec.except_ is not None
        return chooses or spec.scope in ("offer", "action")
    return type(spec) not in _NAMELESS
