"""Which customers a rule treats alike: for each kind of rule, what it looks at.

A rule is asked, by its own code of the single path, about one customer of each class, and the
answer holds for the class. So nothing here says what is barred or why; a rule that is not listed
is asked about every customer. To list one, name all that it looks at: too much costs time, too
little would be wrong (and is what the property test of both paths looks for).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.groups import position
from agents.guardrails import Guardrail, Ranking
from agents.guardrails.budget import Budget, Pace
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
from agents.guardrails.sequence import Sequence
from agents.guardrails.suppressed import Suppressed
from agents.guardrails.total import TotalCap
from agents.guardrails.usage import Limit
from agents.tabular.batch import Batch
from agents.tabular.columns import span_of
from agents.tabular.keys import Key, all_of, each, of_flags, same
from agents.tabular.spacing import capped, exclusive, paused, with_own_contacts


def alike(rule: Guardrail | Ranking, batch: Batch) -> Key:
    """Return which customers of a batch a rule treats alike, for rankings: of one pattern.

    Args:
        rule: compiled.
        batch: N customers.
    """
    kernel = _KERNELS.get(type(rule))
    return each(batch.count) if kernel is None else kernel(rule, batch)


def looked_at(ranking: Ranking, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what of the actions allowed so far a ranking looks at; (N, A) to (N, K)."""
    if isinstance(ranking, Precedence):
        return np.stack(
            [allowed[:, list(indices)].any(axis=1) for _, indices in ranking.ranks], axis=1
        )
    return allowed


def parts(rule: Guardrail) -> Iterator[Guardrail]:
    """Split a rule into parts that may be asked one after another: fewer classes for each."""
    if isinstance(rule, Eligibility):
        for number, indices, offer in rule.parts:
            part = copy.copy(rule)
            part.conditions, part.parts = (rule.conditions[number],), ((0, indices, offer),)
            part.actions = indices
            yield part
    elif isinstance(rule, Maturity):
        for ramp in rule.ramps:
            step = copy.copy(rule)
            step.ramps, step.actions = (ramp,), (ramp.action,)
            yield step
    else:
        yield rule


def _sends(_rule: Limit | TotalCap | Dates, batch: Batch) -> Key:
    return batch.sends


def _nothing(_rule: Channels | Pace | Fallback, batch: Batch) -> Key:
    return same(batch.count)


def _conditions(rule: Eligibility, batch: Batch) -> Key:
    return all_of((batch.condition(condition) for condition in rule.conditions), batch.count)


def _consents(rule: Consent, batch: Batch) -> Key:
    return all_of((batch.field(name) for name, _, _ in rule.channels), batch.count)


def _opt_outs(rule: OptOut, batch: Batch) -> Key:
    return all_of((batch.field(name) for name, _, _ in rule.parts), batch.count)


def _content(rule: Content, batch: Batch) -> Key:
    """By language, and by which of the fields that templates need are known."""
    locales = batch.revision.workspace.locales
    key = same(batch.count) if locales is None else batch.field(locales.field)
    needs = {name for groups in rule.groups.values() for needed, _ in groups for name in needed}
    return key * all_of(
        (of_flags(batch.columns[name].known) for name in sorted(needs)), batch.count
    )


def _listed(rule: ExclusionList, batch: Batch) -> Key:
    customers = rule.customers
    return of_flags(np.array([customer in customers for customer in batch.customers], dtype=bool))


def _inside(rule: Maturity, batch: Batch) -> Key:
    """By whether a customer's position is below the share of an action."""
    key = same(batch.count)
    first = rule.counters[0].first(batch.at)
    for _, salt, counter in rule.ramps:
        positives = batch.usage.get(f"{counter}@{first}")
        if positives is None or positives >= rule.full:
            continue
        share = rule.share(positives)
        inside = [position(salt, customer) < share for customer in batch.customers]
        key = key * of_flags(np.array(inside, dtype=bool))
    return key


def _precedence(rule: Precedence, batch: Batch) -> Key:
    key = same(batch.count) if rule.when is None else batch.condition(rule.when)
    if not rule.hears:
        return key
    since = batch.now - span_of(rule.lookback)
    words = rule.hears
    begun = batch.events.that(lambda event: event.event in words) & (batch.events.at > since)
    flags = np.zeros(batch.count, dtype=bool)
    flags[batch.events.row[begun]] = True
    return key * of_flags(flags)


_KERNELS: dict[type, Callable[[Any, Batch], Key]] = {
    Budget: _sends,
    Channels: _nothing,
    Consent: _consents,
    Content: _content,
    Cooldown: paused,
    Dates: _sends,
    Eligibility: _conditions,
    Escalation: with_own_contacts,
    ExclusionList: _listed,
    Exclusive: exclusive,
    Fallback: _nothing,
    FrequencyCap: capped,
    Limit: _sends,
    Maturity: _inside,
    OptOut: _opt_outs,
    Pace: _nothing,
    Placement: lambda _rule, batch: batch.slots,
    Precedence: _precedence,
    QuietHours: lambda _rule, batch: batch.zone,
    Sequence: with_own_contacts,
    Suppressed: lambda _rule, batch: batch.objections,
    Suppression: _conditions,
    TotalCap: _sends,
}
