"""What two replicas on Ray share: a loop's events and its learner, and a registered model."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from agents.catalog import write_example
from agents.load import load_workspace
from agents.revision import Revision
from agents.units import parse_instant
from experiments.tracking import open_tracking, promote, register
from policies.base import Label, Lesson
from policies.registered import CHALLENGER, CHAMPION
from policies.registry import create_policy
from policies.snapshot import Manifest, seal, snapshot_id
from serving.ledger import open_reader
from serving.running.environment import haproxy_wanted
from serving.running.private_postgres import PrivatePostgres
from serving.settings import Settings

pytestmark = pytest.mark.skipif(not haproxy_wanted(), reason="replicas listen behind HAProxy")

RANK = "/personalizer/v1.0/rank"
EVENTS, TIMES = 12, 6
AT = "2026-03-02T09:00:00+00:00"
OURS = b"o" * 32
PATIENCE_S = 120.0


@pytest.fixture
def ledger(postgres: PrivatePostgres) -> str:
    return postgres.schema(f"test_{uuid4().hex}")


def await_that(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextlib.contextmanager
def two(server: Any) -> Iterator[dict[int, httpx.Client]]:
    """A client for each of a server's two replicas, by the replica's process id."""
    # the server answers as soon as one of them does
    await_that(lambda: len(server.replicas()) == 2, "there are not two replicas")
    with contextlib.ExitStack() as stack:
        yield {
            pid: stack.enter_context(httpx.Client(base_url=url, timeout=30))
            for pid, url in server.replicas().items()
        }


def deciding(replica: httpx.Client, agent: str) -> str:
    """Return the snapshot that a replica decides with."""
    return str(replica.get("/readyz").json()["agents"][agent]["snapshot"])


def write_bar(folder: Path) -> Path:
    """Write the example of a loop, whose events teach after five seconds and soon are published."""
    write_example("personalizer", folder)
    file = folder / "agents" / "drinks.yaml"
    text = file.read_text().replace("window: 10m", "window: 5s")
    file.write_text(text.replace("  floor: 0.2", "  floor: 0.2\n  publish_every: 1s"))
    return folder


def event(name: str) -> dict[str, Any]:
    drinks = {"espresso": (True, []), "iced latte": (False, ["milk"]), "cola": (False, [])}
    return {
        "eventId": name,
        "contextFeatures": [{"user": {"id": f"c-{name}", "age": 30}}, {"weather": "cold"}],
        "actions": [
            {"id": each, "features": [{"hot": hot, "alcohol": False, "contains": inside}]}
            for each, (hot, inside) in drinks.items()
        ],
    }


def logged(settings: Settings) -> tuple[Counter[str], list[str]]:
    """Count what a ledger holds, and return the snapshots of its decisions, in their order."""
    with contextlib.closing(open_reader(settings)) as reader:
        entries = reader.entries(0, 1_000)
    decided = [each.body["snapshot"] for each in entries if each.kind == "decision"]
    return Counter(each.kind for each in entries), decided


def test_a_loop_behind_two_replicas(
    tmp_path: Path, free_port: int, ledger: str, on_ray: Any
) -> None:
    """Each event is decided once, wherever it is asked; both take up what is learned."""
    bar, options = write_bar(tmp_path / "bar"), ("--replicas", "2", "--snapshot-every", "0.5")
    where = bar, tmp_path / "data", free_port
    with (
        on_ray(*where, *options, ledger=ledger) as server,
        two(server) as clients,
        ThreadPoolExecutor(8) as pool,
    ):
        one, other = clients.values()

        def rank(number: int) -> tuple[str, httpx.Response]:
            name = f"e-{number // TIMES}"
            return name, (one, other)[number % 2].post(RANK, json=event(name))

        answers = list(pool.map(rank, range(EVENTS * TIMES)))
        assert {answer.status_code for _, answer in answers} == {201}, answers
        assert len({(name, answer.content) for name, answer in answers}) == EVENTS
        shown = {name: answer.json()["rewardActionId"] for name, answer in answers}
        for number, (name, drink) in enumerate(shown.items()):
            told = (one, other)[number % 2].post(
                f"/personalizer/v1.0/events/{name}/reward",
                json={"value": float(drink == "espresso")},
            )
            assert told.status_code == 204, told.text
        await_that(lambda: deciding(one, "drinks"), "nothing was published")
        await_that(
            lambda: deciding(one, "drinks") == deciding(other, "drinks"), "one replica stays"
        )
        both = [
            {each["id"]: each["probability"] for each in answer.json()["ranking"]}
            for number, replica in enumerate((one, other))
            for answer in (replica.post(RANK, json=event(f"later-{number}")),)
        ]
        assert both[0] == both[1], "both decide by the same model"
    kinds, snapshots = logged(Settings(bar, tmp_path / "data", ledger_url=ledger))
    assert (kinds["decision"], kinds["outcome"]) == (EVENTS + 2, EVENTS)
    assert "" not in snapshots[-2:]


def sealed(revision: Revision, features: Mapping[str, Any], times: int) -> tuple[bytes, str]:
    """Return a snapshot of a learner that was told the same thing a number of times, and its id."""
    context = revision.context("ann", parse_instant(AT), features)
    policy, mask = create_policy(revision), revision.mask(context)
    action = int(mask.indices[-1])
    policy.update([Lesson(context, mask, action, 0.5, (Label("renewed", True),), True)] * times)
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="retention", revision=revision.id, position=times,
        lessons=times,
    )  # fmt: skip
    return seal(manifest, state, OURS), snapshot_id(manifest)


def decides_by(replica: httpx.Client, features: Mapping[str, Any]) -> str:
    """Return the model by which a replica decides about a customer of the treatment group."""
    for _ in count():
        body = {"agent": "retention", "customer": uuid4().hex, "features": features, "at": AT}
        made = replica.post("/v1/decisions", json=body)
        assert made.status_code == 200, made.text
        if made.json()["group"] == "treatment":
            record = replica.get(f"/v1/decisions/{made.json()['decision_id']}").json()
            assert record["replay"]["verdict"] == "same"
            return str(record["snapshot"])
    raise AssertionError


def test_a_registered_model_behind_two_replicas(
    tmp_path: Path, free_port: int, ledger: str, on_ray: Any, features: dict[str, Any]
) -> None:
    """Both follow the alias; when the registry loses the model, they and who comes new go on."""
    write_example("telecom", tmp_path / "telecom")
    revision = load_workspace(tmp_path / "telecom").revisions["retention"]
    (tmp_path / "models.key").write_bytes(OURS)
    registry = open_tracking(tmp_path / "runs")
    (first, old), (second, new) = (sealed(revision, features, times) for times in (3, 2))
    register(registry, first, OURS, "retention", alias=CHAMPION)
    options = ["--replicas", "2", "--clock", "driven", "--model-key", str(tmp_path / "models.key")]
    options += ["--model-registry", f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"]
    where = tmp_path / "telecom", tmp_path / "data", free_port
    with on_ray(*where, *options, ledger=ledger) as server, two(server) as clients:
        one, other = clients.values()
        assert (decides_by(one, features), decides_by(other, features)) == (old, old)
        register(registry, second, OURS, "retention", alias=CHALLENGER)
        promote(registry, "retention")
        moved = one.post("/v1/agents/retention/model", timeout=120)
        assert (moved.json()["version"], moved.json()["changed"]) == (2, True), moved.text
        assert decides_by(one, features) == new
        await_that(lambda: decides_by(other, features) == new, "the other replica stays")
        assert other.post("/v1/agents/retention/model", timeout=120).json()["changed"] is False

        registry.delete_registered_model("nextbest-retention")
        gone = other.post("/v1/agents/retention/model", timeout=120)
        assert gone.status_code == 404, gone.text
        assert "no registered model of 'retention'" in gone.json()["detail"]
        for replica in (one, other):
            assert decides_by(replica, features) == new
            assert deciding(replica, "retention") == new
        os.kill(victim := next(iter(clients)), signal.SIGKILL)
        await_that(lambda: len(server.replicas().keys() - {victim}) == 2, "it is not replaced")
        with two(server) as again:
            for pid, replica in again.items():
                if pid != victim:
                    assert decides_by(replica, features) == new
