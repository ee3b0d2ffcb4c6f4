"""The teacher of many decisions at once against the teacher of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from agents.decisions import Decision
from agents.groups import Group
from agents.revision import Revision
from agents.tabular.columns import microseconds
from policies.base import Lesson
from policies.decide import choose
from policies.samples import sample_contexts, sample_mask
from policies.teaching import delay
from policies.teaching.columnwise import TableTeacher
from policies.teaching.logged import Logged, windows_of
from policies.teaching.teacher import Teacher
from policies.uniform import Uniform

HOUR = timedelta(hours=1)
Told = tuple[int, str, bool, float]


@dataclass
class Heard:
    at: datetime
    reached: datetime
    decision: int
    outcome: str


def decisions_of(revision: Revision, days: int, each: int) -> list[list[Decision]]:
    rng = np.random.default_rng(5)
    contexts = sample_contexts(revision, days * each, rng)
    start = contexts[0].at
    return [
        [
            choose(
                revision, Uniform(), replace(contexts[day * each + i], at=start + day * 24 * HOUR),
                sample_mask(revision, rng), Group.TREATMENT,
                decision_id=f"{day} {i}", secret=b"s", snapshot="",
            )
            for i in range(each)
        ]
        for day in range(days)
    ]  # fmt: skip


def reports_of(revision: Revision, made: list[Decision]) -> list[Heard]:
    """Let outcomes follow, of which some are heard late, even after their windows."""
    rng, found = np.random.default_rng(6), []
    for number, decision in enumerate(made):
        for outcome, window in windows_of(revision).items():
            if rng.random() < 0.4:
                at = decision.at + rng.random() ** 3 * window
                late = rng.choice([0.0, 0.0, 0.3, 1.5]) * window
                found.append(Heard(at, at + late, number, outcome))
    return sorted(found, key=lambda heard: heard.reached)


def by_teacher(
    revision: Revision, batches: list[list[Decision]], heard: list[Heard], end: datetime
) -> tuple[list[Told], Teacher]:
    made = [decision for batch in batches for decision in batch]
    windows, place = windows_of(revision), {d.decision_id: n for n, d in enumerate(made)}
    teacher = Teacher(revision, lambda position: Logged(position, made[position], windows))
    told: list[Told] = []
    ids = {id(d.context): place[d.decision_id] for d in made}

    def learn(lessons: list[Lesson]) -> None:
        for lesson in lessons:
            number = ids[id(lesson.context)]
            told.extend(
                (number, label.outcome, label.happened, label.weight) for label in lesson.labels
            )

    entries: list[tuple[datetime, int, int]] = [(d.at, 0, n) for n, d in enumerate(made)]
    entries += [(h.reached, 1, n) for n, h in enumerate(heard)]
    done = 0
    for at, kind, n in sorted(entries):
        learn(list(teacher.until(at)))
        if kind == 0:
            done += 1
            learn(list(teacher.decided(Logged(n, made[n], windows))))
        else:
            one = heard[n]
            logged = Logged(one.decision, made[one.decision], windows)
            learn(list(teacher.happened(logged, one.outcome, one.at, done)))
    learn(list(teacher.until(end)))
    return told, teacher


def by_table(
    revision: Revision, batches: list[list[Decision]], heard: list[Heard], end: datetime
) -> tuple[list[Told], TableTeacher]:
    windows = windows_of(revision)
    names, longest = list(windows), max(windows.values())
    teacher, told, waiting, done = TableTeacher(windows, 1, 2 * longest), list[Told](), heard, 0

    def take() -> None:
        oldest = teacher.oldest
        decisions, labels = teacher.take()
        numbers = decisions.unscaled[labels.decision, 0].astype(int).tolist()
        assert numbers == (labels.decision + oldest).tolist()
        columns = (labels.outcome.tolist(), labels.happened.tolist(), labels.weight.tolist())
        rows = zip(numbers, *columns, strict=True)
        told.extend((n, names[o], y, weight) for n, o, y, weight in rows if o >= 0)

    def hear(before: datetime) -> None:
        nonlocal waiting
        now = [one for one in waiting if one.reached < before]
        waiting = waiting[len(now) :]
        teacher.heard(
            np.array([one.decision for one in now], dtype=np.int64),
            np.array([names.index(one.outcome) for one in now], dtype=np.int64),
            np.array([microseconds(one.at) for one in now], dtype=np.int64),
            np.array([microseconds(one.reached) for one in now], dtype=np.int64),
            done,
        )

    for batch in batches:
        hear(batch[0].at)
        numbers = np.arange(done, done + len(batch), dtype=np.float64)[:, None]
        actions = np.array([decision.action for decision in batch])
        assert teacher.decided(batch[0].at, numbers, actions) == done
        done += len(batch)
        if done % 3 == 0:
            take()
            teacher.forget(batch[0].at)
    hear(end)
    teacher.until(end)
    take()
    return told, teacher


@pytest.mark.parametrize("known", [4, 50])
def test_it_says_what_the_teacher_of_one_says(
    revision: Revision, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delay, "KNOWN", known)
    monkeypatch.setattr(delay, "_EVERY", 4)
    monkeypatch.setattr(delay, "_LAST", 10)
    batches = decisions_of(revision, days=40, each=5)
    heard = reports_of(revision, [decision for batch in batches for decision in batch])
    end = heard[-1].reached + timedelta(days=60)
    one, teacher = by_teacher(revision, batches, heard, end)
    many, table = by_table(revision, batches, heard, end)
    assert many == one
    assert {weight for *_, weight in one} > {1.0}
    assert any(weight < 0.0 for *_, weight in one) or known == 50
    curves = teacher.facts()["curves"]
    assert {
        name: c.facts() for name, c in zip(windows_of(revision), table.curves, strict=True)
    } == curves
    assert table.forget(end) == 200
