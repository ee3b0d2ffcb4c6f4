"""The evaluation of a log that is never in memory as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agents.errors import LogError
from agents.groups import Group
from experiments.asking.differences import LOGGED, Difference
from experiments.asking.parts import Part
from experiments.asking.segments import Segments
from experiments.diagnostics import Health
from experiments.evaluate import DEFAULT_ESTIMATORS, DEFAULT_INTERVAL, Evaluation
from experiments.evaluating import none_closed
from experiments.intervals import Bounds, Interval
from experiments.logs.read import choose_agent
from experiments.reward_models.features import Encoding
from experiments.streaming.answering import Manner, Teller
from experiments.streaming.measuring import Target
from experiments.streaming.passes import FindAgents, Run, S, Step, Survey, TakeSurvey, added
from experiments.streaming.planning import NOTHING, Also, Question
from experiments.streaming.reading import Reader
from experiments.streaming.repeats import Repeats
from experiments.streaming.source import Piece, pieces_of
from experiments.targets.named import NAMED

ROWS = 16_384
"""Decisions in memory at a time."""

_GROUPS = (Group.TREATMENT, Group.RANDOM)


def in_turn(step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
    """Do something with one piece after the other, here."""
    return map(step, pieces)


@dataclass(frozen=True)
class Streamed:
    """What a streamed log says, and how many decisions that rests on.

    Args:
        evaluations: one for each target, in order.
        rows: decisions that count.
        open_rows, given_back_rows: left out, see `LoggedDecisions`.
        differences, segments, parts: as in memory, see `experiments.asking`; empty unless asked.
    """

    evaluations: tuple[Evaluation, ...]
    rows: int
    open_rows: int
    given_back_rows: int
    differences: tuple[Difference, ...] = ()
    segments: tuple[Segments, ...] = ()
    parts: tuple[Part, ...] = ()


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
    also: Also = NOTHING,
    rows: int = ROWS,
    run: Run = in_turn,
    local: bool = True,
) -> Streamed:
    """Value targets on a log, some thousand decisions at a time.

    The values are those of `evaluate` to 1e-9; a target that shares no decision with the log has no
    estimates, and is not supported. Customers are put into 16,384 buckets by a hash, 4,096 or fewer
    for segments and parts, and a bucket counts as one cluster: many independent customers together
    are one more independent unit, so standard errors remain right, and differ from `evaluate`'s by
    chance alone. `bernstein` and `betting`, which know only the busiest unit, are wider for it.

    Args:
        path: a file, or a folder of them.
        targets: by name; each gives the probabilities of some decisions, see
            `experiments.targets`.
        estimators: names, as for `evaluate`.
        interval: around each estimate.
        level: nominal coverage.
        reward_range: as for `evaluate`.
        exclude: features that the reward model shall not use.
        agent: whose decisions; may be left out if the log holds one agent only.
        groups: of which groups.
        forced: whether numbers are told although the verdict is against them.
        also: what is asked beside the values.
        rows: decisions in memory at a time.
        run: `in_turn`, or `experiments.distributed.on_ray()`.
        local: whether all pieces are read by this machine, so that parsed features can be kept in
            a temporary folder from the first pass to the last.

    Raises:
        LogError: the path holds no log, a row is malformed, or nothing can be estimated from it.
        UnknownNameError: an estimator, or a field to divide by, that does not exist.
        ValueError: a target that is no distribution.
    """
    named = dict(targets)
    if (also.differences or also.by) and LOGGED not in named:
        named[LOGGED] = NAMED[LOGGED]
    _check_groups(groups)
    question = Question.of(path, tuple(named.values()), estimators, also)
    pieces = pieces_of(path, rows)
    if not pieces:
        raise LogError("expected at least one decision, got an empty log")
    found = added(run(FindAgents(rows), pieces))
    with tempfile.TemporaryDirectory(prefix="nextbest-") as folder:
        shelf = Path(folder) if local else None
        reader = Reader(choose_agent(found.agents, agent), tuple(map(str, groups)), rows, shelf)
        survey, text = _survey(reader, pieces, run, Path(folder))
        encoding = Encoding.of(survey.summary, exclude=exclude, text=text)
        plan = question.plan(reader, pieces, run, survey, encoding)
        measure = added(run(plan, pieces))
    health = Health(measure.audit.audit(), measure.shift.shift(encoding.names))
    teller = Teller(
        tuple(named), measure, plan.asked, health, tuple(estimators),
        Manner(interval, level, reward_range, plan.whole, forced),
    )  # fmt: skip
    return _told(teller, tuple(targets), survey)


def _told(teller: Teller, names: Sequence[str], survey: Survey) -> Streamed:
    """Tell all that was asked of the targets of some names."""
    every = teller.evaluations()
    supported = {each.target: each.verdict.supported for each in every}
    comparable = {each.target: each.verdict.comparable for each in every}
    return Streamed(
        tuple(each for each in every if each.target in names),
        survey.rows, survey.open_rows, survey.given_back_rows,
        teller.differences(comparable), teller.segments(supported),
        tuple(
            part for name in names for part in teller.parts(name, supported=supported[name])
        ),
    )  # fmt: skip


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
        raise LogError(none_closed(reader.groups, total.open_rows))
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
