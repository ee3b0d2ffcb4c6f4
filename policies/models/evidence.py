"""From lessons to labels in rows, while the scales of customers' numbers are learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.base import Lesson
from policies.features.encode import Encoder
from policies.models.logistic import Evidence


def read_evidence(encoder: Encoder, outcomes: Sequence[str], lessons: Iterable[Lesson]) -> Evidence:
    """Read lessons in order; the encoder observes the customer of each decision's first.

    Args:
        encoder: makes x of a customer; its scales are changed.
        outcomes: names by position; every label's is among them.
        lessons: of N labels together.
    """
    position = {name: index for index, name in enumerate(outcomes)}
    rows: list[tuple[int, int, float, float]] = []
    z: list[NDArray[np.float64]] = []
    for lesson in lessons:
        if lesson.first:
            encoder.observe(lesson.context)
        if lesson.labels:
            encoded = np.concatenate(([1.0], encoder.encode(lesson.context)))  # (1+D,)
            for label in lesson.labels:
                place = position[label.outcome]
                rows.append((place, lesson.action, float(label.happened), label.weight))
                z.append(encoded)
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)  # (N, 4)
    return Evidence(
        outcomes=table[:, 0].astype(np.intp),
        actions=table[:, 1].astype(np.intp),
        z=np.array(z).reshape(-1, 1 + len(encoder.names)),
        happened=table[:, 2].copy(),
        weights=table[:, 3].copy(),
    )
