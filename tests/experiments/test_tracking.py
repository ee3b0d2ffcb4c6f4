"""An evaluation that is recorded can be read back, on this machine and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.errors import StateError
from experiments.evaluate import evaluate
from experiments.logs import LoggedDecisions
from experiments.targets import uniform_target
from experiments.tracking import EXPERIMENT, open_tracking, record

MakeLog = Callable[..., LoggedDecisions]


def test_a_run_is_written_and_read_back(make_log: MakeLog, runs: Path) -> None:
    log = make_log(200, 1)
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
        "target": "uniform", "decisions": "200", "level": "0.95", "log_sha256": "ab" * 32
    }  # fmt: skip
    estimate = found.by("dr")
    assert run.data.metrics["dr.value"] == estimate.value
    assert run.data.metrics["dr.high"] == estimate.high
    assert run.data.metrics["audit.mean_weight"] == found.diagnostics.audit.mean_weight
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "true"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="runs cannot be recorded in"):
        open_tracking(tmp_path / "file")


def test_mlflow_is_not_imported_before_it_is_used() -> None:
    code = "import sys, experiments.commands; print('mlflow' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "False"
