"""Every command that evaluates a log records its run: by its option, or where MLflow is told to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner, Result

from agents.errors import StateError
from agents.revision import Revision
from experiments.commands import app
from experiments.logs import fingerprint
from experiments.tracking import Place, open_store, open_tracking, place_of, record_run
from experiments.tracking.answers import figures
from experiments.tracking.place import VARIABLE
from policies.uniform import Uniform
from simulators.rollout import rollout
from simulators.worlds import create_world

EXPERIMENTS = {
    "lift": ("lifts", ("--metric", "reward", "--metric", "conversion@30")),
    "fairness": ("fairness", ("--by", "plan")),
    "what-if": ("what-ifs", ("--guardrail", "contact_limit.max=1", "--no-prices")),
    "gate": ("gates", ("--candidate", "uniform")),
    "evaluate": ("evaluations", ()),
}


@pytest.fixture(scope="module")
def log(revision: Revision, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked") / "log"
    run = rollout(create_world("telecom", revision, customers=150, rounds=3), Uniform())
    run.write(folder, b"k")
    return folder


def asked(command: str, log: Path, *options: object) -> Result:
    words = [command, str(log), *EXPERIMENTS[command][1], *(str(each) for each in options)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 3), done.output
    return done


def kept(client: MlflowClient, command: str) -> Run | None:
    experiment = client.get_experiment_by_name(EXPERIMENTS[command][0])
    if experiment is None:
        return None
    (run,) = client.search_runs([experiment.experiment_id])
    return run


@pytest.mark.parametrize("command", ["lift", "fairness", "what-if"])
def test_an_answer_is_a_run_with_what_was_asked_and_found(
    log: Path, runs: Path, command: str
) -> None:
    done = asked(command, log, "--track", runs, "--json")
    client = open_tracking(runs)
    run = kept(client, command)
    assert run is not None
    told = json.loads(done.stdout)
    assert run.data.params["log_sha256"] == fingerprint(log)
    assert run.data.params["command"].startswith(f"nextbest {command} log --")
    assert str(log) not in str(run.data.params)
    assert "env.nextbest" in run.data.tags
    assert run.data.metrics == pytest.approx(dict(figures(told)))
    assert len(run.data.metrics) > 3
    (file,) = client.list_artifacts(run.info.run_id)
    assert file.path == f"{command}.json"
    path = client.download_artifacts(run.info.run_id, file.path)
    assert json.loads(Path(path).read_bytes()) == told


@pytest.mark.parametrize("command", EXPERIMENTS)
def test_the_environment_records_every_command_unless_told_not_to(
    log: Path, runs: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, f"sqlite:///{runs / 'mlflow.db'}")
    assert "recorded" not in asked(command, log, "--no-track").output
    assert kept(open_tracking(runs), command) is None
    said = asked(command, log).output
    run = kept(open_tracking(runs), command)
    assert run is not None
    where = f"recorded in sqlite:///{runs / 'mlflow.db'} ({VARIABLE}), run {run.info.run_id}"
    assert f'{where}; see it with:\n  mlflow ui --backend-store-uri "${VARIABLE}"' in said


def test_an_option_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert place_of(None, no_track=False) is None
    monkeypatch.setenv(VARIABLE, "sqlite:///elsewhere.db")
    assert place_of(tmp_path, no_track=False) == Place(tmp_path)
    assert place_of(None, no_track=False) == Place()
    assert place_of(None, no_track=True) is None
    with pytest.raises(ValueError, match="expected --track or --no-track, got both"):
        place_of(tmp_path, no_track=True)


def test_an_address_that_is_none_is_told_without_its_password() -> None:
    with pytest.raises(StateError, match="runs cannot be recorded in nosuch://host/db") as told:
        open_store("nosuch://me:secret@host/db")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("command", EXPERIMENTS)
def test_the_answer_is_told_though_it_cannot_be_recorded(
    log: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [command, str(log), *EXPERIMENTS[command][1]]
    plain = CliRunner().invoke(app, [*words, "--no-track"])
    missing = tmp_path / "none" / "x.db"
    monkeypatch.setenv(VARIABLE, f"sqlite:///{missing}")
    done = CliRunner().invoke(app, words)
    assert plain.stdout
    assert done.stdout == plain.stdout
    assert done.exit_code == (2 if command == "gate" else 1)
    error = done.stderr if command == "gate" else str(done.exception)
    assert f"{VARIABLE}: runs cannot be recorded in sqlite:///{missing}: " in error
    assert f"there is no folder {missing.parent}" in error
    assert "; --no-track leaves the record out" in error
    assert not missing.parent.exists()


@pytest.mark.parametrize("address", ["nonsense", "runs/mlflow", "file:///srv/mlruns", "x://h/y"])
def test_an_address_of_no_store_is_refused_with_what_is_expected(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, address)
    with pytest.raises(StateError, match=rf"^{VARIABLE}: .*{address}: .*expected sqlite:///FILE"):
        Place().open()
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_told_with_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv(VARIABLE, "http://me:secret@127.0.0.1:9")
    with pytest.raises(StateError, match=r"in http://127.0.0.1:9: .*[Rr]efused") as told:
        Place().open()
    assert "secret" not in str(told.value)
    (line,) = Place().told("r1", "r2")
    where = f"recorded in http://127.0.0.1:9 ({VARIABLE}), runs r1, r2"
    assert line == f"{where}; see it there with a browser"


def test_an_option_that_names_no_folder_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"^--track: .*; --no-track in its place leaves"):
        Place(tmp_path / "file").open()
    with pytest.raises(StateError, match=f"^--track: expected a folder, got an .*{VARIABLE}"):
        Place(Path("http://127.0.0.1:9")).open()


def test_what_cannot_be_written_any_more_is_one_error(runs: Path) -> None:
    client = open_tracking(runs)
    with closing(sqlite3.connect(runs / "mlflow.db")) as database:
        database.execute("DROP TABLE experiments")
    with pytest.raises(
        StateError, match=r"^runs cannot be recorded in sqlite:.*mlflow\.db: .*no such"
    ):
        record_run(client, "e", "n", metrics={}, params={}, tags={})
