from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from agents.errors import UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from policies.greedy import Greedy
from policies.hybrid import HybridThompson
from policies.samples import sample_contexts, sample_lessons, sample_mask


def test_the_greatest_expected_reward_of_the_hybrid_model(revision: Revision) -> None:
    rng = np.random.default_rng(3)
    greedy, hybrid = Greedy.create(revision), HybridThompson.create(revision)
    for policy in (greedy, hybrid):
        policy.update(sample_lessons(revision, 100, np.random.default_rng(1)))
    hedged = []
    for context in sample_contexts(revision, 10, rng):
        mask = sample_mask(revision, rng)
        answer, explored = greedy.distribution(context, mask), hybrid.distribution(context, mask)
        np.testing.assert_array_equal(answer.expected, explored.expected)
        best = mask.indices[answer.expected[mask.indices].argmax()]
        assert answer.probabilities[best] == 1.0
        hedged.append(np.count_nonzero(explored.probabilities > 1e-3) > 1)
    assert any(hedged)


def test_equals_share(revision: Revision) -> None:
    (context,) = sample_contexts(revision, 1, np.random.default_rng(0))
    answer = Greedy.create(revision).distribution(context, Mask((None,) * len(revision.actions)))
    best = answer.expected == answer.expected.max()
    np.testing.assert_allclose(answer.probabilities, best / best.sum())


@pytest.mark.parametrize("name", ["alpha", "grid"])
def test_has_no_setting_that_would_do_nothing(
    with_settings: Callable[[Mapping[str, object]], Revision], revision: Revision, name: str
) -> None:
    state = Greedy.create(revision).to_bytes()
    message = (
        f"policy.settings.{name}: greedy has no setting {name!r}, since it does not explore; use"
        " hybrid_thompson"
    )
    with pytest.raises(UnknownNameError) as caught:
        Greedy.create(with_settings({name: 128.0}))
    assert str(caught.value) == message
    with pytest.raises(UnknownNameError):
        Greedy.from_bytes(state, with_settings({name: 128.0}))
    assert Greedy.from_bytes(state, with_settings({"tau": 0.5})).name == "greedy"
