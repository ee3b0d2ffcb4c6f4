from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
from agents.context import Contact, Context, FeatureValue, PastEvent
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import CustomerField
from policies.features.encode import Encoder
from policies.samples import sample_contexts

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
EXAMPLES = Path(agents.__file__).parent / "examples"


def context(features: dict[str, FeatureValue], *days_before: float) -> Context:
    contacts = [
        Contact(AT - timedelta(days=days), "a", "o", "service", "email", "x")
        for days in days_before
    ]
    return Context("ann", AT, features, tuple(contacts))


def column(encoder: Encoder, name: str, features: dict[str, FeatureValue], *days: float) -> float:
    return float(encoder.encode(context(features, *days))[encoder.names.index(name)])


def with_fields(revision: Revision, fields: dict[str, CustomerField]) -> Revision:
    workspace = revision.workspace.model_copy(
        update={"customer": dict(revision.workspace.customer) | fields}
    )
    return Revision(workspace, revision.agent)


def test_columns_are_the_declared_features(revision: Revision) -> None:
    names = Encoder(revision).names
    assert {"tenure_months", "tenure_months?", "plan=basic", "plan?", "app_user=true"} <= set(names)
    assert not [n for n in names if n.startswith(("age", "time_zone", "consent"))]
    assert {"contacts 7d", "contacts 30d", "days since contact"} <= set(names)
    assert names[-4:] == ("hour sin", "hour cos", "weekday sin", "weekday cos")
    assert len(set(names)) == len(names)


