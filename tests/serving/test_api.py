from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

AT = "2026-03-02T09:00:00+00:00"
Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
Features = dict[str, Any]


def ask(features: Features, customer: str = "ann", at: str | None = AT) -> dict[str, Any]:
    body = {"agent": "retention", "customer": customer, "features": features}
    return body | ({} if at is None else {"at": at})


def decide(client: httpx.Client, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/v1/decisions", json=body, headers=headers)


def treated(client: httpx.Client, features: Features) -> dict[str, Any]:
    """Return the first decision that contacts somebody."""
    for number in range(200):
        answer: dict[str, Any] = decide(client, ask(features, f"customer-{number}")).json()
        if answer["action"]["id"] != "none":
            return answer
    raise AssertionError("nobody of 200 was contacted")


def test_a_decision_and_its_whole_record(client: httpx.Client, features: Features) -> None:
    answer = treated(client, features)
    whole = client.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert whole["action_id"] == answer["action"]["id"]
    assert whole["distribution"][whole["action"]] == answer["propensity"] == whole["propensity"]
    assert np.isclose(sum(whole["distribution"]), 1.0, atol=1e-12)
    assert all((p > 0) == (why is None) for p, why in zip(
        whole["distribution"], whole["mask"], strict=True
    ))  # fmt: skip
    assert whole["features"]["plan"] == "plus"
    assert whole["outcomes"] == []
    assert whole["reward"] <= 0


def test_the_contact_of_one_decision_bars_the_next(
    client: httpx.Client, features: Features
) -> None:
    first = treated(client, features)
    whole = client.get(f"/v1/decisions/{first['decision_id']}").json()
    again = decide(client, ask(features, whole["customer"])).json()
    record = client.get(f"/v1/decisions/{again['decision_id']}").json()
    offer = first["action"]["offer"]
    reasons = {
        why for action, why in zip(record["actions"], record["mask"], strict=True)
        if action.startswith(f"{offer}/")
    }  # fmt: skip
    assert None not in reasons
    assert any("offer_pause" in str(why) for why in reasons)


def test_same_key_same_answer(client: httpx.Client, features: Features) -> None:
    first = decide(client, ask(features), key="visit-1")
    again = decide(client, ask(features), key="visit-1")
    assert first.json() == again.json()
    assert "Idempotent-Replay" not in first.headers
    assert again.headers["Idempotent-Replay"] == "true"
    other = decide(client, ask(features, "bob"), key="visit-1")
    assert other.status_code == 422
    assert "used before for a different request" in other.json()["detail"]


def test_fifty_parallel_retries_make_one_decision(client: httpx.Client, features: Features) -> None:
    def retry(_: int) -> str:
        answer: str = decide(client, ask(features), key="same").json()["decision_id"]
        return answer

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(retry, range(50)))) == 1


def test_parallel_decisions_never_exceed_the_cap(client: httpx.Client, features: Features) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: decide(client, ask(features)).json(), range(60)))
    contacts = [answer for answer in answers if answer["action"]["id"] != "none"]
    assert len(contacts) <= 3  # contact_limit: 3 in 14 days


