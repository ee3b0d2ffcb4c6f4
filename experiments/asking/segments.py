"""Segments: the same question of parts of the customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.revision import Revision
from experiments.asking.differences import Difference, differences
from experiments.estimators import HEADLINE
from experiments.evaluate import Evaluation, Question
from experiments.logs import LoggedDecisions
from experiments.targets.rules import conditions_hold, language_of

_MOST = 20
_PIECES = 4  # of a number with many values
_WORD = "unknown"


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of the customers.

    Args:
        name: what they have in common.
        n: decisions.
        evaluations: one a policy; empty if nothing can be said.
        differences: of the policies, on these decisions.
        refused: why nothing can be said; empty if something can.
    """

    name: str
    n: int
    evaluations: tuple[Evaluation, ...] = ()
    differences: tuple[Difference, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Segments:
    """All parts of the customers by one field or expression."""

    by: str
    segments: tuple[Segment, ...]


def by_segment(
    questions: Mapping[str, Question],
    by: str,
    *,
    revision: Revision | None = None,
    estimators: Sequence[str] = HEADLINE,
    forced: bool = False,
) -> Segments:
    """Ask the same of each segment.

    Each interval is at its own level: of twenty, one is expected to miss.

    Args:
        questions: by name of the target, on the same decisions.
        by: a field of the contexts, or a CEL expression. A number with many values is cut at its
            quartiles.
        revision: whose customer schema an expression speaks of, if it is known.
        estimators: names.
        forced: whether numbers are told below the limits too.

    Raises:
        UnknownNameError: neither a field of the log nor an expression.
        LogError: more than 20 segments.
    """
    log = next(iter(questions.values())).rows.log
    labels = labels_of(log, by, revision)  # (N,)
    names = sorted(set(labels.tolist()), key=lambda name: (name == _WORD, name))
    if len(names) > _MOST:
        raise LogError(f"--by {by}: expected at most {_MOST} segments, got {len(names):,}")
    return Segments(
        by, tuple(_segment(questions, name, labels == name, estimators, forced) for name in names)
    )


def labels_of(log: LoggedDecisions, by: str, revision: Revision | None = None) -> NDArray[np.str_]:
    """Return the name of each decision's segment, see `by_segment`; (N,)."""
    fields = {name for record in log.contexts.tolist() for name in record["features"]}
    if by in fields:
        return _values([record["features"].get(by) for record in log.contexts.tolist()])
    if by.isidentifier():
        hint = did_you_mean(by, fields)
        raise UnknownNameError(f"--by {by}: it is no field of the log; {hint}")
    language = language_of(log, revision)
    try:
        condition = language.compile(by)
    except ValueError as error:
        raise UnknownNameError(f"--by {by}: {error}") from None
    held = conditions_hold(log, [condition], language)[:, 0]  # (N,)
    words = {True: by, False: f"not ({by})", None: _WORD}
    return np.array([words[value] for value in held.tolist()])


def _segment(
    questions: Mapping[str, Question],
    name: str,
    rows: NDArray[np.bool_],
    estimators: Sequence[str],
    forced: bool,
) -> Segment:
    n = int(np.count_nonzero(rows))
    inside = {target: question.where(rows) for target, question in questions.items()}
    shared = {target: bool(each.rows.weights.any()) for target, each in inside.items()}
    try:
        evaluations = tuple(
            question.answer(target, estimators if shared[target] else (), forced=forced)
            for target, question in inside.items()
        )
        supported = {each.target: each.verdict.supported for each in evaluations}
        beside = {target: each for target, each in inside.items() if shared[target]}
        apart = differences(beside, estimators, supported, forced=forced)
    except LogError as error:
        return Segment(name, n, refused=str(error))
    return Segment(name, n, evaluations, apart)


def _values(values: list[object]) -> NDArray[np.str_]:
    """Name each value; numbers by quartile if there are many."""
    numbers = {v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)}
    if len(numbers) <= _PIECES:
        return np.array([_told(value) for value in values])
    amounts = np.array(
        [v if isinstance(v, (int, float)) else np.nan for v in values], dtype=np.float64
    )  # (N,)
    inner = np.linspace(0.0, 1.0, _PIECES + 1)[1:-1]
    cuts = np.unique(np.nanquantile(amounts, inner, method="lower"))  # (K,)
    bins = np.searchsorted(cuts, amounts, side="left")  # (N,)
    words = [f"{k + 1}: up to {cut:g}" for k, cut in enumerate(cuts.tolist())]
    words.append(f"{len(cuts) + 1}: above {cuts[-1]:g}")
    return np.array(
        [_WORD if np.isnan(x) else words[b] for x, b in zip(amounts, bins.tolist(), strict=True)]
    )


def _told(value: object) -> str:
    if value is None:
        return _WORD
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else str(value)
