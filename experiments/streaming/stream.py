"""The evaluation of a log that is never in memory as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.groups import Group
from experiments.diagnostics import Diagnostics, Health, judge
from experiments.estimators import (
    Estimate,
    Estimator,
    candidates_of,
    find_estimator,
    settle,
)
from experiments.evaluate import DEFAULT_ESTIMATORS, DEFAULT_INTERVAL, SNIPS, Evaluation
from experiments.intervals import Bounds, Interval, Sample
from experiments.logs import log_files
from experiments.logs.marks import whole_file
from experiments.logs.places import class_names, places_for
from experiments.logs.read import choose_agent
from experiments.reward_models.action_columns import ActionColumns
from experiments.reward_models.features import Encoding
from experiments.reward_models.ridge import FOLDS, fit_others
from experiments.streaming.measuring import TakeMeasure, Target, TargetMeasure
from experiments.streaming.passes import (
    FindAgents,
    S,
    Step,
    Survey,
    TakeMoments,
    TakeSurvey,
    added,
)
from experiments.streaming.reading import Reader
from experiments.streaming.repeats import Repeats
from experiments.streaming.source import Piece, pieces_of
from experiments.streaming.times import Cuts, find_cuts

Floats = NDArray[np.float64]

ROWS = 16_384
"""Decisions in memory at a time."""

_GROUPS = (Group.TREATMENT, Group.RANDOM)


class Run(Protocol):
    """Does something with every piece of a log, and returns the answers in the pieces' order."""

    def __call__(self, step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
        """Return the answers, one for each piece."""


def in_turn(step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
    """Do something with one piece after the other, here."""
    return map(step, pieces)


@dataclass(frozen=True)
class Streamed:
    """The evaluations of a streamed log, and how many decisions they rest on.

    Args:
        evaluations: one for each target, in order.
        rows: decisions that count.
        open_rows, given_back_rows: left out, see `LoggedDecisions`.
    """

    evaluations: tuple[Evaluation, ...]
    rows: int
    open_rows: int
    given_back_rows: int


def evaluate_stream(
    path: Path,
    targets: Mapping[str, Target],
    *,
    estimators: Sequence[str] = DEFAULT_ESTIMATORS,
    interval: Interval = DEFAULT_INTERVAL,
    level: float = 0.95,
    reward_range: Bounds | None = None,
    exclude: Collection[str] = (),
    agent: str | None = None,
    groups: Sequence[str] = _GROUPS,
    forced: bool = False,
    rows: int = ROWS,
    run: Run = in_turn,
    local: bool = True,
) -> Streamed:
    """Value targets on a log, some thousand decisions at a time.

    The values are those of `evaluate` to 1e-9; a target that shares no decision with the log has no
    estimates, and is not supported. Customers are put into 16,384 buckets by a hash, and
    a bucket counts as one cluster: many independent customers together are one more independent
    unit, so standard errors remain right, and differ from `evaluate`'s by chance alone.

    Args:
        path: a file, or a folder of them.
        targets: by name; each gives the probabilities of some decisions, see
            `experiments.targets`.
        estimators: names, as for `evaluate`.
        interval: one that needs sums only.
        level: nominal coverage.
        reward_range: as for `evaluate`.
        exclude: features that the reward model shall not use.
        agent: whose decisions; may be left out if the log holds one agent only.
        groups: of which groups.
        forced: whether numbers are told although the verdict is against them.
        rows: decisions in memory at a time.
        run: `in_turn`, or `experiments.distributed.on_ray()`.
        local: whether all pieces are read by this machine, so that parsed features can be kept in
            a temporary folder from the first pass to the last.

    Raises:
        LogError: the path holds no log, a row is malformed, or nothing can be estimated from it.
        UnknownNameError: an estimator that does not exist.
        ValueError: an interval that needs every decision at once, or a target that is no
            distribution.
    """
    asked = tuple(find_estimator(name) for name in estimators)
    _check_interval(interval)
    _check_groups(groups)
    pieces = pieces_of(path, rows)
    if not pieces:
        raise LogError("expected at least one decision, got an empty log")
    found = added(run(FindAgents(rows), pieces))
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        shelf = Path(folder) if local else None
        reader = Reader(choose_agent(found.agents, agent), tuple(map(str, groups)), rows, shelf)
        survey, text = _survey(reader, pieces, run, Path(folder))
        encoding = Encoding.of(survey.summary, exclude=exclude, text=text)
        plan = _plan(path, reader, pieces, run, survey, encoding, asked, tuple(targets.values()))
        measure = added(run(plan, pieces))
    health = Health(measure.audit.audit(), measure.shift.shift(encoding.names))
    limits = survey.limits if reward_range is None else survey.limits.union(reward_range)
    answers = tuple(
        _Answer(each, plan.estimators, each.sums.diagnostics(health, whole=plan.whole), limits,
                interval, level).evaluation(name, estimators, forced=forced)
        for name, each in zip(targets, measure.targets, strict=True)
    )  # fmt: skip
    return Streamed(answers, survey.rows, survey.open_rows, survey.given_back_rows)


def _check_interval(interval: Interval) -> None:
    if interval.needs_rows:
        raise ValueError(
            f"interval {interval.name!r} needs every decision at once, which a streamed log does"
            f" not keep; expected one that needs sums only, such as {DEFAULT_INTERVAL.name!r}"
        )


def _check_groups(groups: Sequence[str]) -> None:
    if Group.CONTROL in map(str, groups):
        raise LogError(
            "expected decisions of the treatment and random groups only, got groups with control,"
            " whose decisions were not drawn from the allowed actions"
        )


def _survey(
    reader: Reader, pieces: Sequence[Piece], run: Run, folder: Path
) -> tuple[Survey, frozenset[str]]:
    """Survey the log, and say which features are to be read as text."""
    repeats = Repeats(folder)
    total = added(_noted(repeats, run(TakeSurvey(reader), pieces)))
    repeats.refuse(reader, pieces)
    if not total.rows:
        raise LogError(
            f"expected closed decisions of {' or '.join(reader.groups)}, got none;"
            f" {total.open_rows:,} decisions are open, because an outcome could still arrive"
        )
    text: frozenset[str] = frozenset()
    while total.summary.mixed - text:
        text |= total.summary.mixed
        total = added(map(_bare, run(TakeSurvey(reader, text), pieces)))
    return total, text


def _noted(repeats: Repeats, parts: Iterable[Survey]) -> Iterator[Survey]:
    for part in parts:
        repeats.add(part.ids)
        yield _bare(part)


def _bare(part: Survey) -> Survey:
    """Forget the ids, or they would fill the memory."""
    return replace(part, ids=part.ids[:0])


def _plan(
    path: Path,
    reader: Reader,
    pieces: Sequence[Piece],
    run: Run,
    survey: Survey,
    encoding: Encoding,
    asked: Sequence[Estimator],
    targets: tuple[Target, ...],
) -> TakeMeasure:
    """Prepare the last pass: fit the reward model, if an estimator needs one."""
    modelled = any(estimator.needs_model for estimator in asked)
    folds = min(FOLDS, survey.rows) if modelled else 1
    cuts = find_cuts(survey.bins, reader, pieces, run, folds)
    return TakeMeasure(
        reader=reader,
        actions=survey.actions,
        places=places_for(survey.actions, survey.longest, survey.rows),
        rows=survey.rows,
        whole=all(whole_file(file) for file in log_files(path)),
        encoding=encoding,
        cuts=cuts,
        models=_models(reader, pieces, run, survey, encoding, cuts) if modelled else (),
        estimators=tuple(dict.fromkeys(c for e in (SNIPS, *asked) for c in candidates_of(e))),
        targets=targets,
    )


def _models(
    reader: Reader,
    pieces: Sequence[Piece],
    run: Run,
    survey: Survey,
    encoding: Encoding,
    cuts: Cuts,
) -> tuple[Floats, ...]:
    if len(cuts.at) < 1:
        raise LogError("expected at least 2 decisions for a reward model, got 1")
    moments = added(run(TakeMoments(reader, survey.actions, encoding, cuts), pieces))
    return fit_others(moments.folds, ActionColumns.of(class_names(survey.actions)))


@dataclass(frozen=True)
class _Answer:
    """What is known of one target, from which its estimates are made."""

    measure: TargetMeasure
    estimators: tuple[Estimator, ...]
    diagnostics: Diagnostics
    limits: Bounds
    interval: Interval
    level: float

    def evaluation(self, name: str, estimators: Sequence[str], *, forced: bool) -> Evaluation:
        if not self.measure.amounts[0] > 0.0:  # it shares no decision with the log
            estimators = ()
        rows = tuple(self._ask(find_estimator(each)) for each in estimators)
        warnings = judge(self.diagnostics, rows).warnings
        return Evaluation(
            name, rows, self.diagnostics, warnings, tuple(estimators), forced, self.level
        )

    def _ask(self, estimator: Estimator) -> Estimate:
        tallies = dict(zip(self.estimators, self.measure.tallies, strict=True))
        estimator = settle(estimator, lambda each: tallies[each])
        tally, found = tallies[estimator], self.diagnostics
        total, gain, loss = self.measure.amounts.tolist()
        sample = Sample(
            n=tally.n, value=tally.value, stderr=tally.stderr,
            design_effect=tallies[SNIPS].design_effect, ess=found.ess,
            gain=gain / total if total > 0.0 else 0.0, loss=loss / total if total > 0.0 else 0.0,
            reward_range=self.limits, weight_limit=found.possible_weight,
            conversions=found.effective_conversions,
        )  # fmt: skip
        low, high = self.interval.bounds(sample, self.level)
        return Estimate(
            estimator.name, tally.value, tally.stderr, low, high, found.ess,
            found.effective_conversions, tally.n, self.level,
        )  # fmt: skip