def test_numbers_are_standardised_with_what_was_observed(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(0)
    bills = rng.normal(50.0, 8.0, 400).tolist()
    for bill in bills:
        encoder.observe(context({"monthly_bill": bill}))
    expected = (61.0 - np.mean(bills)) / np.std(bills)
    assert column(encoder, "monthly_bill", {"monthly_bill": 61.0}) == pytest.approx(expected)


def test_numbers_are_clipped_and_zero_before_any_spread(revision: Revision) -> None:
    encoder = Encoder(revision)
    assert column(encoder, "monthly_bill", {"monthly_bill": 61.0}) == 0.0
    encoder.observe(context({"monthly_bill": 1.0}))
    assert column(encoder, "monthly_bill", {"monthly_bill": 61.0}) == 0.0
    encoder.observe(context({"monthly_bill": 2.0}))
    assert column(encoder, "monthly_bill", {"monthly_bill": 1e15}) == 5.0
    assert column(encoder, "monthly_bill", {"monthly_bill": -1e15}) == -5.0


def test_categories_and_booleans(revision: Revision) -> None:
    encoder = Encoder(revision)
    assert column(encoder, "plan=plus", {"plan": "plus"}) == 1.0
    assert column(encoder, "plan=basic", {"plan": "plus"}) == 0.0
    assert column(encoder, "plan?", {"plan": "plus"}) == 0.0
    assert column(encoder, "plan?", {"plan": "gone"}) == 1.0
    assert column(encoder, "app_user=true", {"app_user": True}) == 1.0
    assert column(encoder, "app_user=true", {"app_user": False}) == -1.0


def test_missing_is_zero_but_for_its_indicator(revision: Revision) -> None:
    encoder = Encoder(revision)
    x = encoder.encode(context({}))
    assert {n for n, v in zip(encoder.names[:-4], x, strict=False) if v} == {
        n for n in encoder.names if n.endswith("?")
    }


def test_text_where_a_number_stands_now_counts_as_missing(revision: Revision) -> None:
    encoder = Encoder(revision)
    encoder.observe(context({"monthly_bill": "high"}))
    assert column(encoder, "monthly_bill?", {"monthly_bill": "high"}) == 1.0


def test_an_empty_category_value_is_not_missing(revision: Revision) -> None:
    other = with_fields(revision, {"note": CustomerField(type="category", values=("", "x"))})
    encoder = Encoder(other)
    assert column(encoder, "note=", {"note": ""}) == 1.0
    assert column(encoder, "note=", {}) == 0.0
    assert column(encoder, "note?", {}) == 1.0


def test_contacts_are_counted_by_age_planned_ones_too(revision: Revision) -> None:
    encoder = Encoder(revision)
    encoder.observe(context({}))
    encoder.observe(context({}, 1, 2))
    mean, sd = 1.0, 1.0  # of 0 and 2
    assert column(encoder, "contacts 7d", {}, 6.9, -0.5) == (2 - mean) / sd
    assert column(encoder, "contacts 7d", {}, 7.0, 20) == (0 - mean) / sd
    assert column(encoder, "contacts 30d", {}, 7.0, 20, 30.0) == (2 - mean) / sd


def test_encode_changes_nothing(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(1)
    for one in sample_contexts(revision, 20, rng):
        encoder.observe(one)
    before = encoder.moments()
    for one in sample_contexts(revision, 20, rng):
        encoder.encode(one)
    assert np.array_equal(encoder.moments(), before)


def test_restored_by_name_under_a_later_revision(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(1)
    contexts = sample_contexts(revision, 50, rng)
    for one in contexts:
        encoder.observe(one)
    same = Encoder.restored(revision, encoder.numbers, encoder.moments())
    assert all(np.array_equal(same.encode(c), encoder.encode(c)) for c in contexts)

    fields = {"monthly_bill": CustomerField(type="category", values=("low",)),
              "visits": CustomerField(type="integer")}  # fmt: skip
    later = Encoder.restored(with_fields(revision, fields), encoder.numbers, encoder.moments())
    features: dict[str, FeatureValue] = {"tenure_months": 33, "visits": 4}
    assert column(later, "tenure_months", features) == column(encoder, "tenure_months", features)
    assert column(later, "visits", features) == 0.0
    assert "monthly_bill" not in later.numbers


def test_everything_is_bounded(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(2)
    for one in sample_contexts(revision, 200, rng):
        x = encoder.encode(one)
        assert x.shape == (len(encoder.names),)
        assert np.abs(x).max() <= 5.0
        encoder.observe(one)


def test_the_norm_is_the_squared_length_that_x_has_on_average(revision: Revision) -> None:
    """But for what is missing, or the same for everybody."""
    encoder, rng = Encoder(revision), np.random.default_rng(6)
    contexts = [c for c in sample_contexts(revision, 4_000, rng) if c.contacts]
    for one in contexts:
        encoder.observe(one)
    x = np.stack([encoder.encode(one) for one in contexts])
    assert ((x * encoder.faith) ** 2).sum(axis=1).mean() == pytest.approx(encoder.norm, rel=0.02)


def test_a_set_is_one_column_for_each_value(revision: Revision) -> None:
    other = with_fields(revision, {"likes": CustomerField(type="set", values=("a", "b", "c"))})
    encoder = Encoder(other)
    assert encoder.norm == Encoder(revision).norm + 1.5
    for held, expected in ((("a", "c"), [1, 0, 1, 0]), ((), [0, 0, 0, 0]), (None, [0, 0, 0, 1])):
        features: dict[str, FeatureValue] = {} if held is None else {"likes": held}
        names = ("likes=a", "likes=b", "likes=c", "likes?")
        assert [column(encoder, name, features) for name in names] == expected
    assert column(encoder, "likes?", {"likes": "a"}) == 1.0  # text from before it became a set


def test_an_instant_counts_by_the_logarithm_of_its_days(revision: Revision) -> None:
    other = with_fields(revision, {"bought": CustomerField(type="instant")})
    encoder = Encoder(other)
    ages = [0.0, 1.0, 30.0, -10.0, 5_000.0]
    for days in ages:
        encoder.observe(context({"bought": AT - timedelta(days=days)}))
    logs = np.array([0.0, np.log(2.0), np.log(31.0), -np.log(11.0), np.log(3_651.0)])
    for days, log in zip(ages, logs, strict=True):
        found = column(encoder, "bought days", {"bought": AT - timedelta(days=days)})
        assert found == pytest.approx((log - logs.mean()) / logs.std())
    assert column(encoder, "bought?", {"bought": AT}) == 0.0
    assert column(encoder, "bought?", {}) == 1.0
    assert column(encoder, "bought days", {}) == 0.0


def test_a_field_that_became_an_instant_forgets_its_scale(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(3)
    for one in sample_contexts(revision, 30, rng):
        encoder.observe(one)
    fields = {"monthly_bill": CustomerField(type="instant")}
    later = Encoder.restored(with_fields(revision, fields), encoder.numbers, encoder.moments())
    assert column(later, "monthly_bill days", {"monthly_bill": AT}) == 0.0
    assert column(later, "monthly_bill?", {"monthly_bill": 61.0}) == 1.0


def test_free_text_and_zones_are_never_seen(revision: Revision) -> None:
    fields = {"name": CustomerField(type="text"), "where": CustomerField(type="zone")}
    assert Encoder(with_fields(revision, fields)).names == Encoder(revision).names


def local_time(encoder: Encoder, at: datetime, features: dict[str, FeatureValue]) -> list[float]:
    """Hour of day and weekday, read back from the points on their circles."""
    x = encoder.encode(Context("ann", at, features))
    sines_cosines = x[[encoder.names.index(name) for name in CALENDAR]].reshape(2, 2)
    turns = np.arctan2(sines_cosines[:, 0], sines_cosines[:, 1]) / (2.0 * np.pi) % 1.0
    assert np.allclose((sines_cosines**2).sum(axis=1), 1.0)
    return [round(turn * steps, 6) % steps for turn, steps in zip(turns, (24, 7), strict=True)]


CALENDAR = ("hour sin", "hour cos", "weekday sin", "weekday cos")


@pytest.mark.parametrize(
    ("at", "zone", "hour", "weekday"),
    [
        ("2026-03-02T12:00", "UTC", 12.0, 0),
        ("2026-03-02T23:30", "Asia/Kathmandu", 5.25, 1),  # an offset of 5:45, the next day
        ("2026-03-01T03:00", "America/New_York", 22.0, 5),  # the day before
        ("2026-03-29T00:59", "Europe/Berlin", 1.983333, 6),  # the clocks go forward
        ("2026-03-29T01:00", "Europe/Berlin", 3.0, 6),
        ("2026-10-25T00:30", "Europe/Berlin", 2.5, 6),  # and back: half past two comes twice
        ("2026-10-25T01:30", "Europe/Berlin", 2.5, 6),
        ("2026-03-02T12:00", None, 13.0, 0),  # the workspace's zone, Europe/Berlin
        ("2026-07-02T12:00", None, 14.0, 3),
        ("2026-07-02T12:00", "Nowhere/Gone", 14.0, 3),  # a zone that this machine does not know
    ],
)
def test_hour_and_weekday_are_the_customers(
    revision: Revision, at: str, zone: str | None, hour: float, weekday: float
) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    features: dict[str, FeatureValue] = {} if zone is None else {"time_zone": zone}
    assert local_time(Encoder(revision), instant, features) == [hour, weekday]


def test_recency_is_of_contacts_already_made(revision: Revision) -> None:
    encoder = Encoder(revision)
    ages = [1.0, 30.0]
    for days in ages:
        encoder.observe(context({}, 50, days))
    logs = np.log1p(ages)
    found = column(encoder, "days since contact", {}, 30, 10, 10.5, -3)  # one is only planned
    assert found == pytest.approx((np.log(11.0) - logs.mean()) / logs.std())
    assert column(encoder, "days since contact?", {}, 3) == 0.0
    for nothing_made in ((), (-3.0,)):
        assert column(encoder, "days since contact?", {}, *nothing_made) == 1.0
        assert column(encoder, "days since contact", {}, *nothing_made) == 0.0


@pytest.fixture(scope="module")
def listening() -> Revision:
    """A revision whose guardrails hear of `opened`, a response, and of what is none: `bounced`."""
    return load_workspace(EXAMPLES / "streaming").revisions["subscription"]


@pytest.mark.parametrize(
    ("contacts", "events", "unanswered"),
    [
        ([], [], 0),
        ([9, 5, 1], [], 3),
        ([9, 5, 1], [("opened", 6)], 2),
        ([9, 5, 1], [("opened", 6), ("bounced", 2)], 2),
        ([9, 5, 1], [("opened", 0)], 0),
        ([9, 5, 1], [("opened", 5)], 1),  # at the very instant counts as answered
        ([9, 5, -1], [("opened", 6)], 1),  # planned, so it cannot have been answered
        ([9, 5, 1], [("opened", -1)], 3),  # still to come
        ([9, 5, 1], [("opened", 2), ("opened", 8)], 1),
        ([9, 5, 1], [("watched_recommended", 4)], 1),  # a response that no guardrail listens to
    ],
)
def test_contacts_since_the_last_response(
    listening: Revision, contacts: list[float], events: list[tuple[str, float]], unanswered: int
) -> None:
    encoder = Encoder(listening)
    for count in (0, 2):  # mean 1, sd 1
        encoder.observe(context({}, *range(1, 1 + count)))
    heard = tuple(PastEvent(AT - timedelta(days=days), word) for word, days in events)
    x = encoder.encode(replace(context({}, *contacts), events=heard))
    assert x[encoder.names.index("contacts unanswered")] == unanswered - 1.0


def test_without_responses_to_hear_of_there_is_no_such_column(revision: Revision) -> None:
    assert "contacts unanswered" in Encoder(revision).names
    outcomes = {
        name: outcome.model_copy(update={"counts_as": "rejection"})
        for name, outcome in revision.agent.outcomes.items()
    }
    agent = revision.agent.model_copy(update={"outcomes": outcomes})
    assert "contacts unanswered" not in Encoder(Revision(revision.workspace, agent)).names


def test_a_state_from_before_these_columns_still_loads(listening: Revision) -> None:
    encoder, rng = Encoder(listening), np.random.default_rng(4)
    contexts = sample_contexts(listening, 40, rng)
    for one in contexts:
        encoder.observe(one)
    new = {"days since contact", "contacts unanswered"}
    kept = [i for i, name in enumerate(encoder.numbers) if name not in new]
    old_names = [encoder.numbers[i] for i in kept]
    old = Encoder.restored(listening, old_names, encoder.moments()[kept])
    assert old.numbers == encoder.numbers
    assert new < set(old.numbers)
    changed = {
        encoder.names[i]
        for one in contexts
        for i in np.flatnonzero(old.encode(one) != encoder.encode(one))
    }
    assert changed == new


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**15), 10**15), st.text(max_size=4),
    st.floats(-1e15, 1e15), st.tuples(st.text(max_size=2)),
    st.integers(-400_000, 350_000).map(lambda days: AT + timedelta(days=days)),
)  # fmt: skip


@given(st.data())
def test_whatever_a_feature_holds_nothing_is_raised_and_all_is_bounded(
    listening: Revision, data: st.DataObject
) -> None:
    """Contexts of an old log may hold what the schema of today would refuse."""
    encoder, ages = Encoder(listening), st.floats(-400.0, 400.0)
    names = st.sampled_from([*listening.workspace.customer, "undeclared"])
    for _ in range(3):
        features = data.draw(st.dictionaries(names, VALUES))
        known = {name: value for name, value in features.items() if value is not None}
        days, answers = data.draw(st.lists(ages, max_size=4)), data.draw(st.lists(ages, max_size=3))
        heard = tuple(PastEvent(AT - timedelta(days=age), "opened") for age in answers)
        one = replace(context(known, *days), events=heard)
        encoder.observe(one)
        x = encoder.encode(one)
        assert x.shape == (len(encoder.names),)
        assert np.abs(x).max() <= 5.0  # NaN is not
