from __future__ import annotations

import numpy as np

from agents.context import check_features
from agents.revision import Revision
from policies.samples import sample_contexts, sample_lessons, sample_mask


def test_contexts_fit_the_schema_and_differ(revision: Revision) -> None:
    contexts = sample_contexts(revision, 100, np.random.default_rng(0))
    for context in contexts:
        assert check_features(revision.workspace.customer, context.features) == context.features
        assert list(context.contacts) == sorted(context.contacts, key=lambda c: c.at)
    assert len({c.customer for c in contexts}) == 100
    assert any(len(c.features) < len(revision.workspace.customer) for c in contexts)
    assert any(c.contacts for c in contexts)


def test_masks_allow_something(revision: Revision) -> None:
    rng = np.random.default_rng(0)
    assert all(sample_mask(revision, rng).allowed.any() for _ in range(200))


def test_lessons_are_of_allowed_actions_and_some_have_outcomes(revision: Revision) -> None:
    lessons = sample_lessons(revision, 200, np.random.default_rng(0))
    assert all(lesson.mask.allowed[lesson.action] for lesson in lessons)
    assert all(lesson.propensity == 1 / lesson.mask.allowed.sum() for lesson in lessons)
    with_outcome = [lesson for lesson in lessons if lesson.outcome is not None]
    assert 0.04 < len(with_outcome) / 200 < 0.2
