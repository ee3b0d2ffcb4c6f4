from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Thread

import numpy as np
import pytest

from agents.memory import Memory
from agents.revision import Revision
from policies.decide import decide
from policies.uniform import Uniform
from simulators.world import Happening, Reported, World, WorldOptions
from simulators.worlds import create_world

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WorldOptions(customers=0), "got 0, 6 and 1$"),
        (WorldOptions(rounds=0), "got 3000, 0 and 1$"),
        (WorldOptions(seed=-1), "got 3000, 6 and -1$"),
        (WorldOptions(every=timedelta(hours=36)), "^every: expected whole days, at least one, got"),
        (WorldOptions(every=timedelta(hours=12)), "^every: expected whole days, at least one, got"),
        (WorldOptions(customers=10_000_001, rounds=1), "at most 10,000,000 decisions that end"),
        (WorldOptions(rounds=50_000), "got 3,000 customers x 50,000 rounds of 7 days from 2026$"),
        (WorldOptions(every=timedelta(days=500_000)), "decisions that end before 2900, got"),
        (WorldOptions(start=datetime(2026, 3, 2)), "^expected an instant with a UTC offset"),  # noqa: DTZ001
    ],
)
def test_options_out_of_range_are_refused(
    revision: Revision, options: WorldOptions, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        create_world("retention", revision, **options)


@pytest.mark.parametrize("customers", [[], [-1], [0, 60], [3, 3]])
def test_only_customers_of_the_world_are_chosen(world: World, customers: list[int]) -> None:
    with pytest.raises(ValueError, match="^customers: expected different positions from 0 to 59"):
        world.positions(customers)


def test_everybody_is_chosen_if_nobody_is_named(world: World) -> None:
    assert world.positions() == list(range(60))
    assert world.positions([5, 2]) == [5, 2]


def test_each_customer_is_met_once_in_every_span(world: World) -> None:
    for customer in range(world.customers):
        days = [world.opportunity(customer, i).date() for i in range(world.rounds + 1)]
        gaps = {later - earlier for earlier, later in pairwise(days)}
        assert gaps == {world.every}
        assert world.start.date() <= days[0] < (world.start + world.every).date()


def test_meetings_spread_over_weekdays_and_hours(revision: Revision) -> None:
    world = create_world("retention", revision, customers=1_400, rounds=1, seed=1)
    times = [world.opportunity(customer, 0) for customer in range(world.customers)]
    counts = np.bincount([at.weekday() for at in times], minlength=7)
    assert np.all(np.abs(counts - 200) < 4.0 * np.sqrt(1_400 * (1 / 7) * (6 / 7)))
    assert {at.hour for at in times} == set(range(6, 21))


def test_start_and_pace_may_be_chosen(revision: Revision) -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC)
    world = create_world("retention", revision, customers=5, rounds=3, start=start, every=2 * DAY)
    assert world.end == start + 6 * DAY
    assert all(start <= world.opportunity(c, 0) < start + 2 * DAY for c in range(5))


def test_the_same_customers_meet_another_revision(
    revision: Revision, edited: Callable[[str, str], Revision]
) -> None:
    other = edited("max: 2, per: 14d", "max: 1, per: 14d")
    first = create_world("retention", revision, customers=20, seed=8)
    second = create_world("retention", other, customers=20, seed=8)
    for customer in range(20):
        at = first.opportunity(customer, 1)
        assert at == second.opportunity(customer, 1)
        assert first.features(customer, at) == second.features(customer, at)


def test_a_context_holds_the_contacts_within_the_lookback_in_order(world: World) -> None:
    at = world.opportunity(0, 3)
    ages = (timedelta(hours=-5), 100 * DAY, 1 * DAY, 3 * DAY)
    memory, revision = Memory(), world.revision
    before = world.context(0, at, memory)
    for number, age in enumerate(ages):
        decided = decide(revision, Uniform(), before, decision_id=f"d{number}", secret=b"s")
        memory.keep(replace(decided, action=4, send_at=at - age), revision)
    contacts = world.context(0, at, memory).contacts
    assert [contact.decision_id for contact in contacts] == ["d3", "d2", "d0"]
    context = world.context(0, at, memory)
    assert context.customer == "c0"


def test_a_likelier_outcome_includes_every_case_of_a_less_likely(revision: Revision) -> None:
    world = create_world("retention", revision, customers=1_500, rounds=1, seed=4)
    quiet, spoken = set(), set()
    plain = revision.index("bill_explained/plain@email#morning")
    for customer in range(world.customers):
        at = world.opportunity(customer, 0)
        rates = world.outcome_probabilities(customer, at)  # (A, O)
        helped = rates[plain, 2] < rates[0, 2]
        without = {h.outcome for h in world.respond(customer, 0, 0, at)}
        world.reset()
        after = {h.outcome for h in world.respond(customer, 0, plain, at)}
        if helped:
            quiet |= {customer} if "complained" in without else set()
            spoken |= {customer} if "complained" in after else set()
    assert spoken < quiet


def test_delays_run_from_the_sending_and_end_inside_the_window(world: World) -> None:
    ahead = timedelta(hours=20)
    found = 0
    for customer in range(world.customers):
        at = world.opportunity(customer, 0)
        for action in range(1, len(world.revision.actions)):
            world.reset()
            for outcome, when, _ in world.respond(customer, 0, action, at, at + ahead):
                assert at + ahead <= when <= at + world.revision.agent.outcomes[outcome].window
                found += 1
    assert found > 20


def test_customers_may_be_served_from_several_threads(revision: Revision) -> None:
    def live(world: World, customers: range) -> None:
        for customer in customers:
            for i in range(world.rounds):
                at = world.opportunity(customer, i)
                found[customer, i] = world.respond(customer, i, (customer + i) % 25, at)

    outcomes = []
    for parts in (1, 4):
        found: dict[tuple[int, int], list[Happening]] = {}
        world = create_world("retention", revision, customers=200, rounds=3, seed=6)
        threads = [Thread(target=live, args=(world, range(p, 200, parts))) for p in range(parts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive()
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]
    assert any(outcomes[0].values())


def test_what_happens_reaches_the_company_at_once_unless_a_market_says_otherwise(
    world: World,
) -> None:
    at = world.opportunity(0, 0)
    happenings = [Happening("renewed", at), Happening("complained", at + timedelta(hours=1))]
    assert world.reported(0, 0, happenings) == [Reported(h.at, h) for h in happenings]
    assert world.memoryless
    assert world.leaves == frozenset()
