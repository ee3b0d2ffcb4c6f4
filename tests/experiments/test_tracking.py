"""An evaluation that is recorded can be read back, on this machine and nowhere else."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from agents.errors import StateError
from agents.groups import Group
from agents.revision import Revision
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions
from experiments.targets import uniform_target
from experiments.tracking import (
    DATABASE,
    EXPERIMENT,
    TRAININGS,
    Training,
    open_tracking,
    record,
    record_training,
)
from policies.registry import create_policy
from simulators.rollout import rollout
from simulators.truth import realised_value
from simulators.worlds import create_world

MakeLog = Callable[..., LoggedDecisions]


def test_a_run_is_written_and_read_back(make_log: MakeLog, runs: Path) -> None:
    log = make_log(2_000, 1)
    found = evaluate(log, uniform_target(log), name="uniform")
    first = record(open_tracking(runs), found, fingerprint="ab" * 32)
    client = open_tracking(runs)
    record(client, found, fingerprint="cd" * 32)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    kept = client.search_runs([experiment.experiment_id])
    assert len(kept) == 2
    run = client.get_run(first)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "uniform")
    assert run.data.params == {
        "target": "uniform", "decisions": "2000", "level": "0.95", "log_sha256": "ab" * 32
    }  # fmt: skip
    estimate = found.by("dr")
    assert run.data.metrics["dr.value"] == estimate.value
    assert run.data.metrics["dr.high"] == estimate.high
    assert run.data.metrics["audit.mean_weight"] == found.diagnostics.audit.mean_weight
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"


def test_a_run_tells_its_environment_and_nothing_of_the_machine(
    make_log: MakeLog, runs: Path
) -> None:
    log = make_log(200, 1)
    found = evaluate(log, uniform_target(log), name="uniform")
    files = {"evaluation.json": b"{}", "plots/value.png": b"png"}
    client = open_tracking(runs)
    name = record(client, found, fingerprint="ab" * 32, artifacts=files)
    run = client.get_run(name)
    tags = run.data.tags
    assert tags["env.python"] == platform.python_version()
    assert tags["env.numpy"] == np.__version__
    assert tags["env.nextbest"] == version("nextbest")
    assert {len(tags[f"env.{which}_sha256"]) for which in ("packages", "lock")} == {64}
    assert tags["verdict"] == ("supported" if not tags["reasons"] else "not supported")
    assert {key for key in tags if key.startswith("mlflow.")} == {"mlflow.runName"}
    assert run.info.user_id == "unknown"
    kept = {each.path for each in client.list_artifacts(name)}
    assert kept == {"evaluation.json", "plots"}
    stored = (runs / DATABASE).read_bytes()
    for secret in (platform.node(), str(Path.cwd())):
        assert secret.encode() not in stored


def test_a_training_is_a_run_with_its_learning_curve(runs: Path, revision: Revision) -> None:
    world = create_world("retention", revision, customers=60, rounds=3, seed=4)
    run = rollout(world, create_policy(revision))
    client = open_tracking(runs)
    kept = client.get_run(record_training(client, Training(run, "retention", 4, "cd" * 32)))
    assert kept.data.params == {
        "agent": "retention", "revision": revision.id, "learner": "hybrid_thompson",
        "settings": "{}", "world": "retention", "seed": "4", "customers": "60", "rounds": "3",
        "decisions": "180", "log_sha256": "cd" * 32,
    }  # fmt: skip
    rows = run.in_group(Group.TREATMENT)
    people = len(np.unique(run.customers[rows]))
    earned = 1_000.0 * run.rewards()[rows].sum() / people
    assert kept.data.metrics["treatment.earned"] == pytest.approx(earned)
    curve = client.get_metric_history(kept.info.run_id, "treatment.truth_by_round")
    assert sorted(point.step for point in curve) == [0, 1, 2]
    values = realised_value(run.expected, run.actions)
    first = 1_000.0 * values[rows & (run.rounds == 0)].mean()
    assert min(curve, key=lambda point: point.step).value == pytest.approx(first)
    experiment = client.get_experiment_by_name(TRAININGS)
    assert experiment is not None
    assert experiment.experiment_id == kept.info.experiment_id


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="runs cannot be recorded in"):
        open_tracking(tmp_path / "file")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / DATABASE).write_text("no database at all, but text of some length")
    with pytest.raises(StateError, match="mlflow.db: .*file is not a database"):
        open_tracking(tmp_path / "text")


def test_mlflow_is_not_imported_before_it_is_used() -> None:
    code = "import sys, experiments.commands; print('mlflow' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "False"
