"""Compiled lessons: scales of customers' numbers and weights, learned label by label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.features.moments import CLIP, LEAST_SQUARES
from policies.jit import compiled
from policies.models.logistic_kernels import Floats, Positions, learn_one

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@compiled
def _observe(moments: Floats, gapped: int, x: Floats) -> None:
    """Take in one customer's numbers, as `Moments.add` does each."""
    for number in range(len(moments)):
        at = 2 * number if number < gapped else gapped + number
        if number < gapped and x[at + 1] != 0.0:
            continue  # missing
        moments[number, 0] += 1.0
        step = x[at] - moments[number, 1]
        moments[number, 1] += step / moments[number, 0]
        moments[number, 2] += step * (x[at] - moments[number, 1])


@compiled
def _scale(moments: Floats, gapped: int, x: Floats, z: Floats) -> None:
    """Write z = [1, x] with the numbers standardised, as `Moments.standardise` does each."""
    z[0] = 1.0
    z[1:] = x
    for number in range(len(moments)):
        at = 2 * number if number < gapped else gapped + number
        if number < gapped and x[at + 1] != 0.0:
            continue
        count, mean, squares = moments[number]
        scale = np.sqrt(count / squares) if squares > LEAST_SQUARES else 0.0
        score = (x[at] - mean) * scale
        z[1 + at] = min(max(score, -CLIP), CLIP)


@compiled
def learn_labels(
    mean: Floats,
    variance: Floats,
    prior: Floats,
    levels: Positions,
    coefficients: Floats,
    wide: int,
    moments: Floats,
    gapped: int,
    x: Floats,
    actions: Ints,
    decisions: Ints,
    outcomes: Ints,
    happened: Flags,
    weights: Floats,
    first: Flags,
) -> None:
    """Learn labels in order; a decision's first one shows its customer's numbers before.

    Args:
        mean: of the posterior; changed.
        variance: likewise.
        prior: likewise, but not changed.
        levels: of the design.
        coefficients: likewise.
        wide: likewise.
        moments: (K, 3) count, mean and squares of each number; changed.
        gapped: how many of the numbers, the first ones, have an indicator that they are missing.
        x: (N, D) not standardised.
        actions: (N,) positions.
        decisions: (M,) as of `policies.teaching.labels.Labels`.
        outcomes: (M,) likewise.
        happened: (M,) likewise.
        weights: (M,) likewise.
        first: (M,) likewise.
    """
    z, of = np.empty(1 + x.shape[1]), -1
    for label in range(len(decisions)):
        row = decisions[label]
        if first[label]:
            _observe(moments, gapped, x[row])
            of = -1
        if outcomes[label] < 0:
            continue
        if row != of:
            _scale(moments, gapped, x[row], z)
            of = row
        which, by = levels[actions[row]], coefficients[actions[row]]
        y = 1.0 if happened[label] else 0.0
        learn_one(
            mean, variance, prior, which, by, wide, outcomes[label], z, y, weights[label]
        )  # fmt: skip
