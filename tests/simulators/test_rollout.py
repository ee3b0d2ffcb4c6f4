from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pytest

from agents.context import Context
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.world import World
from simulators.worlds import create_world


class Listener(Uniform):
    """A uniform policy that keeps what it is taught, and how often it was asked by then."""

    def __init__(self) -> None:
        self.lessons: list[Lesson] = []
        self.batches: list[int] = []
        self.asked = 0

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        self.asked += 1
        return super().distribution(context, mask)

    def update(self, lessons: Sequence[Lesson]) -> None:
        self.lessons += lessons
        self.batches.append(len(lessons))


@pytest.fixture
def larger(revision: Revision) -> World:
    return create_world("retention", revision, customers=300, rounds=4, seed=3)


def test_decisions_come_in_the_order_of_time_and_are_complete(world: World) -> None:
    run = rollout(world, Uniform())
    times = [decision.at for decision in run.decisions]
    assert times == sorted(times)
    places = set(zip(run.customers.tolist(), run.rounds.tolist(), strict=True))
    assert places == {(c, i) for c in range(60) for i in range(4)}
    assert run.expected.shape == run.distributions.shape == (240, len(world.revision.actions))
    assert len({decision.decision_id for decision in run.decisions}) == 240


def test_outcomes_follow_their_decisions_and_are_over_at_the_end(larger: World) -> None:
    run = rollout(larger, Uniform())
    decided = {decision.decision_id: decision.at for decision in run.decisions}
    assert len(run.events) > 20
    for event in run.events:
        assert decided[event.decision_id] <= event.at <= run.end
    times = [event.at for event in run.events]
    assert times == sorted(times)


def test_the_same_rollout_twice_is_the_same(world: World) -> None:
    first, second = rollout(world, Uniform()), rollout(world, Uniform())
    assert first.decisions == second.decisions
    assert first.events == second.events
    assert np.array_equal(first.expected, second.expected)


def test_another_secret_draws_otherwise(world: World) -> None:
    first, second = rollout(world, Uniform()), rollout(world, Uniform(), secret=b"other")
    assert not np.array_equal(first.actions, second.actions)


def test_it_learns_from_treatment_only_each_thing_when_it_happens(larger: World) -> None:
    listener = Listener()
    run = rollout(larger, listener, batch=1)
    treated = {d.decision_id: d for d in run.decisions if d.group is Group.TREATMENT}
    heard: list[tuple[datetime, Context, str | None]]
    heard = [(d.at, d.context, None) for d in treated.values()]
    heard += [
        (event.at, treated[event.decision_id].context, event.outcome)
        for event in run.events
        if event.decision_id in treated
    ]
    heard.sort(key=lambda entry: entry[0])
    taught = [(lesson.context, lesson.outcome) for lesson in listener.lessons]
    assert taught == [entry[1:] for entry in heard]
    assert {lesson.outcome for lesson in listener.lessons} > {None, "renewed"}
    for lesson in listener.lessons:
        assert lesson.mask.allowed[lesson.action]
        assert 0.0 < lesson.propensity <= 1.0


def test_a_decision_is_taught_only_after_it_was_made(world: World) -> None:
    listener = Listener()
    seen: list[tuple[int, int]] = []

    def watch(done: int) -> None:
        seen.append((listener.asked, sum(lesson.outcome is None for lesson in listener.lessons)))

    rollout(world, listener, batch=1, progress=watch)
    assert all(asked == taught for asked, taught in seen)
    assert seen[-1][0] == listener.asked > 0


def test_batches_change_when_it_learns_not_what(larger: World) -> None:
    one, many = Listener(), Listener()
    rollout(larger, one, batch=1)
    rollout(larger, many, batch=50)
    assert one.lessons == many.lessons
    assert set(one.batches) == {1}
    assert set(many.batches[:-1]) == {50}


def test_it_need_not_learn(world: World) -> None:
    listener = Listener()
    rollout(world, listener, learn=False)
    assert listener.lessons == []
    assert listener.asked > 0


@pytest.mark.parametrize("group", list(Group))
def test_everybody_may_be_put_into_one_group(world: World, group: Group) -> None:
    run = rollout(world, Uniform(), group=group)
    assert {decision.group for decision in run.decisions} == {group}
    assert run.in_group(group).all()
    if group is Group.CONTROL:
        assert np.all(run.actions == 0)


def test_some_customers_only(world: World) -> None:
    run = rollout(world, Uniform(), customers=[3, 11])
    assert set(run.customers.tolist()) == {3, 11}
    everybody = rollout(world, Uniform())
    theirs = np.isin(everybody.customers, [3, 11])
    assert np.array_equal(run.actions, everybody.actions[theirs])


def test_contacts_are_remembered(larger: World) -> None:
    run = rollout(larger, Uniform(), group=Group.RANDOM)
    last = run.decisions[-1]
    customer = run.customers[-1]
    theirs = [d for d, c in zip(run.decisions, run.customers, strict=True) if c == customer]
    sent = sorted(d.send_at for d in theirs[:-1] if d.send_at is not None)
    assert [contact.at for contact in last.context.contacts] == sent


def test_progress_counts_decisions(world: World) -> None:
    counts: list[int] = []
    rollout(world, Uniform(), progress=counts.append)
    assert counts == list(range(1, 241))


def test_a_batch_below_one_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match=r"^batch: expected at least 1, got 0$"):
        rollout(world, Uniform(), batch=0)
