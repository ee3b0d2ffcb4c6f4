from __future__ import annotations

import numpy as np
import pytest

from simulators.calibration.moments import (
    ALL,
    LATER,
    MESSAGE,
    SOON,
    UNTOUCHED,
    Decisions,
    Moment,
    measure,
)

DAY_US = 86_400_000_000


def decisions(customer: list[int], day: list[float], sent: list[int], y: list[float]) -> Decisions:
    return Decisions.of(
        np.array(customer), (np.array(day) * DAY_US).astype(np.int64),
        np.array(sent, dtype=np.bool_), np.array(y)[:, None],
    )  # fmt: skip


def test_earlier_contacts_are_counted_by_their_age_and_by_customer() -> None:
    found = decisions([1, 0, 0, 0, 0, 1], [0, 0, 7, 14.5, 37, 50], [1, 1, 1, 0, 1, 0], [0.0] * 6)
    assert found.customer.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.week.tolist() == [0, 1, 0, 0, 0, 0]  # exactly a week ago still counts
    assert found.month.tolist() == [0, 0, 2, 1, 0, 0]  # the one of 37 days ago does not


def test_contacts_are_counted_as_by_hand() -> None:
    rng = np.random.default_rng(3)
    who, day = rng.integers(0, 9, 300), rng.permutation(300) / 4.0
    sent = rng.random(300) < 0.5
    found = decisions(who.tolist(), day.tolist(), sent.tolist(), [0.0] * 300)
    order = np.lexsort((day, who))
    for place, row in enumerate(order):
        age = day[row] - day[(who == who[row]) & sent & (day < day[row])]
        assert found.week[place] == (age <= 7).sum()
        assert found.month[place] == ((age > 7) & (age <= 30)).sum()


def test_segments_part_decisions_by_what_was_sent_and_when() -> None:
    many = 50
    found = decisions(
        np.repeat(np.arange(many), 4).tolist(), [0, 3, 20, 21] * many, [1, 1, 1, 0] * many,
        [0.1, 0.2, 0.3, 0.4] * many,
    )  # fmt: skip
    rates = {
        segment: each.rate
        for segment in (UNTOUCHED, MESSAGE, SOON, LATER, ALL)
        if (each := measure(Moment("x", segment, (0,)), found)) is not None
    }
    assert rates == pytest.approx({UNTOUCHED: 0.4, MESSAGE: 0.2, SOON: 0.2, LATER: 0.3, ALL: 0.25})
    contacts = measure(Moment("contacts", ALL, ()), found)
    assert contacts is not None
    assert contacts.rate == 0.75


def test_errors_are_those_of_customers() -> None:
    """Ten decisions of one customer that always agree tell as much as one."""
    rng = np.random.default_rng(5)
    happened = np.repeat(rng.random(400) < 0.3, 10).astype(float)
    found = decisions(
        np.repeat(np.arange(400), 10).tolist(), np.tile(np.arange(10), 400).tolist(),
        [0] * 4_000, happened.tolist(),
    )  # fmt: skip
    measured = measure(Moment("x", UNTOUCHED, (0,)), found)
    assert measured is not None
    assert measured.error == pytest.approx((0.3 * 0.7 / 400) ** 0.5, rel=0.1)


def test_errors_cover_the_truth_as_often_as_they_should() -> None:
    rng, inside = np.random.default_rng(7), 0
    for _ in range(300):
        y = (rng.random(500) < 0.1).astype(float)
        measured = measure(
            Moment("x", UNTOUCHED, (0,)),
            decisions(list(range(500)), [0.0] * 500, [0] * 500, y.tolist()),
        )
        assert measured is not None
        inside += abs(measured.rate - 0.1) < 1.96 * measured.error
    assert inside / 300 == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 300) ** 0.5 + 0.01)


def test_what_never_happened_is_not_taken_for_impossible() -> None:
    measured = measure(Moment("x", UNTOUCHED, (0,)), decisions([0, 1], [0, 0], [0, 0], [0.0, 0.0]))
    assert measured is not None
    assert measured.rate == 0.25
    assert np.isfinite(measured.logit)
    assert measured.logit_error > 0.0


def test_what_is_not_known_is_not_measured() -> None:
    found = decisions([0], [0], [0], [np.nan])
    assert measure(Moment("x", UNTOUCHED, (0,)), found) is None
    assert measure(Moment("x", MESSAGE, (0,)), found) is None
