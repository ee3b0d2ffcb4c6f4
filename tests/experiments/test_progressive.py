"""Progressive validation: answered first, learned afterwards, and nothing known too early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pytest

from agents.context import Context
from agents.errors import LogError
from agents.mask import Mask
from agents.revision import Revision
from experiments.estimators import find_estimator
from experiments.logs import LoggedDecisions, from_table
from experiments.progressive import Progress, progress
from experiments.tally import Tally
from policies.base import Distribution, Lesson
from policies.greedy import Greedy
from policies.hybrid import HybridThompson
from policies.uniform import Uniform


@dataclass
class Witness:
    """A policy that notes what it is asked and taught, in order."""

    revision: Revision
    heard: list[tuple[str, str]] = field(default_factory=list)
    taught: list[Lesson] = field(default_factory=list)
    name: ClassVar[str] = "witness"

    @classmethod
    def create(cls, revision: Revision) -> Self:
        return cls(revision)

    @classmethod
    def from_bytes(cls, state: bytes, revision: Revision) -> Self:
        return cls(revision, [("from", state.decode())])

    def distribution(self, context: Context, mask: Mask) -> Distribution:
        self.heard.append(("asked", f"{context.at:%Y-%m-%dT%H:%M:%S}"))
        free = mask.allowed
        return Distribution(free / free.sum(), np.full(len(free), np.nan))

    def update(self, lessons: Sequence[Lesson]) -> None:
        self.taught += lessons
        self.heard += [("taught", f"{each.context.at:%Y-%m-%dT%H:%M:%S}") for each in lessons]

    def to_bytes(self) -> bytes:
        return b"what it knew"


@pytest.fixture(scope="module")
def log(table: pa.Table) -> LoggedDecisions:
    """The closed decisions of the small real log, one hour after the other."""
    read = from_table(table)
    hours = np.arange(len(read)) * np.timedelta64(3_600, "s")
    return replace(read, at=np.datetime64("2026-03-02T00:00:00", "us") + hours)


def run(
    log: LoggedDecisions, revision: Revision, wait: timedelta | None
) -> tuple[Progress, Witness]:
    witness = Witness(revision)
    return progress(log, {revision.id: revision}, lambda _: witness, wait=wait), witness


def test_a_decision_is_answered_before_it_is_learned(
    log: LoggedDecisions, revision: Revision
) -> None:
    found, witness = run(log, revision, timedelta(0))
    asked = [at for what, at in witness.heard if what == "asked"]
    assert asked == sorted(asked)
    assert len(asked) == len(log)
    for before, (what, at) in zip(witness.heard, witness.heard[1:], strict=False):
        if what == "taught":
            assert before == ("asked", at)  # at once, so the one that was just answered
    assert found.lessons == len(witness.taught) == len(log) - 1


def test_nothing_is_learned_before_its_windows_end(
    log: LoggedDecisions, revision: Revision
) -> None:
    wait = timedelta(hours=10)
    found, witness = run(log, revision, wait)
    now = ""
    for what, at in witness.heard:
        now = at if what == "asked" else now
        late = np.datetime64(now) + np.timedelta64(3_600, "s") - np.datetime64(at)
        assert what == "asked" or late >= np.timedelta64(wait)
    assert found.lessons == len(log) - 10
    longest = max(o.window for o in revision.agent.outcomes.values())
    assert longest > timedelta(hours=len(log))
    assert run(log, revision, None)[0].lessons == 0  # the log is shorter than the windows


def test_a_lesson_says_what_the_log_says(log: LoggedDecisions, revision: Revision) -> None:
    _, witness = run(log, revision, timedelta(0))
    for row in range(len(log) - 1):
        lesson = witness.taught[row]
        assert revision.action_ids[lesson.action] == log.actions[log.action[row]]
        assert lesson.propensity == log.propensity[row]
        assert lesson.first
        happened = {label.outcome for label in lesson.labels if label.happened}
        assert happened == set(log.outcomes[row])
        assert {label.outcome for label in lesson.labels} == set(revision.agent.outcomes)
        allowed = {revision.action_ids[i] for i in lesson.mask.indices}
        assert allowed == {log.actions[i] for i in np.flatnonzero(log.allowed[row])}


def test_the_order_of_rows_is_not_the_order_of_time(
    log: LoggedDecisions, revision: Revision
) -> None:
    order = np.random.default_rng(1).permutation(len(log))
    make = {revision.id: revision}, HybridThompson.create
    wait = timedelta(hours=5)
    plain = progress(log, *make, wait=wait)
    mixed = progress(log.take(order), *make, wait=wait)
    np.testing.assert_allclose(mixed.target, plain.target[order], atol=1e-12)


def test_a_learner_is_valued_by_what_it_expects(log: LoggedDecisions, revision: Revision) -> None:
    found = progress(log, {revision.id: revision}, HybridThompson.create, wait=timedelta(0))
    np.testing.assert_allclose(found.target.sum(axis=1), 1.0)
    assert np.all(found.target[~log.allowed] == 0.0)
    assert found.q_hat is not None
    assert found.estimator.name == "cdr=20"
    tally = found.tally()
    assert np.isfinite([tally.value, tally.stderr]).all()
    assert tally.value != found.tally(find_estimator("ips")).value
    assert len({row.tobytes() for row in found.q_hat}) > len(log) // 2  # it learns


def test_a_policy_without_values_is_valued_by_clipped_ips(
    log: LoggedDecisions, revision: Revision
) -> None:
    found, _ = run(log, revision, None)
    assert found.q_hat is None
    assert found.estimator.name == "clip=20"
    flat = progress(log, {revision.id: revision}, Uniform.create)
    assert flat.tally().value == pytest.approx(found.tally().value)


def test_the_curve_is_the_value_in_its_parts(log: LoggedDecisions, revision: Revision) -> None:
    found = progress(log, {revision.id: revision}, Greedy.create, wait=timedelta(0))
    parts = found.curve(4)
    assert [part.n for part in parts] == [len(block) for block in np.array_split(log.at, 4)]
    whole = sum(part.value * part.n for part in parts) / len(log)
    assert whole == pytest.approx(found.tally().value)
    assert all(isinstance(part, Tally) for part in parts)
    for blocks in (0, len(log)):
        with pytest.raises(ValueError, match="expected 1 to"):
            found.curve(blocks)


def test_a_learner_is_worth_more_for_what_it_learns(
    log: LoggedDecisions, revision: Revision
) -> None:
    """One offer earns and nothing else does: whoever learns it is worth more."""
    rows = np.tile(np.arange(len(log)), 3)
    arrays: dict[str, Any] = {
        name: value[rows] for name, value in vars(log).items() if isinstance(value, np.ndarray)
    }
    offers = np.array([action.partition("/")[0] for action in log.actions])
    best = next(offer for offer in offers if offer != "none")
    pays = offers[log.action[rows]] == best  # (N,)
    renewed = np.empty(len(rows), dtype=np.object_)
    renewed[:] = [("renewed",) if paid else () for paid in pays]
    hours = np.arange(len(rows)) * np.timedelta64(3_600, "s")
    longer = replace(
        log, **{**arrays, "contexts": log.contexts[rows], "outcomes": renewed,
                "reward": 80.0 * pays, "outcome_value": 80.0 * pays,
                "at": np.datetime64("2026-03-02T00:00:00", "us") + hours},
    )  # fmt: skip
    known = {revision.id: revision}
    never = timedelta(days=3_650)
    taught, untaught = (
        progress(longer, known, Greedy.create, wait=wait) for wait in (timedelta(0), never)
    )
    assert (taught.lessons, untaught.lessons) == (len(rows) - 1, 0)
    possible = (longer.allowed * (offers == best)).any(axis=1)  # (N,)
    shares = [(each.target * (offers == best)).sum(axis=1)[possible] for each in (taught, untaught)]
    assert shares[0].mean() > 0.9
    assert shares[1].mean() < 0.6
    gap = taught.tally().value - untaught.tally().value
    assert gap > 2.0 * np.hypot(taught.tally().stderr, untaught.tally().stderr)


def test_a_new_revision_takes_over(log: LoggedDecisions, revision: Revision) -> None:
    names = log.revision.copy()
    names[100:] = "later"
    made: list[Revision] = []
    later = _Renamed(revision)

    def policy_for(first: Revision) -> Witness:
        made.append(first)
        return Witness(first)

    known: Any = {revision.id: revision, "later": later}
    found = progress(replace(log, revision=names), known, policy_for)
    assert made == [revision]
    assert found.target.shape == log.distribution.shape


class _Renamed:
    """The same agent as a revision of another name."""

    id = "later"

    def __init__(self, revision: Revision) -> None:
        self._revision = revision

    def __getattr__(self, name: str) -> Any:
        return getattr(self._revision, name)


def test_what_cannot_be_answered_is_refused(log: LoggedDecisions, revision: Revision) -> None:
    with pytest.raises(ValueError, match="wait: expected zero or more"):
        run(log, revision, timedelta(seconds=-1))
    with pytest.raises(LogError, match="expected at least one decision, got none"):
        run(log.where(np.zeros(len(log), dtype=np.bool_)), revision, None)
    with pytest.raises(LogError, match=r"one of the 0 known revisions, got .*\.json beside"):
        progress(log, {}, Uniform.create)
    odd = replace(log, actions=("none", *(f"x{k}" for k in range(len(log.actions) - 1))))
    with pytest.raises(LogError, match="expected its actions in the log, got no row with"):
        progress(odd, {revision.id: revision}, Uniform.create)
