"""Every example workspace served over HTTP, lived in, exported and checked independently."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents.catalog import example_names, write_example
from agents.checker import check_log
from agents.decisions import Decision
from agents.load import load_workspace
from agents.revision import Revision
from agents.units import parse_instant
from serving.keeping.export import export_log
from serving.settings import Settings, load_keys
from simulators.world import World
from simulators.worlds import create_world

CUSTOMERS, ROUNDS = 25, 4
TIGHT = ((r"(stock: .max: )[0-9]+", "6"), (r"(capacity: .max: )[0-9]+", "3"))
BANKERS = ["savings", "fraud_alert"]
JSON = {"Content-Type": "application/json"}

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Body = dict[str, Any]


def post(client: httpx.Client, path: str, body: Mapping[str, object]) -> Body:
    answer = client.post(path, content=orjson.dumps(body), headers=JSON)
    assert answer.is_success, answer.text
    return cast("Body", answer.json())


@dataclass
class Market:
    """The customers of one workspace, whom all of its agents meet over HTTP.

    Half of what they do is reported by decision and half by customer; every third contact is
    followed by one of the workspace's own events.
    """

    client: httpx.Client
    worlds: Mapping[str, World]
    events: tuple[str, ...]
    made: dict[str, Body] = field(default_factory=dict)
    told: list[Body] = field(default_factory=list)
    waiting: list[tuple[datetime, int, Body]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def live(self) -> None:
        meetings = sorted(
            (world.opportunity(customer, turn), name, customer, turn)
            for name, world in self.worlds.items()
            for customer in range(CUSTOMERS)
            for turn in range(ROUNDS)
        )
        for at, name, customer, turn in meetings:
            while self.waiting and self.waiting[0][0] <= at:
                self.tell(heappop(self.waiting)[-1])
            self.meet(self.worlds[name], name, customer, turn, at)

    def meet(self, world: World, agent: str, customer: int, turn: int, at: datetime) -> None:
        asked = {
            "agent": agent, "customer": world.customer_id(customer),
            "features": world.features(customer, at), "at": at,
            "placement": world.placement(customer, turn) or None,
        }  # fmt: skip
        answer = post(
            self.client, "/v1/decisions", {k: v for k, v in asked.items() if v is not None}
        )
        self.made[answer["decision_id"]] = answer
        action = world.revision.index(answer["action"]["id"])
        send_at = answer["action"]["send_at"]
        sent = None if send_at is None else parse_instant(send_at)
        for happening in world.respond(customer, turn, action, at, sent):
            self.expect(happening.at, happening.outcome, asked, answer, dict(happening.properties))
        if sent is not None and self.events and len(self.made) % 3 == 0:
            word = self.events[len(self.made) % len(self.events)]
            self.expect(sent + timedelta(hours=5), word, asked, answer, {})

    def expect(
        self, at: datetime, word: str, asked: Body, answer: Body, properties: dict[str, float]
    ) -> None:
        number = next(self.numbers)
        names = {"decision_id": answer["decision_id"]}, {"customer": asked["customer"]}
        report = {"outcome_id": f"o{number}", "outcome": word, "at": at, **names[number % 2]}
        heappush(self.waiting, (at, number, report | {"properties": properties}))

    def tell(self, report: Body) -> None:
        self.told.append(report | post(self.client, "/v1/outcomes", report))


def tight_example(name: str, folder: Path) -> Path:
    """Copy an example with limits that a few customers reach."""
    for path in write_example(name, folder):
        text = path.read_text(encoding="utf-8")
        for pattern, limit in TIGHT:
            text = re.sub(pattern, rf"\g<1>{limit}", text)
        path.write_text(text, encoding="utf-8")
    return folder


def assert_masks_are_the_law(
    client: httpx.Client, market: Market, revisions: Mapping[str, Revision]
) -> None:
    """The mask of every decision follows from the context that was recorded with it."""
    for decision_id in market.made:
        record = client.get(f"/v1/decisions/{decision_id}").json()
        decision, revision = Decision.from_record(record), revisions[record["agent"]]
        assert decision.revision == revision.id
        held = [reason is not None and reason.startswith("holdout") for reason in record["mask"]]
        assert not any(held) or decision.group == "control"
        lawful = [None if mine else why for mine, why in zip(held, record["mask"], strict=True)]
        assert list(revision.mask(decision.context).reasons) == lawful


def exported(settings: Settings, folder: Path, now: datetime) -> pa.Table:
    export_log(settings, folder, now=now)
    return pq.read_table(folder / "decisions.parquet")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with known keys, and ids that are counted: the same draws in every run."""
    ids = count()
    monkeypatch.setattr("serving.deciding.decider.new_id", lambda: f"d{next(ids)}")
    (tmp_path / "data" / "keys").mkdir(parents=True)
    for name in ("draw", "snapshot", "customer"):
        (tmp_path / "data" / "keys" / f"{name}.key").write_bytes(name.encode().ljust(32))
    return tmp_path / "data"


