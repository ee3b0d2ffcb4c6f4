from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.errors import StateError
from agents.revision import Revision
from policies.uniform import Uniform
from simulators.calibration.fit import Fit
from simulators.calibration.report import Report, Row
from simulators.commands import app
from simulators.market.market import Market
from simulators.rollout import rollout
from simulators.worlds import create_world, world_class
from simulators.worlds.telecom import Telecom


@pytest.fixture(scope="module")
def log(revision: Revision, tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = create_world("telecom", revision, customers=200, rounds=4, seed=5)
    folder = tmp_path_factory.mktemp("log")
    rollout(world, Uniform(), learn=False).write(folder, b"key")
    return folder


def calibrate(*arguments: str) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        app, ["calibrate", *arguments], catch_exceptions=False
    )
    return result.exit_code, result.output


def test_a_world_that_fits_is_written_and_can_be_named_by_its_file(
    log: Path, tmp_path: Path, revision: Revision
) -> None:
    out = tmp_path / "ours.yaml"
    options = ("--world", "telecom", "--out", str(out), "--customers", "200")
    code, printed = calibrate(str(log), *options)
    assert f"wrote {out}" in printed.replace("\n", "")
    assert code == 0
    assert "the world fits; wrote" in printed
    assert "contacts of all decisions" in " ".join(printed.split())
    assert out.read_text().startswith("# Fitted by `nextbest calibrate` to ")
    kind = world_class(str(out))
    assert issubclass(kind, Market)
    assert kind.spec.version == Telecom.spec.version + 1
    assert create_world(str(out), revision, customers=5).name == "telecom"


def test_a_world_that_does_not_fit_is_written_and_ends_with_one(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row("renewed after none", "%", 0.1, 0.2, 0.19, 0.01, fitted=True)
    fit = Fit(Telecom.spec.model_copy(update={"version": 1}), Report((row,), ("a note",)))
    monkeypatch.setattr("simulators.calibrating.calibrate", lambda *_, **__: fit)
    out = tmp_path / "ours.yaml"
    code, printed = calibrate(str(log), "--world", "telecom", "--out", str(out))
    assert code == 1
    assert "the world does not fit within the limits" in printed
    assert "too far" in printed
    assert "a note" in printed
    assert out.is_file()
    within = replace(fit, report=Report((replace(row, after=0.1),), ()))
    monkeypatch.setattr("simulators.calibrating.calibrate", lambda *_, **__: within)
    code, printed = calibrate(str(log), "--world", "telecom", "--out", str(out))
    assert code == 0
    assert "the world fits; wrote" in printed


def test_a_world_whose_truth_is_code_cannot_be_fitted(log: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "ours.yaml")
    with pytest.raises(StateError, match="made of a YAML, got 'retention', whose truth is code"):
        calibrate(str(log), "--world", "retention", "--out", out)


def test_the_file_must_be_one_that_can_be_named_as_a_world(log: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="^--out: expected a name that ends in .yaml, got 'x'$"):
        calibrate(str(log), "--world", "telecom", "--out", str(tmp_path / "x"))


def test_a_file_that_is_no_world_is_told(revision: Revision, tmp_path: Path) -> None:
    with pytest.raises(
        StateError, match="^the world's file .*nowhere.yaml cannot be read: No such"
    ):
        create_world(str(tmp_path / "nowhere.yaml"), revision)
    (tmp_path / "latin.yaml").write_bytes(b"about: \xe9t\xe9\n")
    with pytest.raises(StateError, match="latin.yaml is not UTF-8 text: "):
        create_world(str(tmp_path / "latin.yaml"), revision)
