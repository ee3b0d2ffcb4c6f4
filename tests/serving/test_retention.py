"""What is older than the workspace keeps goes, and nothing that is still needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from agents.decisions import OutcomeEvent
from agents.errors import StateError
from agents.load import load_workspace
from agents.memory import past_event
from serving.clock import DrivenClock, MachineClock
from serving.keeping.retention import first_buckets
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger, SqliteReader
from serving.ledger.revisions import Standing
from serving.settings import load_keys

Serve = Callable[..., AbstractContextManager[httpx.Client]]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FEATURES = {"name": "Ann"}


def keep(shop: Path, days: int) -> None:
    file = shop / "workspace.yaml"
    file.write_text(f"{file.read_text()}retention: {days}d\n")


def decide(client: httpx.Client, customer: str, at: datetime) -> str:
    body = {"agent": "sales", "customer": customer, "features": FEATURES, "at": at.isoformat()}
    made: str = client.post("/v1/decisions", json=body).json()["decision_id"]
    return made


def tell(client: httpx.Client, outcome_id: str, at: datetime, **of: str) -> httpx.Response:
    body = {"outcome_id": outcome_id, "outcome": "opened", "at": at.isoformat(), **of}
    return client.post("/v1/outcomes", json=body)


def fill(client: httpx.Client, days: list[int]) -> list[str]:
    """Make a decision on each day, with an event an hour after it."""
    made = []
    for day in days:
        at = START + timedelta(days=day)
        made.append(decide(client, f"c{day}", at))
        tell(client, f"o{day}", at + timedelta(hours=1), decision_id=made[-1])
    return made


def learn(data: Path) -> Learner:
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        learner = Learner(reader, folder, every_s=0.0)
        learner.resume()
        while learner.step():
            pass
        learner.publish()
    return learner


def counts(data: Path) -> dict[str, int]:
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        rows = {
            "log": "log",
            "decision": "log WHERE kind = 'decision'",
            "outcome": "log WHERE kind = 'outcome'",
            "contact": "past WHERE event = ''",
            "event": "past WHERE event > ''",
            "past": "past",
        }
        return {
            name: reader._db.rows(f"SELECT count(*) FROM {which}")[0][0]
            for name, which in rows.items()
        }


def wait_for(client: httpx.Client, decision_id: str, status: int) -> None:
    deadline = time.monotonic() + 10
    while client.get(f"/v1/decisions/{decision_id}").status_code != status:
        assert time.monotonic() < deadline, f"{decision_id} is not {status}"
        time.sleep(0.02)


def test_what_is_too_old_goes_at_start_and_again_and_again(
    open_shop: Serve, own_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.keeping.retention.BATCH", 3)  # several batches
    data = tmp_path / "data"
    keep(own_shop, 60)
    with open_shop() as client:
        made = fill(client, [0, 1, 2, 3, 50, 100])
    before = counts(data)
    assert before["decision"] == 6
    learn(data)
    with open_shop(prune_every_s=0.05) as client:
        for gone in made[:4]:
            wait_for(client, gone, 404)
        assert client.get(f"/v1/decisions/{made[4]}").is_success
        every = ("log", "past")
        assert counts(data) == {name: before[name] - (8 if name in every else 4) for name in before}
        answer = tell(client, "late", START + timedelta(days=101), decision_id=made[0])
        assert answer.status_code == 202  # it might be another replica's; it waits
        # positions go on, and so does the pruning
        new = fill(client, [115])
        learn(data)
        wait_for(client, made[4], 404)
        record = client.get(f"/v1/decisions/{new[0]}").json()
        assert record["position"] == before["log"] + 1


def test_nothing_goes_that_the_learner_has_not_published(
    open_shop: Serve, own_shop: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    keep(own_shop, 60)
    with open_shop() as client:
        made = fill(client, [0, 1, 100])
    whole = counts(data)
    with open_shop(prune_every_s=0.02) as client:
        time.sleep(0.3)
        assert counts(data) == whole
        learner = learn(data)
        wait_for(client, made[1], 404)
    folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
    assert folder.learned() == learner.position
    state = learner.pupils["sales"].policy.to_bytes()
    assert learn(data).pupils["sales"].policy.to_bytes() == state  # nothing was forgotten


def used(data: Path) -> dict[str, list[int]]:
    """Return, by counter, the buckets that the ledger holds."""
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        buckets: dict[str, list[int]] = {}
        for counter, bucket in reader._db.rows("SELECT counter, bucket FROM usage ORDER BY bucket"):
            buckets.setdefault(counter, []).append(bucket)
    return buckets


def test_what_was_used_goes_when_no_decision_can_ask_about_it(
    open_shop: Serve, own_shop: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    keep(own_shop, 60)
    with open_shop() as client:
        made = fill(client, [0])
        order = {
            "outcome_id": "x", "decision_id": made[0], "outcome": "order",
            "properties": {"amount": 5}, "at": (START + timedelta(hours=2)).isoformat(),
        }  # fmt: skip
        assert client.post("/v1/outcomes", json=order).json()["counted"]
        fill(client, [1, 30, 36, 45, 96])  # what is younger than day 36 is kept
    before = used(data)
    learn(data)
    with open_shop(prune_every_s=0.05) as client:
        wait_for(client, made[0], 404)
        deadline = time.monotonic() + 10
        while used(data) == before and time.monotonic() < deadline:
            time.sleep(0.02)
    after = used(data)
    assert after.keys() == before.keys()
    assert (
        after["capacity:email per day"] == before["capacity:email per day"][3:]
    )  # one bucket a day
    assert (
        after["cap:delivered:promotion deliveries per 10d"]
        == before["cap:delivered:promotion deliveries per 10d"][2:]
    )  # 10 d back
    assert (
        after["budget:sales/money cost per month"]
        == before["budget:sales/money cost per month"][1:]
    )  # of months
    whole_life = [name for name in before if name.startswith(("stock:", "positives:"))]
    assert whole_life
    assert all(after[name] == before[name] == [0] for name in whole_life)


def test_a_bucket_that_any_agent_can_ask_about_is_kept(own_shop: Path) -> None:
    revisions = list(load_workspace(own_shop).revisions.values())
    first = first_buckets(revisions, START)
    assert first == first_buckets(revisions[::-1], START)
    for counter in (each for revision in revisions for each in revision.counters):
        if counter.per is None:
            assert counter.name not in first
        else:
            asked = (counter.reading(START + timedelta(hours=h)) for h in range(3_000))
            assert min(reading.first for reading in asked) == first[counter.name]


def test_without_a_word_everything_is_kept(open_shop: Serve, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with open_shop() as client:
        fill(client, [0, 1, 900])
    whole = counts(data)
    learn(data)
    with open_shop(prune_every_s=0.02):
        time.sleep(0.2)
    assert counts(data) == whole


def test_what_is_looked_back_at_and_open_windows_are_kept(
    open_shop: Serve, own_shop: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    agent = own_shop / "agents" / "sales.yaml"
    agent.write_text(agent.read_text().replace("window: 14d", "window: 80d"))
    keep(own_shop, 40)
    with open_shop() as client:
        # day 0: its window has ended; day 30: old, but its window is open; day 75: young
        made = fill(client, [0, 30, 75, 90])
        loose = tell(client, "loose", START + timedelta(days=85), customer="ann")
        assert loose.is_success
        fill(client, [92])
    learn(data)
    with open_shop(prune_every_s=0.05) as client:
        wait_for(client, made[0], 404)
        assert all(client.get(f"/v1/decisions/{each}").is_success for each in made[1:])
    with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
        since = START - timedelta(days=1)
        until = START + timedelta(days=100)
        assert reader.events("ann", {"opened"}, since, until) != ()
        assert reader.events("c30", {"opened"}, since, until) != ()
        assert reader.events("c0", {"opened"}, since, until) == ()
        assert reader.contacts("c0", since) == ()


def test_the_newest_row_stays_so_that_positions_go_on(tmp_path: Path) -> None:
    with closing(SqliteLedger.open(tmp_path / "ledger.sqlite")) as ledger:
        ledger.begin()
        ledger.put_revision("a", "a", yaml="", source=b"", at=START, actor="")
        ledger.stand("a", Standing("a"), {})

        def add(name: str) -> int:
            event = OutcomeEvent(name, "", "opened", START, customer="ann")
            past = past_event(event, None)
            return ledger.add_outcome(event, past, counted=(), request=b"", closes=START)

        later = START + timedelta(days=1)
        positions = [add(name) for name in ("x", "y", "z")]
        assert ledger.prune(START, later, until=100, limit=10) == 0  # as old as that is kept
        assert ledger.prune(later, later, until=positions[0], limit=10) == 1
        assert ledger.prune(later, later, until=100, limit=10) == 1
        assert [entry.kind for entry in ledger.entries(0, 10)] == ["revision", "outcome"]
        assert ledger.find_outcome("x") is ledger.find_outcome("y") is None
        assert add("w") == positions[-1] + 1


def test_how_far_was_learned_is_never_ahead_of_the_ledger(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path, b"")
    assert folder.learned() == 0
    folder.mark_learned(12)
    folder.set_aside(20)
    assert folder.learned() == 12
    folder.set_aside(5)  # an older ledger came back from a backup
    assert folder.learned() == 5
    (tmp_path / "learned").write_bytes(b"\xff")
    assert folder.learned() == 0


def test_age_counts_by_the_machine_or_by_the_ledger() -> None:
    later = START + timedelta(days=1)
    assert MachineClock(None, lambda: later).reached(START) == later
    assert MachineClock(None, lambda: START).reached(later) == later
    assert DrivenClock().reached(START) == START
    with pytest.raises(StateError, match="clock"):
        MachineClock(later, lambda: START).reached(None)
