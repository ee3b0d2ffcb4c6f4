from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from agents.errors import SnapshotError, UnknownNameError
from agents.revision import Revision
from policies.samples import sample_contexts, sample_mask
from policies.uniform import Uniform


def test_alike_over_the_allowed(revision: Revision) -> None:
    rng = np.random.default_rng(0)
    (context,), mask = sample_contexts(revision, 1, rng), sample_mask(revision, rng)
    answer = Uniform.create(revision).distribution(context, mask)
    assert set(answer.probabilities[mask.allowed].tolist()) == {1 / mask.allowed.sum()}
    assert not answer.probabilities[~mask.allowed].any()
    assert np.isnan(answer.expected).all()


def test_state_is_its_name(revision: Revision) -> None:
    assert Uniform.create(revision).to_bytes() == b'{"policy":"uniform"}'
    with pytest.raises(SnapshotError, match="expected the state of uniform, got 2 other bytes"):
        Uniform.from_bytes(b"{}", revision)


def test_has_no_settings(with_settings: Callable[[Mapping[str, float]], Revision]) -> None:
    with pytest.raises(UnknownNameError, match="uniform has no setting 'tau'; none is declared"):
        Uniform.create(with_settings({"tau": 1.0}))
