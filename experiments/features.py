"""Contexts as numbers, for the reward model: simple, the same every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from agents.context import FeatureValue
from experiments.logs import LoggedDecisions

_CLIP = 5.0  # standard deviations
_MIN_SHARE = 0.01  # of rows that a category needs for a column of its own
_MAX_LEVELS = 20


def context_matrix(log: LoggedDecisions, *, exclude: Collection[str] = ()) -> NDArray[np.float64]:
    """Turn the contexts of a log into columns.

    Numbers and booleans are standardised and clipped to 5 standard deviations, a missing one is 0
    beside an indicator. Categories become one column for each level with 1% of the rows or more.
    The number of recent contacts is a column too. Columns that never vary are left out.

    Args:
        log: decisions; rewards are not looked at.
        exclude: names of features that shall not be used.

    Returns:
        (N, D) float64, columns in the order of the features' names.
    """
    contexts = log.contexts.tolist()
    names = sorted({name for context in contexts for name in context["features"]} - {*exclude})
    columns = _numbers([len(context["contacts"]) for context in contexts])
    for name in names:
        values = [context["features"].get(name) for context in contexts]
        columns += _columns(values)
    return np.stack(columns, axis=1) if columns else np.zeros((len(log), 0))  # (N, D)


def _columns(values: Sequence[FeatureValue | None]) -> list[NDArray[np.float64]]:
    """Turn one feature into columns of length N; text decides for categories."""
    if any(isinstance(value, str) for value in values):
        return _levels([None if value is None else str(value) for value in values])
    return _numbers([None if value is None else float(value) for value in values])


def _levels(values: Sequence[str | None]) -> list[NDArray[np.float64]]:
    counts = Counter(value for value in values if value is not None)
    least = max(2, _MIN_SHARE * len(values))
    ranked = sorted(counts, key=lambda level: (-counts[level], level))[:_MAX_LEVELS]
    frequent = sorted(level for level in ranked if counts[level] >= least)
    present = np.array(["" if value is None else value for value in values])  # (N,)
    columns = [(present == level).astype(np.float64) for level in frequent]
    return [column for column in columns if np.ptp(column) > 0.0]


def _numbers(values: Sequence[float | None]) -> list[NDArray[np.float64]]:
    raw = np.array(values, dtype=np.float64)  # (N,), None becomes NaN
    missing = np.isnan(raw)  # (N,)
    columns = []
    known = raw[~missing]
    spread = float(known.std()) if len(known) else 0.0
    if spread > 0.0:
        scaled = np.clip((raw - known.mean()) / spread, -_CLIP, _CLIP)
        columns.append(np.where(missing, 0.0, scaled))  # (N,)
    if missing.any() and not missing.all():
        columns.append(missing.astype(np.float64))
    return columns
