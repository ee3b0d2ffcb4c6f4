"""The life of an agent over HTTP: put, activated, tried on a few or in the shadow, taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.load import compile_agent, load_workspace
from agents.revision import Revision
from serving.ledger import open_reader
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
AT = "2026-03-02T09:00:00+00:00"

CARE = """\
agent: care
outcomes:
  helped: {value: VALUE, window: 30d, attribution: last_touch}
offers:
  OFFER:
    kind: service
    variants: {plain: {text: "How may we help?"}}
    channels: [email]
  letter:
    kind: service
    eligible: "'music' in customer.likes"
    variants: {plain: {text: "A letter."}}
    channels: [email]
guardrails:
  pause_VALUE: {rule: cooldown, pause: 1h, scope: all}
policy: {learner: LEARNER}
holdout: {control: 0, random: 0}
"""


def care(value: int, offer: str = "advice", learner: str = "uniform") -> str:
    text = CARE.replace("VALUE", str(value)).replace("OFFER", offer)
    return text.replace("LEARNER", learner)


@pytest.fixture
def client(open_shop: Serve) -> Iterator[httpx.Client]:
    with open_shop() as opened:
        yield opened


def put(client: httpx.Client, text: str, name: str = "care") -> str:
    answer = client.put(f"/v1/agents/{name}", content=text)
    assert answer.status_code == 200, answer.text
    revision: str = answer.json()["revision"]
    return revision


def active(client: httpx.Client, name: str = "care") -> str:
    revision: str = client.get(f"/v1/agents/{name}").json()["revision"]
    return revision


def activate(
    client: httpx.Client, revision: str, expected: str | None, **more: Any
) -> httpx.Response:
    body = {"revision": revision, "expected": expected, **more}
    return client.post("/v1/agents/care/activate", json=body)


def roll_back(client: httpx.Client, reason: str = "") -> httpx.Response:
    return client.post("/v1/agents/care/rollback", json={"reason": reason})


def decide(client: httpx.Client, customer: str, **more: Any) -> dict[str, Any]:
    body = {"agent": "care", "customer": customer, "features": {"name": "Ann"}, "at": AT, **more}
    answer = client.post("/v1/decisions", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stood(own_shop: Path, tmp_path: Path, ledger_url: str) -> Log:
    """What the log says of what stood of `care`, one after another."""

    def read() -> list[dict[str, Any]]:
        settings = Settings(own_shop, tmp_path / "data", ledger_url=ledger_url)
        with closing(open_reader(settings)) as reader:
            entries = reader.entries(0, 10_000)
        names = ("revision", "canary", "percent", "shadow", "reason", "actor")
        return [
            {name: entry.body[name] for name in names}
            for entry in entries
            if entry.kind == "revision" and entry.body["agent"] == "care"
        ]

    return read


def test_what_is_put_decides_nothing_until_it_is_activated(
    client: httpx.Client, stood: Log
) -> None:
    before = active(client)
    checked = client.put("/v1/agents/care", content=care(5), params={"check": "true"}).json()
    assert checked["new"] is True
    assert len(client.get("/v1/agents/care/revisions").json()) == 1
    answer = client.put("/v1/agents/care", content=care(5)).json()
    assert answer == checked
    assert answer["standing"]["revision"] == before
    assert "guardrail pause_5 added (cooldown)" in answer["changes"]
    assert answer["actions"] == 3
    assert client.put("/v1/agents/care", content=care(5)).json()["new"] is False
    assert active(client) == before == decide(client, "ann")["revision"]
    assert len(stood()) == 1

    changed = activate(client, answer["revision"], before, reason="spring").json()
    assert changed["standing"] == {
        "revision": answer["revision"], "canary": None, "percent": 0, "shadow": None
    }  # fmt: skip
    assert decide(client, "bob")["revision"] == answer["revision"]
    last = stood()[-1]
    assert (last["revision"], last["reason"]) == (answer["revision"], "spring")
    states = {each["revision"]: each for each in client.get("/v1/agents/care/revisions").json()}
    assert states[before]["state"] == "stored"
    assert states[before]["actor"] == "server"
    assert states[answer["revision"]]["state"] == "active"
    one = client.get(f"/v1/agents/care/revisions/{answer['revision']}").json()
    assert one["yaml"] == care(5)
    assert client.get(f"/v1/agents/sales/revisions/{before}").status_code == 404
    difference = client.get("/v1/agents/care/diff", params={"from": before, "to": one["revision"]})
    assert difference.json()["changes"] == answer["changes"]
    back = client.get("/v1/agents/care/diff", params={"to": before}).json()
    assert back["before"] == one["revision"]
    assert "guardrail pause_5 removed (cooldown)" in back["changes"]


def test_advice_comes_with_its_place(client: httpx.Client) -> None:
    never = care(5).replace("'music' in customer.likes", "customer.spend > 2000.0")
    answer = client.put("/v1/agents/care", content=never).json()
    (advice,) = (each for each in answer["advice"] if "nobody passes" in each)
    assert advice.startswith("agents/care.yaml:11:")


def test_of_twenty_at_once_exactly_one_wins(client: httpx.Client, stood: Log) -> None:
    revisions = [put(client, care(value)) for value in range(10, 30)]
    for round_ in range(3):
        expected = active(client)
        others = [each for each in revisions if each != expected]
        barrier = threading.Barrier(len(others))

        def race(
            revision: str,
            expected: str = expected,
            barrier: threading.Barrier = barrier,
        ) -> httpx.Response:
            barrier.wait()
            return activate(client, revision, expected)

        with ThreadPoolExecutor(len(others)) as pool:
            answers = list(pool.map(race, others))
        won = [answer.json() for answer in answers if answer.status_code == 200]
        lost = [answer.json() for answer in answers if answer.status_code == 409]
        assert (len(won), len(lost)) == (1, len(others) - 1)
        now = won[0]["standing"]
        assert all(each["standing"] == now for each in lost)
        assert all(f"revision {now['revision']} is active" in each["detail"] for each in lost)
        assert active(client) == now["revision"]
        assert len(stood()) == 2 + round_


def test_decisions_under_activation_never_mix_revisions(
    client: httpx.Client, own_shop: Path
) -> None:
    workspace = load_workspace(own_shop).workspace
    texts = [care(5, "advice", "uniform"), care(6, "talk", "hybrid_thompson")]
    known: dict[str, Revision] = {}
    for text in texts:
        known[put(client, text)] = compile_agent(text, "care.yaml", workspace)
    one, two = known
    assert activate(client, one, active(client)).is_success
    stop, made = threading.Event(), list[str]()

    def ask(number: int) -> None:
        count = 0
        while not stop.is_set():
            made.append(decide(client, f"c{number}-{count // 3}")["decision_id"])
            count += 1

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, number) for number in range(8)]
        for _ in range(20):
            assert activate(client, two, one).json()["changed"]
            assert activate(client, one, two).json()["changed"]
        stop.set()
        for each in asking:
            each.result()
    used = set()
    for decision_id in made:
        whole = client.get(f"/v1/decisions/{decision_id}").json()
        revision = known[whole["revision"]]
        used.add(revision.id)
        assert whole["actions"] == list(revision.action_ids)
        assert whole["policy"] == revision.agent.policy.learner
        rules = {rule.name for rule in revision.guardrails}
        reasons = {reason.partition(": ")[0] for reason in whole["mask"] if reason}
        assert reasons <= rules, "a reason of a guardrail that the revision does not have"
        assert whole["replay"]["verdict"] == "same"
    assert used == {one, two}


def test_a_canary_decides_for_its_share_and_always_the_same_customers(
    client: httpx.Client,
) -> None:
    before, canary = active(client), put(client, care(5))
    deciding = {}
    for percent in (20, 50):
        answer = activate(client, canary, before, percent=percent).json()
        assert answer["standing"] == {
            "revision": before, "canary": canary, "percent": percent, "shadow": None
        }  # fmt: skip
        made = {f"c{i}": decide(client, f"c{i}")["revision"] for i in range(60)}
        assert set(made.values()) == {before, canary}
        deciding[percent] = {name for name, revision in made.items() if revision == canary}
        again = {f"c{i}" for i in range(60) if decide(client, f"c{i}")["revision"] == canary}
        assert again == deciding[percent]
    assert deciding[20] < deciding[50]
    assert activate(client, canary, before, percent=50).json()["changed"] is False
    assert activate(client, canary, before).json()["standing"]["revision"] == canary
    assert decide(client, "c0")["revision"] == canary


def test_what_cannot_stand_is_refused_with_what_does(client: httpx.Client) -> None:
    before = active(client)
    one, two = put(client, care(5)), put(client, care(6))
    new = put(client, care(5).replace("agent: care", "agent: late"), "late")
    body = {"revision": new, "expected": None, "percent": 10}
    refused = client.post("/v1/agents/late/activate", json=body)
    assert refused.status_code == 409
    assert refused.json()["standing"] is None
    assert client.post("/v1/agents/late/rollback", json={}).status_code == 404
    assert client.post("/v1/agents/late/activate", json=body | {"percent": 100}).is_success
    for revision, expected, percent, detail in [
        (one, None, 100, "expected no revision to be active"),
        (one, two, 100, f"expected revision {two} to be active; revision {before} is active"),
        (before, before, 5, "expected another revision than the active one"),
    ]:
        answer = activate(client, revision, expected, percent=percent)
        assert answer.status_code == 409
        assert detail in answer.json()["detail"]
    assert activate(client, one, before, percent=5).is_success
    second = activate(client, two, before, percent=5)
    assert "expected no other canary" in second.json()["detail"]
    assert f"{one} decides for 5 %" in second.json()["detail"]
    assert activate(client, two, before, shadow=True).is_success
    assert activate(client, one, before, shadow=True).status_code == 409
    assert activate(client, "0" * 16, before).status_code == 404
    assert activate(client, new, before).status_code == 404  # another agent's
    assert activate(client, one, before, shadow=True, percent=5).status_code == 422
    assert client.post("/v1/agents/care/activate", json={"revision": one}).status_code == 422


def test_a_rollback_ends_a_trial_first_and_then_goes_back_step_by_step(
    client: httpx.Client, stood: Log
) -> None:
    first = active(client)
    nothing = roll_back(client)
    assert nothing.status_code == 409
    assert "expected a revision that was active before" in nothing.json()["detail"]
    second, third, fourth = (put(client, care(value)) for value in (5, 6, 7))
    assert activate(client, second, first).is_success
    assert activate(client, third, second).is_success
    assert activate(client, fourth, third, percent=30).is_success
    assert activate(client, second, third, shadow=True).is_success
    answers = [roll_back(client, "bad").json()["standing"] for _ in range(3)]
    assert [each["revision"] for each in answers] == [third, second, first]
    assert all(each["canary"] is each["shadow"] is None for each in answers)
    assert roll_back(client).status_code == 409
    assert decide(client, "ann")["revision"] == first
    assert activate(client, fourth, first).is_success
    assert roll_back(client).json()["standing"]["revision"] == first
    assert [each["reason"] for each in stood()][5:8] == ["bad"] * 3


def test_a_restart_keeps_canary_and_shadow_and_where_a_rollback_goes(
    open_shop: Serve, own_shop: Path
) -> None:
    with open_shop() as client:
        first = active(client)
        second, third, fourth = (put(client, care(value)) for value in (5, 6, 7))
        assert activate(client, second, first).is_success
        assert activate(client, third, second, percent=40).is_success
        assert activate(client, fourth, second, shadow=True).is_success
        stands = client.get("/v1/agents/care").json()
        made = {f"c{i}": decide(client, f"c{i}")["revision"] for i in range(30)}
    with open_shop() as client:
        assert client.get("/v1/agents/care").json() == stands
        assert {name: decide(client, name)["revision"] for name in made} == made
    shared = own_shop / "workspace.yaml"
    shared.write_text(shared.read_text().replace("max: 50, per: 20d", "max: 40, per: 20d"))
    with open_shop() as client:  # all that stands is compiled again, inside the new workspace
        now = client.get("/v1/agents/care").json()
        before = {stands[part] for part in ("revision", "canary", "shadow")}
        after = {now[part] for part in ("revision", "canary", "shadow")}
        assert not before & after
        assert now["percent"] == 40
        old = activate(client, second, now["revision"])
        assert old.status_code == 422
        assert "another workspace.yaml" in old.json()["detail"]
        whole = client.get(f"/v1/decisions/{decide(client, 'c0')['decision_id']}").json()
        assert whole["shadow"]["revision"] == now["shadow"]
        assert roll_back(client).json()["standing"]["revision"] == now["revision"]
        back = roll_back(client).json()["standing"]["revision"]
        assert back not in (first, now["revision"])  # the first one, inside the new workspace
        written = [client.get(f"/v1/agents/care/revisions/{each}") for each in (first, back)]
        assert written[0].json()["yaml"] == written[1].json()["yaml"]
