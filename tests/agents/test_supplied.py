"""Actions that come with each request: their ids, their features, and the rules over them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from agents.actions import ANY
from agents.context import Contact, Context
from agents.decisions import Decision, OutcomeEvent
from agents.errors import ContextError
from agents.log import log_row, read_row
from agents.mask import ALWAYS_ACT
from agents.revision import Revision
from agents.rewards import reward
from agents.spec import Agent, Workspace
from agents.supplied import Supplied, read_supplied, supply
from policies.decide import decide, replay
from policies.uniform import Uniform
from serving.ledger.packing import pack, unpack

_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_WORKSPACE = {
    "workspace": "shop", "currency": "EUR", "zone": "Europe/Berlin",
    "customer": {"age": {"type": "integer"}}, "channels": {"site": {"cost": 0.25}, "sms": {}},
}  # fmt: skip
_REWARD = {
    "value": {"property": "value", "min": -1, "max": 1, "typical": 1}, "window": "10m",
    "count": "each", "aggregate": "first", "default": 0.5, "metric": "primary",
}  # fmt: skip


def _agent(**changes: Any) -> Agent:
    document = {
        "agent": "news", "supplied": {"channel": "site", "cost": 0.5},
        "outcomes": {"reward": _REWARD}, "always_act": True,
        "holdout": {"control": 0.0, "random": 0.0},
        "policy": {"learner": "uniform", "floor": 0.2},
    }  # fmt: skip
    return Agent.model_validate_json(json.dumps(document | changes))


def _revision(rules: dict[str, Any] | None = None, **changes: Any) -> Revision:
    workspace = _WORKSPACE | {"guardrails": rules or {}}
    return Revision(Workspace.model_validate_json(json.dumps(workspace)), _agent(**changes))


def _made(*ids: str, **more: Any) -> Supplied:
    return supply([{"time": "noon"}], {name: [{"length": 1.5}] for name in ids}, **more)


def _context(revision: Revision, supplied: Supplied, *contacts: Contact) -> Context:
    return replace(revision.context("ann", _NOON, {}, contacts), supplied=supplied)


def _decide(revision: Revision, context: Context) -> Decision:
    return decide(revision, Uniform.create(revision), context, decision_id="d", secret=b"s" * 32)


def test_the_features_are_kept_as_dsjson_has_them() -> None:
    made = _made("a b", "ü", slot="Main", place=[{"size": "large"}], baseline="ü")
    assert json.loads(made.content) == {
        "FromUrl": [{"time": "noon"}],
        "slot": [{"size": "large"}],
        "_multi": [
            {"_tag": "a b", "i": {"constant": 1, "id": "a b"}, "j": [{"length": 1.5}]},
            {"_tag": "ü", "i": {"constant": 1, "id": "ü"}, "j": [{"length": 1.5}]},
        ],
    }
    assert (made.ids, made.slot, made.baseline) == (("a b", "ü"), "Main", "ü")
    assert _made("a", "b").baseline == "a"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ((), "expected at least one, got none"),
        (("none",), "the id 'none' is taken"),
        (("",), "printable characters, got one of length 0"),
        (("x" * 257,), "got one of length 257"),
        (("a\x00b",), "got one of length 3"),
    ],
)
def test_ids_that_cannot_be_are_refused(ids: tuple[str, ...], said: str) -> None:
    with pytest.raises(ContextError, match=said):
        _made(*ids)


def test_features_that_are_no_json_are_refused() -> None:
    with pytest.raises(ContextError, match="expected JSON values"):
        supply([{"when": object()}], {"a": []})


def test_a_record_gives_the_same_bytes_again() -> None:
    made = _made("a", "b", barred={"b": "excluded"}, slot="s")
    assert read_supplied(orjson.loads(orjson.dumps(made.to_record()))) == made
    assert read_supplied(None) is None


def test_an_agent_has_offers_or_supplied_actions() -> None:
    with pytest.raises(ValidationError, match="each request lists its actions; got neither"):
        _agent(supplied=None)
    offer = {"kind": "service", "variants": {"v": {}}, "channels": ["site"]}
    with pytest.raises(ValidationError, match="each request lists its actions; got both"):
        _agent(offers={"help": offer})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcomes": {"reward": _REWARD, "other": _REWARD}}, "expected one outcome"),
        ({"outcomes": {"reward": {"value": 1.0, "window": "10m"}}}, "whose value is a property"),
        ({"always_act": False}, "expected 'always_act: true'"),
        ({"holdout": {"control": 0.1, "random": 0.0}}, "a request that lists actions is answered"),
        ({"supplied": {"channel": "site", "at_most": 51}}, "less than or equal to 50"),
        ({"supplied": {"channel": "site", "customer": "user..id"}}, "should match pattern"),
    ],
)
def test_a_loop_without_what_it_needs_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        _agent(**changes)


def test_only_a_loop_has_a_default_reward() -> None:
    offer = {"kind": "service", "variants": {"v": {}}, "channels": ["site"]}
    with pytest.raises(ValidationError, match="reward.default: only an agent with 'supplied'"):
        _agent(supplied=None, offers={"help": offer})


def test_a_revision_offers_what_the_request_lists() -> None:
    revision = _revision()
    offered = revision.offering(_made("x", "y").actions)
    assert revision.action_ids == ("none", ANY)
    assert offered.action_ids == ("none", "x", "y")
    assert offered.id == revision.id
    assert offered.agent is revision.agent
    action = offered.actions[2]
    assert (action.id, action.offer, action.channel, action.cost) == ("y", "y", "site", 0.75)
    assert revision.offering(["none", "x", "y"]) is offered
    assert offered.offering(("none", "x", "y")) is offered
    assert offered.offering(("none", "z")).action_ids == ("none", "z")


def test_an_agent_with_offers_offers_them_whatever_is_asked() -> None:
    offer = {"kind": "service", "variants": {"v": {}}, "channels": ["site"]}
    outcome = {"value": 1.0, "window": "7d"}
    revision = _revision(supplied=None, offers={"help": offer}, outcomes={"order": outcome})
    assert revision.offering(("none", "x")) is revision


def test_the_request_bars_what_it_excludes() -> None:
    revision = _revision().offering(_made("x", "y").actions)
    supplied = _made("x", "y", barred={"y": "excluded", "gone": "excluded"})
    mask = revision.mask(_context(revision, supplied))
    assert mask.reasons == (ALWAYS_ACT, None, "request: excluded")
    decision = _decide(revision, _context(revision, supplied))
    assert decision.distribution.tolist() == [0.0, 1.0, 0.0]
    assert decision.action_id == "x"


def test_caps_know_supplied_actions_by_their_ids() -> None:
    rules = {"pause": {"rule": "cooldown", "pause": "1d", "scope": "offer"}}
    revision = _revision(rules).offering(_made("x", "y").actions)
    decision = _decide(revision, _context(revision, _made("x", "y", barred={"y": "excluded"})))
    contact = decision.contact(revision.actions[decision.action])
    assert contact is not None
    assert (contact.offer, contact.action, contact.channel) == ("x", "x", "site")
    later = revision.offering(_made("y", "x").actions)
    supplied = _made("y", "x")
    context = replace(_context(later, supplied, contact), at=_NOON + timedelta(hours=1))
    reasons = later.mask(context).reasons
    assert reasons[1] is None
    assert reasons[2] is not None
    assert reasons[2].startswith("pause: ")


def test_everything_barred_is_a_decision_for_none() -> None:
    supplied = _made("x", "y", barred={"x": "excluded", "y": "excluded"})
    revision = _revision().offering(supplied.actions)
    decision = _decide(revision, _context(revision, supplied))
    assert (decision.action_id, decision.propensity) == ("none", 1.0)
    assert decision.reason == "all_barred"


def test_a_decision_is_the_same_from_record_ledger_and_log() -> None:
    supplied = _made("x", "ü", "z", barred={"z": "excluded"})
    base = _revision()
    decision = _decide(base.offering(supplied.actions), _context(base, supplied))
    assert Decision.from_record(decision.to_record()) == decision
    stored = orjson.loads(orjson.dumps(pack(decision), option=orjson.OPT_SERIALIZE_NUMPY))
    assert Decision.from_record(unpack(stored, stored["actions"])) == decision
    row = log_row(1, decision, base, [], now=_NOON, key=b"k" * 32)
    again = read_row(row)
    assert again.context.supplied == supplied
    assert again.actions == ("none", "x", "ü", "z")
    replayed = replay(decision, base, Uniform.create(base), b"s" * 32)
    assert replayed == decision


def test_the_default_reward_counts_once_the_window_has_ended() -> None:
    revision = _revision()
    agent, action = revision.agent, revision.offering(("none", "x")).actions[1]
    told = OutcomeEvent("o", "d", "reward", _NOON + timedelta(minutes=1), {"value": 0.25})
    late = replace(told, outcome_id="l", at=_NOON + timedelta(minutes=10))
    assert reward(agent, action, _NOON, []) == -0.75
    assert reward(agent, action, _NOON, [], closed=True) == 0.5 - 0.75
    assert reward(agent, action, _NOON, [late], closed=True) == 0.5 - 0.75
    assert reward(agent, action, _NOON, [told], closed=True) == 0.25 - 0.75


@pytest.mark.parametrize(("minutes", "expected"), [(9, -0.75), (10, -0.25)])
def test_a_log_has_the_default_of_what_is_closed(minutes: int, expected: float) -> None:
    supplied = _made("x")
    base = _revision()
    decision = _decide(base.offering(supplied.actions), _context(base, supplied))
    now = _NOON + timedelta(minutes=minutes)
    row = log_row(1, decision, base, [], now=now, key=b"k" * 32)
    assert row["reward"] == expected
    assert (row["closed_at"] is None) == (minutes == 9)
    gone = log_row(1, decision, base, [], now=now, key=b"k" * 32, given_back=2)
    assert gone["reward"] == 0.0


def test_the_incumbents_floor_is_its_own() -> None:
    policy = {"learner": "uniform", "floor": 0.2, "mode": "logging"}
    own = _agent(policy=policy | {"incumbent": {"learner": "uniform", "floor": 0.0}}).policy
    shared = _agent(policy=policy | {"incumbent": {"learner": "uniform"}}).policy
    assert (own.deciding_floor, shared.deciding_floor) == (0.0, 0.2)
    assert _agent().policy.deciding_floor == 0.2


def _many(count: int) -> dict[str, object]:
    return {f"f{n}": n for n in range(count)}


@pytest.mark.parametrize(
    ("shared", "action"),
    [
        ([_many(498)], [_many(3)]),
        ([], [{"a": {"b": [_many(501)]}}]),
        ([{"a": [0] * 501}], []),
        ([], [{"a": [{"_tag": "x", "y": number}]} for number in range(251)]),
    ],
)
def test_more_features_than_a_learner_can_look_at_are_refused(
    shared: list[object], action: list[object]
) -> None:
    """A learner of pairs takes 0.5 s for 3,000 features of fifty actions, and all others wait."""
    with pytest.raises(ContextError, match="expected at most 500"):
        supply(shared, {"few": [{"x": 1}], "many": action})


def test_as_many_features_as_may_be_are_taken() -> None:
    fifty = {f"a{number}": [_many(250)] for number in range(50)}
    assert len(supply([_many(250)], fifty).ids) == 50
    with pytest.raises(ContextError, match="got 501"):
        supply([_many(250)], fifty, place=[{"top": True}])
    text = supply([{"text": "a,b," * 1000}], {"a": [{"x": 1}], "b": [{"text": "," * 1000}]})
    assert text.ids == ("a", "b"), "commas in a text are no features"
