"""`nextbest check` names the place of whatever is wrong, the learner's settings included."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.catalog import write_example
from agents.errors import DocumentError
from agents.load import load_workspace
from policies.commands import app


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_example("telecom", tmp_path / "shop")
    return tmp_path / "shop"


def check(folder: Path) -> str:
    result = CliRunner().invoke(app, [str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_workspace_in_order_is_summed_up_in_short_lines(workspace: Path) -> None:
    lines = check(workspace).splitlines()
    revision = load_workspace(workspace).revisions["retention"]
    rules = len(revision.guardrails) + len(revision.rankings)
    assert lines[0] == f"retention: 4 offers, 25 actions, {rules} guardrails"
    assert rules >= 8
    assert lines[1].startswith("  learner hybrid_thompson, revision ")
    assert lines[2] == "  floor 0.05 over actions: no weight above 500"
    assert "is in order; next: nextbest serve" in lines[3]


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        ("floor: 0.1", "floor 0.1 over actions: no weight above 250"),
        ("floor: 0", "floor 0: what it never draws cannot be valued from its log"),
        (
            "floor: 0.1\n  floor_over: offers",
            "floor 0.1 over offers: no weight above 600, of an offer 50",
        ),
        (
            "floor: 0.1\n  mode: apprentice\n  incumbent: {learner: fixed, floor: 0.5}",
            "floor 0.5 over actions: no weight above 50",
        ),
        (
            "floor: 0.1\n  mode: apprentice\n  incumbent: {learner: fixed, floor: 0}",
            "floor 0: what it never draws cannot be valued from its log",
        ),
    ],
)
def test_what_the_floor_means_is_said(workspace: Path, floor: str, said: str) -> None:
    path = workspace / "agents" / "retention.yaml"
    text = path.read_text(encoding="utf-8").replace("floor: 0.05", floor)
    path.write_text(text, encoding="utf-8")
    assert check(workspace).splitlines()[2] == f"  {said}"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            "learner: hybrid_tompson",
            "at policy.learner: there is no learner 'hybrid_tompson';"
            " did you mean 'hybrid_thompson'?",
        ),
        (
            "settings: {tua: 1}",
            "at policy.settings.tua: hybrid_thompson has no setting 'tua'; did you mean 'tau'?",
        ),
        (
            "settings: {grid: 64.5}",
            "at policy.settings.grid: expected a whole number from 64 to 512, got 64.5",
        ),
    ],
)
def test_a_wrong_learner_or_setting_has_its_place(
    workspace: Path, policy: str, message: str
) -> None:
    path = workspace / "agents" / "retention.yaml"
    text = path.read_text(encoding="utf-8").replace("learner: hybrid_thompson", policy)
    path.write_text(text, encoding="utf-8")
    line = text[: text.index(policy)].count("\n") + 1
    with pytest.raises(DocumentError) as caught:
        check(workspace)
    assert str(caught.value).startswith(f"shop/agents/retention.yaml:{line}:")
    assert str(caught.value).endswith(f": {message}")


def test_an_apprentice_is_said_to_be_one(workspace: Path) -> None:
    path = workspace / "agents" / "retention.yaml"
    learner = "learner: hybrid_thompson"
    apprentice = f"{learner}\n  mode: apprentice\n  incumbent: {{learner: fixed}}"
    text = path.read_text(encoding="utf-8").replace(learner, apprentice)
    path.write_text(text, encoding="utf-8")
    line = check(workspace).splitlines()[1]
    assert line.startswith("  learner hybrid_thompson, apprentice of fixed, revision ")
