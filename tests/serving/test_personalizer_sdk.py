"""Azure Personalizer's published SDK for Python, unmodified, against a server of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.cognitiveservices import personalizer
from msrest import exceptions
from msrest.authentication import ApiKeyCredentials

from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]

untyped: Any = personalizer
models, PersonalizerClient = untyped.models, untyped.PersonalizerClient
failure: Any = exceptions.HttpOperationError

WORKSPACE = """\
workspace: news
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer, min: 0, max: 120}
channels:
  site: {}
guardrails:
  enough: {rule: frequency_cap, max: 3, per: 1d, scope: all}
"""
LOOP = """\
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
"""


def write_news(folder: Path, *loops: str) -> Path:
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    for name in loops:
        text = LOOP.replace("agent: front", f"agent: {name}")
        (folder / "agents" / f"{name}.yaml").write_text(text)
    return folder


def connect(server: httpx.Client, path: str = "", key: str = "any") -> Any:
    credentials: Any = ApiKeyCredentials(in_headers={"Ocp-Apim-Subscription-Key": key})
    return PersonalizerClient(str(server.base_url).rstrip("/") + path, credentials)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, serve_settings: Serve
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("sdk")
    settings = Settings(write_news(folder / "news", "front"), folder / "data")
    with serve_settings(settings) as client:
        yield client


@pytest.fixture
def sdk(server: httpx.Client) -> Any:
    return connect(server)


def question(event_id: str | None = None, **changes: Any) -> Any:
    actions = [
        models.RankableAction(id=name, features=[{"topic": name, "length": 10}, {"new": True}])
        for name in ("pasta", "soup", "salad", "cake")
    ]
    given: dict[str, Any] = {
        "actions": actions,
        "context_features": [{"time": "morning"}, {"user": {"age": 30}}],
        "event_id": event_id,
    }
    return models.RankRequest(**given | changes)


def test_rank_reward_and_activate(sdk: Any) -> None:
    answer = sdk.rank(question("first", excluded_actions=["soup"], defer_activation=True))
    assert isinstance(answer, models.RankResponse)
    assert answer.event_id == "first"
    ranked = {each.id: each.probability for each in answer.ranking}
    assert set(ranked) == {"pasta", "soup", "salad", "cake"}
    assert ranked["soup"] == 0.0
    assert answer.ranking[1].id == "soup", "what is excluded stays where it was"
    assert sum(ranked.values()) == pytest.approx(1.0, abs=1e-12)
    assert answer.reward_action_id == answer.ranking[0].id
    assert ranked[answer.reward_action_id] >= 0.2 / 3 - 1e-12
    assert sdk.events.activate("first") is None
    assert sdk.events.reward("first", 0.5) is None
    raw = sdk.events.reward("first", 1.0, raw=True)
    assert raw.response.status_code == 204


def test_without_an_id_the_event_gets_one(sdk: Any) -> None:
    first, second = sdk.rank(question()), sdk.rank(question())
    assert first.event_id != second.event_id
    sdk.events.reward(first.event_id, 1.0)


def test_the_same_event_is_answered_the_same(sdk: Any) -> None:
    first = sdk.rank(question("again"), raw=True)
    assert first.response.status_code == 201
    assert sdk.rank(question("again")).as_dict() == first.output.as_dict()
    with pytest.raises(models.ErrorResponseException) as caught:
        sdk.rank(question("again", excluded_actions=["cake"]))
    assert caught.value.response.status_code == 409
    assert caught.value.error.error.inner_error.code == "DuplicateEventId"


def test_a_reward_of_nobodys_event_is_taken_like_any_other(sdk: Any, server: httpx.Client) -> None:
    def dangling() -> float:
        lines = server.get("/metrics").text.splitlines()
        label = 'nextbest_dangling_total{agent="front",report="reward",state="unknown"}'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(label))

    before = dangling()
    sdk.events.reward("nobody-ranked-it", 1.0)
    sdk.events.activate("nobody-ranked-it")
    assert dangling() == before + 1


def test_errors_are_read_by_the_sdk(sdk: Any) -> None:
    with pytest.raises(models.ErrorResponseException) as caught:
        sdk.rank(question("e-wrong", excluded_actions=["pasta", "soup", "salad", "cake"]))
    error = caught.value.error
    assert isinstance(error, models.ErrorResponse)
    assert isinstance(error.error, models.PersonalizerError)
    assert error.error.code == "InvalidRankRequest"
    assert error.error.target == "excludedActions"
    assert "not excluded" in error.error.message
    actions = [models.RankableAction(id="a", features=[{"x": 1}])] * 2
    with pytest.raises(models.ErrorResponseException) as caught:
        sdk.rank(question(actions=actions))
    assert isinstance(caught.value.error.error.inner_error, models.InternalError)
    assert caught.value.error.error.inner_error.code == "DuplicateActionId"
    with pytest.raises(failure) as refused:
        sdk.events.reward("first", 7.0)
    assert refused.value.response.status_code == 400
    body = refused.value.response.json()
    assert body["error"]["code"] == "InvalidRewardRequest"
    assert "from -1 to 1" in body["error"]["message"]


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (models.RankRequest, question("id", excluded_actions=["soup"])),
        (models.RewardRequest, models.RewardRequest(value=0.25)),
    ],
)
def test_requests_round_trip(model: Any, values: Any) -> None:
    wire = values.serialize()
    assert model.deserialize(wire).serialize() == wire


def test_the_answer_round_trips(sdk: Any, server: httpx.Client) -> None:
    path = "/personalizer/v1.0/rank"
    wire = server.post(path, json=question("trip").serialize()).json()
    read = models.RankResponse.deserialize(wire)
    assert read.serialize(keep_readonly=True) == wire


def test_an_error_round_trips(server: httpx.Client) -> None:
    wire = server.post("/personalizer/v1.0/rank", json={"actions": []}).json()
    assert models.ErrorResponse.deserialize(wire).serialize() == wire


def test_guardrails_bind_a_loop(sdk: Any) -> None:
    """The workspace's cap: three a day for one customer, then nothing; the id is no feature."""
    context = [{"time": "noon"}, {"user": {"id": "ann", "age": 30}}]
    asked = [sdk.rank(question(context_features=context)) for _ in range(4)]
    assert [each.reward_action_id is None for each in asked] == [False, False, False, True]
    assert [each.probability for each in asked[3].ranking] == [0.0] * 4
    assert [each.id for each in asked[3].ranking] == ["pasta", "soup", "salad", "cake"]


