"""Multi-slot events over HTTP, by the JSON that the service's REST reference documents."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.errors import NextbestError
from agents.spec.supplied import SuppliedSpec
from serving.ledger import open_ledger
from serving.loops.errors import LoopError
from serving.loops.page import read_page, read_rewards
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Json = dict[str, Any]

EVENT = "75269AD0-BFEE-4598-8196-C57383D38E10"
DOCUMENTED: Json = {
    "contextFeatures": [
        {"user": {"profileType": "AnonymousUser", "latLong": "47.6,-122.1"}},
        {"environment": {"dayOfMonth": "28", "monthOfYear": "8", "weather": "Sunny"}},
        {"device": {"mobile": True, "windows": True}},
        {"recentActivity": {"itemsInCart": 3}},
    ],
    "actions": [
        {"id": "NewsArticle", "features": [{"type": "News"}]},
        {"id": "SportsArticle", "features": [{"type": "Sports"}]},
        {"id": "EntertainmentArticle", "features": [{"type": "Entertainment"}]},
    ],
    "slots": [
        {
            "id": "Main Article",
            "features": [{"size": "Large", "position": "Top Middle"}],
            "excludedActions": ["SportsArticle"],
            "baselineAction": "EntertainmentArticle",
        },
        {
            "id": "Side Bar",
            "features": [{"size": "Small"}],
            "baselineAction": "NewsArticle",
        },
    ],
    "eventId": EVENT,
    "deferActivation": False,
}
MAIN, SIDE = "Main Article", "Side Bar"
SLOTS = "/personalizer/v1.1-preview.3/multislot"
NAMED = "/loops/front_page/personalizer/v1.1-preview.2/multislot"


def asked(**changes: Any) -> Json:
    return copy.deepcopy(DOCUMENTED) | changes


def rank(client: httpx.Client, body: Json, base: str = SLOTS) -> Json:
    answer = client.post(f"{base}/rank", json=body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def reward(client: httpx.Client, event: str, values: dict[str, float]) -> httpx.Response:
    body = {"reward": [{"slotId": slot, "value": value} for slot, value in values.items()]}
    return client.post(f"{SLOTS}/events/{event}/reward", json=body)


def timeline(client: httpx.Client, customer: str) -> list[Json]:
    """What the ledger has of a customer, oldest first."""
    entries: list[Json] = client.get(f"/v1/customers/{customer}").json()["entries"]
    return entries[::-1]


def decisions(client: httpx.Client, customer: str) -> list[Json]:
    made = [each["body"] for each in timeline(client, customer) if each["kind"] == "decision"]
    return [client.get(f"/v1/decisions/{each['decision_id']}").json() for each in made]


def by_ann(**changes: Any) -> Json:
    return asked(contextFeatures=[{"user": {"id": "ann", "age": 41}}], **changes)


@pytest.fixture
def client(open_loops: Serve) -> Iterator[httpx.Client]:
    with open_loops() as client:
        yield client


@pytest.mark.parametrize("version", ["v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3"])
def test_the_documented_example_is_answered_as_documented(
    client: httpx.Client, version: str
) -> None:
    base = f"/personalizer/{version}/multislot"
    answer = rank(client, asked(), base)
    assert answer.keys() == {"slots", "eventId"}
    assert answer["eventId"] == EVENT
    assert [each.keys() for each in answer["slots"]] == [{"id", "rewardActionId"}] * 2
    assert [each["id"] for each in answer["slots"]] == [MAIN, SIDE]
    main, side = (each["rewardActionId"] for each in answer["slots"])
    assert main in {"NewsArticle", "EntertainmentArticle"}
    assert side in {"NewsArticle", "SportsArticle", "EntertainmentArticle"} - {main}
    told = client.post(
        f"{base}/events/{EVENT}/reward",
        json={"reward": [{"slotId": MAIN, "value": 0.5}, {"slotId": SIDE, "value": 0.6}]},
    )
    assert (told.status_code, told.content) == (204, b"")
    shown = client.post(f"{base}/events/{EVENT}/activate")
    assert (shown.status_code, shown.content) == (204, b"")


def test_each_slot_is_a_decision_with_its_own_mask_and_distribution(client: httpx.Client) -> None:
    answer = rank(client, by_ann(), NAMED)
    main, side = decisions(client, "ann")
    assert [each["supplied"]["slot"] for each in (main, side)] == [MAIN, SIDE]
    assert [each["action_id"] for each in (main, side)] == [
        each["rewardActionId"] for each in answer["slots"]
    ]
    assert main["mask"][2] == "request: excluded"
    place = side["actions"].index(main["action_id"])
    assert side["mask"][place] == f"request: shown in slot {MAIN}"
    for made in (main, side):
        assert sum(made["distribution"]) == pytest.approx(1.0)
        barred = [reason is not None for reason in made["mask"]]
        assert [chance == 0 for chance in made["distribution"]] == barred
        assert made["propensity"] == made["distribution"][made["action"]] > 0
        assert made["floor"] == 0.2
    content = side["supplied"]["content"]
    assert content["slot"] == [{"size": "Small"}]
    assert content["FromUrl"] == [{"user": {"age": 41}}]  # the id is no feature
    assert side["supplied"]["baseline"] == "NewsArticle"


def test_all_actions_find_a_place_where_there_are_as_many_slots(client: httpx.Client) -> None:
    ids = [f"a{number}" for number in range(50)]
    body = asked(
        actions=[{"id": name, "features": [{"n": name}]} for name in ids],
        slots=[{"id": f"s{name}", "baselineAction": name} for name in ids],
    )
    shown = [each["rewardActionId"] for each in rank(client, body)["slots"]]
    assert sorted(shown) == sorted(ids)


def test_an_action_may_name_the_slots_that_it_is_kept_from(client: httpx.Client) -> None:
    body = by_ann()
    body["actions"][0]["excludedSlots"] = [MAIN]
    rank(client, body)
    assert decisions(client, "ann")[0]["mask"][1:3] == ["request: excluded", "request: excluded"]


def test_the_same_event_again_is_the_same_answer_and_nothing_is_decided_twice(
    client: httpx.Client,
) -> None:
    first = rank(client, by_ann())
    assert rank(client, by_ann()) == first
    assert len(decisions(client, "ann")) == 2
    other = client.post(f"{SLOTS}/rank", json=by_ann(deferActivation=True))
    assert other.status_code == 409, "as of a Rank of one slot"
    assert other.json()["error"]["code"] == "InvalidRankRequest"
    assert other.json()["error"]["innerError"] == {"code": "DuplicateEventId"}
    assert len(decisions(client, "ann")) == 2


def test_of_an_event_that_is_half_gone_nothing_is_decided_again(
    open_loops: Serve, own_loops: Path, tmp_path: Path, ledger_url: str
) -> None:
    """As while its log is deleted: what is left would not know what the first slot shows now."""
    with open_loops() as client:
        rank(client, asked())
    ledger = open_ledger(Settings(own_loops, tmp_path / "data", ledger_url=ledger_url))
    with closing(ledger):
        ledger.begin()
        (first, *_) = (each for each in ledger.entries(0, 9) if each.kind == "decision")
        removed = ledger.remove_decisions("front_page", 0, first.position, 9)
        ledger.commit()
    assert removed.kinds["decision"] == 1
    with open_loops() as client:
        answer = client.post(f"{SLOTS}/rank", json=asked())
        assert answer.status_code == 409
        assert answer.json()["error"]["innerError"] == {"code": "DuplicateEventId"}


def test_the_same_event_many_times_at_once_is_decided_once(client: httpx.Client) -> None:
    single = {
        "actions": DOCUMENTED["actions"],
        "eventId": "one",
        "contextFeatures": by_ann()["contextFeatures"],
    }

    def ask(number: int) -> tuple[int, bytes]:
        if number % 2:
            answer = client.post(f"{SLOTS}/rank", json=by_ann())
        else:
            answer = client.post("/personalizer/v1.0/rank", json=single)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(ask, range(16)))
    assert {status for status, _ in answers} == {201}
    assert len(set(answers)) == 2
    assert len(decisions(client, "ann")) == 3


def test_an_event_without_an_id_is_given_one(client: httpx.Client) -> None:
    first, second = (rank(client, asked(eventId=None))["eventId"] for _ in range(2))
    assert first != second
    assert reward(client, first, {MAIN: 1.0}).status_code == 204


def test_rewards_go_to_their_slots(client: httpx.Client) -> None:
    rank(client, by_ann())
    assert reward(client, EVENT, {SIDE: 0.6, MAIN: -0.5}).status_code == 204
    main, side = (each["decision_id"] for each in decisions(client, "ann"))
    told = [each["body"]["event"] for each in timeline(client, "ann") if each["kind"] == "outcome"]
    assert {each["decision_id"]: each["properties"] for each in told} == {
        main: {"value": -0.5}, side: {"value": 0.6},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "word"), [({MAIN: 1.0, "Footer": 0.5}, "slotId"), ({MAIN: 1.0, SIDE: 1.5}, "value")]
)
def test_rewards_of_which_one_is_wrong_are_not_recorded(
    client: httpx.Client, values: dict[str, float], word: str
) -> None:
    rank(client, by_ann())
    answer = reward(client, EVENT, values)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "InvalidRewardRequest"
    assert word in answer.json()["error"]["message"]
    assert all(each["kind"] == "decision" for each in timeline(client, "ann"))


def test_a_reward_of_an_event_that_nobody_ranked_is_heard_and_counted(client: httpx.Client) -> None:
    assert reward(client, "nobody", {MAIN: 1.0}).status_code == 204
    assert client.post(f"{SLOTS}/events/nobody/activate").status_code == 204
    assert "dangling" in client.get("/metrics").text


def test_a_deferred_event_waits_for_its_activation_all_slots_together(client: httpx.Client) -> None:
    rank(client, by_ann(deferActivation=True))
    for made in decisions(client, "ann"):
        assert made["delivery"] == "reserved", made
    assert client.post(f"{SLOTS}/events/{EVENT}/activate").status_code == 204
    assert [each["delivery"] for each in decisions(client, "ann")] == ["delivered"] * 2
    assert client.post(f"{SLOTS}/events/{EVENT}/activate").status_code == 204


@pytest.mark.parametrize("odd", [f"1:front_page:{EVENT}", f"1:{EVENT}", f"{EVENT}:slot:{SIDE}"])
def test_events_are_kept_apart_whatever_their_ids(client: httpx.Client, odd: str) -> None:
    rank(client, by_ann())
    rank(client, asked(eventId=odd))
    assert reward(client, odd, {SIDE: 1.0}).status_code == 204
    assert all(each["kind"] == "decision" for each in timeline(client, "ann"))


@pytest.mark.parametrize(
    ("call", "code"), [("reward", "InvalidRewardRequest"), ("activate", "InvalidEventIdToActivate")]
)
def test_it_is_not_told_of_as_an_event_of_one_action(
    client: httpx.Client, call: str, code: str
) -> None:
    rank(client, by_ann())
    answer = client.post(f"/personalizer/v1.0/events/{EVENT}/{call}", json={"value": 1})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert all(each["kind"] == "decision" for each in timeline(client, "ann"))


def test_what_stands_survives_a_restart(open_loops: Serve) -> None:
    with open_loops() as client:
        first = rank(client, by_ann())
    with open_loops() as client:
        assert rank(client, by_ann()) == first
        assert reward(client, EVENT, {SIDE: 1.0}).status_code == 204
        assert [each["kind"] for each in timeline(client, "ann")] == ["decision"] * 2 + ["outcome"]


@pytest.mark.parametrize("loop", ["", "/loops/front_page"])
def test_the_previews_have_the_calls_of_one_action_too(client: httpx.Client, loop: str) -> None:
    base = f"{loop}/personalizer/v1.1-preview.3"
    body = {"actions": DOCUMENTED["actions"], "eventId": EVENT}
    answer = client.post(f"{base}/rank", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json().keys() == {"ranking", "eventId", "rewardActionId"}
    assert client.post(f"{base}/events/{EVENT}/reward", json={"value": 1}).status_code == 204
    assert client.post(f"{base}/events/{EVENT}/activate").status_code == 204
    assert client.post(f"{loop}/personalizer/v2.0/rank", json=body).status_code == 404


def test_other_versions_and_other_loops_are_not_found(client: httpx.Client) -> None:
    for path in (
        "/personalizer/v1.0/multislot/rank",
        "/loops/other/personalizer/v1.1-preview.3/multislot/rank",
    ):
        answer = client.post(path, json=asked())
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "ResourceNotFound"


def test_a_guardrail_that_bars_everything_leaves_the_slots_empty(
    own_loops: Path, open_loops: Serve
) -> None:
    path = own_loops / "agents" / "front_page.yaml"
    rule = "guardrails:\n  once: {rule: frequency_cap, max: 1, per: 1d}\n"
    path.write_text(path.read_text() + rule)
    with open_loops() as client:
        main, side = rank(client, by_ann())["slots"]
        assert main["rewardActionId"] is not None
        assert side == {"id": SIDE, "rewardActionId": None}
        assert reward(client, EVENT, {MAIN: 1.0}).status_code == 204


SPEC = SuppliedSpec(channel="site")


def slot(**changes: Any) -> Json:
    return {"id": "top", "baselineAction": "NewsArticle"} | changes


@pytest.mark.parametrize(
    ("changes", "inner"),
    [
        ({"slots": None}, "MultiSlotsCountOutOfBounds"),
        ({"slots": []}, "MultiSlotsCountOutOfBounds"),
        ({"slots": [slot(id=str(n)) for n in range(4)]}, "MultiSlotsCountOutOfBounds"),
        ({"slots": [None]}, "SlotContainsNull"),
        ({"slots": [slot(id="")]}, "MultiSlotInvalidSlotIds"),
        ({"slots": [slot(id=7)]}, "MultiSlotInvalidSlotIds"),
        ({"slots": [slot(id="x" * 257)]}, "MultiSlotInvalidSlotIds"),
        ({"slots": [slot(), slot(baselineAction="SportsArticle")]}, "MultiSlotInvalidSlotIds"),
        ({"slots": [slot(), slot(id="b")]}, "InvalidBaselineActionId"),
        ({"slots": [slot(baselineAction="Weather")]}, "InvalidBaselineActionId"),
        ({"slots": [slot(baselineAction=None)]}, "InvalidBaselineActionId"),
        ({"slots": [slot(excludedActions=["Weather"])]}, "MultiSlotInvalidExcludedActions"),
        ({"slots": [slot(excludedActions=["NewsArticle"])]}, "ExcludedBaselineAction"),
        ({"slots": [slot(excludedActions="NewsArticle")]}, ""),
        ({"slots": [slot(features=[7])]}, "FeaturesNotInKeyValueFormat"),
        ({"actions": []}, "ActionCountOutOfBounds"),
        ({"eventId": ""}, "EmptyEventId"),
        ({"deferActivation": "yes"}, ""),
    ],
)
def test_a_request_that_does_not_fit_is_refused(changes: Json, inner: str) -> None:
    with pytest.raises(LoopError) as error:
        read_page(asked(**changes), SPEC)
    assert error.value.members["code"] == "InvalidRankRequest"
    assert error.value.members["inner"] == inner


def test_the_slots_that_an_action_names_must_be_there() -> None:
    body = asked()
    body["actions"][0]["excludedSlots"] = ["Footer"]
    with pytest.raises(LoopError, match="slots"):
        read_page(body, SPEC)


def test_a_page_has_bounds_that_shrink_with_its_slots(client: httpx.Client) -> None:
    """Each slot is decided and kept by itself, while all others wait."""

    def page(slots: int, **features: Any) -> Json:
        actions = [{"id": f"a{n}", "features": [{"n": n}]} for n in range(50)]
        places = [{"id": f"s{n}", "baselineAction": f"a{n}"} for n in range(slots)]
        return {"contextFeatures": [features], "actions": actions, "slots": places}

    many = {f"f{number}": number for number in range(200)}
    large = {"text": "x" * 150_000}
    for features in (many, large):
        assert len(rank(client, page(4, **features))["slots"]) == 4
        answer = client.post(f"{SLOTS}/rank", json=page(50, **features))
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["target"] == "slots"


def test_an_action_named_none_is_refused(client: httpx.Client) -> None:
    body = asked(slots=[slot(baselineAction="none")])
    body["actions"][0]["id"] = "none"
    answer = client.post(f"{SLOTS}/rank", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "InvalidRankRequest"


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"reward": None}, {"reward": []}, {"reward": [None]}, {"reward": {"a": 1}},
        {"reward": [{"value": 1}]}, {"reward": [{"slotId": 1, "value": 1}]},
        {"reward": [{"slotId": "a", "value": True}]}, {"reward": [{"slotId": "a", "value": "1"}]},
    ],
)  # fmt: skip
def test_a_reward_that_does_not_fit_is_refused(body: object) -> None:
    with pytest.raises(NextbestError):
        read_rewards(body)
