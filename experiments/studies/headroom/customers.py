"""Made-up customers: the whole truth about them, and what a learner gets to see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.spec import CustomerField

_NUMBERS = ("age", "tenure", "spend", "visits", "basket")
_CATEGORIES = {"plan": ("basic", "plus", "pro"), "region": ("north", "east", "south", "west")}
_BOOLEANS = ("app", "member")
_MISSING = 0.08  # probability


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """N customers.

    Args:
        truth: (N, F) every column standardised, nothing missing.
        x: (N, D) what is seen, as `Task.x`.
        features: (N,) the same as a context has it.
    """

    truth: NDArray[np.float64]
    x: NDArray[np.float64]
    features: tuple[Mapping[str, FeatureValue], ...]


def customer_fields() -> dict[str, CustomerField]:
    """Declare the five numbers, two categories and two booleans."""
    fields = {name: CustomerField(type="number") for name in _NUMBERS}
    fields |= {
        name: CustomerField(type="category", values=values) for name, values in _CATEGORIES.items()
    }
    return fields | {name: CustomerField(type="boolean") for name in _BOOLEANS}


def _fields(
    n: int, rng: np.random.Generator
) -> Iterator[tuple[str, list[FeatureValue], NDArray[np.float64]]]:
    """Draw each field: its name, its values, and the same as numbers (N, columns)."""
    for name in _NUMBERS:
        scores = rng.normal(size=(n, 1))
        yield name, scores[:, 0].tolist(), scores
    for name, values in _CATEGORIES.items():
        chosen = rng.integers(len(values), size=n)
        yield name, [values[i] for i in chosen.tolist()], np.eye(len(values))[chosen]
    for name in _BOOLEANS:
        yes = rng.random(n) < 0.5
        yield name, yes.tolist(), np.where(yes, 1.0, -1.0)[:, None]


def draw_customers(n: int, rng: np.random.Generator) -> Customers:
    """Draw n customers; each field is missing for 8 in 100 of them, whatever its value."""
    truth: list[NDArray[np.float64]] = []
    seen: list[NDArray[np.float64]] = []
    features: list[dict[str, FeatureValue]] = [{} for _ in range(n)]
    for name, values, columns in _fields(n, rng):
        missing = rng.random((n, 1)) < _MISSING
        truth.append((columns - columns.mean(axis=0)) / columns.std(axis=0))
        seen += [np.where(missing, 0.0, columns), missing.astype(np.float64)]
        for known, value, gone in zip(features, values, missing[:, 0].tolist(), strict=True):
            if not gone:
                known[name] = value
    return Customers(np.hstack(truth), np.hstack(seen), tuple(features))
