"""What learning costs: lessons a second, and the size and loading time of a snapshot.

Every line is a median over rounds in which all learners are timed in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import (
    Agent,
    Channel,
    CustomerField,
    Offer,
    Outcome,
    PolicySpec,
    Variant,
    Workspace,
)
from experiments.studies.table import Figure, Study, publish
from policies.base import Lesson
from policies.registry import create_policy, load_policy
from policies.samples import sample_lessons

_LEARNERS = ("hybrid_thompson", "vw_squarecb")
_ROUNDS = 7
_LESSONS = 2_000
_OFFERS, _VARIANTS, _FIELDS = 50, 5, 46


def large_revision(learner: str) -> Revision:
    """Return an agent of 500 actions beside `none`, over about 100 columns of customers."""
    channels = {name: Channel() for name in ("email", "sms")}
    fields = {f"number_{i}": CustomerField(type="number") for i in range(_FIELDS)}
    workspace = Workspace(
        workspace="large", currency="EUR", zone="UTC", customer=fields, channels=channels
    )
    words = {f"variant_{i}": Variant(text=f"words of the variant {i}") for i in range(_VARIANTS)}
    offer = Offer(kind="promotion", variants=words, channels=tuple(channels))
    bought = Outcome.model_validate({"value": 10.0, "window": "7d"})
    agent = Agent(
        agent="large",
        outcomes={"bought": bought},
        offers={f"offer_{i}": offer for i in range(_OFFERS)},
        policy=PolicySpec(learner=learner),
    )
    return Revision(workspace, agent)


def _example(learner: str) -> Revision:
    with example_folder("telecom") as folder:
        loaded = load_workspace(folder)
    agent = loaded.revisions["retention"].agent
    return Revision(
        loaded.workspace, agent.model_copy(update={"policy": PolicySpec(learner=learner)})
    )


def lesson_rate(revision: Revision, lessons: Sequence[Lesson]) -> float:
    """Return lessons learned in a second, encoding included, by a fresh learner."""
    policy = create_policy(revision)
    start = time.perf_counter()
    policy.update(lessons)
    return len(lessons) / (time.perf_counter() - start)


def snapshot_cost(revision: Revision, count: int) -> tuple[float, float]:
    """Return megabytes of the state after some lessons, and milliseconds to load it."""
    policy = create_policy(revision)
    policy.update(sample_lessons(revision, count, np.random.default_rng(1)))
    state = policy.to_bytes()
    start = time.perf_counter()
    load_policy(policy.name, state, revision)
    return len(state) / 1e6, (time.perf_counter() - start) * 1e3


def study(rounds: int = _ROUNDS, count: int = _LESSONS) -> Study:
    """Measure.

    Args:
        rounds: of which the median is taken, at least 1.
        count: decisions to learn in each, at least 1.
    """
    examples = {learner: _example(learner) for learner in _LEARNERS}
    large = {learner: large_revision(learner) for learner in _LEARNERS}
    lessons = sample_lessons(examples[_LEARNERS[0]], count, np.random.default_rng(1))
    seen: dict[str, list[tuple[float, float, float]]] = {learner: [] for learner in _LEARNERS}
    for learner in _LEARNERS:  # compiles what is compiled when first called
        lesson_rate(examples[learner], lessons[:10])
    for _ in range(rounds):
        for learner in _LEARNERS:
            rate = lesson_rate(examples[learner], lessons)
            seen[learner].append((rate, *snapshot_cost(large[learner], 50)))
    rows = {
        learner: [Figure(statistics.median(column)) for column in zip(*found, strict=True)]
        for learner, found in seen.items()
    }
    return Study(
        name="learning_cost",
        title=f"Learning, median of {rounds} rounds on one core",
        columns=("lessons/s (telecom, 25 actions)", "MB (500 actions)", "ms to load"),
        rows=rows,
        notes=(f"{len(lessons)} lessons, encoding included; 500 actions over 100 columns",),
        params={"rounds": str(rounds), "lessons": str(len(lessons))},
        digits=2,
    )


def run() -> None:
    """Measure and publish."""
    publish(study())


if __name__ == "__main__":
    run()
