"""Targets: the named ones by hand, and a snapshot that answers as it did when it decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from agents.errors import LogError, StateError, UnknownNameError
from agents.revision import Revision
from agents.spec import Agent, Workspace
from experiments.logs import LoggedDecisions, from_table
from experiments.targets import (
    Learner,
    Lessons,
    Reader,
    logged_target,
    none_target,
    rule_target,
    snapshot_target,
    taught_target,
    uniform_target,
)
from experiments.targets.asked import Source, read_target
from experiments.targets.rules import parse_rule
from policies.base import Policy
from policies.decide import explore
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.worlds.anything import Generic

Floats = NDArray[np.float64]
MakeLog = Callable[..., LoggedDecisions]


def test_the_named_targets(make_log: MakeLog) -> None:
    log = make_log(100, 1)
    uniform = uniform_target(log)
    np.testing.assert_allclose(uniform.sum(axis=1), 1.0)
    assert np.array_equal(uniform > 0.0, log.allowed)
    assert none_target(log)[:, 0].min() == 1.0
    assert logged_target(log) is log.distribution


def test_a_snapshot_answers_as_it_did(
    table: pa.Table, revision: Revision, policy: HybridThompson
) -> None:
    log = from_table(table).in_groups("treatment")
    again = snapshot_target(log, {revision.id: revision}, lambda _: policy)
    np.testing.assert_allclose(again, log.distribution, atol=1e-12)


def test_another_policy_answers_otherwise_inside_the_same_mask(
    table: pa.Table, revision: Revision
) -> None:
    log = from_table(table).in_groups("treatment")
    target = snapshot_target(log, {revision.id: revision}, Uniform.create)
    np.testing.assert_allclose(target, uniform_target(log), atol=1e-12)


def test_columns_follow_the_names_of_actions(
    table: pa.Table, revision: Revision, policy: HybridThompson
) -> None:
    """A log whose columns stand in another order, as after a change of revision."""
    log = from_table(table).in_groups("treatment")
    order = np.roll(np.arange(len(log.actions)), 3)
    turned = replace(
        log,
        actions=tuple(log.actions[k] for k in order),
        allowed=log.allowed[:, order],
        distribution=log.distribution[:, order],
        action=np.argsort(order)[log.action],
    )
    target = snapshot_target(turned, {revision.id: revision}, lambda _: policy)
    np.testing.assert_allclose(target, log.distribution[:, order], atol=1e-12)


def test_an_unknown_revision_is_named(table: pa.Table, revision: Revision) -> None:
    log = from_table(table)
    with pytest.raises(LogError, match=f"one of the 0 known revisions, got {revision.id}"):
        snapshot_target(log, {}, Uniform.create)
    short = replace(log, actions=("none", *(f"x/{k}@y" for k in range(len(log.actions) - 1))))
    with pytest.raises(LogError, match="its actions in the log, got no row with"):
        snapshot_target(short, {revision.id: revision}, Uniform.create)


def test_sets_instants_and_the_past_survive_the_log() -> None:
    folder = Path(__file__).parents[1] / "simulators" / "rich"
    workspace = Workspace.model_validate_json((folder / "workspace.json").read_bytes())
    agent = Agent.model_validate_json((folder / "agent.json").read_bytes())
    rich = Revision(workspace, agent)
    run = rollout(Generic(rich, customers=60, rounds=3), HybridThompson.create(rich), learn=False)
    log = from_table(run.log(b"key")).in_groups("treatment")
    again = snapshot_target(log, {rich.id: rich}, HybridThompson.create)
    np.testing.assert_allclose(again, log.distribution, atol=1e-12)
    assert np.ptp(log.distribution, axis=0).max() > 0.01
    assert any(entry["contacts"] for entry in log.contexts)
    assert any(names == ("bought", "first_order") for names in log.outcomes)


def test_rules_take_the_first_action_that_is_allowed(make_log: MakeLog) -> None:
    log = make_log(300, 2)
    a = np.array([context["features"]["a"] for context in log.contexts])
    rules = parse_rule("when customer.a > 0.0 then credit else plan/free@push > plan")
    target = rule_target(log, rules)
    assert np.array_equal(target.sum(axis=1), np.ones(300))
    for row in range(300):
        order = [3, 4, 0] if a[row] > 0.0 else [2, 1, 0]
        first = next(column for column in order if log.allowed[row, column])
        assert target[row, first] == 1.0
    with pytest.raises(UnknownNameError, match="'plam' is no action or offer .*'plan'"):
        rule_target(log, parse_rule("plam"))
    with pytest.raises(ValueError, match=r"customer.c > 0.0: .*did you mean .customer"):
        rule_target(log, parse_rule("when customer.c > 0.0 then none"))
    with pytest.raises(ValueError, match="expected 'when EXPR then ACTION"):
        parse_rule("credit or plan")


def test_rules_of_a_file(make_log: MakeLog, tmp_path: Path) -> None:
    log = make_log(100, 3)
    file = tmp_path / "young.yaml"
    file.write_text("rules:\n  - when: customer.a > 0.0\n    then: credit\n  - then: [plan]\n")
    expected = rule_target(log, parse_rule("when customer.a > 0.0 then credit else plan"))
    found = read_target(str(file), Source({}))
    assert found.name == "young"
    assert np.array_equal(found.probabilities(log), expected)
    file.write_text("rules:\n  - if: customer.a > 0.0\n    then: credit\n")
    with pytest.raises(LogError, match=r"rules.0: expected 'then' with actions"):
        read_target(str(file), Source({}))


@pytest.mark.parametrize("name", ["hybrid_thompson", "linear_thompson", "greedy", "priority"])
def test_a_table_of_contexts_is_answered_as_one_by_one(
    table: pa.Table, revision: Revision, name: str
) -> None:
    log = from_table(table).in_groups("treatment", "random")
    learner = Learner(name)
    policy, adapted = learner.create(revision), learner.adapted(revision)
    reader = Reader(log, {revision.id: revision})
    lessons = [reader.lesson(row, adapted) for row in range(60)]
    policy.update([lesson for lesson in lessons if lesson is not None])
    found = snapshot_target(log, {revision.id: adapted}, lambda _: policy)
    for row in range(0, len(log), 9):
        mask = reader.mask(row, adapted)
        single = policy.distribution(reader.context(row), mask).probabilities
        mixed = explore(adapted, single, mask.allowed)
        np.testing.assert_allclose(found[row, reader.columns(adapted)], mixed, atol=1e-12)


def test_a_learner_never_learns_from_what_it_is_judged_on(
    table: pa.Table, revision: Revision
) -> None:
    """Later outcomes are turned around: answers before them stay, answers after them do not."""
    log = from_table(table).in_groups("treatment", "random")
    revisions = {revision.id: revision}
    lessons = Lessons.of(log, log, blocks=3, wait=timedelta(0))
    rows, learner = lessons.judged(log), Learner("hybrid_thompson", {"tau": 0.3})
    before = taught_target(rows, lessons, revisions, learner)
    turned = log.outcomes.copy()
    late = log.at >= lessons.cuts[0]
    turned[late] = [() if names else ("renewed",) for names in turned[late]]
    other = Lessons.of(replace(log, outcomes=turned), log, blocks=3, wait=timedelta(0))
    after = taught_target(rows, other, revisions, learner)
    first = rows.at < lessons.cuts[1]
    assert first.any()
    assert not first.all()
    assert np.array_equal(before[first], after[first])
    assert not np.allclose(before[~first], after[~first])


def test_a_log_shorter_than_its_windows_teaches_nothing(
    table: pa.Table, revision: Revision
) -> None:
    log = from_table(table).in_groups("treatment")
    lessons = Lessons.of(log, log, wait=timedelta(days=3_650))
    with pytest.raises(LogError, match="to learn from, got none; .*--at-once"):
        taught_target(lessons.judged(log), lessons, {revision.id: revision}, Learner())
    with pytest.raises(ValueError, match="--blocks: expected 2 or more, got 1"):
        Lessons.of(log, log, blocks=1)


def test_settings_are_read_and_refused(revision: Revision) -> None:
    learner = Learner.parsed("hybrid_thompson:tau=.3,floor=0.1")
    spec = learner.adapted(revision).agent.policy
    assert (spec.learner, spec.floor, spec.settings["tau"]) == ("hybrid_thompson", 0.1, 0.3)
    assert not Learner("fixed").learns(revision)
    assert Learner().learns(revision)
    with pytest.raises(UnknownNameError, match="did you mean 'hybrid_thompson'"):
        Learner.parsed("hybrid_thomson")
    with pytest.raises(ValueError, match="floor"):
        Learner.parsed("uniform:floor=2").adapted(revision)


def test_each_block_is_answered_by_what_was_taught_before_it(
    table: pa.Table, revision: Revision
) -> None:
    """By hand: a learner that is given what had closed at each cut, and goes on from there."""
    log = from_table(table).in_groups("treatment", "random")
    revisions, learner = {revision.id: revision}, Learner()
    lessons = Lessons.of(log, log, wait=timedelta(0), revisions=revisions)
    rows, adapted = lessons.judged(log), learner.adapted(revision)
    found = taught_target(rows, lessons, revisions, learner)
    assert len(lessons.cuts) == 7
    reader, policy, begun = Reader(log, revisions), learner.create(revision), np.datetime64(0, "us")
    ends = [*lessons.cuts[1:], np.datetime64("2100-01-01", "us")]
    for cut, end in zip(lessons.cuts, ends, strict=True):
        new = np.flatnonzero((log.at >= begun) & (log.at < cut))
        given = [reader.lesson(row, adapted) for row in new[np.argsort(log.at[new])].tolist()]
        policy.update([lesson for lesson in given if lesson is not None])
        begun, block = cut, np.asarray((rows.at >= cut) & (rows.at < end))
        assert block.any()
        by_hand = snapshot_target(rows.where(block), {revision.id: adapted}, lambda _: policy)
        np.testing.assert_allclose(found[block], by_hand, atol=1e-9)
    once = Lessons.of(log, log, blocks=2, wait=timedelta(0))
    still = taught_target(once.judged(log), once, revisions, learner)
    late = np.asarray(rows.at >= lessons.cuts[-1])
    assert not np.allclose(found[late], still[-int(late.sum()) :])


def test_blocks_in_which_nothing_had_closed_only_teach(table: pa.Table, revision: Revision) -> None:
    log, revisions = from_table(table).in_groups("treatment"), {revision.id: revision}
    wait = timedelta(microseconds=int((log.at.max() - log.at.min()).astype(int)) // 3)
    plain = Lessons.of(log, log, wait=wait)
    lessons = Lessons.of(log, log, wait=wait, revisions=revisions)
    begins = log.at.min() + np.timedelta64(wait)
    assert np.array_equal(lessons.cuts, plain.cuts[plain.cuts > begins])
    assert 0 < len(lessons.cuts) < len(plain.cuts)
    taught_target(lessons.judged(log), lessons, revisions, Learner())  # has something to learn from
    with pytest.raises(LogError, match="to learn from, got none"):
        taught_target(plain.judged(log), plain, revisions, Learner())


def test_what_is_no_policy_is_told_by_what_it_looks_like(tmp_path: Path) -> None:
    for text in ("rules.yaml", "new.snapshot", str(tmp_path / "new")):
        with pytest.raises(StateError, match=f"--policy: there is no file {text}"):
            read_target(text, Source({}))
    with pytest.raises(StateError, match="expected a file of rules or a snapshot, got folder"):
        read_target(str(tmp_path), Source({}))
    with pytest.raises(UnknownNameError, match="is no policy, no rule") as error:
        read_target("zzz", Source({}))
    assert str(error.value).count("uniform") == 1


def test_a_taught_learner_is_valued_without_bias_where_the_truth_is_known(
    table: pa.Table, revision: Revision
) -> None:
    """Actions and renewals are drawn anew; who is judged by what taught it looks too good."""
    log = from_table(table).in_groups("treatment", "random")
    revisions, learner = {revision.id: revision}, Learner("greedy", {"floor": 0.05})
    flat = log.allowed / log.allowed.sum(axis=1, keepdims=True)  # (N, A)
    chance = np.where(np.arange(len(log.actions)) % 3 == 1, 0.3, 0.15)  # (A,)
    wait = timedelta(microseconds=int(np.ptp(log.at).astype(int))) / 20
    fair, leaky = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        drawn = (flat.cumsum(axis=1) < rng.random((len(log), 1))).sum(axis=1)  # (N,)
        won = rng.random(len(log)) < chance[drawn]
        outcomes = np.empty(len(log), dtype=object)
        outcomes[:] = [("renewed",) if each else () for each in won.tolist()]
        each = replace(
            log, distribution=flat, action=drawn, propensity=flat[np.arange(len(log)), drawn],
            outcomes=outcomes, reward=won * 1.0, outcome_value=won * 1.0,
        )  # fmt: skip
        lessons = Lessons.of(each, each, wait=wait, revisions=revisions)
        assert len(lessons.cuts) == 7
        rows = lessons.judged(each)
        target = taught_target(rows, lessons, revisions, learner)
        fair.append(_error(rows, target, chance))
        reader, adapted = Reader(each, revisions), learner.adapted(revision)
        pupil = learner.create(revision)
        given = [reader.lesson(row, adapted) for row in range(len(each))]
        pupil.update([lesson for lesson in given if lesson is not None])
        seen = snapshot_target(rows, {revision.id: adapted}, partial(_same, pupil))
        leaky.append(_error(rows, seen, chance))
    assert abs(np.mean(fair)) < 3.0 * np.std(fair, ddof=1) / np.sqrt(len(fair))
    assert np.mean(leaky) > 3.0 * np.std(leaky, ddof=1) / np.sqrt(len(leaky))


def _same(policy: Policy, _: Revision) -> Policy:
    return policy


def _error(rows: LoggedDecisions, target: Floats, chance: Floats) -> float:
    """Return by how much IPS exceeds what the target's choices are worth on these decisions."""
    drawn = np.arange(len(rows)), rows.action
    value = target[drawn] / rows.propensity * rows.reward
    return float(np.mean(value - target @ chance))