def test_the_endpoint_may_name_one_of_several_loops(serve_settings: Serve, tmp_path: Path) -> None:
    folder = write_news(tmp_path / "news", "front", "side")
    with serve_settings(Settings(folder, tmp_path / "data")) as server:
        assert connect(server, "/loops/side").rank(question("one")).event_id == "one"
        connect(server, "/loops/front").rank(question("one", defer_activation=True))
        connect(server, "/loops/front").events.activate("one")
        with pytest.raises(models.ErrorResponseException) as caught:
            connect(server).rank(question("one"))
        assert "2 loops" in caught.value.error.error.message
        with pytest.raises(models.ErrorResponseException) as caught:
            connect(server, "/loops/none").rank(question("one"))
        assert caught.value.error.error.code == "ResourceNotFound"


def test_the_key_is_an_api_key(serve_settings: Serve, tmp_path: Path) -> None:
    settings = Settings(write_news(tmp_path / "news", "front"), tmp_path / "data", auth="keys")
    with serve_settings(settings) as server:
        admin = (settings.keys / "admin.key").read_text().strip()
        made = server.post(
            "/v1/keys", json={"name": "site", "scopes": ["decide"]}, headers={"X-API-Key": admin}
        )
        site = connect(server, key=made.json()["token"])
        assert site.rank(question("keyed")).event_id == "keyed"
        with pytest.raises(failure) as caught:
            site.events.reward("keyed", 1.0)
        assert caught.value.response.status_code == 403
        assert caught.value.response.json()["error"]["code"] == "InvalidApiAccess"
        with pytest.raises(models.ErrorResponseException) as wrong:
            connect(server, key="nb_no_such").rank(question())
        assert wrong.value.response.status_code == 401
        assert wrong.value.error.error.code == "Unauthorized"
        both = {"Ocp-Apim-Subscription-Key": admin, "X-API-Key": admin}
        twice = server.post("/personalizer/v1.0/rank", json={}, headers=both)
        assert twice.status_code == 401
        assert "got 2" in twice.json()["error"]["message"]
