"""Observations: a customer's fields as points of Gymnasium spaces."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.spec import CustomerField

_FAR = 1e15  # the widest number that a customer field accepts
_MOST_DAYS = 3_650.0  # ten years, either way


def field_space(field: CustomerField) -> spaces.Space[Any]:
    """Return the space of one customer field that learners may see."""
    match field.type:
        case "integer" | "number" | "instant":
            low, high = _range(field)
            return spaces.Box(low, high, (1,), np.float64)
        case "set":
            return spaces.MultiBinary(len(field.values))
        case _:
            return spaces.Discrete(len(field.values) if field.type == "category" else 2)


def _range(field: CustomerField) -> tuple[float, float]:
    if field.type == "instant":
        return -_MOST_DAYS, _MOST_DAYS
    low = -_FAR if field.min is None else field.min
    return low, _FAR if field.max is None else field.max


def observe(
    field: CustomerField, value: FeatureValue | None, at: datetime
) -> NDArray[np.float64] | NDArray[np.int8] | np.int64:
    """Return a point of the field's space; None is shown as the lowest number, or as 0.

    Args:
        field: as the workspace declares it.
        value: of the field, None if unknown.
        at: the instant of the decision (UTC), which instants are told from in days.
    """
    match field.type, value:
        case (("integer" | "number"), _):
            number = value if isinstance(value, (int, float)) else _range(field)[0]
            return np.array([number], dtype=np.float64)
        case "instant", _:
            days = (at - value) / timedelta(days=1) if isinstance(value, datetime) else 0.0
            return np.array([min(max(days, -_MOST_DAYS), _MOST_DAYS)])
        case "set", _:
            members = value if isinstance(value, tuple) else ()
            return np.array([int(each in members) for each in field.values], dtype=np.int8)
        case "category", str():
            return np.int64(field.values.index(value))
        case _:
            return np.int64(value is True)
