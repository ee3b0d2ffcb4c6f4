from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

import numpy as np
import pytest
from scipy.special import expit

from agents.context import FeatureValue
from agents.revision import Revision
from agents.spec import CustomerField
from agents.tabular.columns import instant_of, microseconds
from simulators.market.market import Market
from simulators.market.people import People
from simulators.market.spec import WorldSpec
from simulators.world import START

MakeMarket = Callable[..., type[Market]]

N = 20_000
MARGIN = 4.0  # standard errors


@pytest.fixture(scope="module")
def people(everything: type[Market], revision: Revision) -> People:
    return People(everything.spec, revision.workspace, seed=3, customers=N, start=START)


def small(spec: WorldSpec, revision: Revision, customers: int = 300, seed: int = 3) -> People:
    return People(spec, revision.workspace, seed=seed, customers=customers, start=START)


def row(people: People, customer: int, day: int) -> dict[str, FeatureValue | None]:
    columns = people.columns(day, np.array([customer]))
    return {name: column.value(0) for name, column in columns.items()}


def near(got: float, due: float, sd: float) -> bool:
    return bool(abs(got - due) < MARGIN * sd / np.sqrt(N))


def test_traits_have_their_moments(people: People) -> None:
    digital, price = people.traits["digital"], people.traits["price"]
    assert near(digital.mean(), 0.0, 1.0)
    assert near((digital**2).mean(), 1.0, np.sqrt(2.0))
    latent = np.log(price / (1.0 - price))  # -0.8 digital + 0.6 noise, squashed
    assert near((latent + 0.8 * digital).std() / 0.6, 1.0, np.sqrt(0.5))
    assert near(np.corrcoef(latent + 0.8 * digital, digital)[0, 1], 0.0, 1.0)


def test_kinds_are_a_multinomial_logit_of_traits(people: People) -> None:
    lean = np.stack([np.full(N, 1.0), 0.5 * people.traits["digital"], np.full(N, -0.5)])
    shares = np.exp(lean) / np.exp(lean).sum(axis=0)  # (kinds, N)
    for kind in range(3):
        due, sd = shares[kind].mean(), np.sqrt((shares[kind] * (1.0 - shares[kind])).mean())
        assert near(float((people.kind == kind).mean()), float(due), float(sd))
    assert set(np.unique(people.gain).tolist()) == {-0.6, 0.1, 1.0}


def test_numbers_follow_their_formula(people: People) -> None:
    columns = people.columns(0)
    tenure, digital = columns["tenure_months"].data, people.traits["digital"]
    assert np.array_equal(tenure, np.clip(np.floor(np.exp(2.6 + 0.5 * digital)), 0, 600))
    later = people.columns(30)["tenure_months"].data
    grown = np.clip(np.floor(np.exp(2.6 + 0.5 * digital) + 7.5), 0, 600)
    assert np.array_equal(later, grown)
    change = columns["bill_change"].data
    assert near(float((change == 0.0).mean()), 0.3, np.sqrt(0.21))
    drawn = change[change != 0.0]
    assert abs(drawn.mean() - 0.1) < MARGIN * 0.3 / np.sqrt(drawn.size)
    assert np.array_equal(np.round(change, 3), change)
    months = columns["contract_months_left"].data
    assert months.dtype == np.int64
    assert months.min() >= 0
    assert months.max() <= 24  # as declared, though the scale is 25


def test_a_field_is_drawn_anew_in_every_period_and_stays_inside_it(people: People) -> None:
    first, same, next_one = (people.columns(day)["bill_change"].data for day in (0, 9, 10))
    assert np.array_equal(first, same)
    assert abs(np.corrcoef(first, next_one)[0, 1]) < MARGIN / np.sqrt(N)


def test_truths_choices_sets_and_zones_have_their_shares(people: People) -> None:
    columns, digital = people.columns(0), people.traits["digital"]
    share = expit(0.5 + 1.8 * digital)
    sd = np.sqrt((share * (1.0 - share)).mean())
    assert near(float(columns["app_user"].data.mean()), float(share.mean()), float(sd))
    lean = np.exp(np.stack([-1.5 * digital, np.full(N, 0.4), digital]))  # as declared
    shares = lean / lean.sum(axis=0)
    plan = columns["plan"]
    assert plan.words == ("basic", "plus", "unlimited")
    for code in range(3):
        due, sd = shares[code].mean(), np.sqrt((shares[code] * (1.0 - shares[code])).mean())
        assert near(float((plan.data == code).mean()), float(due), float(sd))
    zone = columns["time_zone"]
    assert near(float((zone.data == 0).mean()), 0.8, 0.4)
    assert near(float(zone.known.mean()), 0.9, 0.3)
    wishes = people.fields["wishes"]
    assert wishes.words == ((), ("speed",), ("silence",), ("speed", "silence"))
    held = wishes.values(0, np.arange(N)) >> 1 & 1
    due = float(expit(-1.0))
    assert near(float(held.mean()), due, np.sqrt(due * (1.0 - due)))


def test_what_nobody_declares_shows_to_nobody_and_the_rest_is_drawn(people: People) -> None:
    found = row(people, 5, 0)
    assert "mood" not in found
    assert "wishes" not in found
    assert {"age", "monthly_bill"} <= people.rest.keys()
    assert people.rest["age"].data[people.rest["age"].known].min() >= 16


def test_rows_are_the_columns_of_one_customer(people: People) -> None:
    columns = people.columns(12)
    for customer in range(50):
        due = {name: column.value(customer) for name, column in columns.items()}
        assert row(people, customer, 12) == due
    part = people.columns(12, np.array([7, 3]))
    assert part["plan"].data.tolist() == columns["plan"].data[[7, 3]].tolist()


