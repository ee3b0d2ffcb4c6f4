from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents.revision import Revision

OFFERS = """
  help:
    kind: service
    eligible: customer.age > 50
    variants: {a: {text: Help}}
    channels: [sms]
  hello:
    kind: service
    eligible: customer.age > 10
    fallback: true
    variants: {a: {text: Hello}, b: {text: Hi}}
    channels: [sms]"""
WAITS = "fallback: an action of another offer is allowed"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (60, [None, None, WAITS, WAITS]),
        (30, [None, "eligible: customer.age > 50 is false", None, None]),
        (
            5,
            [
                None,
                "eligible: customer.age > 50 is false",
                "eligible: customer.age > 10 is false",
                "eligible: customer.age > 10 is false",
            ],
        ),
    ],
)
def test_a_fallback_waits_while_another_offer_is_allowed(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    age: int,
    expected: list[str | None],
) -> None:
    revision = build(offers=OFFERS)
    assert list(revision.mask(revision.context("a", noon, features | {"age": age})).reasons) == (
        expected
    )


def test_it_is_asked_after_the_other_rankings(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    # the order bars the sale, the only offer that is no fallback beside the service's
    offers = OFFERS.replace("  help:\n    kind: service", "  help:\n    kind: promotion")
    order = "{first: {rule: precedence, order: [service, promotion]}}"
    revision = build(offers=offers, guardrails=order)
    mask = revision.mask(revision.context("a", noon, features | {"age": 60}))
    assert mask.reasons == (
        None,
        "first: an action of kind service is allowed and comes first",
        None,
        None,
    )


def test_only_fallbacks_are_all_allowed_and_always_act_holds_last(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    offers = OFFERS.replace("eligible: customer.age > 50", "fallback: true")
    revision = build(offers=offers, always_act="true")
    mask = revision.mask(revision.context("a", noon, features))
    assert mask.reasons == ("always_act: another action is allowed", None, None, None)
