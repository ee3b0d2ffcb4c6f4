from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import agents
from agents.errors import StateError, UnknownNameError
from experiments.comparing import EXPERIMENT, compare_command
from experiments.tracking import open_tracking

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


def run(*words: str) -> str:
    app = typer.Typer()
    app.command()(compare_command)
    size = ["--customers", "20", "--days", "14"]
    found = CliRunner().invoke(app, [*size, *words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_policies_guardrails_and_versions_are_compared(tmp_path: Path) -> None:
    text = (EXAMPLE / "agents" / "retention.yaml").read_text(encoding="utf-8")
    other = tmp_path / "gentler.yaml"
    other.write_text(text.replace("max: 2, per: 14d", "max: 1, per: 14d"), encoding="utf-8")
    printed = run(
        "--workspace", str(EXAMPLE), "--world", "telecom", "--without-guardrails",
        "--file", str(other), "--plot", str(tmp_path / "plot.svg"), "--track", str(tmp_path),
    )  # fmt: skip
    for words in ("World telecom", "guardrails", "uniform", "gentler", "breaches", "recorded in"):
        assert words in printed
    assert (tmp_path / "plot.svg").is_file()
    client = open_tracking(tmp_path)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.data.params["world"] == "telecom"
    assert kept.info.status == "FINISHED"
    assert kept.data.metrics["retention-no_guardrails.breaches"] == 0.0
    assert "gentler.incremental.difference_stderr" in kept.data.metrics
    assert [file.path for file in client.list_artifacts(kept.info.run_id)] == ["plot.svg"]


def test_a_world_brings_its_own_agent_where_there_is_no_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = run("--world", "retailer", "--no-check")
    assert "World retailer" in printed
    assert "breaches" not in printed


def test_mistakes_are_named_before_anything_is_simulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("experiments.comparing.compare", None)
    here = "--workspace", str(EXAMPLE)
    with pytest.raises(UnknownNameError, match="there is no world 'mars'"):
        run(*here, "--world", "mars")
    with pytest.raises(UnknownNameError, match="did you mean 'retention'"):
        run(*here, "--agent", "retentoin")
    with pytest.raises(StateError, match="ends in"):
        run(*here, "--plot", str(tmp_path / "plot.pdf"))
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="runs cannot be recorded in .*: "):
        run(*here, "--track", str(tmp_path / "file"))
    with pytest.raises(StateError, match="cannot be read"):
        run(*here, "--file", str(tmp_path / "missing.yaml"))
