from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision
from agents.groups import Group
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Distribution, Lesson
from policies.hybrid import HybridThompson
from policies.registry import create_policy
from policies.state import unpack
from policies.teaching import delay
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


def outcome_of(lesson: Lesson) -> str | None:
    return None if lesson.first else lesson.labels[0].outcome


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
    taught = [(lesson.context, outcome_of(lesson)) for lesson in listener.lessons]
    assert taught == [entry[1:] for entry in heard]
    assert {outcome_of(lesson) for lesson in listener.lessons} > {None, "renewed"}
    for lesson in listener.lessons:
        assert lesson.mask.allowed[lesson.action]
        assert 0.0 < lesson.propensity <= 1.0


def test_a_decision_is_taught_only_after_it_was_made(world: World) -> None:
    listener = Listener()
    seen: list[tuple[int, int]] = []

    def watch(done: int) -> None:
        seen.append((listener.asked, sum(lesson.first for lesson in listener.lessons)))

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


def test_absence_is_learned_little_by_little_once_delays_are_known(
    revision: Revision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delay, "KNOWN", 10)
    monkeypatch.setattr(delay, "_EVERY", 2)
    world = create_world("retention", revision, customers=300, rounds=6, seed=3)
    listener = Listener()
    run = rollout(world, listener, batch=1)
    taught: dict[tuple[str, datetime, str], list[float]] = {}
    happened: set[tuple[str, datetime, str]] = set()
    for lesson in listener.lessons:
        for label in lesson.labels:
            key = (lesson.context.customer, lesson.context.at, label.outcome)
            if label.happened:
                happened.add(key)
            else:
                taught.setdefault(key, []).append(label.weight)
    treated = [d for d in run.decisions if d.group is Group.TREATMENT]
    assert sum(lesson.first for lesson in listener.lessons) == len(treated)
    quiet = [
        taught[d.context.customer, d.at, name]
        for d in treated
        for name in revision.agent.outcomes
        if (d.context.customer, d.at, name) not in happened
    ]
    assert all(sum(weights) == 1.0 for weights in quiet)  # also of windows that end last
    assert {len(weights) for weights in quiet} > {1, 3}
    assert all(sum(taught.get(key, [0.0])) <= 1.0 for key in happened)


def own_variances(policy: HybridThompson) -> dict[str, NDArray[np.float64]]:
    """Return the variance of each level's intercept, by outcome."""
    facts, arrays = unpack(policy.name, policy.to_bytes())
    return dict(zip(facts["levels"], arrays["variance"][:, 0].T, strict=True))


def test_a_new_action_is_learned_about_while_it_is_ramped_up(
    edited: Callable[[str, str], Revision],
) -> None:
    ramp = "maturity: {start_share: 0.1, full_at_positives: 40}\n\nguardrails:"
    revision = edited("guardrails:", ramp)
    world = create_world("retention", revision, customers=400, rounds=4, seed=3)
    policy = create_policy(revision)
    assert isinstance(policy, HybridThompson)
    run = rollout(world, policy)
    treated = [d for d in run.decisions if d.group is Group.TREATMENT]

    def ramped(decision: Decision) -> set[int]:
        reasons = enumerate(decision.mask.reasons)
        return {index for index, why in reasons if why is not None and "maturity" in why}

    first, last = treated[: len(treated) // 4], treated[-len(treated) // 4 :]
    closed = [np.mean([len(ramped(d)) for d in part]) for part in (first, last)]
    assert closed[1] < closed[0]
    growing = set().union(*(ramped(d) for d in last))  # not open to everybody, even at the end
    drawn = {d.action for d in treated} & growing
    assert len(drawn) > 5
    before, after = own_variances(HybridThompson.create(revision)), own_variances(policy)
    for action in drawn:
        name = f"action {revision.actions[action].id}"
        assert np.all(after[name] < before[name])
