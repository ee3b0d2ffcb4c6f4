"""What every world owes: plain checks, run over the whole registry and over anyone's own world.

Each takes a world's class (or what builds one) and a revision, returns nothing, and raises
AssertionError with what was expected and what was got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Protocol, Unpack

import numpy as np

from agents.errors import ContextError
from agents.revision import Revision
from simulators.reports import reports_of
from simulators.world import Happening, World, WorldOptions

_SEED = 20260302
_CUSTOMERS, _ROUNDS = 40, 4
_ERRORS = 4.0  # standard errors


class Factory(Protocol):
    """Builds a world; a world's class does."""

    def __call__(self, revision: Revision, **options: Unpack[WorldOptions]) -> World:
        """Build a world for a revision."""


Check = Callable[[Factory, Revision], None]


def _small(create: Factory, revision: Revision, seed: int = _SEED) -> World:
    return create(revision, customers=_CUSTOMERS, rounds=_ROUNDS, seed=seed)


def _meetings(world: World, *, backwards: bool = False) -> Iterator[tuple[int, int, datetime]]:
    """Yield every customer's rounds in order, customer after customer."""
    customers = range(world.customers)
    for customer in reversed(customers) if backwards else customers:
        for i in range(world.rounds):
            yield customer, i, world.opportunity(customer, i)


def _choice(world: World, customer: int, round_index: int) -> int:
    """Choose an action that depends on nothing else: each action comes up in turn."""
    return (customer * 7 + round_index * 3) % len(world.revision.actions)


def _live(world: World, *, backwards: bool = False) -> dict[tuple[int, int], list[Happening]]:
    """Let every customer live through the same choices; return what happened."""
    return {
        (customer, i): world.respond(customer, i, _choice(world, customer, i), at)
        for customer, i, at in _meetings(world, backwards=backwards)
    }


def check_timetable(create: Factory, revision: Revision) -> None:
    """Each round's meeting lies after the last one and inside the world's time."""
    world = _small(create, revision)
    for customer, i, at in _meetings(world):
        begins = world.start + i * world.every
        assert begins <= at < begins + 2 * world.every, (
            f"{world.name}: expected round {i} between {begins} and two spans later, got {at}"
        )
        later = world.opportunity(customer, i + 1)
        assert at < later, f"{world.name}: expected round {i + 1} after {at}, got {later}"


def check_features_fit(create: Factory, revision: Revision) -> None:
    """At every moment, before and after contacts, features fit the customer schema."""
    world = _small(create, revision)
    for customer, i, at in _meetings(world):
        for when in (at, world.start, world.end + 10 * world.every):
            features = world.features(customer, when)
            try:
                revision.context(world.customer_id(customer), when, features)
            except ContextError as error:
                message = f"{world.name}: expected features that fit the schema: {error}"
                raise AssertionError(message) from None
        world.respond(customer, i, _choice(world, customer, i), at)


def check_probabilities(create: Factory, revision: Revision) -> None:
    """Outcome probabilities have shape (A, O) and lie in [0, 1]."""
    world = _small(create, revision)
    shape = (len(revision.actions), len(world.outcomes))
    for customer, i, at in _meetings(world):
        rates = world.outcome_probabilities(customer, at)  # (A, O)
        assert rates.shape == shape, f"{world.name}: expected shape {shape}, got {rates.shape}"
        inside = bool(np.all((rates >= 0.0) & (rates <= 1.0)))
        assert inside, (
            f"{world.name}: expected probabilities in [0, 1], got {rates.min():g} to"
            f" {rates.max():g} for customer {customer} in round {i}"
        )
        world.respond(customer, i, _choice(world, customer, i), at)


def check_expected_rewards(create: Factory, revision: Revision) -> None:
    """Expected rewards are the outcome values weighted, less the costs; `none` costs nothing."""
    world = _small(create, revision)
    known = reports_of(revision.agent)
    values = [known[word].value if word in known else 0.0 for word in world.outcomes]
    costs = np.array([action.cost for action in revision.actions])  # (A,)
    for customer, i, at in _meetings(world):
        got = world.expected_rewards(customer, at)  # (A,)
        assert bool(np.isfinite(got).all()), f"{world.name}: expected finite rewards, got {got}"
        due = world.outcome_probabilities(customer, at) @ values - costs  # (A,)
        place = int(np.argmax(np.abs(got - due)))
        assert abs(got[place] - due[place]) < 1e-9, (
            f"{world.name}: expected {due[place]:.6g} for {revision.actions[place].id},"
            f" got {got[place]:.6g}"
        )
        world.respond(customer, i, _choice(world, customer, i), at)


def check_same_seed(create: Factory, revision: Revision) -> None:
    """The same seed gives the same outcomes in any order of customers; another gives others."""
    first, second = _small(create, revision), _small(create, revision)
    ours, theirs = _live(first), _live(second, backwards=True)
    place = next((key for key, events in ours.items() if theirs[key] != events), None)
    assert place is None, (
        f"{first.name}: expected the same outcomes for (customer, round) {place} whatever the"
        " order of customers, got others"
    )
    other = _small(create, revision, seed=_SEED + 1)
    assert _live(other) != ours, f"{first.name}: expected another seed to give other outcomes"


def check_reset(create: Factory, revision: Revision) -> None:
    """After `reset` everything happens again exactly as before."""
    world = _small(create, revision)
    before = _live(world)
    world.reset()
    same = _live(world) == before
    assert same, f"{world.name}: expected reset() to bring back the first run, got another"


