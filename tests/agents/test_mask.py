from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from agents.context import Contact
from agents.guardrails import Bar, Moment
from agents.guardrails.base import Plain
from agents.load import LoadedWorkspace
from agents.mask import ALWAYS_ACT, Mask, ask, ask_among, make_mask
from agents.revision import Revision

GATE = "{gate: {rule: eligibility, when: customer.age >= 18, on: {kinds: [promotion]}}}"


class Broken(Plain):
    """A rule that bars one action and then fails, whichever way it is asked."""

    name = "broken"

    def __init__(self, *actions: int) -> None:
        self.actions = actions

    def bars(self, moment: Moment) -> Iterator[Bar]:
        yield Bar((1,), "a proper reason")
        raise RuntimeError("the wire was cut")

    def bars_among(self, moment: Moment, allowed: Sequence[bool]) -> Iterator[Bar]:
        return self.bars(moment)


def reasons(revision: Revision, features: dict[str, object], at: datetime) -> dict[str, str | None]:
    mask = revision.mask(revision.context("ann", at, features))
    return dict(zip((a.id for a in revision.actions), mask.reasons, strict=True))


def test_a_mask_is_derived_from_its_reasons() -> None:
    mask = Mask((None, "cap: full", None, "consent: no"))
    assert mask.allowed.dtype == np.bool_
    assert mask.allowed.tolist() == [True, False, True, False]
    assert mask.indices.tolist() == [0, 2]
    assert not mask.all_barred
    assert Mask((None, "a", "b")).all_barred
    assert not Mask((None,)).all_barred
    assert not Mask((ALWAYS_ACT, "a", None)).all_barred


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"consent_email": True}, None),
        ({"consent_email": False}, "consent: customer.consent_email for email is not given"),
        ({"consent_email": None}, "consent: customer.consent_email for email is unknown"),
        ({}, "consent: customer.consent_email for email is unknown"),
    ],
)
def test_consent_is_exactly_true_or_the_channel_is_barred(
    build: Callable[..., Revision],
    noon: datetime,
    state: dict[str, object],
    reason: str | None,
) -> None:
    found = reasons(build(), state, noon)
    assert found["help/short@email"] == found["help/long@email"] == reason
    assert found["help/short@sms"] is None  # a channel that needs no consent


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (18, None),
        (17, "gate: customer.age >= 18 is false"),
        (None, "gate: customer.age >= 18 is unknown: no value for customer.age"),
    ],
)
def test_eligibility_bars_its_kinds_unless_exactly_true(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    age: int | None,
    reason: str | None,
) -> None:
    found = reasons(build(guardrails=GATE), features | {"age": age}, noon)
    assert found["sale/plain@sms"] == reason
    assert found["help/short@sms"] is None


def test_eligibility_without_kinds_speaks_of_every_offer(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails="{gate: {rule: eligibility, when: customer.age >= 18}}")
    found = reasons(revision, features | {"age": 17}, noon)
    assert found.pop("none") is None
    assert set(found.values()) == {"gate: customer.age >= 18 is false"}


