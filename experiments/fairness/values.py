"""Value parity: what a policy is worth in each group, wherever the log can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.asking.segments import Segment, segment_of
from experiments.diagnostics import Health
from experiments.estimators import HEADLINE, Estimate, find_estimator
from experiments.evaluate import Question
from experiments.fairness.parity import FEW, Parity, Served, check_rows
from experiments.fairness.ratios import NOWHERE, Means, Ratios, ratios_of
from experiments.intervals.base import Bounds
from experiments.logs import LoggedDecisions
from experiments.weighing import Weighed

Floats = NDArray[np.float64]

_POLICY = "policy"


def value_parity(
    log: LoggedDecisions,
    labels: NDArray[np.object_],
    target: Floats,
    *,
    q_hat: Floats | None,
    level: float = 0.95,
    reward_range: Bounds | None = None,
    health: Health | None = None,
) -> Parity:
    """Compare what a policy is worth in each group, in currency per decision.

    Each group is a segment as `nextbest evaluate --by` has them: the same estimators, the same
    interval and the same limits, below which its value is not told but what data it would take. The
    value is doubly robust within the group, or plain IPS if no model is given. Ratios are told of
    groups that are supported, and only if the best one's value is clearly above 0: of losses there
    is no four fifths.

    Args:
        log: decisions of the treatment and random groups of the experiment.
        labels: (N,) text, the declared group of each decision's customer.
        target: (N, A) probabilities; the log's own distribution for the policy at work.
        q_hat: (N, A) cross-fitted predictions of a reward model; None for IPS.
        level: nominal coverage.
        reward_range: as of `experiments.evaluate.evaluate`.
        health: of the log, if it is known.

    Raises:
        LogError: control decisions, or none.
    """
    check_rows(log, labels)
    told, names = ("ips", ("ips",)) if q_hat is None else ("dr", HEADLINE)
    question = Question(
        Weighed(log, target, q_hat), level, reward_range=reward_range,
        health=health or Health.of(log),
    )  # fmt: skip
    means = Means.of(find_estimator(told).pieces(question.rows).plain, log, labels)
    segments = [
        segment_of(
            name, n, {_POLICY: question.where(np.asarray(labels == name))}, names, forced=False
        )
        for name, n in zip(means.names, means.decisions, strict=True)
    ]
    shown = [_shown(segment, told) for segment in segments]  # (G,)
    usable = np.array([
        each is not None and customers >= FEW
        for each, customers in zip(shown, means.customers, strict=True)
    ])  # fmt: skip
    lows = np.array([math.nan if each is None else each.low for each in shown])
    ratios = ratios_of(means, usable, lows, level)
    rows = tuple(_served(means, g, shown[g], segment, ratios) for g, segment in enumerate(segments))
    return Parity(f"value ({told})", True, rows, level)


def _shown(segment: Segment, estimator: str) -> Estimate | None:
    """Return what may be told of a group; None if that is nothing."""
    found = [row for each in segment.evaluations for row in each.shown]
    return next((row for row in found if row.estimator == estimator), None)


def _served(
    means: Means, group: int, shown: Estimate | None, segment: Segment, ratios: Ratios
) -> Served:
    bounds = NOWHERE if shown is None else Bounds(shown.low, shown.high)
    refused, needed = ("", ()) if shown is not None else _why(segment)
    return Served(
        means.names[group], means.customers[group], means.decisions[group],
        math.nan if shown is None else shown.value, *bounds,
        ratios.values[group], *ratios.bounds[group], group == ratios.best,
        means.customers[group] >= FEW, refused, tuple(needed),
    )  # fmt: skip


def _why(segment: Segment) -> tuple[str, Sequence[str]]:
    """Say why a group's value is not told, and what data it would take."""
    if segment.refused:
        return segment.refused, ()
    verdict = segment.evaluations[0].verdict
    return " ".join(check.words for check in verdict.reasons), verdict.needed
