from __future__ import annotations

import numpy as np
import pytest

from agents.errors import SnapshotError
from policies.base import Label
from policies.models.counts import Counts


def test_labels_are_counted_by_weight_and_taken_back() -> None:
    counts = Counts.empty(1, 2, 1)
    counts.add(0, 1, 0, Label("o", happened=True, weight=2.5))
    counts.add(0, 1, 0, Label("o", happened=False))
    assert (counts.happened[0, 1, 0], counts.not_yet[0, 1, 0]) == (2.5, 1.0)
    counts.add(0, 1, 0, Label("o", happened=True, weight=-2.5))
    assert counts.happened.sum() == 0.0


def test_recalled_by_place_and_added_up_where_two_have_become_one() -> None:
    old, new = Counts.empty(3, 2, 1), Counts.empty(2, 3, 1)
    old.happened[:, :, 0] = [[1, 2], [3, 4], [5, 6]]
    new.recall(old.arrays(), ([1, 1, None], [2, None], [0]))
    assert new.happened[:, :, 0].tolist() == [[0, 0, 0], [0, 0, 4]]
    assert not new.not_yet.any()


@pytest.mark.parametrize("damaged", [np.zeros((1, 2, 2)), np.full((1, 2, 1), np.inf)])
def test_damaged_counts_are_refused(damaged: np.ndarray) -> None:
    counts = Counts.empty(1, 2, 1)
    with pytest.raises(
        SnapshotError, match=r"expected finite float64 numbers of shape \(1, 2, 1\)"
    ):
        counts.recall({"happened": damaged, "not_yet": damaged}, ([0], [0, 1], [0]))


def test_discounted_counts_are_a_share_of_what_they_were() -> None:
    counts = Counts.empty(1, 1, 1)
    counts.add(0, 0, 0, Label("o", happened=True, weight=8.0))
    counts.add(0, 0, 0, Label("o", happened=False, weight=4.0))
    counts.discount(0.25)
    assert (counts.happened.item(), counts.not_yet.item()) == (2.0, 1.0)
