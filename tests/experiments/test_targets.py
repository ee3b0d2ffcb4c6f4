"""Targets: the named ones by hand, and a snapshot that answers as it did when it decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from agents.errors import LogError
from agents.revision import Revision
from agents.spec import Agent, Workspace
from experiments.logs import LoggedDecisions, from_table
from experiments.targets import logged_target, none_target, snapshot_target, uniform_target
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.worlds.anything import Generic

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
    with pytest.raises(LogError, match=f"revision {revision.id}, which is not among the 0"):
        snapshot_target(log, {}, Uniform.create)
    short = replace(log, actions=("none", *(f"x/{k}@y" for k in range(len(log.actions) - 1))))
    with pytest.raises(LogError, match="which no row of the log has"):
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
