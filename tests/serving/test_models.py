"""A registered model decides in place of what the learner publishes, once it is checked."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML
from typer.testing import CliRunner

from agents.context import Context
from agents.errors import ContextError, SnapshotError, StateError
from agents.load import load_workspace
from agents.revision import Revision
from agents.units import parse_instant
from experiments.tracking import open_tracking, promote, register
from policies.base import Label, Lesson
from policies.registered import CHALLENGER, CHAMPION, MODEL_FILE
from policies.registry import create_policy
from policies.snapshot import Manifest, seal, snapshot_id, unseal
from serving.ask import taught
from serving.commands import app
from serving.keeping.shipping_process import read_settings, tell_settings
from serving.learning.models import Fetched, Models, Registry, read_apart
from serving.learning.registry_process import fetch
from serving.learning.snapshots import SnapshotFolder
from serving.running.deploy import DeployArgs
from serving.running.options import without_password
from serving.running.tenants import tenants
from serving.runtime import run
from serving.settings import Settings, load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Make = Callable[..., tuple[bytes, str]]
Features = dict[str, Any]
AT = "2026-03-02T09:00:00+00:00"
OURS = b"o" * 32


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry") / "runs"
    open_tracking(folder)
    return folder


@pytest.fixture
def registry(empty_registry: Path, tmp_path: Path) -> MlflowClient:
    return open_tracking(Path(shutil.copytree(empty_registry, tmp_path / "runs")))


@pytest.fixture
def revision(workspace: Path) -> Revision:
    return load_workspace(workspace).revisions["retention"]


def sealed(revision: Revision, context: Context, times: int, key: bytes) -> tuple[bytes, str]:
    """Return a snapshot of a learner that was told the same thing a number of times, and its id."""
    policy = create_policy(revision)
    mask = revision.mask(context)
    action = int(mask.indices[-1])
    policy.update([Lesson(context, mask, action, 0.5, (Label("renewed", True),), True)] * times)
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="retention", revision=revision.id, position=times,
        lessons=times,
    )  # fmt: skip
    return seal(manifest, state, key), snapshot_id(manifest)


@pytest.fixture
def make(revision: Revision, features: Features) -> Make:
    context = revision.context("ann", parse_instant(AT), features)

    def build(times: int, key: bytes = OURS) -> tuple[bytes, str]:
        return sealed(revision, context, times, key)

    return build


def decide(client: httpx.Client, customer: str, features: Features) -> dict[str, Any]:
    """Decide for a customer of the treatment group; return the whole record."""
    for number in count():
        body = {"agent": "retention", "customer": f"{customer}-{number}", "features": features}
        answer = client.post("/v1/decisions", json=body | {"at": AT})
        assert answer.is_success, answer.text
        if answer.json()["group"] == "treatment":
            made = answer.json()["decision_id"]
            return dict(client.get(f"/v1/decisions/{made}").json())
    raise AssertionError


def audited(client: httpx.Client) -> list[dict[str, Any]]:
    return [row for row in client.get("/v1/audit").json() if row["action"] == "agent.model"]


def refuse(client: httpx.Client, status: int, detail: str) -> None:
    answer = client.post("/v1/agents/retention/model")
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


def other_learner(revision: Revision) -> bytes:
    state = b"anything"
    manifest = Manifest.of(
        state, policy="linear_thompson", agent="retention", revision=revision.id, position=9,
        lessons=1,
    )  # fmt: skip
    return seal(manifest, state, OURS)


@pytest.fixture
def open_with(
    workspace: Path, tmp_path: Path, serve_settings: Callable[..., Any]
) -> Callable[..., AbstractContextManager[httpx.Client]]:
    """Start a server with the registry; call it again to restart."""
    (tmp_path / "models.key").write_bytes(OURS)

    def start(**changes: Any) -> AbstractContextManager[httpx.Client]:
        told: dict[str, Any] = {
            "clock": "driven", "poll_s": 0.05, "model_key": tmp_path / "models.key",
            "model_registry": f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}",
        }  # fmt: skip
        found: AbstractContextManager[httpx.Client] = serve_settings(
            Settings(workspace, tmp_path / "data", **(told | changes))
        )
        return found

    return start


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the registry in this process: another one needs seconds to import MLflow."""

    def read(asked: bytes) -> bytes:
        told = orjson.loads(asked)
        try:
            found = fetch(told["registry"], told["alias"], told["agents"])
        except Exception as error:
            raise StateError(f"the model registry cannot be read: {error!r}") from error
        return orjson.dumps(found)

    monkeypatch.setattr("serving.learning.models.read_apart", read)


