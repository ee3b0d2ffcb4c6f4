"""Action suppression: what a supplied action may not be, and that nothing unknown passes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from agents.context import Context
from agents.errors import DocumentError
from agents.load import compile_agent, parse_workspace
from agents.revision import Revision
from agents.spec import Workspace
from agents.supplied import Supplied, supply
from agents.supplied_features import features_of
from agents.yamlsource import read_yaml

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ADULTS = "action.category == 'alcohol' && !(context.user.age >= 18)"
LOOP = """\
agent: front
supplied: {channel: site}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
always_act: true
holdout: {control: 0, random: 0}
policy: {learner: uniform}
"""


def workspace() -> Workspace:
    text = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}, vip: {type: boolean}, context: {type: integer}}
channels: {site: {}}
"""
    return parse_workspace(read_yaml(text, "workspace.yaml"))


def loop(when: str, more: str = "") -> Revision:
    rule = f"  rule_one:\n    rule: action_suppression\n    when: {json.dumps(when)}\n{more}"
    return compile_agent(f"{LOOP}guardrails:\n{rule}", "front.yaml", workspace())


def asked(
    revision: Revision, supplied: Supplied, customer: dict[str, object] | None = None
) -> Context:
    return replace(revision.context("ann", NOON, customer or {}), supplied=supplied)


def reasons(
    when: str,
    actions: dict[str, list[Any]],
    context: list[Any] | None = None,
    customer: dict[str, object] | None = None,
) -> dict[str, str | None]:
    """By action, why it is barred."""
    supplied = supply(context or [], actions)
    revision = loop(when).offering(supplied.actions)
    mask = revision.mask(asked(revision, supplied, customer))
    return dict(zip(supplied.actions, mask.reasons, strict=True))


def barred(when: str, action: object, context: object = None, **customer: object) -> bool:
    found = reasons(when, {"one": [action]}, [context or {}], customer)
    return found["one"] is not None


def test_it_bars_each_action_of_which_it_is_true() -> None:
    actions = {"beer": [{"category": "alcohol"}], "tea": [{"category": "hot"}]}
    found = reasons(ADULTS, actions, [{"user": {"age": 17}}])
    assert found["beer"] == f"rule_one: {ADULTS} is true"
    assert found["tea"] is None


def test_an_adult_may_have_it() -> None:
    actions = {"beer": [{"category": "alcohol"}]}
    assert reasons(ADULTS, actions, [{"user": {"age": 18}}])["beer"] is None


@pytest.mark.parametrize(
    ("action", "context"),
    [
        ({"category": "alcohol"}, {}),
        ({"category": "alcohol"}, {"user": {}}),
        ({"category": "alcohol"}, {"user": {"age": None}}),
        ({"category": "alcohol"}, {"user": {"age": "18"}}),
        ({}, {"user": {"age": 17}}),
    ],
)
def test_what_is_unknown_bars(action: object, context: object) -> None:
    assert barred(ADULTS, action, context)


@pytest.mark.parametrize(
    ("when", "action", "is_barred"),
    [
        ("action.flag", {"flag": False}, False),
        ("action.flag", {"flag": True}, True),
        ("action.flag", {"flag": None}, True),
        ("action.flag", {"flag": "no"}, True),
        ("action.flag", {"flag": 0}, True),
        ("action.flag", {}, True),
        ("has(action.flag) && action.flag", {}, False),
        ("has(action.flag) && action.flag", {"flag": True}, True),
        ("!has(action.flag)", {}, True),
        ("action.tags.exists(t, t == 'x')", {"tags": ["y"]}, False),
        ("action.tags.exists(t, t == 'x')", {"tags": ["y", "x"]}, True),
        ("action.tags.exists(t, t == 'x')", {}, True),
        ("'x' in action.tags", {"tags": ["y"]}, False),
        ("action.part.price > 3", {"part": {"price": 2.5}}, False),
        ("action.part.price > 3", {"part": {"price": 3.5}}, True),
        ("action['part']['price'] > 3", {"part": {"price": 3.5}}, True),
        ("action_id == 'one'", {}, True),
        ("action_id == 'two'", {}, False),
        ("action.price > context.most", {"price": 1}, False),
        ("action.price > context.most", {"price": 3}, True),
        ("1 / action.zero == 1", {"zero": 0}, True),
    ],
)
def test_only_what_is_exactly_false_passes(when: str, action: object, is_barred: bool) -> None:
    assert barred(when, action, {"most": 2.0}) is is_barred


def test_an_action_may_be_named() -> None:
    found = reasons("action_id in ['one', 'A b/c!']", {"A b/c!": [], "two": [], "one": []})
    assert [name for name, why in found.items() if why and name != "none"] == ["A b/c!", "one"]


def test_it_may_ask_for_the_customer_and_the_time() -> None:
    assert not barred("customer.age < 18", {}, age=18)
    assert barred("customer.age < 18", {}, age=17)
    assert barred("customer.age < 18", {})
    assert barred("now >= timestamp('2026-03-02T12:00:00Z')", {})
    assert not barred("now > timestamp('2026-03-02T12:00:00Z')", {})


def test_the_customer_is_another_thing_than_the_action() -> None:
    assert not barred("customer.context == 1 && has(context.context)", {}, context=1)
    assert barred("customer.vip && !has(action.x)", {}, vip=True)
    assert not barred("customer.vip && !has(action.x)", {"x": 1}, vip=True)


def test_what_is_unknown_is_named() -> None:
    found = reasons("action.categry == 'alcohol'", {"one": [{"category": "alcohol"}]})
    words = "rule_one: action.categry == 'alcohol' is unknown: no value for 'categry'"
    assert found["one"] == words


