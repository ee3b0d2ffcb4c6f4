from __future__ import annotations

import numpy as np

from agents.context import check_features
from agents.revision import Revision
from policies.samples import (
    NEWCOMER,
    later_revision,
    moved,
    odd_contexts,
    reordered,
    reweighted,
    sample_contexts,
    sample_lessons,
    sample_mask,
)


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
    with_outcome = [lesson for lesson in lessons if any(label.happened for label in lesson.labels)]
    assert 0.04 < len(with_outcome) / 200 < 0.2


def test_some_weights_take_back_and_some_count_for_nothing(revision: Revision) -> None:
    lessons = sample_lessons(revision, 50, np.random.default_rng(0))
    changed = reweighted(lessons, np.random.default_rng(1))
    assert {label.weight for lesson in changed for label in lesson.labels} == {-1, 0, 0.25, 1, 3}
    assert [lesson.context for lesson in changed] == [lesson.context for lesson in lessons]


def test_odd_contexts_know_nothing_or_what_was_never_declared(revision: Revision) -> None:
    nobody, somebody = odd_contexts(revision)
    assert not nobody.features
    assert somebody.features.keys() == revision.workspace.customer.keys()
    for field in revision.workspace.customer.values():
        assert "undeclared" not in field.values


def test_a_later_revision_has_one_offer_more_and_one_fewer(revision: Revision) -> None:
    before, after = set(revision.agent.offers), set(later_revision(revision).agent.offers)
    assert after - before == {NEWCOMER}
    assert before - after == {next(iter(revision.agent.offers))}


def test_a_moved_lesson_is_of_the_same_actions(revision: Revision) -> None:
    other = reordered(revision)
    assert set(other.action_ids) == set(revision.action_ids)
    assert other.action_ids != revision.action_ids
    for lesson in sample_lessons(revision, 20, np.random.default_rng(0)):
        same = moved(lesson, revision, other)
        assert other.action_ids[same.action] == revision.action_ids[lesson.action]
        assert {other.action_ids[i] for i in same.mask.indices} == {
            revision.action_ids[i] for i in lesson.mask.indices
        }