def test_a_registered_model_decides_from_the_start(
    open_with: Serve, registry: MlflowClient, make: Make, features: Features, tmp_path: Path
) -> None:
    data, name = make(3)
    register(registry, data, OURS, "retention", alias=CHAMPION)
    with open_with() as client:  # the registry is read by a process of its own
        for number in range(5):
            answer = decide(client, f"c{number}", features)
            assert answer["snapshot"] == name
            assert answer["replay"] == {"verdict": "same", "difference": 0.0}
        (row,) = audited(client)
        assert (row["actor"], row["body"]["snapshot"]) == ("server", name)
        assert row["body"]["version"] == 1


@pytest.mark.usefixtures("nearby")
def test_when_the_alias_moves_the_server_is_told(
    open_with: Serve, registry: MlflowClient, make: Make, features: Features, tmp_path: Path
) -> None:
    (first, old), (second, new) = make(3), make(2)  # the new one has a lower position
    register(registry, first, OURS, "retention", alias=CHAMPION)
    register(registry, second, OURS, "retention", alias=CHALLENGER)
    with open_with() as client:
        assert decide(client, "c0", features)["snapshot"] == old
        promote(registry, "retention")
        assert decide(client, "c1", features)["snapshot"] == old
        answer = client.post("/v1/agents/retention/model")
        assert answer.json() == {
            "agent": "retention", "version": 2, "snapshot": new, "learner": "hybrid_thompson",
            "changed": True,
        }  # fmt: skip
        assert decide(client, "c2", features)["snapshot"] == new
        assert client.post("/v1/agents/retention/model").json()["changed"] is False
        assert [row["body"]["version"] for row in audited(client)] == [1, 2]
    # what the learner publishes does not take the model's place
    folder = SnapshotFolder(tmp_path / "data" / "snapshots", load_keys(tmp_path / "data").snapshot)
    manifest, state = unseal(first, OURS)
    own = folder.publish(replace(manifest, position=2), state)
    with open_with() as client:
        made = decide(client, "c3", features)
        assert made["snapshot"] == new
        last = made["decision_id"]
    with open_with(model_registry="") as client:  # until the server is started without
        assert decide(client, "c4", features)["snapshot"] == own
        past = client.get(f"/v1/decisions/{last}").json()
        assert (past["snapshot"], past["replay"]["verdict"]) == (new, "same")
        assert client.post("/v1/agents/retention/model").status_code == 409


@pytest.mark.usefixtures("nearby")
def test_every_replica_follows(
    open_with: Serve, registry: MlflowClient, make: Make, features: Features, tmp_path: Path
) -> None:
    (first, _), (second, new) = make(2), make(3)
    register(registry, first, OURS, "retention", alias=CHAMPION)
    with open_with() as client:
        key = load_keys(tmp_path / "data").snapshot
        beside = Models.beside(
            SnapshotFolder(tmp_path / "data" / "snapshots", key), Registry("", CHAMPION, OURS)
        )
        beside.pin(Fetched(2, *unseal(second, OURS)))  # as another replica does
        deadline = time.monotonic() + 20.0
        for number in count():
            if decide(client, f"c{number}", features)["snapshot"] == new:
                break
            assert time.monotonic() < deadline


@pytest.mark.usefixtures("nearby")
def test_what_is_wrong_is_refused_and_what_decides_goes_on(
    open_with: Serve, registry: MlflowClient, make: Make, features: Features, revision: Revision,
    tmp_path: Path,
) -> None:  # fmt: skip
    data, name = make(3)
    register(registry, data, OURS, "retention", alias=CHAMPION)
    with open_with() as client:
        theirs, _ = make(4, b"t" * 32)
        register(registry, theirs, b"t" * 32, "retention", alias=CHAMPION)
        refuse(client, 503, "signed with another key")
        changed = register(registry, make(5)[0], OURS, "retention", alias=CHAMPION)
        path = next((tmp_path / "runs" / "artifacts" / changed.run).rglob(MODEL_FILE))
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        refuse(client, 503, "expected a model file with SHA-256")
        register(registry, other_learner(revision), OURS, "retention", alias=CHAMPION)
        refuse(client, 409, "expected a model of learner hybrid_thompson")
        registry.delete_registered_model_alias("nextbest-retention", CHAMPION)
        refuse(client, 404, "no registered model of 'retention' has the alias 'champion'")
        assert client.post("/v1/agents/retentoin/model").status_code == 404
        assert decide(client, "c1", features)["snapshot"] == name
    with open_with(model_registry="sqlite:////nowhere/at/all.db") as client:
        assert decide(client, "c2", features)["snapshot"] == name