def test_a_value_of_an_action_is_in_no_reason() -> None:
    found = reasons("action.name + 1 == 2", {"one": [{"name": "secret"}]})
    assert found["one"] is not None
    assert "secret" not in found["one"]


def test_features_of_several_objects_are_one() -> None:
    actions: dict[str, list[Any]] = {
        "one": [{"part": {"a": 1}}, {"part": {"b": 2}, "c": 3}, {"c": 3}]
    }
    found = reasons("action.part.a != 1 || action.part.b != 2 || action.c != 3", actions)
    assert found["one"] is None
    assert reasons("action.part.a == 1 && action.c == 3", actions)["one"] is not None


def test_what_contradicts_itself_bars_the_action() -> None:
    actions: dict[str, list[Any]] = {
        "beer": [{"category": "alcohol"}, {"category": "food"}],
        "tea": [{"category": "hot"}],
        "odd": [{"category": {"name": "hot"}}, {"category": "hot"}],
        "one": [{"category": 1}, {"category": True}],
        "two": [{"part": {"a": 1}}, {"part": {"a": 2}}],
    }
    found = reasons("has(action.category) && action.category == 'alcohol'", actions)
    assert found["tea"] is None
    assert found["beer"] is not None
    assert found["beer"].endswith("is unknown: two values for action.category")
    assert found["two"] is not None
    assert found["two"].endswith("two values for action.a")
    assert None not in (found["odd"], found["one"])


def test_a_moment_that_contradicts_itself_bars_all() -> None:
    found = reasons(
        "action.x == 1", {"one": [{}], "two": [{"x": 2}]}, [{"user": {"age": 1}}, {"user": 2}]
    )
    assert found["none"] is None
    assert all("two values for context.user" in str(found[name]) for name in ("one", "two"))


def test_the_features_of_an_action_are_its_own() -> None:
    """The order in which actions are listed is no part of the rule."""
    actions = {name: [{"n": n}] for n, name in enumerate(["c", "a", "b"])}
    found = reasons("action.n == 1", actions)
    assert [name for name, why in found.items() if why and name != "none"] == ["a"]
    turned = dict(reversed(list(actions.items())))
    found = reasons("action.n == 1", turned)
    assert [name for name, why in found.items() if why and name != "none"] == ["a"]


def test_each_request_is_read_anew() -> None:
    revision = loop("action.x == 1")
    for value, count in ((1, 1), (2, 0), (1, 1)):
        supplied = supply([], {"one": [{"x": value}]})
        mask = revision.offering(supplied.actions).mask(asked(revision, supplied))
        assert sum(reason is not None for reason in mask.reasons[1:]) == count


@pytest.mark.parametrize(
    "content",
    [
        b'{"_multi":[]}',
        b'{"FromUrl":[],"_multi":[{"_tag":"one","j":[{"x":2}]},{"_tag":"two","j":[]}]}',
        b"{}",
        b"not json",
        b"[]",
    ],
)
def test_content_that_does_not_fit_bars_all(content: bytes) -> None:
    revision = loop("action.x == 1").offering(("none", "one"))
    mask = revision.mask(asked(revision, Supplied(("one",), content)))
    assert mask.all_barred


@pytest.mark.parametrize("features", [b'"j":7', b'"j":null', b'"j":[]', b'"other":{"x":2}'])
def test_an_action_without_features_has_none(features: bytes) -> None:
    content = b'{"FromUrl":[],"_multi":[{"_tag":"one",' + features + b"}]}"
    revision = loop("action.x == 1").offering(("none", "one"))
    mask = revision.mask(asked(revision, Supplied(("one",), content)))
    assert "no value for 'x'" in str(mask.reasons[1])


def test_a_decision_without_supplied_actions_is_barred() -> None:
    revision = loop("action.x == 1").offering(("none", "one"))
    mask = revision.mask(revision.context("ann", NOON, {}))
    assert mask.all_barred
    assert "expected actions that came with the request" in str(mask.reasons[1])


def test_features_are_read_from_the_content_alone() -> None:
    supplied = supply([{"a": {"b": 1}}, {"a": {"c": [1, 2]}}], {"x": [{"k": None}], "y": []})
    found = features_of(supplied)
    assert found.context == {"a": {"b": 1, "c": [1, 2]}}
    assert found.actions == {"x": {"k": None}, "y": {}}
    assert found.contradictions == {}
    assert orjson.loads(supplied.content)["FromUrl"] == [{"a": {"b": 1}}, {"a": {"c": [1, 2]}}]


def test_it_speaks_of_what_on_and_except_choose() -> None:
    revision = loop("action.x == 1", "    on: {kinds: [promotion]}\n")
    supplied = supply([], {"one": [{"x": 1}]})
    mask = revision.offering(supplied.actions).mask(asked(revision, supplied))
    assert mask.all_barred


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("acton.x == 1", "undeclared reference to 'acton.x'; did you mean 'action'?"),
        ("context.x", None),
        ("action_id", "expected an expression that is true or false, got STRING"),
        ("'x'", "expected an expression that is true or false, got STRING"),
        ("action.x =", "Syntax error"),
        ("customer.agee == 1", "did you mean 'customer.age'?"),
    ],
)
def test_a_wrong_expression_is_an_error_at_load(when: str, words: str | None) -> None:
    if words is None:
        assert loop(when)
        return
    with pytest.raises(DocumentError) as caught:
        loop(when)
    assert words in str(caught.value)
    assert "guardrails.rule_one.when" in str(caught.value)


def test_other_rules_do_not_speak_of_actions() -> None:
    text = f"{LOOP}guardrails:\n  adults: {{rule: eligibility, when: action.x == 1}}\n"
    with pytest.raises(DocumentError, match="only an action_suppression speaks of 'action'"):
        compile_agent(text, "front.yaml", workspace())
