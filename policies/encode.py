"""From a context to numbers: standardised as customers come by, nothing refused for missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.revision import Revision

_CLIP = 5.0  # standard deviations
_SPANS = {"contacts 7d": timedelta(days=7), "contacts 30d": timedelta(days=30)}


class _Moments:
    """Running mean and variance of one number (Welford, 1962)."""

    __slots__ = ("count", "mean", "scale", "squares")

    def __init__(self, count: float = 0.0, mean: float = 0.0, squares: float = 0.0) -> None:
        self.count, self.mean, self.squares = count, mean, squares
        self._rescale()

    def _rescale(self) -> None:
        """Set 1 / sd, or 0 while no spread has been seen: every value then counts as average."""
        self.scale = math.sqrt(self.count / self.squares) if self.squares > 0.0 else 0.0

    def add(self, value: float) -> None:
        self.count += 1.0
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)
        self._rescale()

    def standardise(self, value: float) -> float:
        score = (value - self.mean) * self.scale
        return min(max(score, -_CLIP), _CLIP)


def _recent(context: Context) -> dict[str, float]:
    """Count contacts after `at` less each span; planned ones, later than `at`, count too."""
    if not context.contacts:
        return dict.fromkeys(_SPANS, 0.0)
    return {
        name: float(sum(context.at - contact.at < span for contact in context.contacts))
        for name, span in _SPANS.items()
    }


class Encoder:
    """Turns a context into x, float64 of shape (D,), bounded by 5 in absolute value.

    Columns, by declared customer field that is a feature (a zone never is):

    - number `f`: `f` standardised with what has been observed, and `f?` = 1 if missing;
    - category `f`: `f=value` = 1 for its value, and `f?` = 1 if missing or not declared;
    - boolean `f`: `f=true` = 1 or -1, and `f?` = 1 if missing;
    - `contacts 7d` and `contacts 30d`: contacts made in the days before, or planned, standardised;
      the context holds no contact older than the revision's lookback.

    What is missing is 0 in all its other columns. `observe` is the only mutator.

    Attributes:
        names: the D columns.
        norm: expected squared length of x, one for each source of columns.
    """

    def __init__(self, revision: Revision) -> None:
        names: list[str] = []
        self._numbers: list[tuple[str, int, _Moments]] = []
        self._tables: list[tuple[str, int, dict[FeatureValue | None, tuple[int, float]]]] = []
        for name, field in revision.workspace.customer.items():
            if not field.learnable:
                continue
            first = len(names)
            if field.type in ("integer", "number"):
                names.append(name)
                self._numbers.append((name, first, _Moments()))
            elif field.type == "boolean":
                names.append(f"{name}=true")
                self._tables.append((name, first + 1, {True: (first, 1.0), False: (first, -1.0)}))
            else:
                table: dict[FeatureValue | None, tuple[int, float]] = {
                    value: (first + i, 1.0) for i, value in enumerate(field.values)
                }
                names += [f"{name}={value}" for value in field.values]
                self._tables.append((name, len(names), table))
            names.append(f"{name}?")
        self._counts = [(name, len(names) + i, _Moments()) for i, name in enumerate(_SPANS)]
        self.names = (*names, *_SPANS)
        self.norm = float(len(self._numbers) + len(self._tables) + len(self._counts))

    @classmethod
    def restored(
        cls, revision: Revision, names: Sequence[str], moments: NDArray[np.float64]
    ) -> Self:
        """Rebuild from `numbers` and `moments()`, by name: new numbers start unobserved.

        Args:
            revision: declares the columns; numbers that it no longer declares are dropped.
            names: N numbers.
            moments: (N, 3) count, mean, sum of squared deviations.
        """
        encoder = cls(revision)
        known = dict(zip(names, moments.tolist(), strict=True))
        for numbers in (encoder._numbers, encoder._counts):
            numbers[:] = [(n, column, _Moments(*known.get(n, ()))) for n, column, _ in numbers]
        return encoder

    @property
    def numbers(self) -> tuple[str, ...]:
        """The N columns that are standardised."""
        return tuple(name for name, _, _ in (*self._numbers, *self._counts))

    def moments(self) -> NDArray[np.float64]:
        """Return the state, (N, 3): count, mean, sum of squared deviations of each number."""
        numbers = (*self._numbers, *self._counts)
        return np.array([(m.count, m.mean, m.squares) for _, _, m in numbers])  # (N, 3)

    def encode(self, context: Context) -> NDArray[np.float64]:
        """Return x, (D,); it changes nothing."""
        # Plain floats: for so few numbers they are several times faster than arrays.
        x = [0.0] * len(self.names)
        features = context.features
        for name, column, moments in self._numbers:
            value = features.get(name)
            if isinstance(value, (int, float)):
                x[column] = moments.standardise(value)
            else:  # missing, or text from before the field became a number
                x[column + 1] = 1.0
        for name, missing, table in self._tables:
            found = table.get(features.get(name))
            if found is None:
                x[missing] = 1.0
            else:
                x[found[0]] = found[1]
        recent = _recent(context)
        for name, column, moments in self._counts:
            x[column] = moments.standardise(recent[name])
        return np.array(x)  # (D,)

    def observe(self, context: Context) -> None:
        """Learn the scale of each number from one more context."""
        for name, _, moments in self._numbers:
            value = context.features.get(name)
            if isinstance(value, (int, float)):
                moments.add(value)
        recent = _recent(context)
        for name, _, moments in self._counts:
            moments.add(recent[name])