def test_an_outcome_counts_once(client: httpx.Client, features: Features) -> None:
    decision = treated(client, features)
    event = {
        "outcome_id": "order-1",
        "decision_id": decision["decision_id"],
        "outcome": "renewed",
        "at": "2026-03-03T09:00:00+00:00",
    }
    first = client.post("/v1/outcomes", json=event).json()
    again = client.post("/v1/outcomes", json=event).json()
    credited = {"outcome_id": "order-1", "decision_id": decision["decision_id"]}
    credited |= {"counted": ["renewed"], "pending": False, "adjusts": None, "uncounted": []}
    assert first == credited | {"replayed": False}
    assert again == credited | {"replayed": True}
    second = client.post("/v1/outcomes", json=event | {"outcome_id": "order-2"}).json()
    assert second["counted"] == []  # count: once
    late = event | {"outcome_id": "o-3", "outcome": "upgraded", "at": "2026-04-03T09:00:00+00:00"}
    assert client.post("/v1/outcomes", json=late).json()["counted"] == []
    whole = client.get(f"/v1/decisions/{decision['decision_id']}").json()
    assert len(whole["outcomes"]) == 3
    assert 70 < whole["reward"] <= 80
    changed = event | {"at": "2026-03-04T09:00:00+00:00"}
    assert client.post("/v1/outcomes", json=changed).status_code == 422


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"agent": "retentoin"}, 404, "did you mean 'retention'?"),
        ({"features": {"plann": "plus"}}, 422, "did you mean 'plan'?"),
        ({"features": {"plan": "gold"}}, 422, "use one of: basic, plus, unlimited"),
        ({"features": {"tenure_months": True}}, 422, "expected a whole number, got a boolean"),
        ({"features": {"tenure_months": -1}}, 422, "expected a number from 0 to 600"),
        ({"features": {"time_zone": "../../etc/passwd"}}, 422, "expected an IANA time zone"),
        ({"customer": ""}, 422, "customer: string should have at least 1 character"),
        ({"customer": "a\nb"}, 422, "customer: string should match pattern"),
        ({"colour": "red"}, 422, "colour: extra inputs are not permitted"),
        ({"at": "2026-03-02T09:00:00"}, 422, "expected an instant such as"),
        ({"at": None}, 422, "expected 'at'"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(
    steady: httpx.Client, features: Features, change: dict[str, Any], status: int, detail: str
) -> None:
    body = ask(features) | change
    answer = decide(steady, {k: v for k, v in body.items() if v is not None})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b'{"agent": "retention", "agent": "x"}', 422, "the key 'agent' stands in the body a sec"),
        (b'{"features": {"monthly_bill": NaN}}', 422, "expected finite numbers, got NaN"),
        (b'{"features": {"monthly_bill": 1e999}}', 422, "expected finite numbers, got 1e999"),
        (b'{"features": {"age": ' + b"9" * 400 + b"}}", 422, "at most 18 digits"),
        (b'{"customer": "\\ud800"}', 400, "expected a JSON body"),
        (b"{", 400, "expected a JSON body"),
        (b"[" * 5_000, 400, "expected a JSON body"),
        (b'{"customer": "' + b"x" * 70_000 + b'"}', 413, "expected a body of at most 65,536 bytes"),
    ],
)
def test_bad_bodies_are_refused(
    steady: httpx.Client, body: bytes, status: int, detail: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = steady.post("/v1/decisions", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert detail in answer.text


def test_unknown_decisions_and_outcomes_are_refused(
    client: httpx.Client, features: Features
) -> None:
    event = {"outcome_id": "o", "decision_id": "nope", "outcome": "renewed", "at": AT}
    waits = client.post("/v1/outcomes", json=event)
    assert (waits.status_code, waits.json()["pending"]) == (202, True)
    assert client.get("/v1/decisions/nope").status_code == 404
    known = decide(client, ask(features)).json()["decision_id"]
    event |= {"outcome_id": "o2"}
    wrong = client.post("/v1/outcomes", json=event | {"decision_id": known, "outcome": "renwed"})
    assert "did you mean 'renewed'?" in wrong.json()["detail"]
    early = event | {"decision_id": known, "at": "2026-03-01T09:00:00+00:00"}
    assert "expected an outcome after its decision" in client.post(
        "/v1/outcomes", json=early
    ).json()["detail"]  # fmt: skip


def test_an_agent_is_submitted_whole_or_not_at_all(
    client: httpx.Client, workspace: Path, features: Features, submit: Submit
) -> None:
    before = client.get("/v1/agents/retention").json()
    text = (workspace / "agents" / "retention.yaml").read_text()
    assert before["yaml"] == text
    broken = client.put(
        "/v1/agents/retention", content=text.replace("rule: cooldown", "rule: cool")
    )
    assert broken.status_code == 422
    assert text.splitlines()[broken.json()["line"] - 1].strip().startswith("offer_pause:")
    assert "did you mean 'cooldown'?" in broken.json()["detail"]
    for wrong in ("learner: hybrid_thomson", "learner: hybrid_thompson\n  settings: {taau: 1}"):
        answer = client.put(
            "/v1/agents/retention", content=text.replace("learner: hybrid_thompson", wrong)
        )
        assert "did you mean" in answer.json()["detail"]
    renamed = client.put("/v1/agents/other", content=text)
    assert "expected agent 'other'" in renamed.json()["detail"]
    assert client.get("/v1/agents/retention").json() == before

    changed = submit(client, "retention", text.replace("max: 2", "max: 1")).json()
    assert changed["changed"] is True
    standing = changed["standing"]
    assert standing["revision"] != before["revision"]
    assert decide(client, ask(features)).json()["revision"] == standing["revision"]
    assert client.get("/v1/agents").json() == [{"agent": "retention", **standing}]
    again = submit(client, "retention", text.replace("max: 2", "max: 1"))
    assert again.json()["changed"] is False


def test_a_restart_keeps_everything(
    serve: Serve, features: Features, workspace: Path, submit: Submit
) -> None:
    with serve() as client:
        first = decide(client, ask(features), key="before").json()
        text = (workspace / "agents" / "retention.yaml").read_text()
        changed = submit(client, "retention", text + "\n# new\nalways_act: true\n").json()
    with serve() as client:
        assert decide(client, ask(features), key="before").json() == first
        assert (
            client.get("/v1/agents/retention").json()["revision"] == changed["standing"]["revision"]
        )
    (workspace / "agents" / "retention.yaml").write_text(text.replace("value: 80", "value: 90"))
    with serve() as client:
        assert "value: 90" in client.get("/v1/agents/retention").json()["yaml"]


def test_the_machine_clock_asks_nobody(serve: Serve, features: Features) -> None:
    with serve(clock="machine") as client:
        assert decide(client, ask(features, at=None)).status_code == 200
        claimed = decide(client, ask(features))
        assert "this server runs on its own clock" in claimed.json()["detail"]


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert ready["agents"]["retention"]["snapshot"] == ""
    assert client.get("/nowhere").headers["content-type"] == "application/problem+json"
    assert json.loads(client.get("/openapi.json").text)["info"]["title"] == "nextbest"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("o-2", "2026-03-03T09:00:00Z"), ("o-1", "2026-03-03T09:00:00Z")),
        (("o-1", "2026-03-04T09:00:00Z"), ("o-2", "2026-03-03T09:00:00Z")),
    ],
)
def test_an_outcome_that_counts_once_does_so_in_any_order(
    client: httpx.Client, features: Features, first: tuple[str, str], second: tuple[str, str]
) -> None:
    decision = treated(client, features)
    event = {"decision_id": decision["decision_id"], "outcome": "renewed"}
    heard = [
        client.post("/v1/outcomes", json=event | {"outcome_id": name, "at": at}).json()["counted"]
        for name, at in (first, second)
    ]
    assert heard == [["renewed"], []]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("learner: hybrid_thomson", "policy.learner: there is no learner"),
        ("learner: hybrid_thompson\n  settings: {taau: 1}", "policy.settings.taau: "),
        ("learner: hybrid_thompson\n  settings: {tau: 99}", "policy.settings.tau: expected a num"),
    ],
)
def test_a_wrong_learner_is_an_error_of_the_document(
    client: httpx.Client, workspace: Path, change: str, where: str
) -> None:
    text = (workspace / "agents" / "retention.yaml").read_text()
    content = text.replace("learner: hybrid_thompson", change)
    answer = client.put("/v1/agents/retention", content=content)
    assert answer.status_code == 422
    assert where in answer.json()["detail"]
    assert answer.json()["line"] >= 53