@pytest.mark.usefixtures("nearby")
def test_a_first_start_without_the_registry_is_refused(
    workspace: Path, tmp_path: Path, registry: MlflowClient, make: Make
) -> None:
    async def start(registry: str, key: Path | None) -> None:
        settings = Settings(
            workspace, tmp_path / "data", model_registry=registry, model_key=key, poll_s=0.05
        )
        async with run(settings):
            pass

    with pytest.raises(StateError, match="the model registry cannot be read"):
        asyncio.run(start("sqlite:////nowhere/at/all.db", None))
    with pytest.raises(SnapshotError, match="--model-key: .* cannot be read"):
        asyncio.run(start("sqlite://", tmp_path / "nothing"))
    register(registry, make(3)[0], OURS, "retention", alias=CHAMPION)
    with pytest.raises(SnapshotError, match="signed with another key"):
        asyncio.run(start(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}", None))


def test_the_process_tells_in_one_line_what_is_wrong() -> None:
    asked = orjson.dumps({"registry": "nonsense://x", "alias": CHAMPION, "agents": ["a"]})
    with pytest.raises(StateError, match="the model registry cannot be read: .*nonsense"):
        read_apart(asked)


def test_a_note_that_is_damaged_is_no_note(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    models = Models.beside(
        SnapshotFolder(tmp_path / "snapshots", b"s" * 32), Registry("", CHAMPION, OURS)
    )
    data, name = make(3)
    models.pin(Fetched(1, *unseal(data, OURS)))
    assert models.pinned("retention", "hybrid_thompson") == name
    assert models.pinned("retention", "uniform") is None
    assert models.pinned("winback", "hybrid_thompson") is None
    (tmp_path / "models" / "retention" / "pinned").write_text("{}")
    assert models.pinned("retention", "hybrid_thompson") is None
    assert "which model decides for retention cannot be read" in caplog.text


def test_passwords_and_several_workspaces_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="expected --model-registry without a password"):
        without_password("https://ann:secret@models.internal")
    assert without_password("https://models.internal") == "https://models.internal"
    settings = Settings(tmp_path, tmp_path, more=(tmp_path,), model_registry="sqlite:///x")
    with pytest.raises(StateError, match="expected --model-registry with one workspace"):
        tenants(settings)


def test_the_options_reach_the_server_and_the_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []
    monkeypatch.setattr(
        "serving.running.server.serve_until_stopped", lambda settings, say: started.append(settings)
    )
    options = ["--model-registry", "https://models.internal", "--model-alias", "challenger"]
    options += ["--model-key", "keys/models.key"]
    assert CliRunner().invoke(app, ["serve", str(tmp_path), *options]).exit_code == 0
    (settings,) = started
    told = (settings.model_registry, settings.model_alias, settings.model_key)
    assert told == ("https://models.internal", CHALLENGER, Path("keys/models.key"))
    assert read_settings(tell_settings(settings)) == settings
    command = ["deploy", str(tmp_path / "k8s"), "--image", "a/b:1", *options]
    assert CliRunner().invoke(app, command).exit_code == 0
    config = YAML(typ="safe").load((tmp_path / "k8s" / "serve.yaml").read_text())
    deployed = DeployArgs(**config["applications"][0]["args"]).settings()
    assert (deployed.model_registry, deployed.model_alias, deployed.model_key) == told


@pytest.mark.usefixtures("nearby")
def test_who_asks_by_the_data_folder_is_told_what_the_server_would_do(
    open_with: Serve,
    registry: MlflowClient,
    make: Make,
    features: Features,
    revision: Revision,
    tmp_path: Path,
) -> None:
    data, name = make(3)
    register(registry, data, OURS, "retention", alias=CHAMPION)
    with open_with() as client:
        assert decide(client, "ann", features)["snapshot"] == name
    assert taught(revision, tmp_path / "data")[0] == name
    with open_with(model_registry="", model_key=None) as client:
        assert decide(client, "bob", features)["snapshot"] != name
    notes = list((tmp_path / "data" / "models").glob("*/pinned"))
    assert notes == []  # else the next question would be answered by a model that decides nowhere