def test_a_larger_world_begins_with_the_same_people(
    everything: type[Market], revision: Revision
) -> None:
    few, many = (small(everything.spec, revision, count) for count in (20, 300))
    assert np.array_equal(few.kind, many.kind[:20])
    for day in (0, 11):
        assert [row(few, c, day) for c in range(20)] == [row(many, c, day) for c in range(20)]
    other = small(everything.spec, revision, 20, seed=4)
    assert [row(other, c, 0) for c in range(20)] != [row(few, c, 0) for c in range(20)]


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("plan", CustomerField(type="text"), "'plan': expected type category, got text"),
        ("app_user", CustomerField(type="integer"), "'app_user': expected type boolean"),
        ("tenure_months", CustomerField(type="boolean"), "expected type integer or number"),
        (
            "plan", CustomerField(type="category", values=("basic", "plus")),
            "expected the values plus, basic, unlimited to be declared, 'unlimited' is not",
        ),
    ],
)  # fmt: skip
def test_a_workspace_of_other_types_is_refused(
    everything: type[Market], revision: Revision, name: str, field: CustomerField, message: str
) -> None:
    fields = {**revision.workspace.customer, name: field}
    other = revision.workspace.model_copy(update={"customer": fields})
    with pytest.raises(ValueError, match="^the world 'everything' does not fit") as caught:
        People(everything.spec, other, seed=3, customers=2, start=START)
    assert message in str(caught.value)


def test_a_required_field_is_known_of_everybody(
    everything: type[Market], revision: Revision
) -> None:
    field = revision.workspace.customer["bill_change"].model_copy(update={"required": True})
    fields = {**revision.workspace.customer, "bill_change": field}
    other = revision.workspace.model_copy(update={"customer": fields})
    drawn = People(everything.spec, other, seed=3, customers=300, start=START)
    assert drawn.columns(0)["bill_change"].known.all()
    known = small(everything.spec, revision).columns(0)["bill_change"].known
    assert 0.1 < 1.0 - known.mean() < 0.3


def test_values_are_asked_for_by_the_day(everything: type[Market], revision: Revision) -> None:
    drawn = small(everything.spec, revision)
    months = drawn.fields["contract_months_left"]
    everybody = np.arange(300)
    assert months.daily
    assert months.period(300) == 0
    fallen = months.values(100, everybody)
    assert (fallen <= months.values(0, everybody)).all()
    bill = drawn.fields["bill_change"]
    assert [bill.period(day) for day in (0, 9, 10, 25)] == [0, 0, 1, 2]


SINCE = {"instant": {"constant": 1.0, "of": {"digital": 0.5}, "noise": 0.4, "every": "7d"}}


def with_instant(
    make_market: MakeMarket,
    revision: Revision,
    field: Mapping[str, object],
    customers: int,
    declared: Literal["instant", "integer"] = "instant",
) -> Market:
    document = make_market().spec.model_dump()["fields"]
    market = make_market(fields=document | {"since": field})
    workspace = revision.workspace.model_copy(
        update={"customer": revision.workspace.customer | {"since": CustomerField(type=declared)}}
    )
    return market(Revision(workspace, revision.agent), customers=customers, rounds=3)


@pytest.mark.parametrize("ahead", [False, True])
def test_instants_are_counted_from_the_meeting_of_their_period(
    make_market: MakeMarket, revision: Revision, ahead: bool
) -> None:
    field = {"instant": SINCE["instant"] | {"ahead": ahead}}
    market = with_instant(make_market, revision, field, N)
    at, rows = market.meetings(1)[3]
    column = market.columns(rows, at)["since"]
    away = (column.data - microseconds(at)) / 86.4e9  # days
    days = np.log(away if ahead else -away)  # which fails if one lies on the wrong side
    noise = (days - 1.0 - 0.5 * market.people.traits["digital"][rows]) / 0.4
    assert abs(noise.mean()) < MARGIN / np.sqrt(rows.size)
    assert abs(noise.std() - 1.0) < MARGIN / np.sqrt(2.0 * rows.size)
    later = market.columns(rows, at + timedelta(hours=1))["since"]
    assert np.array_equal(later.data, column.data)  # it stays, whenever one looks
    again = market.columns(rows, market.meetings(2)[3][0])["since"]
    assert not (again.data == column.data + 7 * 86_400_000_000).any()  # drawn anew
    found = market.features(int(rows[0]), at)["since"]
    assert found == instant_of(int(column.data[0]))


def test_an_instant_that_is_never_drawn_anew_stays(
    make_market: MakeMarket, revision: Revision
) -> None:
    market = with_instant(make_market, revision, {"instant": {"constant": 30.0}}, 20)
    rows = np.arange(20)
    first = market.columns(rows, market.start)["since"].data
    later = market.columns(rows, market.start + timedelta(days=40))["since"].data
    assert np.array_equal(first, later)
    age = (microseconds(market.start) - first) / 86.4e9
    assert ((age > 19_990) & (age <= 20_000)).all()  # 55 years, however large it is


def test_nothing_can_depend_on_an_instant(make_market: MakeMarket) -> None:
    spec = make_market().spec.model_dump()
    with pytest.raises(ValueError, match=r"signals.new.field: expected a field that is no instant"):
        make_market(
            fields=spec["fields"] | {"since": SINCE},
            signals=spec["signals"] | {"new": {"field": "since"}},
        )


def test_an_instant_must_be_declared_as_one(make_market: MakeMarket, revision: Revision) -> None:
    with pytest.raises(ValueError, match=r"'since': expected type instant, got integer"):
        with_instant(make_market, revision, SINCE, 2, declared="integer")
