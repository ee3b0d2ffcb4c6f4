"""Each check of the contract refuses a policy that breaks it, and says so exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
import pytest

from agents.context import Context
from agents.mask import Mask
from agents.revision import Revision
from policies import checks
from policies.base import Distribution, Lesson, check_labels
from policies.checks import Check
from policies.hybrid import HybridThompson
from policies.uniform import Uniform


class Broken(Uniform):
    """A uniform policy with a state: the number of lessons, and of what a subclass counts."""

    name: ClassVar[str] = "broken"

    def __init__(self) -> None:
        self.count = 0

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        policy = cls.create(revision)
        policy.count = int(state)
        return policy

    def update(self, lessons: Sequence[Lesson]) -> None:
        self.count += len(lessons)

    def to_bytes(self) -> bytes:
        return str(self.count).encode()


def changed(
    answer: Distribution, probabilities: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Distribution:
    return Distribution(probabilities, answer.expected)


class SumsToTwo(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities * 2)


class LeavesOneOut(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities[:-1])


class IgnoresTheMask(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        return super().distribution(context, Mask((None,) * len(mask.reasons)))


class Negative(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        p = answer.probabilities.copy()
        p[mask.indices[0]] = -1.0
        return changed(answer, p)


class NeverSure(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, np.minimum(answer.probabilities, 0.5))


class ForgetsTheQuestion(Broken):
    asked = 0

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        self.asked += 1
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities * self.asked)


class CountsQuestions(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        self.count += 1
        return super().distribution(context, mask)


class Lost(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, np.where(np.arange(25) == mask.indices[0], np.nan, 0.0))


class HalfExpects(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        expected = answer.expected.copy()
        expected[:3] = 1.0
        return Distribution(answer.probabilities, expected)


class UniformThatExpects(Broken):
    name: ClassVar[str] = "uniform"

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return Distribution(answer.probabilities, np.zeros(25))


class GreedyThatExpectsNothing(Broken):
    name: ClassVar[str] = "greedy"


class LostByTakingBack(Broken):
    lost = False

    def update(self, lessons: Sequence[Lesson]) -> None:
        self.lost = any(label.weight < 0.0 for lesson in lessons for label in lesson.labels)

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities * (np.nan if self.lost else 1.0))


class RefusesTooLate(Broken):
    def update(self, lessons: Sequence[Lesson]) -> None:
        for lesson in lessons:
            self.count += 1
            check_labels(lesson, ("renewed", "upgraded", "complained", "unsubscribed"))


class NeedsEveryField(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        if context.customer == "nobody":
            raise KeyError("plan")
        return super().distribution(context, mask)


class LostAmongTheUndeclared(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        lost = context.features.get("plan") == "undeclared"
        return changed(answer, answer.probabilities * (np.nan if lost else 1.0))


class KnowsPeople(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities * (2.0 if context.customer == "another" else 1))


class PrefersTheLast(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, (np.arange(25) == mask.indices[-1]).astype(np.float64))


class IgnoresNewcomers(Broken):
    def update(self, lessons: Sequence[Lesson]) -> None:
        self.count += len(lessons) > 1


class LostWithNewcomers(Broken):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        lost = len(mask.indices) == 2
        return changed(answer, answer.probabilities * (np.nan if lost else 1.0))


class LearnsNothing(Broken):
    def update(self, lessons: Sequence[Lesson]) -> None:
        """Forget them."""


class UniformThatLearns(Broken):
    name: ClassVar[str] = "uniform"


class CountsCalls(Broken):
    def update(self, lessons: Sequence[Lesson]) -> None:
        self.count += 1


class LosesHalfAtRestart(Broken):
    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        policy = super().from_bytes(state, revision)
        policy.count //= 2
        return policy


class AnswersOtherwiseRebuilt(Broken):
    share = 1.0

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        policy = super().from_bytes(state, revision)
        policy.share = 0.5
        return policy

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = super().distribution(context, mask)
        return changed(answer, answer.probabilities * self.share)


class KeepsItsOldActions(AnswersOtherwiseRebuilt):
    def distribution(self, context: Context, mask: Mask) -> Distribution:
        answer = Broken.distribution(self, context, mask)
        return changed(answer, answer.probabilities[: 25 if self.share == 1.0 else 3])


class AcceptsAnything(Broken):
    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        return cls.create(revision)


CASES: list[tuple[Check, type[Broken], str]] = [
    (
        checks.check_sums_to_one,
        SumsToTwo,
        "broken: expected the distribution to sum to 1, got 2",
    ),
    (checks.check_sums_to_one, Lost, "broken: expected the distribution to sum to 1, got nan"),
    (checks.check_sums_to_one, LeavesOneOut, "broken: expected shape (25,), got (24,)"),
    (
        checks.check_barred_is_zero,
        IgnoresTheMask,
        "broken: expected 0 for a barred action, got 0.04",
    ),
    (
        checks.check_barred_is_zero,
        Negative,
        "broken: expected no probability under 0, got -1",
    ),
    (
        checks.check_one_allowed,
        NeverSure,
        "broken: expected 1 for none, the only allowed, got 0.5",
    ),
    (
        checks.check_pure,
        ForgetsTheQuestion,
        "broken: expected the same answer to the same question, got another",
    ),
    (
        checks.check_pure,
        CountsQuestions,
        "broken: expected `distribution` to leave the state alone, got other bytes",
    ),
    (
        checks.check_finite,
        Lost,
        "broken: expected finite probabilities, got 1 that are not",
    ),
    (
        checks.check_finite,
        HalfExpects,
        "broken: expected rewards that are all finite or all NaN, got 3 of 25 finite",
    ),
    (
        checks.check_finite,
        UniformThatExpects,
        "uniform: expected rewards that are all NaN, got 25 of 25 finite",
    ),
    (
        checks.check_finite,
        GreedyThatExpectsNothing,
        "greedy: expected rewards that are all finite, got 0 of 25 finite",
    ),
    (
        checks.check_weights,
        LostByTakingBack,
        "broken: expected finite probabilities after odd weights, got 25 that are not",
    ),
    (
        checks.check_refuses_unknown_outcome,
        Broken,
        "broken: expected an unknown outcome to be refused, got it learned",
    ),
    (
        checks.check_refuses_unknown_outcome,
        RefusesTooLate,
        "broken: expected a refusal before anything is learned, got other bytes",
    ),
    (
        checks.check_odd_contexts,
        NeedsEveryField,
        "broken: expected an answer for nobody, got KeyError('plan')",
    ),
    (
        checks.check_odd_contexts,
        LostAmongTheUndeclared,
        "broken: expected finite probabilities for somebody, got 25 that are not",
    ),
    (
        checks.check_ignores_identity,
        KnowsPeople,
        "broken: expected the same answer for customers who are alike, got another",
    ),
    (
        checks.check_order,
        PrefersTheLast,
        "broken: expected the same answer in any order of offers, got a difference of 1",
    ),
    (
        checks.check_new_action,
        IgnoresNewcomers,
        "broken: expected to learn about newcomer/plain@email#morning, which is new, got the same"
        " bytes",
    ),
    (
        checks.check_new_action,
        LostWithNewcomers,
        "broken: expected finite probabilities with newcomer/plain@email#morning, which is new,"
        " got 25 that are not",
    ),
    (
        checks.check_learns,
        LearnsNothing,
        "broken: expected lessons to change the state, got the same bytes",
    ),
    (
        checks.check_learns,
        UniformThatLearns,
        "uniform: expected no state, got one that lessons change",
    ),
    (
        checks.check_deterministic,
        CountsCalls,
        "broken: expected the same lessons to give the same bytes, got others",
    ),
    (
        checks.check_deterministic,
        LosesHalfAtRestart,
        "broken: expected the same bytes after a restart halfway, got others",
    ),
    (
        checks.check_round_trip,
        LosesHalfAtRestart,
        "broken: expected the same bytes, rebuilt, got others",
    ),
    (
        checks.check_round_trip,
        AnswersOtherwiseRebuilt,
        "broken: expected the same answers, rebuilt, got others",
    ),
    (
        checks.check_later_revision,
        AnswersOtherwiseRebuilt,
        "broken: expected a sum of 1 under a later revision, got 0.5",
    ),
    (
        checks.check_later_revision,
        KeepsItsOldActions,
        "broken: expected shape (25,) under a later revision, got (3,)",
    ),
    (
        checks.check_refuses_garbage,
        AcceptsAnything,
        "broken: expected SnapshotError for no bytes, got none",
    ),
]


@pytest.mark.parametrize(
    ("check", "subject", "message"),
    CASES,
    ids=[f"{check.__name__}-{subject.__name__}" for check, subject, _ in CASES],
)
def test_broken_policies_fail_with_an_exact_message(
    revision: Revision, check: Check, subject: type[Broken], message: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        check(subject.create, revision)
    assert str(caught.value).splitlines()[0] == message


def test_a_ranker_that_knows_one_request_only_fails_with_an_exact_message(loop: Revision) -> None:
    class KeepsOneRequest(AnswersOtherwiseRebuilt):
        def distribution(self, context: Context, mask: Mask) -> Distribution:
            answer = super().distribution(context, mask)
            return changed(answer, answer.probabilities * (1.0 if self.share == 1.0 else 0.5))

    with pytest.raises(AssertionError) as caught:
        checks.check_other_actions(KeepsOneRequest.create, loop)
    assert str(caught.value).splitlines()[0] == (
        "broken: expected a sum of 1 over 1 other actions, got 0.25"
    )


def test_every_check_has_a_broken_subject() -> None:
    assert {check for check, _, _ in CASES} == set(checks.ALL_CHECKS)
    named = {name for name in vars(checks) if name.startswith("check_")}
    every = {*checks.ALL_CHECKS, *checks.RANKER_CHECKS}
    assert {check.__name__ for check in every} == named
    assert every - set(checks.ALL_CHECKS) == {checks.check_other_actions}


def test_a_policy_that_crashes_on_garbage_is_not_excused(revision: Revision) -> None:
    class Crashes(HybridThompson):
        name: ClassVar[str] = "crashes"

        @classmethod
        def from_bytes(cls, state: bytes, revision: Revision) -> Self:
            raise KeyError("levels")

    with pytest.raises(KeyError):
        checks.check_refuses_garbage(Crashes.create, revision)