@pytest.mark.parametrize("example", [name for name in example_names() if name != "personalizer"])
def test_an_example_is_served_by_its_law(
    example: str, serve_settings: Serve, data: Path, tmp_path: Path
) -> None:
    folder = tight_example(example, tmp_path / example)
    settings = Settings(folder, data, clock="driven")
    revisions = load_workspace(folder).revisions
    worlds = {
        name: create_world(
            "generic", revision, customers=CUSTOMERS, rounds=ROUNDS, every=timedelta(days=2)
        )
        for name, revision in revisions.items()
    }
    words = tuple(next(iter(revisions.values())).workspace.events)
    with serve_settings(settings) as client:
        market = Market(client, worlds, words)
        market.live()
        assert_masks_are_the_law(client, market, revisions)
        if example == "bank":
            assert_arbitration_is_logged(client, market, settings, tmp_path / "bids")
    acted = {each["agent"] for each in market.made.values() if each["action"]["id"] != "none"}
    assert acted == set(revisions)
    assert any(told["decision_id"] for told in market.told)
    assert any("customer" in told for told in market.told)
    table = exported(settings, tmp_path / "log", max(w.end for w in worlds.values()))
    assert table.num_rows >= len(market.made) == len(revisions) * CUSTOMERS * ROUNDS
    hash_key = load_keys(settings.data).customer
    assert list(check_log(table, folder, hash_key=hash_key)) == []


def assert_arbitration_is_logged(
    client: httpx.Client, market: Market, settings: Settings, folder: Path
) -> None:
    """Of both agents one decides: the one that is drawn, and its decision alone is in the log."""
    world = market.worlds["savings"]
    at = max(world.opportunity(c, ROUNDS - 1) for c in range(CUSTOMERS)) + timedelta(days=40)
    settled = {}
    for customer in range(CUSTOMERS):
        features = world.features(customer, at) | {"fraud_score": 0.9}
        name = world.customer_id(customer)
        asked = {"agents": BANKERS, "customer": name, "features": features, "at": at}
        answer = post(client, "/v1/decisions", asked)
        bids = (answer["arbitration"] or {"bids": []})["bids"]
        if len(bids) < len(BANKERS):
            continue
        settled[answer["decision_id"]] = answer["arbitration"]
        assert np.isclose(sum(bid["probability"] for bid in bids), 1.0, atol=1e-12)
        assert answer["agent"] == answer["arbitration"]["chosen"]
        record = client.get(f"/v1/decisions/{answer['decision_id']}").json()
        assert record["agent"] == answer["agent"]
        assert record["arbitration"] == answer["arbitration"]
    assert len(settled) > 2
    table = exported(settings, folder, at)
    assert table.num_rows == len(market.made) + CUSTOMERS
    rows = {row["decision_id"]: row for row in table.select(
        ["decision_id", "agent", "arbitration"]
    ).to_pylist()}  # fmt: skip
    for decision_id, arbitration in settled.items():
        assert rows[decision_id]["agent"] == arbitration["chosen"]
        assert orjson.loads(rows[decision_id]["arbitration"]) == arbitration
    assert all(rows[each]["arbitration"] is None for each in market.made)
