from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from agents.context import PastEvent
from agents.revision import Revision

OFFERS = """
  fix:
    kind: service
    eligible: customer.age > 50
    variants: {a: {text: Fix}}
    channels: [sms]
  stay:
    kind: retention
    tags: [soft]
    eligible: customer.age > 20
    variants: {a: {text: Stay}}
    channels: [sms]
  sale:
    kind: promotion
    variants: {a: {text: Buy}}
    channels: [sms, email]
  tip:
    kind: education
    variants: {a: {text: Tip}}
    channels: [sms]"""
SALE, MAIL, STAY, TIP = "sale/a@sms", "sale/a@email", "stay/a@sms", "tip/a@sms"
EVENTS = {"events": "{outage: {}, visit: {}}"}


def barred(
    revision: Revision,
    features: dict[str, object],
    at: datetime,
    events: tuple[PastEvent, ...] = (),
) -> dict[str, str]:
    mask = revision.mask(revision.context("ann", at, features, events=events))
    found = dict(zip(revision.action_ids, mask.reasons, strict=True))
    return {
        name: reason
        for name, reason in found.items()
        if reason is not None and reason.startswith("first: ")
    }


def rule(**more: str) -> str:
    words = {"rule": "precedence", "order": "[service, retention, promotion]"} | more
    inside = ", ".join(f"{key}: {value}" for key, value in words.items())
    return f"{{first: {{{inside}}}}}"


@pytest.mark.parametrize(
    ("age", "kind", "waiting"),
    [
        (60, "service", {STAY, SALE, MAIL}),
        (30, "retention", {SALE, MAIL}),
        (20, "", set()),
    ],
)
def test_later_kinds_wait_for_the_first_that_is_allowed(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    age: int,
    kind: str,
    waiting: set[str],
) -> None:
    found = barred(build(offers=OFFERS, guardrails=rule()), features | {"age": age}, noon)
    reason = f"first: an action of kind {kind} is allowed and comes first"
    assert found == dict.fromkeys(waiting, reason)


@pytest.mark.parametrize(
    ("more", "waiting"),
    [
        ({"on": "{channels: [sms]}"}, {SALE}),  # mail is not compared
        ({"except": "{channels: [email]}"}, {SALE}),
        ({"except": "{tags: [soft]}"}, set()),  # what comes first is not compared
        ({"on": "{kinds: [promotion]}"}, set()),
        ({"on": "{offers: [stay, sale]}", "except": "{channels: [sms]}"}, set()),
    ],
)
def test_only_what_the_rule_speaks_of_is_compared(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    more: dict[str, str],
    waiting: set[str],
) -> None:
    found = barred(build(offers=OFFERS, guardrails=rule(**more)), features, noon)
    assert set(found) == waiting


@pytest.mark.parametrize(("complaint", "holds"), [(True, True), (None, True), (False, False)])
def test_it_holds_unless_its_condition_is_exactly_false(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    complaint: bool | None,
    holds: bool,
) -> None:
    revision = build(offers=OFFERS, guardrails=rule(when="customer.complaint"))
    assert bool(barred(revision, features | {"complaint": complaint}, noon)) is holds


@pytest.mark.parametrize(
    ("event", "ago", "holds"),
    [
        ("outage", timedelta(0), True),
        ("outage", timedelta(days=2) - timedelta(seconds=1), True),
        ("outage", timedelta(days=2), False),
        ("outage", -timedelta(seconds=1), False),
        ("visit", timedelta(hours=1), False),
    ],
)
def test_it_holds_for_a_while_after_an_event(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    event: str,
    ago: timedelta,
    holds: bool,
) -> None:
    revision = build(
        workspace=EVENTS, offers=OFFERS, guardrails=rule(after="[outage]", within="2d")
    )
    past = (PastEvent(noon - ago, event),)
    assert bool(barred(revision, features, noon, past)) is holds
    assert not barred(revision, features, noon)


def test_what_it_asks_to_remember(build: Callable[..., Revision]) -> None:
    revision = build(
        workspace=EVENTS, offers=OFFERS, guardrails=rule(after="[outage]", within="90d")
    )
    (order,) = revision.rankings
    assert order.hears == {"outage"}
    assert revision.hears > order.hears
    assert revision.event_lookback == timedelta(days=90)


def test_orders_follow_one_another_the_workspace_s_first(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    # the workspace bars the promotion, so the agent's order finds it gone and lets the tip through
    shared = "{first: {rule: precedence, order: [retention, promotion]}}"
    own = "{then: {rule: precedence, order: [promotion, education]}}"
    revision = build(workspace={"guardrails": shared}, offers=OFFERS, guardrails=own)
    mask = revision.mask(revision.context("ann", noon, features))
    assert mask.reasons[revision.index(TIP)] is None
    assert mask.reasons[revision.index(SALE)] is not None


def test_of_one_kind_there_is_nothing_to_compare(build: Callable[..., Revision]) -> None:
    revision = build(offers=OFFERS, guardrails=rule(on="{kinds: [promotion]}"))
    assert revision.rankings == ()
