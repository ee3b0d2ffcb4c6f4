"""Many decisions in one request: in order, each for itself, committed in chunks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from agents.errors import StateError
from serving.api.batch import answer_lines
from serving.deciding.batch import CHUNK
from serving.deciding.decider import DecisionRequest
from serving.runtime import run
from serving.settings import Settings
from serving.watching.metrics import Tally

AT = "2026-03-02T12:00:00+00:00"
Serve = Callable[..., AbstractContextManager[httpx.Client]]
Line = dict[str, Any]


def post(client: httpx.Client, lines: list[Line], **more: Any) -> httpx.Response:
    body = {"agent": "retention", "decisions": lines, "at": AT} | more
    return client.post("/v1/decisions/batch", json=body)


def send(client: httpx.Client, lines: list[Line], **more: Any) -> list[Line]:
    response = post(client, lines, **more)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    answers = [orjson.loads(line) for line in response.text.splitlines()]
    assert [answer["customer"] for answer in answers] == [line["customer"] for line in lines]
    return answers


def whole(client: httpx.Client, made: Line) -> Line:
    record: Line = client.get(f"/v1/decisions/{made['decision_id']}").json()
    return record


@pytest.fixture
def lines(features: Line) -> list[Line]:
    return [{"customer": f"c{n}", "features": features, "key": f"k{n}"} for n in range(20)]


def test_a_batch_is_answered_in_order(client: httpx.Client, features: Line) -> None:
    count = CHUNK + 40
    answers = send(client, [{"customer": f"c{n}", "features": features} for n in range(count)])
    assert len({answer["decision_id"] for answer in answers}) == count
    for made in (answers[0], answers[CHUNK], answers[-1]):
        record = whole(client, made)
        assert (record["action_id"], record["propensity"]) == (
            made["action"]["id"], made["propensity"],
        )  # fmt: skip
        assert (made["action"]["content"] is None) == (made["action"]["id"] == "none")


def test_a_line_says_what_a_single_answer_says(client: httpx.Client, lines: list[Line]) -> None:
    for made, line in zip(send(client, lines[:8]), lines, strict=False):
        ask = {"agent": "retention", "at": AT} | {k: line[k] for k in ("customer", "features")}
        again = client.post("/v1/decisions", json=ask, headers={"Idempotency-Key": line["key"]})
        assert again.headers["Idempotent-Replay"] == "true"
        single = again.json() | {"customer": line["customer"], "replayed": False}
        del single["alternatives"], single["insight"]
        assert made == single


def test_a_line_that_does_not_fit_is_answered_for_itself(
    client: httpx.Client, features: Line
) -> None:
    lines = [
        {"customer": "tim", "features": features},
        {"customer": "zoe", "features": features | {"plan": "pluss"}},
        {"customer": "ann", "features": features, "channels": ["emial"]},
        {"customer": "bob", "features": features, "channels": ["email"]},
    ]
    fine, wrong, nowhere, one_channel = send(client, lines)
    assert {fine["agent"], one_channel["agent"]} == {"retention"}
    assert whole(client, one_channel)["channels"] == ["email"]
    assert (wrong["status"], wrong["type"]) == (422, "about:blank")
    assert wrong["detail"] == "customer.plan: got none of its values; did you mean 'plus'?"
    assert nowhere["detail"] == "channels: got 'emial'; did you mean 'email'?"


def test_a_customer_who_comes_twice_is_known_the_second_time(
    client: httpx.Client, features: Line
) -> None:
    names = [name for n in range(12) for name in (f"c{n}", f"d{n}", f"c{n}")]
    answers = send(client, [{"customer": name, "features": features} for name in names])
    known = 0
    for first, _, second in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
        contacts = [contact["decision_id"] for contact in whole(client, second)["contacts"]]
        sent = first["action"]["id"] != "none"
        assert contacts == ([first["decision_id"]] if sent else [])
        known += sent
    assert known > 3


def test_lines_are_retried_by_their_keys(client: httpx.Client, lines: list[Line]) -> None:
    first = send(client, lines[:10])
    again = send(client, lines)
    assert [each["replayed"] for each in again] == [True] * 10 + [False] * 10
    for one, other in zip(first, again[:10], strict=True):
        assert one | {"replayed": True} == other
    changed, same = send(client, [lines[0] | {"customer": "somebody"}, lines[11]])
    assert changed["status"] == 422
    assert changed["detail"].startswith("key 'k0' was used before")
    assert same["decision_id"] == again[11]["decision_id"]


def test_a_key_that_comes_twice_is_a_retry(client: httpx.Client, lines: list[Line]) -> None:
    first, second, other = send(client, [lines[0], lines[0], lines[1] | {"key": "k0"}])
    assert second == first | {"replayed": True}
    assert other["status"] == 422


def test_several_agents_are_settled_line_by_line(open_shop: Serve) -> None:
    features = {"name": "Ann", "likes": ["music"]}
    lines = [{"customer": f"c{n}", "features": features} for n in range(5)]
    with open_shop() as client:
        answers = send(client, lines, agent=None, agents=["sales", "care"])
        assert {answer["agent"] for answer in answers} == {"care"}
        assert all(len(answer["arbitration"]["bids"]) == 2 for answer in answers)


LINE = {"customer": "tim"}


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"agent": "retenton", "decisions": [LINE], "at": AT}, 404, "did you mean 'retention'?"),
        ({"agent": "retention", "decisions": [LINE]}, 422, "expected 'at'"),
        ({"agent": "retention", "decisions": [], "at": AT}, 422, "decisions: "),
        ({"agent": "retention", "decisions": [LINE] * 10_001, "at": AT}, 422, "decisions: "),
        ({"decisions": [LINE], "at": AT}, 422, "expected 'agent' or 'agents'"),
        (
            {"agent": "retention", "decisions": [LINE] * 700 + [{"customer": ""}], "at": AT},
            422, "decisions.700.customer: ",
        ),
        ({"agent": "retention", "decisions": [LINE | {"top": 3}], "at": AT}, 422, "ns.0.top: "),
    ],
)  # fmt: skip
def test_a_batch_that_is_wrong_is_refused_whole(
    steady: httpx.Client, body: Line, status: int, says: str
) -> None:
    response = steady.post("/v1/decisions/batch", json=body)
    assert response.status_code == status
    assert says in response.json()["detail"]


def test_a_cut_connection_leaves_whole_chunks(client: httpx.Client, features: Line) -> None:
    count = 6 * CHUNK + 7
    lines = [{"customer": f"c{n}", "features": features, "key": f"k{n}"} for n in range(count)]
    body = {"agent": "retention", "decisions": lines, "at": AT}
    with client.stream("POST", "/v1/decisions/batch", json=body) as response:
        first = next(response.iter_lines())
    again = send(client, lines)
    replayed = [each["replayed"] for each in again]
    kept = sum(replayed)
    assert replayed == [True] * kept + [False] * (count - kept)
    assert kept == count or (kept and kept % CHUNK == 0)
    assert orjson.loads(first)["decision_id"] == again[0]["decision_id"]


def requests_of(features: Line, count: int) -> list[DecisionRequest]:
    from agents.units import parse_instant

    return [
        DecisionRequest(("retention",), f"c{n}", features, b"", key=f"k{n}", at=parse_instant(AT))
        for n in range(count)
    ]


def test_decisions_of_a_batch_are_counted(workspace: Path, tmp_path: Path, features: Line) -> None:
    async def scenario() -> tuple[int, int, float]:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            requests = requests_of(features, 200)
            for asked in (requests, requests[:5]):
                async for _ in answer_lines(runtime, asked):
                    pass
            tally = runtime.meters.agents["retention"]
            return tally.decisions, runtime.meters.replayed, tally.mean_weight

    decisions, replayed, weight = asyncio.run(scenario())
    assert (decisions, replayed) == (200, 5)
    assert 0.1 < weight < 10.0


def test_a_batch_counts_as_its_decisions_do_one_by_one(
    workspace: Path, tmp_path: Path, features: Line
) -> None:
    async def scenario() -> tuple[Tally, Tally]:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            requests, single = requests_of(features, 200), Tally()
            async for _ in answer_lines(runtime, requests):
                pass

            def add_each(ledger: Any) -> None:
                for request in requests:
                    single.add(ledger.find_by_key(request.key).decision)

            await runtime.writer.submit(add_each)
            return runtime.meters.agents["retention"], single

    batch, single = asyncio.run(scenario())
    counts = ("decisions", "none", "explored")
    assert [getattr(batch, name) for name in counts] == [getattr(single, name) for name in counts]
    assert 0 < single.none < 200
    assert batch.weights == pytest.approx(single.weights, rel=1e-12)
    assert batch.squares == pytest.approx(single.squares, rel=1e-12)
    assert batch.barred() == single.barred() != {}


async def taken(answers: AsyncIterator[bytes]) -> list[Line]:
    return [orjson.loads(line) for line in (await anext(answers)).splitlines()]


def test_single_decisions_come_through_between_chunks(
    workspace: Path, tmp_path: Path, features: Line
) -> None:
    async def scenario() -> list[int]:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            answers = answer_lines(runtime, requests_of(features, 3 * CHUNK))
            early = await taken(answers)
            alone = requests_of(features, 1)[0]
            alone = DecisionRequest(alone.agents, "single", features, b"", at=alone.at)
            single = await runtime.writer.submit(lambda held: runtime.decider.decide(held, alone))
            late = [*await taken(answers), *await taken(answers)]
            ids = early[0]["decision_id"], single.decision.decision_id, late[-1]["decision_id"]

            def places(ledger: Any) -> list[int]:
                return [ledger.find_decision(name).position for name in ids]

            return await runtime.writer.submit(places)

    first, single, last = asyncio.run(scenario())
    assert first < single < last


def test_a_chunk_that_cannot_be_committed_is_told_and_the_next_goes_on(
    workspace: Path, tmp_path: Path, features: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> tuple[list[Line], list[Line], list[Line]]:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            ledger = runtime.writer._ledger  # whose disk is to fail once
            await runtime.writer.submit(lambda _: None)  # after what is done at the start
            commit = ledger.commit

            def full() -> None:
                monkeypatch.setattr(ledger, "commit", commit)
                raise StateError("the disk is full")

            monkeypatch.setattr(ledger, "commit", full)
            requests = requests_of(features, 2 * CHUNK)
            answers = answer_lines(runtime, requests)
            failed, fine = await taken(answers), await taken(answers)
            return failed, fine, await taken(answer_lines(runtime, requests[:CHUNK]))

    failed, fine, again = asyncio.run(scenario())
    assert {line["status"] for line in failed} == {503}
    assert not any(line["replayed"] for line in fine)
    assert not any(line["replayed"] for line in again)  # nothing of the failed chunk was kept
