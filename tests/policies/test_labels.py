"""Lessons as arrays: the same state, to the bit, as the same lessons one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.context import Context
from agents.revision import Revision
from agents.tabular.batch import Batch
from agents.tabular.gathered import gather_columns, gather_contacts, gather_events
from policies.base import Lesson
from policies.features.encode import Encoder
from policies.features.encode_table import encode_table, scaled, unscaled
from policies.hybrid import HybridThompson, day_of
from policies.samples import reweighted, sample_contexts, sample_lessons
from policies.teaching.labels import Labels, TableLearner, Taught

WithSettings = Callable[[Mapping[str, float]], Revision]


def batch_of(revision: Revision, context: Context) -> Batch:
    columns = gather_columns(revision.workspace.customer, [context.features])
    return Batch(
        revision, context.at, [context.customer], columns, gather_contacts([context.contacts]),
        gather_events([context.events]), context.usage,
    )  # fmt: skip


def tables(revision: Revision, lessons: Sequence[Lesson]) -> tuple[Taught, Labels]:
    """Write lessons as arrays, each about a decision of its own."""
    encoder, names = Encoder(revision), list(revision.agent.outcomes)
    rows: list[NDArray[np.float64]] = []
    labels: list[tuple[int, int, bool, float, bool, int]] = []
    for number, lesson in enumerate(lessons):
        rows.append(unscaled(encoder, batch_of(revision, lesson.context))[0])
        told = [
            (names.index(label.outcome), label.happened, label.weight) for label in lesson.labels
        ]
        for place, (outcome, happened, weight) in enumerate(told or [(-1, False, 0.0)]):
            first = lesson.first and place == 0
            labels.append((number, outcome, happened, weight, first, number))
    columns = [np.array(column) for column in zip(*labels, strict=True)]
    days = np.array([day_of(lesson.context.at) for lesson in lessons])
    return Taught(np.stack(rows), np.array([one.action for one in lessons]), days), Labels(*columns)


def many(revision: Revision) -> list[Lesson]:
    rng = np.random.default_rng(3)
    lessons = reweighted(sample_lessons(revision, 150, rng), rng)
    days = rng.integers(0, 9, len(lessons)).tolist()
    return [
        replace(one, context=replace(one.context, at=one.context.at + timedelta(days=day)))
        for one, day in zip(lessons, days, strict=True)
    ]


@pytest.mark.parametrize("half_life", [0.0, 3.0])
def test_a_table_of_labels_teaches_what_its_lessons_do(
    with_settings: WithSettings, half_life: float
) -> None:
    revision = with_settings({"half_life": half_life})
    lessons = many(revision)
    assert any(lesson.first and not lesson.labels for lesson in lessons) or lessons
    one_by_one, at_once = HybridThompson.create(revision), HybridThompson.create(revision)
    assert isinstance(at_once, TableLearner)
    one_by_one.update(lessons)
    for part in (slice(0, 60), slice(60, 61), slice(61, None)):
        at_once.learn_table(*tables(revision, lessons[part]))
    assert at_once.to_bytes() == one_by_one.to_bytes()
    assert at_once.to_bytes() != HybridThompson.create(revision).to_bytes()


def test_a_first_lesson_without_labels_still_shows_its_customer(revision: Revision) -> None:
    lessons = [replace(lesson, labels=(), first=True) for lesson in many(revision)[:20]]
    one_by_one, at_once = HybridThompson.create(revision), HybridThompson.create(revision)
    one_by_one.update(lessons)
    at_once.learn_table(*tables(revision, lessons))
    assert at_once.to_bytes() == one_by_one.to_bytes()


def test_no_labels_teach_nothing(revision: Revision) -> None:
    policy = HybridThompson.create(revision)
    before = policy.to_bytes()
    decisions, labels = tables(revision, many(revision)[:2])
    nothing = Labels(*(getattr(labels, name)[:0] for name in Labels.__slots__))
    policy.learn_table(decisions, nothing)
    assert policy.to_bytes() == before


def test_what_is_read_and_scaled_later_is_what_is_encoded(revision: Revision) -> None:
    encoder, rng = Encoder(revision), np.random.default_rng(4)
    contexts = sample_contexts(revision, 40, rng)
    for context in contexts[:30]:
        encoder.observe(context)
    for context in contexts:
        rows = batch_of(revision, context)
        assert np.array_equal(scaled(encoder, unscaled(encoder, rows))[0], encoder.encode(context))
        assert np.array_equal(unscaled(encoder, rows)[0], encoder.unscaled_of(context))
        assert np.array_equal(encode_table(encoder, rows)[0], encoder.encode(context))
