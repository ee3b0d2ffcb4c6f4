"""The loops of the study are what they say, and what it prints of both sides is sane."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from agents.supplied import Supplied
from experiments.studies.loops.__main__ import ORIGINAL, OURS, SHAPES, study
from experiments.studies.loops.learners import EPSILON, PERSONALIZER, Original, Ours
from experiments.studies.loops.runner import BEST, FIXED, UNIFORM, WAIT, gained, run
from experiments.studies.loops.world import Loop, Shape, reward


def test_expected_rewards_are_the_truth() -> None:
    request = next(Loop(Shape(5), np.random.default_rng(3)).requests())
    luck = np.random.default_rng(4).random((40_000, 2))
    for mean in request.mean.tolist():
        drawn = np.array([reward(mean, *pair) for pair in luck.tolist()])
        assert 0.0 <= drawn.min() <= drawn.max() <= 1.0
        assert abs(drawn.mean() - mean) < 4.0 * drawn.std() / 200.0


def test_the_same_seed_brings_the_same_and_others_others() -> None:
    def first(seed: int, shape: Shape) -> list[bytes]:
        loop = Loop(shape, np.random.default_rng(seed))
        return [request.supplied.content for request in islice(loop.requests(), 20)]

    assert first(1, Shape(5)) == first(1, Shape(5))
    assert first(1, Shape(5)) != first(2, Shape(5))


def test_tastes_move_and_articles_come() -> None:
    def means(shape: Shape) -> set[float]:
        loop = Loop(shape, np.random.default_rng(1))
        return {mean for each in islice(loop.requests(), 300) for mean in each.mean.tolist()}

    def ids(shape: Shape) -> set[str]:
        loop = Loop(shape, np.random.default_rng(1))
        return {name for each in islice(loop.requests(), 300) for name in each.supplied.ids}

    still = Shape(4, catalogue=4)
    assert len(means(still)) <= 8 * 4 * 3 * 4  # articles in all situations
    assert len(means(Shape(4, catalogue=4, moves=100))) > len(means(still))
    assert ids(still) == {f"article-{i}" for i in range(4)}
    assert ids(Shape(4, catalogue=4, newcomers=50)) == {f"article-{i}" for i in range(9)}


def test_both_sides_explore_as_much() -> None:
    supplied = next(Loop(Shape(5), np.random.default_rng(1)).requests()).supplied
    for learner in (Ours(), Original()):
        for _ in range(30):
            learner.learn(supplied, 2, 0.2, 1.0)
        answer = learner.probabilities(supplied)
        assert answer.tolist() == pytest.approx([0.04, 0.04, 0.84, 0.04, 0.04])


def test_the_original_is_what_was_published() -> None:
    told = " ".join(PERSONALIZER)
    assert told == "--cb_explore_adf --epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr -q ::"


def test_each_decision_is_learned_once_and_after_its_time() -> None:
    seen: list[tuple[str, ...]] = []

    class Watched(Ours):
        def learn(self, supplied: Supplied, drawn: int, propensity: float, reward: float) -> None:
            seen.append(supplied.ids)
            assert 0.0 < propensity <= 1.0

    count = WAIT + 7
    earned = run(Shape(5), {"some": Watched()}, count, 1)
    loop = Loop(Shape(5), np.random.default_rng([1, 1]))
    assert seen == [each.supplied.ids for each in islice(loop.requests(), 7)]
    assert gained(earned, "some", count) == pytest.approx(0.0, abs=15.0)  # nothing learned yet
    assert gained(earned, BEST, count) == pytest.approx(100.0)
    assert gained(earned, UNIFORM, count) == pytest.approx(0.0)
    assert 0.0 < gained(earned, FIXED, count) < 100.0


def test_a_small_study_is_sane() -> None:
    found = study({"5 actions": (Shape(5, catalogue=20), 2_000)}, (11, 12), (500, 2_000))
    names = [f"5 actions: {name}" for name in (OURS, ORIGINAL, FIXED)]
    assert list(found.rows) == names
    figures = {name: [each.value for each in row if each] for name, row in found.rows.items()}
    early, late = figures[names[0]]
    assert 10.0 < early + 10.0 < late < 100.0 * (1.0 - EPSILON)
    assert -20.0 < figures[names[1]][1] < 100.0 * (1.0 - EPSILON)
    assert late > figures[names[1]][1]
    assert "80 is the most there is" in found.text()
    assert {shape.actions for shape, _ in SHAPES.values()} == {5, 15, 30, 50}