def test_audience_and_eligible_bar_when_unknown(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    offers = """
  help: {kind: service, variants: {a: {}}, channels: [sms]}
  sale: {kind: promotion, eligible: customer.bill > 10.0, variants: {a: {}}, channels: [sms]}"""
    revision = build(offers=offers, audience="customer.plan == 'basic'")
    assert set(reasons(revision, features, noon).values()) == {None}
    found = reasons(revision, features | {"plan": None, "bill": None}, noon)
    assert found["help/a@sms"] == (
        "audience: customer.plan == 'basic' is unknown: no value for customer.plan"
    )
    found = reasons(revision, features | {"bill": None}, noon)
    assert found["help/a@sms"] is None
    assert found["sale/a@sms"] == (
        "eligible: customer.bill > 10.0 is unknown: no value for customer.bill"
    )
    assert found["none"] is None


def test_a_rule_that_fails_bars_everything_it_speaks_of(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build()
    moment = revision.moment(revision.context("ann", noon, features))
    proper = "broken: a proper reason"
    why = "broken: could not be checked (RuntimeError: the wire was cut)"
    rules = (Broken(1, 2, 3), *revision.guardrails)
    mask = make_mask(rules, (), moment, 6, always_act=False)
    assert mask.reasons == (None, proper, why, why, None, None)
    mask = make_mask((), (Broken(1, 2, 3),), moment, 6, always_act=False)
    assert mask.reasons == (None, proper, why, why, None, None)
    mask = make_mask((Broken(1, 2, 3, 4, 5),), (), moment, 6, always_act=True)
    assert mask.all_barred
    assert mask.reasons[0] is None


class Asked(Plain):
    """A rule that bars some actions and notes how often it was asked."""

    name = "asked"

    def __init__(self, *actions: int) -> None:
        self.actions, self.times = actions, 0

    def bars(self, moment: Moment) -> Iterator[Bar]:
        self.times += 1
        yield Bar(self.actions, "a reason")


def test_no_rule_is_asked_whose_reasons_could_not_stand(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build()
    moment = revision.moment(revision.context("ann", noon, features))
    rules = Asked(0, 1, 2, 3, 4), Broken(1, 5), Asked(5), Asked(1, 2, 3, 4, 5)
    mask = make_mask(rules, (), moment, 6, always_act=False)
    assert mask.reasons[1:5] == ("asked: a reason",) * 4
    assert str(mask.reasons[5]).startswith("broken: could not be checked")
    assert [rule.times for rule in rules if isinstance(rule, Asked)] == [1, 0, 0]


def test_one_rule_alone_says_what_it_says_in_the_mask(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(guardrails=GATE)
    moment = revision.moment(revision.context("ann", noon, features | {"age": 17}))
    gate = next(rule for rule in revision.guardrails if rule.name == "gate")
    alone = ask(gate, moment, 6)
    assert alone == list(revision.mask(moment.context).reasons)
    assert alone[-1] == "gate: customer.age >= 18 is false"
    assert ask_among(Broken(5), moment, [True] * 6)[5] == (
        "broken: could not be checked (RuntimeError: the wire was cut)"
    )


def test_the_first_reason_stands(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    own = {"guardrails": "{ours: {rule: frequency_cap, max: 0, per: 1d}}"}
    later = (
        "{z_first: {rule: frequency_cap, max: 0, per: 2d}, a_second: {rule: cooldown, pause: 1d}}"
    )

    def reason(revision: Revision, **changes: object) -> str:
        return str(reasons(revision, features | changes, noon)["help/short@email"]).split(":")[0]

    everything = build(own, guardrails=later, audience="customer.age > 40")
    assert reason(everything) == "audience"
    assert reason(everything, age=50, consent_email=None) == "consent"
    assert reason(everything, age=50) == "ours"
    assert reason(build(guardrails=later)) == "z_first"  # as written, not by name
    quiet = {"channels": '{email: {quiet_hours: {from: "12:00", to: "14:00"}}, sms: {}}', **own}
    assert reason(build(quiet)) == "quiet_hours"


def test_everything_barred_leaves_none(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(audience="customer.age > 40", always_act="true")
    mask = revision.mask(revision.context("ann", noon, features))
    assert mask.all_barred
    assert mask.indices.tolist() == [0]


@pytest.mark.parametrize(("always_act", "reason"), [("true", ALWAYS_ACT), ("false", None)])
def test_always_act_bars_none_while_anything_else_is_allowed(
    build: Callable[..., Revision],
    features: dict[str, object],
    noon: datetime,
    always_act: str,
    reason: str | None,
) -> None:
    revision = build(always_act=always_act, guardrails=GATE)
    assert reasons(revision, features | {"age": 3}, noon)["none"] == reason


def test_a_customer_of_whom_nothing_is_known_is_left_alone(
    telecom: LoadedWorkspace, noon: datetime
) -> None:
    revision = telecom.revisions["retention"]
    assert revision.mask(revision.context("ann", noon, {})).all_barred


def test_the_example_puts_service_before_sales(telecom: LoadedWorkspace, noon: datetime) -> None:
    revision = telecom.revisions["retention"]
    customer: dict[str, object] = {
        "plan": "basic", "bill_change": 0.3, "data_used_share": 0.9, "roaming_days": 2,
        "contract_months_left": 3, "consent_email": True, "consent_sms": True,
        "consent_push": True, "time_zone": "Europe/Berlin",
    }  # fmt: skip
    content = reasons(revision, customer | {"open_complaint": False}, noon)
    assert set(content.values()) == {None}
    angry = reasons(revision, customer | {"open_complaint": True}, noon)
    kinds = {a.kind for a in revision.actions if angry[a.id] is None and not a.is_none}
    assert kinds == {"service"}
    silent = reasons(revision, customer, noon)  # nobody asked whether there is a complaint
    assert {id_ for id_, reason in silent.items() if reason is None} == {
        id_ for id_, reason in angry.items() if reason is None
    }


def test_the_example_keeps_to_three_contacts_in_two_weeks(
    telecom: LoadedWorkspace, noon: datetime
) -> None:
    revision = telecom.revisions["retention"]
    customer = {"bill_change": 0.3, "consent_sms": True, "time_zone": "Europe/Berlin"}
    contacts = [
        Contact(noon - timedelta(days=day), "another", "x", "service", "email", "x/y@email")
        for day in (1, 5, 13)
    ]
    two = revision.mask(revision.context("ann", noon, customer, contacts[:2]))
    three = revision.mask(revision.context("ann", noon, customer, contacts))
    assert not two.all_barred
    assert three.all_barred
    index = revision.index("bill_explained/plain@sms")
    assert three.reasons[index] == "contact_limit: 3 of 3 contacts in 2w (all)"
