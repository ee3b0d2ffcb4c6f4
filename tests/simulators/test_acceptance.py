"""Worlds are what they say they are, and policies in them rank as they must.

Seeds are fixed. Tolerances are in standard errors, and stated where they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.context import Context
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from agents.tabular.columns import microseconds
from experiments.lift import lift
from experiments.logs import LoggedDecisions
from policies.base import Distribution, Lesson, Policy
from policies.registry import create_policy
from simulators.compare.arms import arm, without_guardrails
from simulators.compare.kpis import gained, paired
from simulators.compare.life import life_of, live, live_untouched
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.worlds import WORLDS
from simulators.worlds.telecom import Telecom
from simulators.worlds.zero_uplift import ZeroUplift

MARKETS = sorted(name for name, world in WORLDS.items() if issubclass(world, Market))


@cache
def population() -> Telecom:
    return Telecom(example_revision(), customers=20_000, rounds=1, seed=5)


@pytest.mark.parametrize(
    ("field", "is_target", "target"),
    [
        ("bill_change", lambda c: c.data == 0.0, 0.45),
        ("roaming_days", lambda c: c.data == 0, None),
        ("data_used_share", lambda c: ~c.known, 0.05),
        ("time_zone", lambda c: ~c.known, 0.03),
    ],
)
def test_fields_have_the_shares_that_the_document_says(
    field: str, is_target: object, target: float | None
) -> None:
    """Within 4 standard errors; at least the share of zeros where noise may round to more."""
    market = population()
    column = market.columns(np.arange(market.customers), market.start)[field]
    assert callable(is_target)
    share = float(is_target(column).mean())
    error = np.sqrt(0.25 / market.customers)
    if target is None:
        assert 0.7 <= share < 0.8
    else:
        assert abs(share - target) < 4.0 * error


@pytest.mark.parametrize("name", MARKETS)
def test_what_happens_is_as_likely_as_the_truth_says(name: str) -> None:
    """All outcomes together, and each alone, within 4 standard errors of a sum of coins."""
    world = WORLDS[name]
    market = world(example_revision(*world.made_for), customers=4_000, rounds=1, seed=9)
    assert isinstance(market, Market)
    generator = np.random.default_rng(3)
    seen, expected, spread = np.zeros((3, len(market.outcomes)))
    for at, rows in market.meetings(0):
        actions = generator.integers(len(market.revision.actions), size=rows.size)
        rates = market.probabilities_of(rows, actions, at)  # (n, O)
        happened = market.live(rows, np.zeros_like(rows), actions, at, None)
        seen += np.bincount(happened.outcome, minlength=len(seen))
        expected += rates.sum(axis=0)
        spread += (rates * (1.0 - rates)).sum(axis=0)
    assert np.all(np.abs(seen - expected) <= 4.0 * np.sqrt(spread) + 1e-9)
    assert abs(seen.sum() - expected.sum()) <= 4.0 * np.sqrt(spread.sum())
    assert seen.sum() > 20


def test_what_reaches_the_company_late_or_twice_is_the_share_that_the_document_says() -> None:
    """Within 4 standard errors."""
    market = population()
    count = market.customers
    rows, zeros = np.arange(count), np.zeros(count, dtype=np.int64)
    at = np.full(count, microseconds(market.start))
    found = market.reached(rows, zeros, zeros, at)
    late = (found.at[:count] > at).mean()
    twice = (found.which.size - count) / count
    for share, target in ((late, market.spec.noise.late), (twice, market.spec.noise.duplicates)):
        assert abs(share - target) < 4.0 * np.sqrt(target / count)


# Zero uplift: what an experiment says of a market in which nothing works.


@cache
def free_of_charge() -> Revision:
    """Return the telecom's agent with contacts that cost nothing, so that the true lift is 0."""
    revision = example_revision()
    workspace, agent = revision.workspace, revision.agent
    channels = {n: c.model_copy(update={"cost": 0.0}) for n, c in workspace.channels.items()}
    offers = {n: o.model_copy(update={"cost": 0.0}) for n, o in agent.offers.items()}
    return Revision(
        workspace.model_copy(update={"channels": channels}),
        agent.model_copy(update={"offers": offers}),
    )


