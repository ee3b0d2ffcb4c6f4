"""Many lessons for the logistic regressions at once: the bits of one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policies.features.encode import Encoder
from policies.models.logistic import Design, Posterior
from policies.models.taught_kernels import learn_labels
from policies.teaching.labels import Labels, Taught


def days_of(decisions: Taught, labels: Labels) -> Iterator[tuple[int, slice]]:
    """Cut labels where a later day begins than ever before; yield each day and its labels."""
    if not len(labels.decision):
        return
    days = np.maximum.accumulate(decisions.day[labels.decision])  # (M,)
    starts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
        yield int(days[start]), slice(start, end)


def learn_part(
    posterior: Posterior, design: Design, encoder: Encoder,
    decisions: Taught, labels: Labels, part: slice,
) -> None:  # fmt: skip
    """Learn some of the labels, in order; the encoder observes the customer of each first one.

    Args:
        posterior: changed.
        design: of the actions.
        encoder: its scales are changed.
        decisions: that the labels are about.
        labels: in order.
        part: which of them.
    """
    moments = encoder.moments()  # (K, 3)
    learn_labels(
        posterior.mean, posterior.variance, posterior.prior,
        design.levels, design.coefficients, design.wide, moments, encoder.gapped,
        decisions.unscaled, decisions.action, labels.decision[part], labels.outcome[part],
        labels.happened[part], labels.weight[part], labels.first[part],
    )  # fmt: skip
    encoder.take(moments)
