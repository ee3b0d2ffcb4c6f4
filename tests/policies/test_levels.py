from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.revision import Revision
from policies.models.levels import COMMON, design_of, levels_of, prior_variance, split_variance


def test_actions_share_levels_by_what_they_have_in_common(revision: Revision) -> None:
    named = {action.id: tuple(levels_of(action)) for action in revision.actions}
    assert named["none"] == (COMMON, "none")
    one, other = (named[f"bill_explained/{v}@email#morning"] for v in ("plain", "tips"))
    assert one[:4] == other[:4] == (
        COMMON, "offer bill_explained", "channel email", "window morning",
    )  # fmt: skip
    assert one[4] != other[4]
    assert not any(name.startswith("window") for name in named["bill_explained/plain@sms"])
    assert len(set(named.values())) == len(revision.actions)


def test_the_design_places_each_level(revision: Revision) -> None:
    names, design = design_of(revision.actions)
    assert names[0] == COMMON
    for action, places, by in zip(
        revision.actions, design.levels, design.coefficients, strict=True
    ):
        found = {names[place]: k for place, k in zip(places, by, strict=True) if k}
        assert found == levels_of(action)


def test_prior_has_the_stated_deviations() -> None:
    levels = (COMMON, "none", "offer x", "action x/y@z")
    sd = np.sqrt(
        prior_variance(levels, 24.0, np.ones(2), 0.6)
    ).T  # E|x|^2 of 24 halves interactions
    assert sd.tolist() == [
        pytest.approx([1.0, 0.6, 0.6]),
        pytest.approx([0.6, 0.3, 0.3]),
        pytest.approx([0.6, 0.3, 0.3]),
        pytest.approx([0.3, 0.0, 0.0]),
    ]


def test_short_contexts_keep_the_full_deviation() -> None:
    assert np.sqrt(prior_variance(("none",), 2.0, np.ones(1), 0.5)).tolist() == [[0.5], [0.5]]


def test_variants_that_read_alike_share_words(revision: Revision) -> None:
    first = replace(revision.actions[1], id="a/x@sms", text="Save 20% on {{ customer.plan }}")
    other = replace(first, id="a/y@sms", text="save on data")
    common = {name for name in levels_of(first) if name.startswith("word")} & set(levels_of(other))
    assert len(common) == 2  # save, on


def test_parts_of_a_variance_add_up() -> None:
    whole = prior_variance(("common", "offer x"), 2.0, np.ones(2), 0.5)
    split = split_variance(whole, 2, 0.3)
    assert split.shape == (3, 3, 2)
    assert split[0] + split[-1] == pytest.approx(whole)
    assert split[-1, 0, 0] == 0.0
    assert not split_variance(whole, 1, 0.3)[-1].any()


def test_a_column_of_little_faith_has_a_narrower_prior() -> None:
    sd = np.sqrt(prior_variance(("common", "none"), 2.0, np.array([1.0, 0.5]), 0.4))
    assert sd.tolist() == [
        pytest.approx([1.0, 0.4]),
        pytest.approx([0.4] * 2),
        pytest.approx([0.2] * 2),
    ]
