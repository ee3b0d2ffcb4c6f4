from __future__ import annotations

import numpy as np
import pytest

from agents.context import check_features
from agents.revision import Revision
from simulators.customers import CHANNELS, RESPONSES, TRAITS, Population, draw_population


@pytest.fixture(scope="module")
def people() -> Population:
    return draw_population(1, 5_000, 2)


def test_arrays_have_the_shapes_they_promise(people: Population) -> None:
    assert people.response.shape == (5_000,)
    assert people.traits.shape == (5_000, 2, len(TRAITS))
    assert people.channel_fit.shape == (5_000, len(CHANNELS) + 1)
    assert people.time_fit.shape == (5_000, 3)
    for fit in (people.channel_fit, people.time_fit):
        assert np.all((fit > 0.0) & (fit < 1.0))
    assert np.isfinite(people.traits).all()


def test_every_customer_fits_the_workspace(people: Population, revision: Revision) -> None:
    schema = revision.workspace.customer
    for customer in range(0, 5_000, 10):
        for period in (0, 1):
            row = people.observed(customer, period)
            assert check_features(schema, row) == row  # types as they are declared, too


def test_every_declared_field_is_drawn(people: Population, revision: Revision) -> None:
    assert set(people.features) == set(revision.workspace.customer)


@pytest.mark.parametrize(
    ("field", "share"), [("time_zone", 0.03), ("data_used_share", 0.05), ("age", 0.04)]
)
def test_some_values_are_unknown(people: Population, field: str, share: float) -> None:
    missing = 1.0 - people.known[field].mean()
    assert abs(missing - share) < 4.0 * np.sqrt(share * (1.0 - share) / 5_000)
    unknown = int(np.flatnonzero(~people.known[field])[0])
    assert field not in people.observed(unknown, 0)


def test_all_response_types_occur(people: Population) -> None:
    shares = np.bincount(people.response, minlength=len(RESPONSES)) / 5_000
    assert shares[0] > 0.5
    assert np.all(shares > 0.04)


def test_consent_is_correlated_with_traits(people: Population) -> None:
    consent = np.stack([people.features[f"consent_{c}"] for c in CHANNELS], axis=1)  # (N, 3)
    hidden = people.traits[:, 0, TRAITS.index("hidden")]
    for channel in (0, 2):
        with_it, without = hidden[consent[:, channel]], hidden[~consent[:, channel]]
        error = np.sqrt(1 / len(with_it) + 1 / len(without))
        assert with_it.mean() - without.mean() < -4.0 * error
    app = people.features["app_user"].astype(bool)
    assert consent[app, 2].mean() > 0.6
    assert consent[~app, 2].mean() < 0.2


def test_the_hidden_factor_shows_in_no_bill(people: Population) -> None:
    hidden = people.traits[:, 0, TRAITS.index("hidden")]
    for name in ("monthly_bill", "tenure_months", "bill_change", "data_used_share"):
        values = people.features[name].astype(float).reshape(5_000, -1)[:, 0]
        assert abs(np.corrcoef(hidden, values)[0, 1]) < 4.0 / np.sqrt(5_000)


def test_growing_the_population_only_adds(people: Population) -> None:
    fewer = draw_population(1, 100, 1)
    assert np.array_equal(fewer.response, people.response[:100])
    assert np.array_equal(fewer.traits, people.traits[:100, :1])
    assert [fewer.observed(c, 0) for c in range(100)] == [people.observed(c, 0) for c in range(100)]


def test_another_seed_gives_other_customers(people: Population) -> None:
    assert not np.array_equal(draw_population(2, 5_000, 2).response, people.response)
