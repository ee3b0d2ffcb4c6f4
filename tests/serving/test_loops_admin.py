"""What a loop's holder asks: settings, learning policy, status, log and model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import vowpal_wabbit_next as vw

from agents.load import load_workspace
from agents.mask import Mask
from agents.supplied import supply
from agents.yamlsource import read_yaml
from policies.base import Label, Lesson
from policies.snapshot import Manifest
from policies.vowpal.rank import VowpalRank
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteReader, open_reader
from serving.loops.durations import from_iso, to_iso
from serving.loops.errors import LoopError
from serving.loops.service import Service, rewrite
from serving.security.scopes import EVALUATIONS, TABLE, Rule, Scopes
from serving.settings import Settings, load_keys, prepare_data

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Json = dict[str, Any]

LOOP = "/personalizer/v1.0"
NAMED = "/loops/front_page/personalizer/v1.1-preview.3"
SERVICE = f"{LOOP}/configurations/service"
ACTIONS = {"news": [{"topic": "news"}], "sport": [{"topic": "sport"}], "film": [{"topic": "film"}]}
DOCUMENTED = {
    "rewardWaitTime": "PT10M",
    "defaultReward": 0,
    "rewardAggregation": "earliest",
    "explorationPercentage": 0.2,
    "modelExportFrequency": "PT5M",
    "logMirrorEnabled": False,
    "logRetentionDays": -1,
    "learningMode": "Online",
    "isAutoOptimizationEnabled": False,
}


def rank(client: httpx.Client, event: str, loop: str = LOOP, **more: Any) -> Json:
    body = {
        "contextFeatures": [{"user": {"id": "ann", "age": 41}}],
        "actions": [{"id": name, "features": features} for name, features in ACTIONS.items()],
        "eventId": event,
    } | more
    answer = client.post(f"{loop}/rank", json=body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def chances(client: httpx.Client, event: str) -> dict[str, float]:
    return {each["id"]: each["probability"] for each in rank(client, event)["ranking"]}


def put(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.put(SERVICE, json=client.get(SERVICE).json() | changes)


def timeline(client: httpx.Client, customer: str = "ann") -> list[Json]:
    entries: list[Json] = client.get(f"/v1/customers/{customer}").json()["entries"]
    return entries[::-1]


def audited(client: httpx.Client) -> list[tuple[str, Json]]:
    return [(each["action"], each["body"]) for each in client.get("/v1/audit").json()]


def teach(workspace: Path, data: Path) -> None:
    """Publish a model of the loop that likes film."""
    revision = load_workspace(workspace).revisions["front_page"]
    supplied = supply([{"user": {"age": 41}}], ACTIONS)
    context = replace(
        revision.context("ann", datetime(2026, 3, 2, tzinfo=UTC), {}), supplied=supplied
    )
    policy, mask = VowpalRank.create(revision), Mask(("always_act: act", None, None, None))
    for _ in range(30):
        for action, value in ((1, -1.0), (2, 0.0), (3, 1.0)):
            label = Label("reward", True, 1.0, value)
            policy.update([Lesson(context, mask, action, 1 / 3, (label,), first=True)])
    prepare_data(data)
    state = policy.to_bytes()
    manifest = Manifest.of(
        state, policy=policy.name, agent="front_page", revision=revision.id, position=0, lessons=90
    )
    SnapshotFolder(data / "snapshots", load_keys(data).snapshot).publish(manifest, state)


@pytest.fixture
def client(open_loops: Serve) -> Iterator[httpx.Client]:
    with open_loops() as client:
        yield client


@pytest.fixture
def taught(own_loops: Path, tmp_path: Path, open_loops: Serve) -> Iterator[httpx.Client]:
    teach(own_loops, tmp_path / "data")
    with open_loops() as client:
        yield client


def test_settings_are_told_as_documented(client: httpx.Client) -> None:
    told = client.get(SERVICE).json()
    edited = datetime.fromisoformat(told.pop("lastConfigurationEditDate"))
    assert edited.utcoffset() == timedelta(0)
    assert told == DOCUMENTED
    assert client.get(f"{NAMED}/configurations/service").json().items() >= told.items()


def test_settings_that_are_put_as_they_are_change_nothing(client: httpx.Client) -> None:
    told = client.get(SERVICE).json()
    answer = client.put(SERVICE, json=told)
    assert (answer.status_code, answer.json()) == (200, told)
    assert len(client.get("/v1/agents/front_page/revisions").json()) == 1


def test_every_setting_changes_the_document_where_it_stands(client: httpx.Client) -> None:
    before = client.get(SERVICE).json()
    wanted = {
        "rewardWaitTime": "PT1H30M", "defaultReward": -0.5, "rewardAggregation": "sum",
        "explorationPercentage": 0.35, "modelExportFrequency": "PT90S",
    }  # fmt: skip
    answer = put(client, **wanted)
    assert answer.status_code == 200, answer.text
    assert answer.json().items() >= (wanted | {"modelExportFrequency": "PT1M30S"}).items()
    assert answer.json()["lastConfigurationEditDate"] > before["lastConfigurationEditDate"]
    stands = client.get("/v1/agents/front_page").json()
    document = read_yaml(stands["yaml"], "front_page.yaml").value
    assert document["outcomes"]["reward"] == {
        "value": {"property": "value", "min": -1, "max": 1, "typical": 1},
        "window": "90m", "count": "each", "aggregate": "sum", "default": -0.5,
        "metric": "primary",
    }  # fmt: skip
    assert document["policy"] == {"learner": "vw_rank", "floor": 0.35, "publish_every": "90s"}
    assert "# what stands on top" in stands["yaml"]
    action, body = audited(client)[-1]
    assert (action, body["agent"]) == ("agent.stand", "front_page")
    assert body["reason"] == "configurations/service"


def test_the_date_of_the_last_edit_goes_forward_when_a_setting_goes_back(
    client: httpx.Client,
) -> None:
    first = client.get(SERVICE).json()
    second = put(client, rewardWaitTime="PT20M").json()
    third = put(client, rewardWaitTime="PT10M").json()
    dates = [each["lastConfigurationEditDate"] for each in (first, second, third)]
    assert dates == sorted(set(dates))


def test_no_setting_resets_what_was_learned(taught: httpx.Client) -> None:
    model = taught.get(f"{LOOP}/model").content
    before = chances(taught, "before")
    assert before["film"] == pytest.approx(0.8 + 0.2 / 3)
    changed = {"rewardWaitTime": "PT20M", "defaultReward": 0.5, "rewardAggregation": "sum",
               "modelExportFrequency": "PT1M"}  # fmt: skip
    for name, value in changed.items():
        assert put(taught, **{name: value}).status_code == 200
        assert chances(taught, f"after {name}") == before
    assert put(taught, explorationPercentage=0.6).status_code == 200
    assert chances(taught, "explored")["film"] == pytest.approx(0.4 + 0.6 / 3)
    assert taught.get(f"{LOOP}/model").content == model
    made = {each["body"]["snapshot"] for each in timeline(taught) if each["kind"] == "decision"}
    assert len(made) == 1
    assert made != {""}


@pytest.mark.parametrize("mode", ["Apprentice", "LoggingOnly"])
def test_another_mode_shows_the_baseline_and_forgets_nothing(
    taught: httpx.Client, mode: str
) -> None:
    before = chances(taught, "before")
    assert put(taught, learningMode=mode).json()["learningMode"] == mode
    assert chances(taught, "meanwhile") == {"news": 1.0, "sport": 0.0, "film": 0.0}
    assert put(taught, learningMode="Online").json()["learningMode"] == "Online"
    assert chances(taught, "after") == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rewardWaitTime": "PT4S"}, "InvalidRewardWaitTime"),
        ({"rewardWaitTime": "P3D"}, "InvalidRewardWaitTime"),
        ({"rewardWaitTime": "10m"}, "InvalidRewardWaitTime"),
        ({"rewardWaitTime": None}, "InvalidServiceConfiguration"),
        ({"modelExportFrequency": "P1M"}, "InvalidServiceConfiguration"),
        ({"modelExportFrequency": 5}, "InvalidServiceConfiguration"),
        ({"defaultReward": 1.5}, "InvalidServiceConfiguration"),
        ({"defaultReward": True}, "InvalidServiceConfiguration"),
        ({"explorationPercentage": -0.1}, "InvalidServiceConfiguration"),
        ({"explorationPercentage": "0.2"}, "InvalidServiceConfiguration"),
        ({"rewardAggregation": "latest"}, "InvalidServiceConfiguration"),
        ({"learningMode": "Offline"}, "InvalidServiceConfiguration"),
        ({"logRetentionDays": 7}, "InvalidServiceConfiguration"),
        ({"logMirrorEnabled": True}, "InvalidServiceConfiguration"),
        (
            {"logMirrorEnabled": True, "logMirrorSasUri": "https://a.example/s?sig=geheim"},
            "InvalidServiceConfiguration",
        ),
        ({"isAutoOptimizationEnabled": True}, "InvalidServiceConfiguration"),
        (
            {"learningMode": "Apprentice", "defaultReward": 1},
            "InvalidLearningModeServiceConfiguration",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_and_change_nothing(changes: Json, code: str) -> None:
    day = timedelta(days=1)
    now = Service(timedelta(minutes=10), 0.0, "earliest", 0.2, day, -1, "Online")
    body = now.to_wire(datetime(2026, 3, 2, tzinfo=UTC)) | changes
    with pytest.raises(LoopError) as error:
        now.asked(body)
    assert error.value.members["code"] == code
    assert error.value.members["target"] in changes
    assert "geheim" not in str(error.value)


def test_a_refusal_has_the_shape_of_their_errors(client: httpx.Client) -> None:
    answer = put(client, isAutoOptimizationEnabled=True)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["target"]) == (
        "InvalidServiceConfiguration", "isAutoOptimizationEnabled",
    )  # fmt: skip
    assert client.put(SERVICE, json=[1]).status_code == 400
    assert client.put(SERVICE, content=b"{").status_code == 400
    assert client.delete(SERVICE).status_code == 405
    assert client.put(f"{LOOP}/model").status_code == 405


def test_a_document_that_says_little_can_be_rewritten() -> None:
    span = timedelta(days=2)
    before = Service(span, 0.0, "sum", 0.02, span, -1, "Online")
    after = replace(before, exploration=0.2, mode="LoggingOnly", aggregation="earliest")
    written = rewrite("outcomes:\n  r: {window: 2d}\n", before, after)
    assert read_yaml(written, "loop.yaml").value == {
        "outcomes": {"r": {"window": "2d", "count": "each", "aggregate": "first"}},
        "policy": {"floor": 0.2, "mode": "logging", "incumbent": {"learner": "first", "floor": 0}},
    }


@pytest.mark.parametrize(
    ("count", "aggregate", "word"),
    [("once", "sum", "earliest"), ("each", "first", "earliest"), ("each", "sum", "sum"),
     ("each", "max", "max")],
)  # fmt: skip
def test_what_a_document_says_of_rewards_is_told_in_their_words(
    own_loops: Path, count: str, aggregate: str, word: str
) -> None:
    path = own_loops / "agents" / "front_page.yaml"
    text = path.read_text().replace("count: each", f"count: {count}")
    path.write_text(text.replace("aggregate: first", f"aggregate: {aggregate}"))
    agent = load_workspace(own_loops).revisions["front_page"].agent
    every = timedelta(milliseconds=50)
    service = Service.of(agent, retention=timedelta(weeks=1), every=every)
    told = service.to_wire(datetime(2026, 3, 2, tzinfo=UTC))
    assert (told["rewardAggregation"], told["logRetentionDays"]) == (word, 7)
    assert service.asked(told) == service


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT10M", 600), ("P1D", 86_400), ("P2W", 1_209_600), ("PT5.0S", 5), ("P1DT1H1M1S", 90_061)],
)
def test_durations(text: str, seconds: int) -> None:
    assert from_iso(text) == timedelta(seconds=seconds)
    assert from_iso(to_iso(from_iso(text))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "PT0S", "P1Y", "PT1.5S", "pt1m", "-PT1M"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        from_iso(text)


def test_policy_and_status(client: httpx.Client) -> None:
    policy = client.get(f"{LOOP}/configurations/policy").json()
    assert policy["name"] == "front_page"
    assert vw.Workspace(policy["arguments"].split()) is not None
    assert policy["arguments"].startswith("--cb_explore_adf ")
    told = client.get(f"{NAMED}/status").json()
    assert told.keys() == {"service", "apiStatus", "apiStatusMessage"}
    assert told["apiStatus"] == "Valid"


def test_a_model_is_what_vowpal_wabbit_loads(taught: httpx.Client) -> None:
    answer = taught.get(f"{LOOP}/model")
    assert answer.headers["content-type"] == "application/octet-stream"
    arguments = taught.get(f"{LOOP}/configurations/policy").json()["arguments"].split()
    workspace = vw.Workspace(arguments, model_data=answer.content)
    content = supply([{"user": {"age": 41}}], ACTIONS).content.decode()
    examples = vw.DSJsonFormatParser(workspace).parse_json(f'{{"c":{content}}}')
    answered: Any = workspace.predict_one(examples)
    assert max(answered, key=lambda each: each[1]) == (2, pytest.approx(1.0))
    times = taught.get(f"{NAMED}/model/properties").json()
    created, modified = (
        datetime.fromisoformat(times[name]) for name in ("creationTime", "lastModifiedTime")
    )
    assert created <= modified <= datetime.now(UTC)


def test_a_model_that_is_deleted_is_learned_anew(
    own_loops: Path, tmp_path: Path, open_loops: Serve, ledger_url: str
) -> None:
    data = tmp_path / "data"
    teach(own_loops, data)
    with open_loops() as client:
        before = chances(client, "before")
        assert max(before.values()) > 0.8
        edited = client.get(SERVICE).json()
        assert client.delete(f"{LOOP}/model").status_code == 204
        assert client.get(SERVICE).json() == edited
        entry = audited(client)[-1]
        assert entry[0] == "loop.model_reset"
        assert chances(client, "just now") == before  # until the learner has come so far
        settings = Settings(own_loops, data, ledger_url=ledger_url)
        folder = SnapshotFolder(settings.snapshots, load_keys(data).snapshot)
        with closing(open_reader(settings)) as reader:
            learner = Learner(reader, folder, every_s=3_600.0)
            learner.resume()
            while learner.step():
                pass
            (name,) = learner.publish()
        assert int(name[:12]) > entry[1]["position"]  # the decision after it was learned, too
        assert folder.latest("front_page") == name
        deadline = time.monotonic() + 20.0
        while max(chances(client, uuid4().hex).values()) > 0.5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(set(chances(client, "after").values())) == 1


def test_evaluations_are_done_elsewhere(client: httpx.Client) -> None:
    for method, path in EVALUATIONS:
        for base in (LOOP, NAMED):
            body: Json | None = {} if method == "POST" else None
            answer = client.request(method, base + path.replace("{evaluation_id}", "e"), json=body)
            assert answer.status_code == 404
            error = answer.json()["error"]
            assert error["code"] == "ResourceNotFound"
            assert "nextbest evaluate" in error["message"]
    nowhere = client.get(f"{LOOP}/nowhere")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_without_a_model_there_is_none(client: httpx.Client) -> None:
    for path in ("model", "model/properties"):
        answer = client.get(f"{LOOP}/{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "ResourceNotFound"


def test_the_log_tells_from_when_to_when_it_goes(client: httpx.Client) -> None:
    answer = client.get(f"{LOOP}/logs/properties")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "LogsPropertiesNotFound"
    for number in range(3):
        rank(client, f"e{number}")
    made = [each["at"] for each in timeline(client)]
    told = client.get(f"{NAMED}/logs/properties").json()
    assert told.keys() == {"dateRange"}
    assert [told["dateRange"][end] for end in ("from", "to")] == [made[0], made[-1]]


def fill(client: httpx.Client, loop: str, name: str) -> None:
    """Let a loop decide, be rewarded, corrected, activated and asked in vain."""
    for number in range(3):
        rank(client, f"{name}{number}", loop)
    rank(client, f"{name} deferred", loop, deferActivation=True)
    rank(client, f"{name} reserved", loop, deferActivation=True)
    assert client.post(f"{loop}/events/{name} deferred/activate").status_code == 204
    for number in range(2):
        reward = client.post(f"{loop}/events/{name}{number}/reward", json={"value": 0.5})
        assert reward.status_code == 204
    event = [each["body"]["event"] for each in timeline(client) if each["kind"] == "outcome"][-1]
    body = {"outcome_id": f"fix {name}", "adjusts": event["outcome_id"], "retract": True}
    assert client.post("/v1/outcomes", json=body).status_code == 200


@pytest.fixture
def two(own_loops: Path, open_loops: Serve) -> Iterator[httpx.Client]:
    """A server with two loops about the same customers."""
    text = (own_loops / "agents" / "front_page.yaml").read_text()
    (own_loops / "agents" / "side_bar.yaml").write_text(text.replace("front_page", "side_bar"))
    with open_loops() as client:
        yield client


FRONT, SIDE = "/loops/front_page/personalizer/v1.0", "/loops/side_bar/personalizer/v1.0"


def test_a_log_that_is_deleted_is_gone_and_others_stay(two: httpx.Client) -> None:
    assert two.delete(f"{LOOP}/logs").status_code == 400  # which of the two?
    fill(two, SIDE, "s")
    side = timeline(two)
    fill(two, FRONT, "f")
    last = timeline(two)[-1]["position"]
    answer = two.delete(f"{FRONT}/logs")
    assert (answer.status_code, answer.content) == (204, b"")
    assert timeline(two) == side
    assert two.get(f"{FRONT}/logs/properties").status_code == 404
    assert two.get(f"{SIDE}/logs/properties").status_code == 200
    begun, done = audited(two)[-2:]
    assert (begun[0], begun[1]["through"]) == ("loop.log_delete", last)
    assert done == (
        "loop.log_deleted", {"agent": "front_page", "through": last, "removed": 5 + 2 + 1 + 1}
    )  # fmt: skip
    rank(two, "f0", FRONT)  # an event of this id is not known any more
    assert timeline(two)[-1]["position"] > last + 1
    assert two.post(f"{FRONT}/events/f1/reward", json={"value": 1}).status_code == 204
    assert [each["kind"] for each in timeline(two)[len(side) :]] == ["decision"]


def test_a_long_log_is_deleted_in_several_bits(
    two: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.loops.administer._BATCH", 2)
    for number in range(7):
        rank(two, f"e{number}", (FRONT, SIDE)[number % 2])
    assert two.delete(f"{FRONT}/logs").status_code == 204
    left = [each["body"]["agent"] for each in timeline(two)]
    assert left == ["side_bar"] * 3
    assert audited(two)[-1][1]["removed"] == 4
    assert two.delete(f"{FRONT}/logs").status_code == 204
    assert audited(two)[-1][1]["removed"] == 0


def test_caps_forget_what_was_deleted(own_loops: Path, open_loops: Serve) -> None:
    path = own_loops / "agents" / "front_page.yaml"
    rule = "guardrails:\n  once: {rule: frequency_cap, max: 1, per: 1d}\n"
    path.write_text(path.read_text() + rule)
    with open_loops() as client:
        assert rank(client, "a")["rewardActionId"] is not None
        assert rank(client, "b")["rewardActionId"] is None
        assert client.delete(f"{LOOP}/logs").status_code == 204
        assert rank(client, "c")["rewardActionId"] is not None


def test_nothing_of_it_is_left_on_disk_and_the_learner_goes_on(
    own_loops: Path, tmp_path: Path, serve_settings: Serve, open_loops: Serve, ledger_url: str
) -> None:
    if ledger_url:
        return  # what a database leaves on its disk is its own business
    data = tmp_path / "data"
    with open_loops() as client:
        rank(client, "geheim", contextFeatures=[{"note": "geheim"}])
        with closing(SqliteReader.open(data / "ledger.sqlite")) as reader:
            folder = SnapshotFolder(data / "snapshots", load_keys(data).snapshot)
            learner = Learner(reader, folder, every_s=0.0)
            while learner.step():
                pass
            before = learner.pupils["front_page"].state()
            assert client.delete(f"{LOOP}/logs").status_code == 204
            rank(client, "later")
            while learner.step():
                pass
            assert learner.pupils["front_page"].state() == before
    for path in data.glob("ledger.sqlite*"):
        assert b"geheim" not in path.read_bytes(), path


def test_each_call_has_its_scope() -> None:
    scopes = Scopes(TABLE)
    wanted = {
        ("GET", "configurations/service"): "evaluate",
        ("PUT", "configurations/service"): "configure",
        ("GET", "configurations/policy"): "evaluate", ("GET", "status"): "decide",
        ("GET", "logs/properties"): "evaluate", ("DELETE", "logs"): "erase",
        ("GET", "model"): "evaluate", ("GET", "model/properties"): "evaluate",
        ("DELETE", "model"): "admin", ("POST", "evaluations"): "evaluate",
        ("POST", "multislot/rank"): "decide", ("POST", "multislot/events/e/reward"): "outcomes",
        ("POST", "multislot/events/e/activate"): "outcomes",
    }  # fmt: skip
    for base in (LOOP, NAMED):
        for (method, path), scope in wanted.items():
            rule: Rule = scopes.rule(method, f"{base}/{path}")
            assert rule.access == scope, (base, path)


def test_keys_are_asked_for_in_their_header(open_loops: Serve, tmp_path: Path) -> None:
    with open_loops(auth="keys") as client:
        assert client.get(SERVICE).status_code == 401
        assert client.get(SERVICE).json()["error"]["code"] == "Unauthorized"
        admin = (tmp_path / "data" / "keys" / "admin.key").read_text().strip()
        wanted = {"name": "reader", "scopes": ["evaluate"]}
        made = client.post("/v1/keys", json=wanted, headers={"X-API-Key": admin}).json()
        key = {"Ocp-Apim-Subscription-Key": made["token"]}
        told = client.get(SERVICE, headers=key)
        assert told.status_code == 200
        assert client.put(SERVICE, json=told.json(), headers=key).status_code == 403
        assert client.delete(f"{LOOP}/logs", headers=key).status_code == 403
