from __future__ import annotations

import numpy as np
import pytest

from agents.revision import Revision
from policies.levels import COMMON, PAD, levels_of, prior_variance


def test_actions_share_levels_by_what_they_have_in_common(revision: Revision) -> None:
    named = {action.id: levels_of(action) for action in revision.actions}
    assert named["none"] == (COMMON, "none", PAD, PAD, PAD)
    one, other = (named[f"bill_explained/{v}@email#morning"] for v in ("plain", "tips"))
    assert one[:4] == other[:4] == (
        COMMON, "offer bill_explained", "channel email", "window morning",
    )  # fmt: skip
    assert one[4] != other[4]
    assert named["bill_explained/plain@sms"][3] == PAD
    assert len({tuple(levels) for levels in named.values()}) == len(revision.actions)


def test_prior_has_the_stated_deviations() -> None:
    levels = (COMMON, "none", PAD, "offer x", "action x/y@z")
    sd = np.sqrt(prior_variance(levels, 24.0, 3, 0.6))  # E|x|^2 of 24 halves interactions
    assert sd.tolist() == [
        pytest.approx([1.0, 0.6, 0.6]),
        pytest.approx([0.6, 0.3, 0.3]),
        [0.0, 0.0, 0.0],
        pytest.approx([0.6, 0.3, 0.3]),
        pytest.approx([0.3, 0.0, 0.0]),
    ]


def test_short_contexts_keep_the_full_deviation() -> None:
    assert np.sqrt(prior_variance(("none",), 2.0, 2, 0.5)).tolist() == [[0.5, 0.5]]
