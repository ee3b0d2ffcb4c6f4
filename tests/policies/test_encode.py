from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents.context import Contact, Context, FeatureValue
from agents.revision import Revision
from agents.spec import CustomerField
from policies.encode import Encoder
from policies.samples import sample_contexts

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


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
    assert names[-2:] == ("contacts 7d", "contacts 30d")
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
    assert {n for n, v in zip(encoder.names, x, strict=True) if v} == {
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
