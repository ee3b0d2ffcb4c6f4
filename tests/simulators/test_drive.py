from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.context import Context
from agents.errors import StateError
from agents.revision import Revision
from agents.units import parse_instant
from simulators.drive import DriveResult, drive, drive_with, slices, write_truth
from simulators.traffic import Traffic
from simulators.world import World
from simulators.worlds import create_world

Run = Callable[..., DriveResult]
SLICE = timedelta(hours=6)


class Desk:
    """Lets each customer have the actions in turn, at once.

    It answers in the server's form and keeps every request in the order of arrival.
    """

    def __init__(self, revision: Revision, *, revision_id: str | None = None) -> None:
        self.revision = revision
        self.revision_id = revision_id or revision.id
        self.decisions: list[tuple[str, dict[str, Any]]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.clock: list[datetime] = []
        self.log: list[dict[str, Any]] = []

    def __call__(
        self, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, str, bytes]:
        self.log.append(body)
        told = body.get("outcomes", [body])
        self.clock += [parse_instant(each["at"]) for each in told]
        if path == "/v1/decisions":
            answer = self.decide(headers["idempotency-key"], body)
        elif path == "/v1/decisions/batch":
            lines = [
                self.decide(line["key"], line | {"at": body["at"]}) for line in body["decisions"]
            ]
            return (
                200,
                "application/x-ndjson",
                b"\n".join(json.dumps(each).encode() for each in lines),
            )
        elif path == "/v1/outcomes/batch":
            self.outcomes += body["outcomes"]
            answer = {"outcomes": [{"status": 200} for _ in body["outcomes"]]}
        else:
            self.outcomes.append(body)
            answer = {"outcome_id": body["outcome_id"], "counted": True, "replayed": False}
        return 200, "application/json", json.dumps(answer).encode()

    def decide(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        self.decisions.append((key, body))
        *_, customer, round_index = key.split("-")
        position = (int(customer) + int(round_index)) % len(self.revision.actions)
        action = self.revision.actions[position]
        context = Context(body["customer"], parse_instant(body["at"]), body["features"])
        return {
            "decision_id": f"d-{key}",
            "revision": self.revision_id,
            "group": str(self.revision.group(context)),
            "action": {"id": action.id, "send_at": None if action.is_none else body["at"]},
        }


@pytest.fixture
def desk(revision: Revision) -> Desk:
    return Desk(revision)


@pytest.fixture
def run(listen: Callable[..., AbstractAsyncContextManager[str]]) -> Run:
    """Drive a world against a desk over real connections."""

    async def go(world: World, desk: Desk, **options: Any) -> DriveResult:
        async with listen(desk) as url:
            return await drive_with(world, url, **options)

    return lambda world, desk, **options: asyncio.run(go(world, desk, **options))


def test_slices_hold_every_meeting_once_in_order(world: World) -> None:
    parts = list(slices(world))
    begins = [begin for begin, _ in parts]
    assert begins == sorted(set(begins))
    for begin, meetings in parts:
        assert meetings == sorted(meetings)
        assert all(begin <= meeting.at < begin + SLICE for meeting in meetings)
    met = Counter((m.customer, m.round_index) for _, meetings in parts for m in meetings)
    assert set(met.values()) == {1}
    assert len(met) == world.customers * world.rounds


def test_no_slice_meets_a_customer_twice_even_day_by_day(revision: Revision) -> None:
    world = create_world(
        "retention", revision, customers=200, rounds=8, every=timedelta(days=1), seed=2
    )
    for _, meetings in slices(world):
        customers = [meeting.customer for meeting in meetings]
        assert len(customers) == len(set(customers))


def test_every_customer_is_asked_about_in_every_round(world: World, desk: Desk, run: Run) -> None:
    result = run(world, desk)
    keys = [key for key, _ in desk.decisions]
    assert len(set(keys)) == len(keys) == 240
    assert "retention-3-0-0" in keys
    assert result.customers.shape == result.actions.shape == (240,)
    assert result.expected.shape == (240, len(world.revision.actions))
    assert len(result.latencies_ms) == 240
    assert min(result.latencies_ms) > 0.0
    assert result.seconds > 0.0
    times = [decision.at for decision in result.decisions]
    assert times == sorted(times)


def test_outcomes_are_sent_once_after_they_happened_and_before_later_decisions(
    revision: Revision, desk: Desk, run: Run
) -> None:
    world = create_world("retention", revision, customers=300, rounds=4, seed=3)
    result = run(world, desk)
    assert len(result.outcomes) > 20
    assert [o["outcome_id"] for o in desk.outcomes] == [e.outcome_id for e in result.outcomes]
    assert len({event.outcome_id for event in result.outcomes}) == len(result.outcomes)
    made = {decision.decision_id: decision for decision in result.decisions}
    for event in result.outcomes:
        assert made[event.decision_id].at <= event.at
    latest = desk.clock[0]
    for at in desk.clock:  # what the server sees runs backwards by less than a slice
        assert at > latest - SLICE
        latest = max(latest, at)


def test_the_driven_world_is_the_world_itself(world: World, desk: Desk, run: Run) -> None:
    result = run(world, desk)
    world.reset()
    events = []
    for decision in sorted(result.decisions, key=lambda d: (d.customer, d.round_index)):
        expected = world.expected_rewards(decision.customer, decision.at)
        assert np.array_equal(expected, decision.expected)
        sent = None if decision.action == 0 else decision.at
        happenings = world.respond(
            decision.customer, decision.round_index, decision.action, decision.at, sent
        )
        events += [(decision.decision_id, h.outcome, h.at) for h in happenings]
    sent_events = [(event.decision_id, event.outcome, event.at) for event in result.outcomes]
    assert sorted(events) == sorted(sent_events)


def test_concurrency_changes_nothing_but_the_pace(
    world: World, revision: Revision, run: Run
) -> None:
    slow, fast = Desk(revision), Desk(revision)
    first = run(world, slow, traffic=Traffic(concurrency=1))
    second = run(world, fast, traffic=Traffic(concurrency=16))
    assert first.decision_ids == second.decision_ids
    assert np.array_equal(first.expected, second.expected)
    assert [e.outcome_id for e in first.outcomes] == [e.outcome_id for e in second.outcomes]


def test_unsubscribers_are_shown_without_consent(revision: Revision, desk: Desk, run: Run) -> None:
    world = create_world("retention", revision, customers=250, rounds=5, seed=3)
    result = run(world, desk)
    left = {e.decision_id: e.at for e in result.outcomes if e.outcome == "unsubscribed"}
    assert left
    bodies = dict(desk.decisions)
    for decision in result.decisions:
        at = left.get(decision.decision_id)
        if at is None or decision.round_index + 2 >= world.rounds:
            continue
        channel = revision.actions[decision.action].channel
        later = bodies[world.decision_key(decision.customer, decision.round_index + 2)]
        assert later["features"][f"consent_{channel}"] is False


def test_progress_counts_decisions(world: World, desk: Desk, run: Run) -> None:
    counts: list[int] = []
    run(world, desk, progress=counts.append)
    assert counts == list(range(1, 241))


def test_another_revision_on_the_server_is_refused(
    world: World, revision: Revision, run: Run
) -> None:
    message = (
        f"^expected decisions by revision {revision.id} of 'retention', which the world was made"
        " for; the server decides by 0123456789abcdef$"
    )
    with pytest.raises(StateError, match=message):
        run(world, Desk(revision, revision_id="0123456789abcdef"))


def test_no_server_is_said_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.client.FIRST_PAUSE_S", 0.001)
    with pytest.raises(StateError, match=r"^the server at http://127.0.0.1:9/? did not answer"):
        drive(world, "http://127.0.0.1:9", traffic=Traffic(concurrency=2))


def test_a_concurrency_below_one_is_refused(world: World, desk: Desk, run: Run) -> None:
    with pytest.raises(ValueError, match=r"^concurrency: expected at least 1, got 0$"):
        run(world, desk, traffic=Traffic(concurrency=0))


def test_the_truth_is_written_beside_the_decisions(
    world: World, desk: Desk, tmp_path: Path, run: Run
) -> None:
    result = run(world, desk)
    write_truth(result, tmp_path / "truth.parquet")
    table = pq.read_table(tmp_path / "truth.parquet")
    assert table.column_names == [
        "decision_id", "customer", "round", "at", "group", "action", "expected_rewards",
    ]  # fmt: skip
    assert table["decision_id"].to_pylist() == result.decision_ids
    assert table["at"].to_pylist() == [decision.at for decision in result.decisions]
    assert np.array_equal(np.array(table["expected_rewards"].to_pylist()), result.expected)
    drawn = [world.revision.index(name) for name in table["action"].to_pylist()]
    assert drawn == result.actions.tolist()


def test_an_instant_of_a_market_is_a_slice(revision: Revision) -> None:
    world = create_world("telecom", revision, customers=80, rounds=2, seed=2)
    for begin, meetings in slices(world):
        assert {meeting.at for meeting in meetings} == {begin}


@pytest.mark.parametrize("name", ["retention", "telecom"])
def test_what_reached_the_company_before_a_meeting_is_told_before_it(
    revision: Revision, desk: Desk, run: Run, name: str
) -> None:
    world = create_world(name, revision, customers=150, rounds=12, every=timedelta(days=1), seed=3)
    result = run(world, desk, traffic=Traffic(concurrency=1))
    order = {body["outcome_id"]: place for place, body in reversed([*enumerate(desk.log)])
             if "outcome_id" in body}  # fmt: skip
    met = {(b["customer"], b["at"]): i for i, b in enumerate(desk.log) if "customer" in b}
    by_id = {d.decision_id: d for d in result.decisions}
    seen = 0
    for event in result.outcomes:
        who = world.customer_id(by_id[event.decision_id].customer)
        for (customer, at), place in met.items():
            if customer == who and event.at < parse_instant(at):
                late = world.every / 2 if name == "telecom" else timedelta(0)
                if event.at + late < parse_instant(at):
                    assert order[event.outcome_id] < place
                    seen += 1
    assert seen > 20


def test_noise_of_a_market_is_told_late_and_twice(
    revision: Revision, everything: type[World], run: Run
) -> None:
    world = everything(revision, customers=200, rounds=6, seed=4)
    desk = Desk(revision)
    result = run(world, desk)
    told = Counter(event.outcome_id for event in result.outcomes)
    assert set(told.values()) == {1, 2}
    double = sum(1 for count in told.values() if count == 2)
    spread = (len(told) * 0.2 * 0.8) ** 0.5
    assert double == pytest.approx(0.2 * len(told), abs=4 * spread)
    assert [o["outcome_id"] for o in desk.outcomes] == [e.outcome_id for e in result.outcomes]
    instants = [event.at for event in result.outcomes]
    assert instants != sorted(instants)  # out of order, each with its true instant


def test_batches_bring_the_same_as_one_by_one(revision: Revision, run: Run) -> None:
    world = create_world("telecom", revision, customers=120, rounds=3, seed=3)
    alone, together = Desk(revision), Desk(revision)
    first = run(world, alone)
    second = run(world, together, traffic=Traffic(batch=7))
    assert first.decision_ids == second.decision_ids
    assert np.array_equal(first.actions, second.actions)
    assert Counter(e.outcome_id for e in first.outcomes) == Counter(
        e.outcome_id for e in second.outcomes
    )


@pytest.mark.parametrize("batch", [0, 20])
def test_some_are_asked_twice_and_must_be_answered_alike(
    world: World, revision: Revision, run: Run, batch: int
) -> None:
    desk = Desk(revision)
    result = run(world, desk, traffic=Traffic(twice=0.5, batch=batch))
    keys = Counter(key for key, _ in desk.decisions)
    assert sum(1 for count in keys.values() if count == 2) == result.repeated
    assert result.repeated == pytest.approx(120, abs=4 * (240 * 0.25) ** 0.5)

    class Forgetful(Desk):
        def decide(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = super().decide(key, body)
            return answer | {"decision_id": f"{len(self.decisions)}"}

    with pytest.raises(StateError, match="^expected the same decision twice under the same"):
        run(world, Forgetful(revision), traffic=Traffic(twice=0.5, batch=batch))
