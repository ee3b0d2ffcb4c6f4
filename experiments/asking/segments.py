"""Segments: the same question of parts of the customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.revision import Revision
from experiments.asking.differences import Difference, V, differences
from experiments.asking.labels import (
    PIECES,
    UNKNOWN,
    cut_codes,
    cut_names,
    in_order,
    numbers_of,
    words_of,
)
from experiments.estimators import HEADLINE
from experiments.evaluate import Evaluation, Question
from experiments.logs import LoggedDecisions
from experiments.logs.contexts import Column, feature_columns
from experiments.targets.rules import conditions_hold, language_of

MOST = 20
"""Segments by one field: more are no segments."""


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
    names = in_order(labels.tolist())
    if len(names) > MOST:
        raise LogError(f"--by {by}: expected at most {MOST} segments, got {len(names):,}")
    found = []
    for name in names:
        rows = labels == name  # (N,)
        inside = {target: question.where(rows) for target, question in questions.items()}
        n = int(np.count_nonzero(rows))
        found.append(segment_of(name, n, inside, estimators, forced=forced))
    return Segments(by, tuple(found))


def labels_of(log: LoggedDecisions, by: str, revision: Revision | None = None) -> NDArray[np.str_]:
    """Return the name of each decision's segment, see `by_segment`; (N,)."""
    fields = feature_columns(log.contexts)
    if by in fields:
        return _values(fields[by])
    if by.isidentifier():
        hint = did_you_mean(by, fields)
        raise UnknownNameError(f"--by {by}: it is no field of the log; {hint}")
    language = language_of(log, revision)
    try:
        condition = language.compile(by)
    except ValueError as error:
        raise UnknownNameError(f"--by {by}: {error}") from None
    held = conditions_hold(log, [condition], language)[:, 0]  # (N,)
    return np.array(condition_names(by))[condition_codes(held)]


def condition_names(by: str) -> tuple[str, str, str]:
    """Name the segments of an expression: true, not true, and unknown."""
    return by, f"not ({by})", UNKNOWN


def condition_codes(held: NDArray[np.object_]) -> NDArray[np.intp]:
    """Return the number among `condition_names` of each of (n,) values: true, false or None."""
    return np.array([{True: 0, False: 1}.get(value, 2) for value in held], dtype=np.intp)


def segment_of(
    name: str, n: int, inside: Mapping[str, V], estimators: Sequence[str], *, forced: bool
) -> Segment:
    """Value policies on the decisions of one segment, and hold them against each other.

    Args:
        name: of the segment.
        n: its decisions.
        inside: by name of the target, on those decisions.
        estimators: names.
        forced: whether numbers are told below the limits too.
    """
    try:
        evaluations = tuple(
            question.answer(target, estimators if question.shares else (), forced=forced)
            for target, question in inside.items()
        )
        comparable = {each.target: each.verdict.comparable for each in evaluations}
        beside = {target: each for target, each in inside.items() if each.shares}
        apart = differences(beside, estimators, comparable, forced=forced)
    except LogError as error:
        return Segment(name, n, refused=str(error))
    return Segment(name, n, evaluations, apart)


def _values(column: Column) -> NDArray[np.str_]:
    """Name each value; numbers by quartile if there are many."""
    amounts = numbers_of(column)  # (N,)
    seen = amounts[~np.isnan(amounts)]
    if len(np.unique(seen)) <= PIECES:
        words = words_of(column)
        return np.array(words.names)[words.codes]
    inner = np.linspace(0.0, 1.0, PIECES + 1)[1:-1]
    cuts = np.unique(np.quantile(seen, inner, method="lower"))  # (K,)
    return np.array(cut_names(cuts.tolist()))[cut_codes(amounts, cuts)]
