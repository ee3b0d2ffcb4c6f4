from __future__ import annotations

from datetime import timedelta

import numpy as np

from simulators.market.spec import Inventory
from simulators.market.stock import Stocks


def test_what_is_taken_counts_the_next_morning_until_it_is_filled_up() -> None:
    weekly = Inventory(offer="box", outcome="bought", stock=3, every=timedelta(days=7))
    stocks = Stocks([weekly])
    stocks.take(1, "box", "bought")
    stocks.take(3, "box", "bought", 4)
    stocks.take(3, "box", "returned")
    stocks.take(3, "other", "bought")
    assert [stocks.left(day, "box") for day in (0, 1, 2, 3, 4, 6, 7)] == [3, 3, 2, 2, 0, 0, 3]
    assert stocks.left(4, "other") is None


def test_without_a_day_of_filling_up_it_stays_empty() -> None:
    stocks = Stocks([Inventory(offer="box", outcome="bought", stock=1, disappointed=0.7)])
    stocks.take(0, "box", "bought")
    assert stocks.left(300, "box") == 0
    before, after = (stocks.disappointment(day, ("other", "box")) for day in (0, 1))
    assert np.isnan(before).all()
    assert np.isnan(after[0])
    assert after[1] == 0.7
