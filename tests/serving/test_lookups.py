"""A decision is shown whole: what was sent, why, how it performed, whether it can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from agents.catalog import write_example
from agents.load import load_workspace
from agents.memory import Memory
from agents.units import parse_instant
from policies.decide import decide
from policies.registry import create_policy
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader
from serving.reports.replays import replayed
from serving.settings import load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = "2026-03-02T09:00:00+00:00"


@pytest.fixture
def shop_client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as client:
        yield client


def ask(client: httpx.Client, customer: str, agent: str = "sales", **body: Any) -> str:
    said = {
        "agent": agent, "customer": customer, "at": AT,
        "features": {"name": "Ann", "likes": ["music"]}, **body,
    }  # fmt: skip
    answer = client.post("/v1/decisions", json=said)
    assert answer.status_code == 200, answer.text
    made: str = answer.json()["decision_id"]
    return made


def whole(client: httpx.Client, decision_id: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/decisions/{decision_id}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_it_shows_what_was_sent(shop_client: httpx.Client) -> None:
    found = whole(shop_client, ask(shop_client, "ann"))
    words = {
        "gadget/plain@email": ("Dear Ann", "A gadget."),
        "cable/plain@email": ("", "A cable."),
        "cable/short@email": ("", "Cable!"),
    }
    subject, text = words[found["action_id"]]
    assert (found["content"]["subject"], found["content"]["text"]) == (subject, text)
    assert found["delivery"] is None


def test_it_shows_what_the_reward_is_made_of(shop_client: httpx.Client) -> None:
    made = ask(shop_client, "ann")
    event = {
        "outcome_id": "o1", "decision_id": made, "outcome": "order",
        "properties": {"amount": 40.0}, "at": "2026-03-03T09:00:00Z",
    }  # fmt: skip
    shop_client.post("/v1/outcomes", json=event)
    found = whole(shop_client, made)
    assert [(each["outcome"], each["value"]) for each in found["counted"]] == [
        ("bought", 40.0), ("first_order", 5.0),
    ]  # fmt: skip
    assert found["reward"] == pytest.approx(45.0 - 0.01)


def test_a_contact_that_was_not_made_has_earned_and_cost_nothing(
    shop_client: httpx.Client,
) -> None:
    made = ask(shop_client, "ann")
    said = {"state": "released", "at": AT}
    answer = shop_client.post(f"/v1/decisions/{made}/delivery", json=said)
    assert answer.status_code == 200, answer.text
    found = whole(shop_client, made)
    assert (found["delivery"], found["reward"], found["counted"]) == ("released", 0.0, [])


def test_it_is_explained_if_asked(shop_client: httpx.Client) -> None:
    made = ask(shop_client, "ann", "care")
    assert whole(shop_client, made)["insight"] is None
    insight = whole(shop_client, made, explain="true")["insight"]
    assert {option["action"] for option in insight["options"]} == {"none", "advice/plain@email"}


def test_it_can_be_repeated_until_the_snapshot_is_gone(open_shop: Serve, tmp_path: Path) -> None:
    with open_shop() as client:
        for number in range(5):
            ask(client, f"customer-{number}", "care")
        data = tmp_path / "data"
        folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
        with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
            learner = Learner(reader, folder, every_s=0.0)
            learner.resume()
            while learner.step():
                pass
            learner.publish(force=True)
    with open_shop() as client:
        made = ask(client, "late", "care")
        found = whole(client, made)
        assert found["snapshot"] != ""
        assert found["replay"] == {"verdict": "same", "difference": 0.0}
        for path in (data / "snapshots" / "care").iterdir():
            path.unlink()
        assert whole(client, made)["replay"] == {"verdict": "unknown", "difference": None}


def test_a_log_that_is_not_true_is_found_out(tmp_path: Path, features: dict[str, Any]) -> None:
    write_example("telecom", tmp_path / "telecom")
    revision = load_workspace(tmp_path / "telecom").revisions["retention"]
    context = Memory().recall(revision, "ann", parse_instant(AT), features)
    made = decide(revision, create_policy(revision), context, decision_id="d", secret=b"s")
    folder = SnapshotFolder(tmp_path / "snapshots", b"k" * 32)
    assert replayed(folder, made, revision, b"s") == ("same", 0.0)
    shift = np.zeros(len(made.distribution))
    shift[made.mask.indices[:2]] = 0.01, -0.01
    object.__setattr__(made, "distribution", made.distribution + shift)
    verdict, difference = replayed(folder, made, revision, b"s")
    assert verdict == "differs"
    assert difference is not None
    assert difference == pytest.approx(0.01)


def test_another_draw_is_found_out(tmp_path: Path, features: dict[str, Any]) -> None:
    write_example("telecom", tmp_path / "telecom")
    revision = load_workspace(tmp_path / "telecom").revisions["retention"]
    context = Memory().recall(revision, "ann", parse_instant(AT), features)
    made = decide(revision, create_policy(revision), context, decision_id="d", secret=b"s")
    folder = SnapshotFolder(tmp_path / "snapshots", b"k" * 32)
    other = next(a for a in made.mask.indices.tolist() if a != made.action)
    object.__setattr__(made, "action", other)
    assert replayed(folder, made, revision, b"s") == ("differs", 0.0)