@pytest.mark.parametrize(
    ("headers", "body", "status", "detail"),
    [
        ({}, b"{}", 415, "expected 'Content-Type: application/json', got ''"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "got 'text/plain'"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", 415, "gzip"),
        ({"Content-Type": "application/json"}, b"", 422, "body: field required"),
        ({"Content-Type": "application/json"}, b"[]", 422, "body: input should be a valid dict"),
        ({"Content-Type": "application/json"}, b"\xff", 400, "expected a JSON body"),
    ],
)
def test_bodies_of_another_kind_are_refused(
    client: httpx.Client, headers: dict[str, str], body: bytes, status: int, detail: str
) -> None:
    answer = client.post("/v1/decisions", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in answer.json()["detail"]


def test_a_body_without_length_is_bounded_too(client: httpx.Client) -> None:
    chunks = (b" " * 1_024 for _ in range(70))
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/decisions", content=chunks, headers=headers)
    assert answer.status_code == 413
    assert client.put("/v1/agents/retention", content=(b"#" * 1_024 for _ in range(70))).is_error
    assert client.get("/healthz").is_success


def test_a_value_of_a_wrong_kind_is_told_what_its_field_expects(
    client: httpx.Client, features: Features
) -> None:
    answer = decide(client, ask(features | {"plan": ["plus"]}))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("customer.plan: expected")
    many: Features = {f"field{number}": {} for number in range(3_000)}
    assert len(decide(client, ask(features) | many).content) < 2_000


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_instant_at_the_end_of_all_time_is_refused(
    client: httpx.Client, features: Features, at: str
) -> None:
    assert decide(client, ask(features, at=at)).status_code == 422
    known = decide(client, ask(features)).json()["decision_id"]
    event = {"outcome_id": "o", "decision_id": known, "outcome": "renewed", "at": at}
    assert client.post("/v1/outcomes", json=event).status_code == 422


def test_a_method_that_is_not_allowed_says_which_is(client: httpx.Client) -> None:
    answer = client.delete("/v1/decisions")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["title"] == "Method Not Allowed"


def test_names_in_an_address_are_bounded(client: httpx.Client) -> None:
    for address in ("/v1/decisions/", "/v1/agents/"):
        answer = client.get(address + "a" * 10_000)
        assert answer.status_code == 422
        assert len(answer.content) < 500


def test_the_openapi_document_says_what_is_answered(
    client: httpx.Client, features: Features
) -> None:
    document = client.get("/openapi.json").json()
    streamed = {"/v1/decisions/batch": "application/x-ndjson", "/metrics": "text/plain"}
    start = "/personalizer/{version}/model"
    streamed |= dict.fromkeys((start, f"/loops/{{agent}}{start}"), "application/octet-stream")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status == "204":
                    assert "content" not in response
                    continue
                (kind,) = response["content"]
                good = status[0] == "2" or "/personalizer/" in path  # whose errors are its own
                expected = "application/json" if good else "application/problem+json"
                if status == "200":
                    expected = streamed.get(path, expected)
                assert kind == expected, f"{method} {path} {status}"
                assert response["content"][kind]["schema"], f"{method} {path} {status}"
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    decision = decide(client, ask(features)).json()
    assert decision.keys() == schemas["DecisionWithOptions"]["properties"].keys()
    whole = client.get(f"/v1/decisions/{decision['decision_id']}").json()
    assert whole.keys() == schemas["WholeDecision"]["properties"].keys()
    ready = client.get("/readyz").json()
    assert ready.keys() == schemas["ReadyAnswer"]["properties"].keys()


def test_the_workspace_binds_agents_that_came_over_http(
    serve: Serve, features: Features, workspace: Path, submit: Submit
) -> None:
    """A guardrail tightened in workspace.yaml holds after a restart for each agent there is."""
    text = (workspace / "agents" / "retention.yaml").read_text()
    over_http = text.replace("value: 80", "value: 81")
    with serve() as client:
        submit(client, "winback", text.replace("agent: retention", "agent: winback"))
        submit(client, "retention", over_http)
    shared = workspace / "workspace.yaml"
    shared.write_text(shared.read_text().replace("max: 3, per", "max: 0, per"))
    with serve() as client:
        assert client.get("/v1/agents/retention").json()["yaml"] == over_http
        for agent in ("retention", "winback"):
            for number in range(30):
                body = ask(features, f"c{number}") | {"agent": agent}
                assert decide(client, body).json()["action"]["id"] == "none"