def check_customers_are_apart(create: Factory, revision: Revision) -> None:
    """What happens to one customer changes nothing for another."""
    world = _small(create, revision)
    at = world.opportunity(0, 1)
    before = world.outcome_probabilities(0, at), world.features(0, at)
    for customer, i, when in _meetings(world):
        if customer > 0:
            world.respond(customer, i, _choice(world, customer, i), when)
    after = world.outcome_probabilities(0, at), world.features(0, at)
    same = np.array_equal(before[0], after[0]) and before[1] == after[1]
    assert same, f"{world.name}: expected customer 0 untouched by others' contacts, got a change"


def check_windows(create: Factory, revision: Revision) -> None:
    """Reports name declared words, come in order, and outcomes arrive inside their windows."""
    world = create(revision, customers=10 * _CUSTOMERS, rounds=_ROUNDS, seed=_SEED)
    spans = {word: report.window for word, report in reports_of(revision.agent).items()}
    declared = spans.keys() | revision.workspace.events
    for (customer, i), events in _live(world).items():
        at = world.opportunity(customer, i)
        times = [event.at for event in events]
        assert times == sorted(times), f"{world.name}: expected outcomes in order, got {times}"
        for outcome, when, _ in events:
            assert outcome in declared, f"{world.name}: expected declared words, got {outcome!r}"
            assert outcome not in spans or at <= when < at + spans[outcome], (
                f"{world.name}: expected {outcome} inside {spans[outcome]}, got {when - at}"
            )


def check_replies(create: Factory, revision: Revision) -> None:
    """Events of the workspace that are no outcomes follow contacts only, once each."""
    world = _small(create, revision)
    outcomes = reports_of(revision.agent)
    for (customer, i), events in _live(world).items():
        at, none = world.opportunity(customer, i), _choice(world, customer, i) == 0
        words = [event.outcome for event in events if event.outcome not in outcomes]
        assert not (none and words), f"{world.name}: expected nothing after none, got {words}"
        assert len(set(words)) == len(words), f"{world.name}: expected each once, got {words}"
        early = [event for event in events if event.at < at]
        assert not early, f"{world.name}: expected nothing before {at}, got {early[0].at}"


def check_frequencies(create: Factory, revision: Revision) -> None:
    """Sampled outcomes are as frequent as their probabilities say, within 4 standard errors."""
    world = create(revision, customers=20 * _CUSTOMERS, rounds=_ROUNDS, seed=_SEED)
    due, variance, got = (np.zeros(len(world.outcomes)) for _ in range(3))  # (O,) each
    reports = reports_of(revision.agent)
    for customer, i, at in _meetings(world):
        action = _choice(world, customer, i)
        rates = world.outcome_probabilities(customer, at)[action]  # (O,)
        due, variance = due + rates, variance + rates * (1.0 - rates)
        for event in world.respond(customer, i, action, at):
            if event.outcome in reports:
                got[world.outcomes.index(event.outcome)] += 1
    for o, outcome in enumerate(world.outcomes):
        if outcome in reports:
            margin = _ERRORS * float(np.sqrt(variance[o]))
            assert abs(got[o] - due[o]) <= margin, (
                f"{world.name}: expected {due[o]:.0f} times {outcome}, give or take {margin:.0f},"
                f" got {got[o]:.0f}"
            )


def check_reports(create: Factory, revision: Revision) -> None:
    """All that happens reaches the company at least once, in order and never too early."""
    world = _small(create, revision)
    for (customer, i), events in _live(world).items():
        reported = world.reported(customer, i, events)
        told = [report.happening for report in reported]
        lost = [event.outcome for event in events if event not in told]
        assert not lost, f"{world.name}: expected all to be reported, {lost[0]} is not"
        times = [report.at for report in reported]
        assert times == sorted(times), f"{world.name}: expected reports in order, got {times}"
        early = [report for report in reported if report.at < report.happening.at]
        assert not early, (
            f"{world.name}: expected no report before {early[0].happening.at}, got {early[0].at}"
        )


def check_doing_nothing(create: Factory, revision: Revision) -> None:
    """A memoryless world remembers, under `none` alone, what happens once or for good, no more."""
    world, fresh = (create(revision, customers=200, rounds=_ROUNDS, seed=_SEED) for _ in range(2))
    done: set[tuple[int, str]] = set()
    for customer, i, at in _meetings(world):
        if not world.memoryless:
            break
        due = fresh.outcome_probabilities(customer, at)[0]  # (O,)
        got = world.outcome_probabilities(customer, at)[0]
        left = any((customer, word) in done for word in world.leaves)
        for o, word in enumerate(world.outcomes):
            over = left or (word in world.once and (customer, word) in done)
            hidden = got[o] == 0.0 and not (world.once | world.leaves) <= world.reports.keys()
            assert hidden or got[o] == (0.0 if over else due[o]), (
                f"{world.name}: expected the rate of {word} to be {0.0 if over else due[o]:g}"
                f" whatever else has happened, got {got[o]:g}"
            )
        done |= {(customer, event.outcome) for event in world.respond(customer, i, 0, at)}


ALL_CHECKS: tuple[Check, ...] = (
    check_timetable,
    check_features_fit,
    check_probabilities,
    check_expected_rewards,
    check_same_seed,
    check_reset,
    check_customers_are_apart,
    check_windows,
    check_replies,
    check_frequencies,
    check_reports,
    check_doing_nothing,
)
