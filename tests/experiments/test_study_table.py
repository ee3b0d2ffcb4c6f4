from __future__ import annotations

from pathlib import Path

import pytest

from experiments.studies.table import EXPERIMENT, FOLDER, Figure, Study, publish
from experiments.tracking import open_tracking

STUDY = Study(
    "headroom",
    "Headroom captured, percent",
    ("24 actions", "120 actions"),
    {"hybrid (default)": [Figure(61.25, 1.5), Figure(46.0)], "uniform": [None, Figure(0.0)]},
    notes=("10 seeds",),
    params={"seeds": "10"},
)


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    publish(STUDY)
    assert capsys.readouterr().out == (
        "Headroom captured, percent\n"
        "                     24 actions  120 actions\n"
        "  hybrid (default)  61.2 +- 1.5         46.0\n"
        "  uniform                                0.0\n"
        "  10 seeds\n"
    )


def test_the_figures_become_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    publish(STUDY)
    client = open_tracking(tmp_path)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "headroom"
    assert run.data.params == {"seeds": "10"}
    assert run.data.metrics == {
        "hybrid _default_/24 actions": 61.25,
        "hybrid _default_/24 actions.stderr": 1.5,
        "hybrid _default_/120 actions": 46.0,
        "uniform/120 actions": 0.0,
    }
