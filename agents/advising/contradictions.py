"""Pairs of guardrails of which one makes the other void, or says the opposite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import combinations, permutations
from typing import NamedTuple

from agents.advising.documents import Advice, WrittenRule
from agents.spec import (
    BudgetSpec,
    CooldownSpec,
    EscalationSpec,
    FrequencyCapSpec,
    PrecedenceSpec,
    Scope,
    SequenceSpec,
)
from agents.units import describe_duration

# The scopes of which everything that they count together is counted by a wider one, too.
_WITHIN: Mapping[Scope, tuple[Scope, ...]] = {
    "all": ("all", "agent", "kind", "offer", "channel", "action"),
    "agent": ("agent", "offer", "action"),
}


def contradictions(rules: list[WrittenRule]) -> Iterator[Advice]:
    """Yield pairs of guardrails that clash; of two agents' rules no pair ever binds the same."""
    for one, two in combinations(rules, 2):
        if not one.agent or not two.agent or one.agent == two.agent:
            yield from _opposite_orders(one, two)
            yield from list(_needless(one, two)) or _needless(two, one)
            for first, second in permutations((one, two)):
                yield from _closed(first, second)
                yield from _lost_pace(first, second)


def _opposite_orders(one: WrittenRule, two: WrittenRule) -> Iterator[Advice]:
    if not isinstance(one.spec, PrecedenceSpec) or not isinstance(two.spec, PrecedenceSpec):
        return
    first, second = one.spec.order, two.spec.order
    common = [kind for kind in first if kind in second]
    for early, late in combinations(common, 2):
        if second.index(late) < second.index(early):
            yield Advice(
                two.place,
                f"it puts {late} before {early}, and {one.name} the other way round; where both"
                " hold, one kind bars the other and the rule that is asked first wins",
                one.place,
            )
            return


class _Limit(NamedTuple):
    """At most so many contacts of a scope in a rolling span: a cap, or a cooldown of one."""

    most: int
    per: timedelta
    scope: Scope
    counts: str
    rule: WrittenRule

    @property
    def words(self) -> str:
        """Say what it lets through."""
        contacts = "one contact" if self.most == 1 else f"{self.most:,} contacts"
        return f"{self.rule.name} lets {contacts} through in {describe_duration(self.per)}"


def _limit(rule: WrittenRule) -> _Limit | None:
    """Read a rule as such a limit on each customer's contacts, if it is one."""
    spec = rule.spec
    if isinstance(spec, CooldownSpec) and spec.after == "contact" and spec.times == 1:
        return _Limit(1, spec.pause, spec.scope, "decision", rule)
    if not isinstance(spec, FrequencyCapSpec) or isinstance(spec.per, str):
        return None
    if spec.for_ == "total" or spec.counts == "response" or spec.max == 0:
        return None
    return _Limit(spec.max, spec.per, spec.scope, spec.counts, rule)


def _needless(strict: WrittenRule, other: WrittenRule) -> Iterator[Advice]:
    """Whatever fills the other limit has filled a stricter one before."""
    one, two = _limit(strict), _limit(other)
    if one is None or two is None or not _binds(strict, other):
        return
    if (
        one.most <= two.most
        and one.per >= two.per
        and two.scope in _WITHIN.get(one.scope, (one.scope,))
        and one.counts in ("decision", two.counts)
    ):
        yield Advice(other.place, f"it can never bar anything: {one.words} already", strict.place)


def _closed(pause: WrittenRule, path: WrittenRule) -> Iterator[Advice]:
    """A second contact that is barred until it is too late for it."""
    limit, spec = _limit(pause), path.spec
    if limit is None or (limit.most, limit.counts) != (1, "decision") or not _binds(pause, path):
        return
    wide = limit.scope in ("all", "agent")
    if isinstance(spec, EscalationSpec) and limit.per >= spec.within:
        if not any(a.channel == spec.from_ for spoken in pause.actions.values() for a in spoken):
            return  # it does not count the first contact
        if wide or (spec.scope == "offer" and limit.scope in ("kind", "offer")):
            closes = f"it closes {describe_duration(spec.within)} after {spec.from_}"
            yield Advice(
                path.place, f"{spec.to} never opens: {closes}, and {limit.words}", pause.place
            )
    elif isinstance(spec, SequenceSpec) and limit.per >= spec.within and wide:
        ends = f"each must follow within {describe_duration(spec.within)}"
        words = f"no step but the first can be taken: {ends}, and {limit.words}"
        yield Advice(path.place, words, pause.place)


def _binds(rule: WrittenRule, other: WrittenRule) -> bool:
    """Whether a rule surely speaks of, and remembers, all that another one speaks of."""
    chosen = (rule.spec.on, rule.spec.except_)
    alike = chosen in ((None, None), (other.spec.on, other.spec.except_))
    return alike and rule.agent in ("", other.agent)


def _lost_pace(pace: WrittenRule, budget: WrittenRule) -> Iterator[Advice]:
    """A pace that another budget of the same period stops short of."""
    one, two = pace.spec, budget.spec
    if not isinstance(one, BudgetSpec) or not isinstance(two, BudgetSpec):
        return
    if one.min is None or two.max is None or (one.per, two.measure) != (two.per, "contacts"):
        return
    spoken = pace.actions.items()
    if two.max < one.min and all(set(a) <= set(budget.actions.get(n, ())) for n, a in spoken):
        words = f"its pace of {one.min:,} a {one.per} is out of reach: {budget.name} stops at"
        yield Advice(pace.place, f"{words} {two.max:,.0f}", budget.place)
