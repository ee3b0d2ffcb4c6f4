"""Snapshots become registered models, with versions and aliases, and a training one at once."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

from agents.errors import SnapshotError, StateError, UnknownNameError
from agents.revision import Revision
from experiments.commands import app
from experiments.demo.closing import Closing, Row, Speed
from experiments.demo.run import Demo
from experiments.logs import fingerprint
from experiments.tracking import (
    TRAININGS,
    find_model,
    list_models,
    open_tracking,
    promote,
    register,
)
from experiments.training import track_demo
from policies.hybrid import HybridThompson
from policies.registered import CHALLENGER, CHAMPION, MODEL_FILE, check_model, file_digest
from policies.registry import load_policy
from policies.snapshot import Manifest, seal, unseal

KEY = b"k" * 32


def invoke(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def client(runs: Path) -> MlflowClient:
    return open_tracking(runs)


@pytest.fixture
def data(policy: HybridThompson, revision: Revision) -> bytes:
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="retention", revision=revision.id, position=7, lessons=9
    )
    return seal(manifest, state, KEY)


def test_the_file_is_kept_as_it_is(
    client: MlflowClient, data: bytes, revision: Revision, tmp_path: Path
) -> None:
    model = register(client, data, KEY, "retention", alias=CHALLENGER)
    assert (model.agent, model.version, model.aliases) == ("retention", 1, (CHALLENGER,))
    assert (model.policy, model.revision, model.lessons) == ("hybrid_thompson", revision.id, 9)
    assert model.sha256 == file_digest(data)
    kept = Path(client.download_artifacts(model.run, MODEL_FILE, str(tmp_path))).read_bytes()
    assert kept == data
    manifest, state = check_model(kept, model.sha256, "retention", KEY)
    assert load_policy(manifest.policy, state, revision).to_bytes() == state
    (version,) = client.search_model_versions("name = 'nextbest-retention'")
    assert version.source == f"runs:/{model.run}/{MODEL_FILE}"  # no place of this machine


def test_what_is_not_the_agents_own_signed_snapshot_is_not_registered(
    client: MlflowClient, data: bytes
) -> None:
    with pytest.raises(SnapshotError, match="signed with another key"):
        register(client, data, b"t" * 32, "retention")
    with pytest.raises(SnapshotError, match="expected a snapshot of 'winback', got one of"):
        register(client, data, KEY, "winback")
    for alias in ("Champion", "v1;drop", "latest", "a" * 64):
        with pytest.raises(UnknownNameError, match="expected an alias of small letters"):
            register(client, data, KEY, "retention", alias=alias)
    assert list_models(client) == ()


def test_the_challenger_becomes_champion_and_back(client: MlflowClient, data: bytes) -> None:
    register(client, data, KEY, "retention", alias=CHAMPION)
    register(client, data, KEY, "retention", alias=CHALLENGER)
    model, before = promote(client, "retention")
    assert (model.version, model.aliases) == (2, (CHAMPION,))
    assert before is not None
    assert before.version == 1
    assert [m.aliases for m in list_models(client, "retention")] == [(CHAMPION,), ()]
    with pytest.raises(UnknownNameError, match="has the alias 'challenger'; .*champion"):
        promote(client, "retention")
    with pytest.raises(StateError, match="version 2 of 'retention' is the champion already"):
        promote(client, "retention", version=2)
    assert promote(client, "retention", version=1)[0].aliases == (CHAMPION,)
    assert find_model(client, "retention").version == 1


def test_models_that_are_not_there_are_named(client: MlflowClient, data: bytes) -> None:
    how = (
        "no model of agent 'retention' is registered; nextbest train --key FILE --alias challenger"
    )
    with pytest.raises(UnknownNameError, match=how):
        find_model(client, "retention")
    with pytest.raises(UnknownNameError, match=how):
        promote(client, "retention")
    with pytest.raises(StateError, match="nowhere, where no model is registered; nextbest train"):
        invoke("models", "promote", "--agent", "retention", "--track", "nowhere")
    register(client, data, KEY, "retention", alias=CHAMPION)
    with pytest.raises(UnknownNameError, match="did you mean 'retention'"):
        find_model(client, "retenton")
    with pytest.raises(UnknownNameError, match="no model of version 4; its newest is 1"):
        find_model(client, "retention", version=4)
    client.create_registered_model("somebody-elses")
    client.create_registered_model("nextbest-other")
    client.create_model_version("nextbest-other", "runs:/nothing")  # not by us: no digest
    assert [model.agent for model in list_models(client)] == ["retention"]


def test_the_commands_register_list_show_and_promote(
    runs: Path, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.snapshot").write_bytes(data)
    (tmp_path / "key").write_bytes(KEY)
    told = ("--track", runs)
    command = ("models", "register", tmp_path / "a.snapshot", "--key", tmp_path / "key")
    said = invoke(*command, "--agent", "retention", "--alias", "champion", *told)
    assert "registered: retention version 1, champion" in said
    assert f"nextbest serve --model-registry sqlite:///{runs}/mlflow.db" in said
    invoke(*command, "--agent", "retention", "--alias", "challenger", *told)
    listed = orjson.loads(invoke("models", "list", "--json", *told))
    assert [(each["version"], each["aliases"]) for each in listed] == [
        (2, ["challenger"]), (1, ["champion"])
    ]  # fmt: skip
    assert "challenger" in invoke("models", "list", *told)
    said = invoke("models", "promote", "--agent", "retention", *told)
    assert "retention version 2 is now the champion" in said
    assert "POST /v1/agents/retention/model" in said
    assert f"--version 1 --alias champion --track {runs}" in said
    shown = orjson.loads(invoke("models", "show", "--agent", "retention", "--json", *told))
    assert (shown["version"], shown["sha256"]) == (2, file_digest(data))
    assert "hybrid_thompson" in invoke("models", "show", "--agent", "retention", *told)
    with pytest.raises(SnapshotError, match="nothing cannot be read: No such file"):
        invoke("models", "register", "nothing", "--key", tmp_path / "key", "--agent", "a", *told)


def test_a_training_is_recorded_signed_and_registered(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    said = invoke(
        "train", "--world", "telecom", "--customers", 40, "--rounds", 2, "--seed", 3,
        "--track", runs, "--key", tmp_path / "key", "--alias", "champion",
        "--log", tmp_path / "log",
    )  # fmt: skip
    assert "hybrid_thompson has learned from 80 decisions in telecom" in said
    client = open_tracking(runs)
    model = find_model(client, "retention")
    run = client.get_run(model.run)
    experiment = client.get_experiment_by_name(TRAININGS)
    assert experiment is not None
    assert run.info.experiment_id == experiment.experiment_id
    assert run.data.params["log_sha256"] == fingerprint(tmp_path / "log")
    kept = Path(client.download_artifacts(model.run, MODEL_FILE, str(tmp_path))).read_bytes()
    assert unseal(kept, KEY)[0].position == 0
    with pytest.raises(StateError, match="--alias: expected --key FILE too"):
        invoke("train", "--world", "telecom", "--track", runs, "--alias", "champion")


def test_a_demo_is_recorded_with_what_was_learned(
    runs: Path, client: MlflowClient, data: bytes, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    demo = Demo(tmp_path, customers=30, rounds=2, seed=5, concurrency=1)
    kept = demo.data / "snapshots" / "retention"
    for place in (kept, demo.data / "keys"):
        place.mkdir(parents=True)
    (kept / "000000000001-aaaaaaaaaaaa.snapshot").write_bytes(b"an older one")
    (kept / "000000000007-aaaaaaaaaaaa.snapshot").write_bytes(data)
    (demo.data / "keys" / "snapshot.key").write_bytes(KEY)
    row = Row("uniform policy", 60, 3.0, 1.0, 5.0, float("nan"))
    closing = Closing("EUR", 60, (), (), (row,), 0, 1.0, True, 2, Speed(9.0, 1.0, 2.0))
    track_demo(demo, closing, runs)
    assert "retention version 1 registered" in capsys.readouterr().out
    model = find_model(client, "retention", version=1)
    run = client.get_run(model.run)
    assert run.data.metrics == {
        "value.uniform_policy.value": 3.0, "value.uniform_policy.low": 1.0,
        "value.uniform_policy.high": 5.0,
    }  # fmt: skip
    assert run.data.params["log_sha256"] == fingerprint(folder)
    assert {f.path for f in client.list_artifacts(model.run)} == {"closing.json", MODEL_FILE}
