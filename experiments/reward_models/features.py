"""Contexts as numbers, for the reward model: simple, the same every time.

What the columns are is decided by counts and sums over the whole log, which can be added up a
piece of it at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from experiments.logs import LoggedDecisions
from experiments.reward_models.raw_features import (
    ContextBlock,
    Members,
    Numbers,
    Raw,
    contacts_of,
    raw_features,
)

_CLIP = 5.0  # standard deviations
_MIN_SHARE = 0.01  # of rows that a category needs for a column of its own
_MAX_LEVELS = 20
_MOST_VALUES = 50_000
"""A text with more different values than these names something, and is no category."""

Floats = NDArray[np.float64]


def context_matrix(log: LoggedDecisions, *, exclude: Collection[str] = ()) -> Floats:
    """Turn the contexts of a log into columns.

    Numbers and booleans are standardised and clipped to 5 standard deviations, a missing one is 0
    beside an indicator. An instant counts as the logarithm of the days since then, like a number.
    Categories and sets become one column for each level with 1% of the rows or more; a text with
    more than 50,000 different values has none. The number of recent contacts is a column too.
    Columns that never vary are left out.

    Args:
        log: decisions; rewards are not looked at.
        exclude: names of features that shall not be used.

    Returns:
        (N, D) float64, columns in the order of the features' names.
    """
    block = ContextBlock(log.contexts, log.at)
    return Encoding.of(Summary.of(block), exclude=exclude).matrix(block)


@dataclass(frozen=True)
class NumberSummary:
    """What is known of a feature's numbers: how many, their mean, and how far they lie apart.

    Args:
        known: how many.
        mean, apart: of those, and the sum of squared distances from the mean.
        least, greatest: of those.
    """

    known: int = 0
    mean: float = 0.0
    apart: float = 0.0
    least: float = np.inf
    greatest: float = -np.inf

    @classmethod
    def of(cls, values: Floats) -> NumberSummary:
        """Summarise (n,) numbers, NaN where unknown."""
        seen = values[~np.isnan(values)]
        if not len(seen):
            return cls()
        mean = float(seen.mean())
        apart = float(np.sum((seen - mean) ** 2))
        return cls(len(seen), mean, apart, float(seen.min()), float(seen.max()))

    def __add__(self, other: NumberSummary) -> NumberSummary:
        known = self.known + other.known
        if not self.known or not other.known:
            return self if self.known else other
        gap = other.mean - self.mean
        return NumberSummary(
            known,
            self.mean + gap * other.known / known,
            self.apart + other.apart + gap**2 * self.known * other.known / known,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )


@dataclass(frozen=True)
class LevelSummary:
    """How many rows have each level of a feature.

    Args:
        known: rows in which it is known.
        counts: rows by level; None if there are too many levels to be categories.
    """

    known: int
    counts: Mapping[str, int] | None

    @classmethod
    def of(cls, members: Members) -> LevelSummary:
        """Count the levels of some rows."""
        counts = np.bincount(members.codes, minlength=len(members.names)).tolist()
        return cls(
            int(np.count_nonzero(members.known)),
            _bounded(dict(zip(members.names, counts, strict=True))),
        )

    def __add__(self, other: LevelSummary) -> LevelSummary:
        counts = None
        if self.counts is not None and other.counts is not None:
            more = {name: self.counts.get(name, 0) + n for name, n in other.counts.items()}
            counts = _bounded({**self.counts, **more})
        return LevelSummary(self.known + other.known, counts)


FeatureSummary = NumberSummary | LevelSummary


@dataclass(frozen=True)
class Summary:
    """What decides how contexts become columns: of some rows; summaries of parts can be added.

    Args:
        rows: how many.
        contacts: of the number of recent contacts.
        features: by name; one that some rows lack is unknown there.
        mixed: features that were numbers in one part and text in another. They must be read as
            `text` throughout, and all parts be summarised again.
    """

    rows: int
    contacts: NumberSummary
    features: Mapping[str, FeatureSummary]
    mixed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, block: ContextBlock, text: Collection[str] = ()) -> Summary:
        """Summarise some rows; features named in `text` are read as text."""
        found: dict[str, FeatureSummary] = {
            name: NumberSummary.of(raw.values) if isinstance(raw, Numbers) else LevelSummary.of(raw)
            for name, raw in raw_features(block, text).items()
        }
        return cls(len(block.at), NumberSummary.of(contacts_of(block)), found)

    def __add__(self, other: Summary) -> Summary:
        mixed = set(self.mixed | other.mixed)
        features = dict(self.features)
        for name, theirs in other.features.items():
            found = _added(features.get(name), theirs)
            mixed |= {name} if found is None else set()
            features[name] = theirs if found is None else found
        contacts = self.contacts + other.contacts
        return Summary(self.rows + other.rows, contacts, features, frozenset(mixed))


def _added(own: FeatureSummary | None, theirs: FeatureSummary) -> FeatureSummary | None:
    """Add up what is known of a feature in two parts; None if it is number here and text there."""
    if own is None or not own.known:
        return theirs
    if isinstance(own, NumberSummary) and isinstance(theirs, NumberSummary):
        return own + theirs
    if isinstance(own, LevelSummary) and isinstance(theirs, LevelSummary):
        return own + theirs
    return None if theirs.known else own


@dataclass(frozen=True)
class _Scaled:
    """Columns of a number: standardised, and where it is missing; either may not be needed."""

    mean: float
    spread: float
    missing: bool

    @property
    def width(self) -> int:
        return (self.spread > 0.0) + self.missing

    def names(self, name: str) -> tuple[str, ...]:
        return (name,) * (self.spread > 0.0) + (f"{name} is missing",) * self.missing

    def fill(self, out: Floats, raw: Raw | None) -> None:
        values = raw.values if isinstance(raw, Numbers) else np.full(len(out), np.nan)
        unknown = np.isnan(values)
        if self.spread > 0.0:
            scaled = np.clip((values - self.mean) / self.spread, -_CLIP, _CLIP)
            out[:, 0] = np.where(unknown, 0.0, scaled)
        if self.missing:
            out[:, -1] = unknown


@dataclass(frozen=True)
class _OneHot:
    """One column for each frequent level."""

    levels: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.levels)

    def names(self, name: str) -> tuple[str, ...]:
        return (name,) * self.width

    def fill(self, out: Floats, raw: Raw | None) -> None:
        if not isinstance(raw, Members):
            return
        place = {level: column for column, level in enumerate(self.levels)}
        lookup = np.array([place.get(name, -1) for name in raw.names], dtype=np.intp)
        columns = lookup[raw.codes]
        out[raw.rows[columns >= 0], columns[columns >= 0]] = 1.0


@dataclass(frozen=True)
class Encoding:
    """The columns into which contexts are turned, once a whole log has been summarised.

    Args:
        contacts: of the number of recent contacts.
        features: by name, in order.
        text: features that are read as text.
    """

    contacts: _Scaled
    features: Mapping[str, _Scaled | _OneHot]
    text: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, summary: Summary, *, exclude: Collection[str] = (), text: Collection[str] = ()
    ) -> Encoding:
        """Decide on the columns; features in `exclude` have none."""
        features = {
            name: _specified(found, summary.rows)
            for name, found in sorted(summary.features.items())
            if name not in exclude
        }
        return cls(_scaled(summary.contacts, summary.rows), features, frozenset(text))

    @property
    def width(self) -> int:
        """D, the number of columns."""
        return self.contacts.width + sum(each.width for each in self.features.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What each column speaks of: a feature, or whether it is missing; (D,)."""
        parts = {"recent contacts": self.contacts, **self.features}
        return tuple(each for name, columns in parts.items() for each in columns.names(name))

    def matrix(self, block: ContextBlock) -> Floats:
        """Return the columns of some rows; (n, D)."""
        out = np.zeros((len(block.at), self.width))  # (n, D)
        self.contacts.fill(out[:, : self.contacts.width], Numbers(contacts_of(block)))
        found, start = raw_features(block, self.text), self.contacts.width
        for name, columns in self.features.items():
            columns.fill(out[:, start : start + columns.width], found.get(name))
            start += columns.width
        return out


def _specified(found: FeatureSummary, rows: int) -> _Scaled | _OneHot:
    return _scaled(found, rows) if isinstance(found, NumberSummary) else _one_hot(found, rows)


def _scaled(found: NumberSummary, rows: int) -> _Scaled:
    varies = found.known > 0 and found.greatest > found.least
    spread = float(np.sqrt(found.apart / found.known)) if varies else 0.0
    return _Scaled(found.mean, spread, missing=0 < found.known < rows)


def _one_hot(found: LevelSummary, rows: int) -> _OneHot:
    counts = found.counts or {}
    least = max(2, _MIN_SHARE * rows)
    ranked = sorted(counts, key=lambda level: (-counts[level], level))[:_MAX_LEVELS]
    return _OneHot(tuple(sorted(level for level in ranked if least <= counts[level] < rows)))


def _bounded(counts: dict[str, int]) -> dict[str, int] | None:
    return counts if len(counts) <= _MOST_VALUES else None


def total(summaries: Collection[Summary]) -> Summary:
    """Add up the summaries of at least one part, in order."""
    return reduce(lambda one, other: one + other, summaries)
