"""Random requests, restarts and full disks, against a model of what the server promises."""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.checker import check_log
from serving.keeping.export import export_log
from serving.ledger import SqliteReader
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
Body = dict[str, Any]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOWS = {"renewed": timedelta(days=14), "complained": timedelta(days=7)}
VALUES = ("80", "90", "100")
CUSTOMERS = (
    "ann", "café", "cafe\u0301", "O'Brien; DROP TABLE log; --", "\" OR 1=1", "%_*?", "x" * 128,
    "\U0001f600", "名前",
)  # fmt: skip


@dataclass
class Model:
    """What must be true of the server, and the random choices of what to ask next."""

    rng: np.random.Generator
    features: Body
    text: str
    data: Path
    submit: Submit
    revision: str = ""
    rows: int = 1
    asked: dict[str, Body] = field(default_factory=dict)
    decided: dict[str, Body] = field(default_factory=dict)
    told: dict[str, Body] = field(default_factory=dict)
    heard: dict[str, Body] = field(default_factory=dict)
    counted: set[tuple[str, str]] = field(default_factory=set)
    yaml: str = "80"
    broken: bool = False  # is the disk full?

    def pick(self, known: dict[str, Any]) -> str:
        return list(known)[int(self.rng.integers(len(known)))]

    def step(self, client: httpx.Client) -> None:
        steps = (self.decide, self.tell, self.put)
        steps[int(self.rng.choice(3, p=[0.55, 0.4, 0.05]))](client)
        if self.rng.random() < 0.04:
            self.full_disk(client)

    def full_disk(self, client: httpx.Client) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = (self.data / "ledger.sqlite-wal").stat().st_size
        self.broken = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            for step in (self.decide, self.tell, self.put):
                step(client)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        self.broken = False

    def decide(self, client: httpx.Client) -> None:
        key = f"k {len(self.asked)} 'é'"
        body = {
            "agent": "retention", "customer": str(self.rng.choice(CUSTOMERS)),
            "features": self.features | {"tenure_months": int(self.rng.integers(60))},
            "at": (START + timedelta(hours=int(self.rng.integers(28 * 24)))).isoformat(),
        }  # fmt: skip
        again = bool(self.asked) and self.rng.random() < 0.3
        if again:
            key = self.pick(self.asked)
            body = self.asked[key] if self.rng.random() < 0.5 else body
        headers = [(b"Idempotency-Key", key.encode())]
        answer = client.post("/v1/decisions", json=body, headers=headers)
        if self.broken:
            self.refused(answer)
        elif again and body != self.asked[key]:
            assert answer.status_code == 422, answer.text
        elif again:
            assert answer.json() == self.decided[key]
            assert answer.headers["Idempotent-Replay"] == "true"
        else:
            assert answer.status_code == 200, answer.text
            assert "Idempotent-Replay" not in answer.headers
            assert answer.json()["revision"] == self.revision
            self.asked[key], self.decided[key] = body, answer.json()
            self.rows += 1

    def tell(self, client: httpx.Client) -> None:
        if not self.decided:
            return
        key = self.pick(self.decided)
        decision_id, at = (
            self.decided[key]["decision_id"],
            datetime.fromisoformat(self.asked[key]["at"]),
        )
        outcome = str(self.rng.choice(list(WINDOWS)))
        late = timedelta(days=int(self.rng.integers(-1, 16)))
        outcome_id = f"o-{self.rng.integers(10**9)}"
        body = {"outcome_id": outcome_id, "decision_id": decision_id, "outcome": outcome}
        body |= {"at": (at + late).isoformat()}
        again = bool(self.told) and self.rng.random() < 0.2
        if again:
            body = self.told[self.pick(self.told)]
            outcome_id = body["outcome_id"]
        answer = client.post("/v1/outcomes", json=body)
        if self.broken:
            self.refused(answer)
        elif again:
            assert answer.json() == self.heard[outcome_id] | {"replayed": True}
        elif late < timedelta(0):
            assert answer.status_code == 422, answer.text
        else:
            counts = late < WINDOWS[outcome] and (decision_id, outcome) not in self.counted
            expected = {"outcome_id": outcome_id, "decision_id": decision_id, "replayed": False}
            expected |= {"adjusts": None, "pending": False, "uncounted": []}
            expected |= {"counted": [outcome] if counts else []}
            assert answer.json() == expected
            self.told[outcome_id], self.heard[outcome_id] = body, expected
            self.rows += 1
            if counts:
                self.counted.add((decision_id, outcome))

    def put(self, client: httpx.Client) -> None:
        value = str(self.rng.choice([*VALUES, "a lot"]))
        text = self.text.replace("value: 80", f"value: {value}")
        answer = self.submit(client, "retention", text)
        if value == "a lot":
            assert answer.status_code == 422
        elif self.broken and value != self.yaml:
            self.refused(answer)
        elif not self.broken:
            assert answer.json()["changed"] == (value != self.yaml)
            self.rows += value != self.yaml
            self.yaml, self.revision = value, answer.json()["standing"]["revision"]

    def refused(self, answer: httpx.Response) -> None:
        # what needs no writing may still be answered: a replay, or an error of the request's own
        assert answer.status_code in (200, 422, 503), answer.text
        if answer.status_code == 200:
            assert answer.json().get("replayed", "Idempotent-Replay" in answer.headers)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_server_does_what_the_model_says(
    serve: Serve, workspace: Path, tmp_path: Path, features: Body, submit: Submit, seed: int
) -> None:
    text = (workspace / "agents" / "retention.yaml").read_text()
    data = tmp_path / "data"
    model = Model(np.random.default_rng(seed), features, text, data, submit)
    for _ in range(4):
        with serve() as client:
            revision = client.get("/v1/agents/retention").json()["revision"]
            assert model.revision in ("", revision)
            model.revision = revision
            for _ in range(60):
                model.step(client)
            for key, answer in model.decided.items():
                whole = client.get(f"/v1/decisions/{answer['decision_id']}").json()
                assert whole["customer"] == model.asked[key]["customer"]
    reader = SqliteReader.open(data / "ledger.sqlite")
    assert reader.last_position() == len(reader.entries(0, 10_000)) == model.rows
    reader.close()
    export_log(Settings(workspace, data), tmp_path / "log", now=START + timedelta(days=90))
    table = pq.read_table(tmp_path / "log" / "decisions.parquet")
    assert table.num_rows == len(model.decided)
    assert check_log(table, workspace) == []
    assert sum(len(events) for events in table["outcomes"].to_pylist()) == len(model.counted)
