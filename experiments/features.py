"""Contexts as numbers, for the reward model: simple, the same every time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.units import parse_instant
from experiments.logs import LoggedDecisions

_CLIP = 5.0  # standard deviations
_DAY_S = 86_400.0
_MOST_DAYS = 3_650.0  # ten years, either way
_MIN_SHARE = 0.01  # of rows that a category needs for a column of its own
_MAX_LEVELS = 20


def context_matrix(log: LoggedDecisions, *, exclude: Collection[str] = ()) -> NDArray[np.float64]:
    """Turn the contexts of a log into columns.

    Numbers and booleans are standardised and clipped to 5 standard deviations, a missing one is 0
    beside an indicator. An instant counts as the logarithm of the days since then, like a number.
    Categories and sets become one column for each level with 1% of the rows or more. The number
    of recent contacts is a column too. Columns that never vary are left out.

    Args:
        log: decisions; rewards are not looked at.
        exclude: names of features that shall not be used.

    Returns:
        (N, D) float64, columns in the order of the features' names.
    """
    contexts = log.contexts.tolist()
    names = sorted({name for context in contexts for name in context["features"]} - {*exclude})
    columns = _numbers([len(context["contacts"]) for context in contexts])
    seconds = log.at.astype("datetime64[us]").astype(np.int64) / 1e6  # (N,) since 1970
    for name in names:
        values = [context["features"].get(name) for context in contexts]
        columns += _columns(values, seconds)
    return np.stack(columns, axis=1) if columns else np.zeros((len(log), 0))  # (N, D)


def _columns(values: Sequence[Any], at: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Turn one feature, as the log has it, into columns of length N; text decides for levels.

    Args:
        values: N plain values of JSON, None where unknown.
        at: (N,) seconds, the instants of the decisions.
    """
    if any(isinstance(value, (str, list)) for value in values):
        return _levels([_members(value) for value in values])
    return _numbers([_number(value, now) for value, now in zip(values, at.tolist(), strict=True)])


def _members(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset((str(value),))


def _number(value: float | Mapping[str, str] | None, now: float) -> float | None:
    """Return a number, or sign(d) log(1 + |d|) of the days d since an instant."""
    if not isinstance(value, Mapping):
        return None if value is None else float(value)
    days = (now - parse_instant(value["instant"]).timestamp()) / _DAY_S
    days = min(max(days, -_MOST_DAYS), _MOST_DAYS)
    return math.copysign(math.log1p(abs(days)), days)


def _levels(values: Sequence[frozenset[str] | None]) -> list[NDArray[np.float64]]:
    counts = Counter(level for value in values if value is not None for level in value)
    least = max(2, _MIN_SHARE * len(values))
    ranked = sorted(counts, key=lambda level: (-counts[level], level))[:_MAX_LEVELS]
    frequent = sorted(level for level in ranked if counts[level] >= least)
    columns = [
        np.array([float(value is not None and level in value) for value in values])  # (N,)
        for level in frequent
    ]
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