def experiment(seed: int, customers: int = 500, rounds: int = 4) -> LoggedDecisions:
    """Contact everybody outside of the control group at random; return the log."""
    market = ZeroUplift(free_of_charge(), customers=customers, rounds=rounds, seed=seed)
    groups = np.array(["treatment", "control"], dtype=object)[
        np.random.default_rng(seed).integers(2, size=customers)
    ]
    rewards = np.zeros((rounds, customers))
    generator = np.random.default_rng([seed, 1])
    for i in range(rounds):
        for at, rows in market.meetings(i):
            drawn = generator.integers(len(market.revision.actions), size=rows.size)
            actions = np.where(groups[rows] == "control", 0, drawn)
            happened = market.live(rows, np.full(rows.size, i), actions, at, None)
            values = market.values[happened.outcome]
            rewards[i] += np.bincount(rows[happened.row], weights=values, minlength=customers)
    count = rounds * customers
    text = np.full(count, "", dtype=object)
    return LoggedDecisions(
        decision_id=text, at=np.zeros(count, dtype="datetime64[us]"),
        customer=np.tile(np.array([f"c{i}" for i in range(customers)], dtype=object), rounds),
        group=np.tile(groups, rounds), revision=text, policy=text, snapshot=text, contexts=text,
        action=np.zeros(count, dtype=np.int64), propensity=np.ones(count),
        distribution=np.ones((count, 1)), allowed=np.ones((count, 1), dtype=np.bool_),
        reward=rewards.ravel(), outcome_value=rewards.ravel(), outcomes=text, actions=("none",),
    )  # fmt: skip


def test_where_nothing_works_the_lift_contains_zero_in_93_of_100_seeds() -> None:
    contained = 0
    for seed in range(100):
        difference = lift(experiment(seed)).over(Group.TREATMENT, Group.CONTROL)
        contained += difference.low <= 0.0 <= difference.high
    assert 93 <= contained <= 99


# Myopia: a learner that does not see what it sent before, and no guardrail that counts for it.


class Forgetful:
    """The default learner, shown no contact: it believes that every message is the first."""

    name: ClassVar[str] = "forgetful"

    def __init__(self, inner: Policy) -> None:
        self._inner = inner

    @classmethod
    def create(cls, revision: Revision) -> Self:
        return cls(create_policy(revision))

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        raise NotImplementedError

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        return self._inner.distribution(replace(context, contacts=()), mask)

    def update(self, lessons: Sequence[Lesson]) -> None:
        self._inner.update(
            [replace(each, context=replace(each.context, contacts=())) for each in lessons]
        )

    def to_bytes(self) -> bytes:
        return self._inner.to_bytes()


def test_who_does_not_see_fatigue_sends_too_much_and_loses_by_day_90() -> None:
    """Each difference by more than 2 standard errors of the pairs."""
    own = arm(example_revision())
    blind = without_guardrails(own)

    def market(revision: Revision) -> Market:
        return Telecom(revision, customers=600, rounds=13, seed=2)

    untouched = live_untouched(market(own.revision))
    default = live(market(own.revision), own, checked=False)
    myopic = life_of(market(blind.revision), "myopic", Forgetful.create(blind.revision))

    def surely(more: NDArray[np.float64], less: NDArray[np.float64]) -> bool:
        found = paired(more, less)
        return found.difference > 2.0 * found.difference_error

    assert surely(myopic.contacts.sum(axis=0), default.contacts.sum(axis=0))
    assert surely(myopic.withdrawn, default.withdrawn)
    assert surely(default.reachable, myopic.reachable)
    assert surely(gained(default, untouched), gained(myopic, untouched))
    assert surely(gained(default, untouched), np.zeros(600))
