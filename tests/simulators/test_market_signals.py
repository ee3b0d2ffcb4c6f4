from __future__ import annotations

import math

import numpy as np
import pytest

from agents.revision import Revision
from simulators.market.market import Market
from simulators.market.people import People
from simulators.market.signals import Signals, signal_names
from simulators.world import START

N = 200


@pytest.fixture(scope="module")
def drawn(everything: type[Market], revision: Revision) -> tuple[People, Signals]:
    people = People(everything.spec, revision.workspace, seed=3, customers=N, start=START)
    return people, Signals(everything.spec, people)


def by_hand(people: People, customer: int, day: int) -> dict[str, float]:
    """Work out one customer's signals in plain Python."""
    one = np.array([customer])
    value = {name: field.values(day, one)[0] for name, field in people.fields.items()}
    word = {n: people.fields[n].words[int(value[n])] for n in ("plan", "wishes")}
    digital = float(people.traits["digital"][customer])

    def scaled(name: str, low: float, high: float, top: float = 1.5) -> float:
        return min(max((float(value[name]) - low) / (high - low), 0.0), top)

    shock, ending = scaled("bill_change", 0.0, 0.4), scaled("contract_months_left", 12, 0, 1.0)
    settled = scaled("tenure_months", 0.0, 60.0)
    return {
        "one": 1.0, "digital": digital, "hidden": float(people.traits["hidden"][customer]),
        "price": float(people.traits["price"][customer]), "shock": shock, "ending": ending,
        "settled": settled, "top_plan": float(word["plan"] == "unlimited"),
        "angry": float(value["open_complaint"]), "quick": float("speed" in word["wishes"]),
        "mood": scaled("mood", -2.0, 2.0), "both": shock * ending, "away": abs(digital),
        "ripple": math.sin(math.pi * 1.5 * settled),
    }  # fmt: skip


def test_they_are_what_the_document_says(
    everything: type[Market], drawn: tuple[People, Signals]
) -> None:
    people, signals = drawn
    names = signal_names(everything.spec)
    for day in (0, 1, 37):
        z = signals.rows(np.arange(N), day)
        for customer in range(0, N, 9):
            due = by_hand(people, customer, day)
            assert tuple(due) == names
            assert z[customer] == pytest.approx(list(due.values()), abs=1e-12)


def test_some_customers_have_the_rows_of_all(drawn: tuple[People, Signals]) -> None:
    _, signals = drawn
    some = np.array([150, 3, 77])
    for day in (0, 25):
        assert np.array_equal(signals.rows(some, day), signals.rows(np.arange(N), day)[some])


def test_a_changed_field_moves_all_that_is_made_of_it_and_nothing_else(
    everything: type[Market], drawn: tuple[People, Signals]
) -> None:
    _, signals = drawn
    rows, names = np.array([4, 9]), signal_names(everything.spec)
    before = signals.rows(rows, 5)
    after = signals.rows(rows, 5, {"contract_months_left": np.array([6, 24])})
    ending, both, shock = (names.index(name) for name in ("ending", "both", "shock"))
    assert after[:, ending].tolist() == [0.5, 0.0]
    assert after[:, both].tolist() == [0.5 * before[0, shock], 0.0]
    others = [place for place in range(len(names)) if place not in (ending, both)]
    assert np.array_equal(before[:, others], after[:, others])
