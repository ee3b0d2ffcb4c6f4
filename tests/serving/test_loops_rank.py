"""A loop's routes, whatever is sent to them: the right status, the right shape, never a 500."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import numpy as np
import pytest

from agents.decisions import Decision
from agents.spec.supplied import SuppliedSpec
from serving.loops.asked import read_rank
from serving.loops.errors import LoopError, error_of, under_loop
from serving.loops.rank import rank_answer
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]

RANK = "/personalizer/v1.0/rank"
NAMED = "/loops/front/personalizer/v1.0/rank"
FILES = {
    "workspace.yaml": """\
workspace: news
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer, min: 0, max: 120}
channels:
  site: {}
""",
    "agents/front.yaml": """\
agent: front
supplied: {channel: site, customer: user.id, fields: {age: user.age}}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
    default: 0
    metric: primary
policy: {learner: vw_rank, floor: 0.2}
always_act: true
holdout: {control: 0, random: 0}
""",
}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, serve_settings: Serve
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("rank")
    for name, text in FILES.items():
        path = folder / "news" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with serve_settings(Settings(folder / "news", folder / "data")) as client:
        yield client


def action(name: Any = "a", features: Any = ({"x": 1},)) -> dict[str, Any]:
    return {"id": name, "features": list(features) if isinstance(features, tuple) else features}


def error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"])
    return dict(body["error"])


WRONG = [
    ([], None),
    ({}, "ActionCountOutOfBounds"),
    ({"actions": []}, "ActionCountOutOfBounds"),
    ({"actions": [action(str(n)) for n in range(51)]}, "ActionCountOutOfBounds"),
    ({"actions": [None]}, "ActionsContainsNull"),
    ({"actions": [action("")]}, "EmptyActionId"),
    ({"actions": [action(7)]}, "EmptyActionId"),
    ({"actions": [action(), action()]}, "DuplicateActionId"),
    ({"actions": [action(features=None)]}, "ActionHasNoNonNullFeatures"),
    ({"actions": [action(features=())]}, "ActionHasNoNonNullFeatures"),
    ({"actions": [action(features=(None,))]}, "ActionHasNoNonNullFeatures"),
    ({"actions": [action(features=("x",))]}, "FeaturesNotInKeyValueFormat"),
    ({"actions": [action(features="x")]}, "FeaturesNotInKeyValueFormat"),
    ({"actions": [action("none")]}, None),
    ({"actions": [action("a" * 257)]}, None),
    ({"actions": [action("a\n")]}, None),
    ({"actions": [action()], "contextFeatures": [None]}, "ContextFeaturesContainsNull"),
    ({"actions": [action()], "contextFeatures": {"a": 1}}, "FeaturesNotInKeyValueFormat"),
    ({"actions": [action()], "contextFeatures": [{"user": {"age": "old"}}]}, None),
    ({"actions": [action()], "contextFeatures": [{"user": {"id": {}}}]}, None),
    ({"actions": [action()], "contextFeatures": [{"user": {"id": "a" * 200}}]}, None),
    ({"actions": [action()], "excludedActions": ["a"]}, None),
    ({"actions": [action()], "excludedActions": [1]}, None),
    ({"actions": [action()], "excludedActions": "a"}, None),
    ({"actions": [action()], "eventId": ""}, "EmptyEventId"),
    ({"actions": [action()], "eventId": "e" * 257}, None),
    ({"actions": [action()], "eventId": "a/b"}, None),
    ({"actions": [action()], "eventId": 5}, None),
    ({"actions": [action()], "deferActivation": "yes"}, None),
]  # fmt: skip


@pytest.mark.parametrize("path", [RANK, NAMED])
@pytest.mark.parametrize(("body", "inner"), WRONG)
def test_what_does_not_fit_is_refused(
    server: httpx.Client, path: str, body: Any, inner: str | None
) -> None:
    response = server.post(path, json=body)
    assert response.status_code == 400, response.text
    told = error(response)
    assert told["code"] == "InvalidRankRequest"
    assert told.get("innerError", {}).get("code") == inner


FITS = [
    {"actions": [action()]},
    {"actions": [action()], "more": 1, "contextFeatures": None, "excludedActions": None},
    {"actions": [action()], "eventId": None, "deferActivation": None},
    {"actions": [action(), action("b")], "excludedActions": ["b", "b", "unknown"]},
    {"actions": [action(features=({"tags": ["x", "y"], "_tag": "q", "_multi": [1], "": 2},))]},
    {"actions": [action(features=(None, {"deep": [[{"v": 1e300}]], "n": None}))]},
    {"actions": [action("é 漢 \\ \"'")], "contextFeatures": [{"user": {"id": 7, "age": None}}]},
    {"actions": [action(str(n)) for n in range(50)], "eventId": "e" * 256},
]


@pytest.mark.parametrize("body", FITS)
def test_what_fits_is_answered(server: httpx.Client, body: dict[str, Any]) -> None:
    for path in (RANK, NAMED):
        response = server.post(path, json=body)
        assert response.status_code == 201, response.text
        answer = response.json()
        assert {each["id"] for each in answer["ranking"]} == {a["id"] for a in body["actions"]}
        assert sum(each["probability"] for each in answer["ranking"]) == pytest.approx(1.0)
        assert answer["rewardActionId"] == answer["ranking"][0]["id"]


def test_a_body_may_be_as_large_as_fifty_actions_need(server: httpx.Client) -> None:
    long = [action(str(n), ({"text": "x" * 4000},)) for n in range(50)]
    assert server.post(RANK, json={"actions": long}).status_code == 201
    longer = [action(str(n), ({"text": "x" * 6000},)) for n in range(50)]
    refused = server.post(RANK, json={"actions": longer})
    assert (refused.status_code, error(refused)["code"]) == (413, "PayloadSizeExceeded")


PLAIN = {"Content-Type": "application/json"}
UTF8 = {"Content-Type": "application/json; charset=utf-8"}


@pytest.mark.parametrize("headers", [PLAIN, UTF8, UTF8 | {"Content-Encoding": "identity"}])
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b'{"actions": [{"id": "a", "features": [{"x": 1}]}]}', 201),
        (b"", 400),
        (b"{", 400),
        (b'{"actions": NaN}', 400),
        (b'{"actions": [], "actions": []}', 400),
        (b'{"actions": [{"id": "\xff"}]}', 400),
        (b'{"actions": [{"id": "\\ud800", "features": [{"x": 1}]}]}', 400),
        (b"[" * 5000, 400),
    ],
)
def test_json_is_read_strictly_on_either_way(
    server: httpx.Client, headers: dict[str, str], raw: bytes, status: int
) -> None:
    """With a content encoding, a request goes the way of FastAPI."""
    response = server.post(RANK, content=raw, headers=headers)
    assert response.status_code == status, response.text
    if status != 201:
        assert error(response)["code"] == "InvalidRankRequest"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", RANK, {"Content-Type": "text/plain"}, 415, "BadRequest"),
        ("POST", RANK, PLAIN | {"Content-Encoding": "gzip"}, 415, "BadRequest"),
        ("GET", RANK, {}, 405, "MethodNotAllowed"),
        ("POST", "/personalizer/v1.0/ranks", PLAIN, 404, "ResourceNotFound"),
        ("POST", "/personalizer/v9/rank", PLAIN, 404, "ResourceNotFound"),
        ("POST", "/loops/nobody/personalizer/v1.0/rank", PLAIN, 404, "ResourceNotFound"),
        ("POST", RANK, PLAIN | {"Host": "elsewhere.example"}, 421, "BadRequest"),
        ("POST", RANK, PLAIN | {"Origin": "https://elsewhere.example"}, 403, "InvalidApiAccess"),
        ("POST", RANK, PLAIN | {f"x-{n}": "" for n in range(80)}, 431, "BadRequest"),
    ],
)
def test_every_error_has_the_one_shape(
    server: httpx.Client, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    response = server.request(method, path, headers=headers, content=b"{}")
    assert response.status_code == status, response.text
    assert error(response)["code"] == code
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"value": 1}, 204),
        ({"value": -1.0, "more": 1}, 204),
        ({"value": 1.5}, 400),
        ({"value": True}, 400),
        ({"value": "1"}, 400),
        ({"value": None}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_rewards(server: httpx.Client, body: Any, status: int) -> None:
    asked = {"actions": [action()], "eventId": "rewarded"}
    assert server.post(RANK, json=asked).status_code == 201
    for event in ("rewarded", "nobodys"):
        path = f"/personalizer/v1.0/events/{event}/reward"
        for headers in (PLAIN, PLAIN | {"Content-Encoding": "identity"}):
            response = server.post(path, content=json.dumps(body), headers=headers)
            assert response.status_code == status, response.text
            if status == 400:
                assert error(response)["code"] == "InvalidRewardRequest"


@pytest.mark.parametrize("event", ["e%0A", "e" * 257])
def test_an_event_id_that_cannot_be_one(server: httpx.Client, event: str) -> None:
    path = f"/personalizer/v1.0/events/{event}"
    reward = server.post(f"{path}/reward", json={"value": 1})
    assert (reward.status_code, error(reward)["code"]) == (400, "InvalidRewardRequest")
    active = server.post(f"{path}/activate")
    assert (active.status_code, error(active)["code"]) == (400, "InvalidEventIdToActivate")


def test_an_id_of_any_language_is_found_again(server: httpx.Client) -> None:
    for event in ("é 漢?#%&", "..a", "loop:front:x", "a\\b"):
        asked = {"actions": [action()], "eventId": event, "deferActivation": True}
        assert server.post(RANK, json=asked).json()["eventId"] == event
        base = httpx.URL(f"{server.base_url}/personalizer/v1.0/events/")
        quoted = httpx.QueryParams({"q": event})
        path = f"{base.path}{str(quoted)[2:].replace('+', '%20')}"
        assert server.post(f"{path}/activate").status_code == 204
        assert server.post(f"{path}/reward", json={"value": 1}).status_code == 204
    text = server.get("/metrics").text
    assert 'report="activate"' not in text, "each was found"


def test_a_mangled_body_is_never_a_500(server: httpx.Client) -> None:
    """Bytes and values of a good body are exchanged at random."""
    rng = np.random.default_rng(4)
    good: dict[str, Any] = {
        "contextFeatures": [{"user": {"id": "ann", "age": 4}}, {"t": "x"}],
        "actions": [action("a"), action("b", ({"y": [1, 2]},))],
        "excludedActions": ["b"], "eventId": "mangled", "deferActivation": False,
    }  # fmt: skip
    odd: list[Any] = [
        None,
        True,
        -1,
        1e308,
        "",
        "none",
        [],
        {},
        [[]],
        [{}],
        {"id": 1},
        "\u0000",
        10**17,
    ]
    seen = set()
    for number in range(300):
        body = json.loads(json.dumps(good | {"eventId": f"m-{number}"}))
        _exchange(body, odd, rng)
        raw = bytearray(json.dumps(body).encode())
        if number % 3 == 0:
            raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
        response = server.post(RANK, content=bytes(raw), headers=PLAIN)
        assert response.status_code in (201, 400), response.text
        seen.add(response.status_code)
    assert seen == {201, 400}


def _exchange(node: Any, odd: list[Any], rng: np.random.Generator) -> None:
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = keys[int(rng.integers(len(keys)))]
    if isinstance(node[key], (dict, list)) and node[key] and rng.random() < 0.6:
        _exchange(node[key], odd, rng)
    else:
        node[key] = odd[int(rng.integers(len(odd)))]


def test_the_document_tells_of_the_routes(server: httpx.Client) -> None:
    document = server.get("/openapi.json").json()
    for start in ("/personalizer/v1.0", "/loops/{agent}/personalizer/v1.0"):
        operation = document["paths"][f"{start}/rank"]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert body["properties"]["actions"]["maxItems"] == 50
        assert "201" in operation["responses"]
        for status in ("400", "404", "413", "429"):
            shape = operation["responses"][status]["content"]["application/json"]["schema"]
            assert shape["$ref"].endswith("/ErrorResponse")
        assert (
            "204" in document["paths"][f"{start}/events/{{event_id}}/reward"]["post"]["responses"]
        )
    named = document["paths"]["/loops/{agent}/personalizer/v1.0/rank"]["post"]
    assert [each["name"] for each in named["parameters"]] == ["agent"]


SPEC = SuppliedSpec(channel="site", customer="user.id", fields={"age": "user.age", "vip": "vip"})


def test_who_asks_is_found_in_the_context_and_taken_out_of_it() -> None:
    body = {
        "contextFeatures": [
            {"user": "text"}, {"user": {"age": 3}}, {"user": {"id": "ann", "age": 4}},
            {"vip": None},
        ],
        "actions": [action()],
    }  # fmt: skip
    asked = read_rank(json.dumps(body).encode(), SPEC)
    assert (asked.customer, asked.features) == ("ann", {"age": 3})
    shared = json.loads(asked.supplied.content)["FromUrl"]
    assert shared == [{"user": "text"}, {"user": {"age": 3}}, {"user": {"age": 4}}, {"vip": None}]


def test_an_id_that_stands_twice_is_taken_out_twice() -> None:
    shared = [
        {"user": [{"id": "ann"}, {"id": None}, {"id": "ann", "x": 1}]},
        {"user": {"id": "ann"}},
    ]
    body: dict[str, Any] = {"contextFeatures": shared, "actions": [action()]}
    asked = read_rank(json.dumps(body).encode(), SPEC)
    assert asked.customer == "ann"
    assert b"ann" not in asked.supplied.content, "no log has it"
    body["contextFeatures"].append({"user": {"id": "bob"}})
    with pytest.raises(LoopError, match="got two") as error:
        read_rank(json.dumps(body).encode(), SPEC)
    assert "bob" not in str(error.value)


def test_without_an_id_nobody_is_known() -> None:
    body = {"contextFeatures": [{"user": {"id": None}}], "actions": [action()]}
    assert read_rank(json.dumps(body).encode(), SPEC).customer == ""


def test_more_than_the_loop_takes_is_refused() -> None:
    few = SuppliedSpec(channel="site", at_most=2)
    body = json.dumps({"actions": [action(str(n)) for n in range(3)]}).encode()
    with pytest.raises(LoopError, match="expected 1 to 2, got 3"):
        read_rank(body, few)


class _Mask:
    reasons = ("always_act", None, "excluded", None, None)


class _Drawn:
    """What a Rank's answer tells of a decision."""

    actions = ("none", "a", "b", "c", "d")
    distribution = np.array([0.0, 0.2, 0.0, 0.5, 0.3])
    mask = _Mask()
    action = 1


def test_the_drawn_action_comes_first_then_the_likely_ones() -> None:
    drawn: Any = _Drawn()
    decision: Decision = drawn
    ranking = rank_answer(decision, "e")["ranking"]
    assert ranking == [
        {"id": "a", "probability": 0.2},
        {"id": "b", "probability": 0.0},
        {"id": "c", "probability": 0.5},
        {"id": "d", "probability": 0.3},
    ]


def test_paths_of_loops() -> None:
    assert under_loop("/personalizer/v1.1-preview.3/multislot/rank")
    assert under_loop("/loops/a/personalizer/v1.0/x")
    assert not under_loop("/loops/a/b/personalizer/v1.0/rank")
    assert not under_loop("/personalizer")


def test_several_faults_are_told_one_by_one() -> None:
    problem = {"status": 422, "detail": "one", "errors": ["one", "two"]}
    told = error_of("/personalizer/v1.0/x", problem)["error"]
    assert [each["message"] for each in told["details"]] == ["one", "two"]
