from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents.guardrails.eligibility import Eligibility
from agents.revision import Revision

OFFERS = """
  help:
    kind: service
    eligible: customer.age >= 18
    applicable: customer.bill > 10.0
    suitable: "!customer.complaint"
    variants: {short: {text: Help}}
    channels: [email]
  sale:
    kind: promotion
    eligible: customer.age >= 18
    variants: {plain: {text: Buy}}
    channels: [sms]
  pack:
    kind: promotion
    eligible: customer.plan == 'basic'
    includes: [help, sale]
    variants: {plain: {text: Both}}
    channels: [sms]"""
HELP, SALE, PACK = "help/short@email", "sale/plain@sms", "pack/plain@sms"


def reasons(revision: Revision, features: dict[str, object], at: datetime) -> dict[str, str | None]:
    mask = revision.mask(revision.context("ann", at, features))
    return dict(zip(revision.action_ids, mask.reasons, strict=True))


@pytest.mark.parametrize(
    ("changed", "barred"),
    [
        ({}, {}),
        (
            {"age": 17},
            {
                HELP: "eligible: customer.age >= 18 is false",
                SALE: "eligible: customer.age >= 18 is false",
                PACK: "eligible: help: customer.age >= 18 is false",
            },
        ),
        (
            {"bill": 1.0},
            {
                HELP: "applicable: customer.bill > 10.0 is false",
                PACK: "applicable: help: customer.bill > 10.0 is false",
            },
        ),
        (
            {"complaint": None},
            {
                HELP: "suitable: !customer.complaint is unknown: no value for customer.complaint",
                PACK: "suitable: help: !customer.complaint is unknown: no value for"
                " customer.complaint",
            },
        ),
        (
            {"age": 17, "plan": "plus", "bill": 1.0, "complaint": True},
            {
                HELP: "eligible: customer.age >= 18 is false",
                SALE: "eligible: customer.age >= 18 is false",
                PACK: "eligible: customer.plan == 'basic' is false",
            },
        ),
    ],
)
def test_offers_ask_in_order_and_bundles_ask_what_their_offers_ask(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    changed: dict[str, object],
    barred: dict[str, str],
) -> None:
    found = reasons(build(offers=OFFERS), features | changed, noon)
    assert {name: reason for name, reason in found.items() if reason is not None} == barred


def test_the_audience_comes_first_and_binds_everything(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(audience="customer.age < 10", offers=OFFERS)
    found = reasons(revision, features | {"bill": 1.0}, noon)
    assert found.pop("none") is None
    assert set(found.values()) == {"audience: customer.age < 10 is false"}


def test_an_expression_that_offers_share_is_evaluated_once(build: Callable[..., Revision]) -> None:
    (eligible,) = (rule for rule in build(offers=OFFERS).guardrails if rule.name == "eligible")
    assert isinstance(eligible, Eligibility)
    assert [condition.source for condition in eligible.conditions] == [
        "customer.age >= 18",
        "customer.plan == 'basic'",
    ]


def test_one_expression_that_fails_bars_only_who_asks_it(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    offers = OFFERS.replace("eligible: customer.age >= 18", "eligible: customer.age / 0 > 1", 1)
    found = reasons(build(offers=offers), features, noon)
    assert found[HELP] == (
        "eligible: customer.age / 0 > 1 is unknown: INVALID_ARGUMENT: divide by zero"
    )
    assert found[SALE] is None


@pytest.mark.parametrize(
    ("rule", "complaint", "reason"),
    [
        ("eligibility", True, None),
        ("eligibility", False, "care: customer.complaint is false"),
        (
            "eligibility",
            None,
            "care: customer.complaint is unknown: no value for customer.complaint",
        ),
        ("suppression", False, None),
        ("suppression", True, "care: customer.complaint is true"),
        (
            "suppression",
            None,
            "care: customer.complaint is unknown: no value for customer.complaint",
        ),
    ],
)
def test_eligibility_needs_true_and_suppression_needs_false(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    rule: str,
    complaint: bool | None,
    reason: str | None,
) -> None:
    care = f"{{care: {{rule: {rule}, when: customer.complaint, on: {{kinds: [promotion]}}}}}}"
    revision = build(guardrails=care)
    found = reasons(revision, features | {"complaint": complaint}, noon)
    assert found.pop(SALE) == reason
    assert set(found.values()) == {None}


def test_the_law_of_the_decision_s_instant(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(audience="now < timestamp('2026-01-14T12:00:00Z')")
    assert reasons(revision, features, noon)[SALE] is not None
    assert reasons(revision, features, noon.replace(hour=11))[SALE] is None
