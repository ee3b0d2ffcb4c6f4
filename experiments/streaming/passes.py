"""What is done with each piece of a log, pass after pass; the answers of pieces can be added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from experiments.intervals import Bounds
from experiments.logs.columns import bools, closed_rows, codes, floats
from experiments.logs.contexts import joined
from experiments.logs.layout import action_union, ordered
from experiments.logs.places import class_names, class_of
from experiments.logs.read import stands_for
from experiments.reward_models.action_columns import Moments
from experiments.reward_models.features import Encoding, Summary
from experiments.streaming.counted import Counted
from experiments.streaming.reading import WHEN, Reader
from experiments.streaming.repeats import ids_of
from experiments.streaming.source import Batch, Piece, batches
from experiments.streaming.times import Cuts, bins, when

Floats = NDArray[np.float64]

_SURVEYED = (*WHEN, "decision_id", "actions", "reward")
_LEARNED = (*WHEN, "action", "reward", "kept")


class Sums(Protocol):
    """What is known of a part of a log, to be added to what is known of another."""

    def __add__(self, other: Self, /) -> Self: ...


S = TypeVar("S", bound=Sums)
Step = Callable[[Piece], S]
"""What is done with a piece; pickled if it is done elsewhere."""


class Run(Protocol):
    """Does something with every piece of a log, and returns the answers in the pieces' order."""

    def __call__(self, step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
        """Return the answers, one for each piece."""


def added(parts: Iterable[S]) -> S:
    """Add up the answers of at least one part, in order."""
    rest = iter(parts)
    total = next(rest)
    for part in rest:
        total = total + part
    return total


@dataclass(frozen=True)
class Names:
    """The agents that a log has."""

    agents: frozenset[str]

    def __add__(self, other: Names) -> Names:
        return Names(self.agents | other.agents)


@dataclass(frozen=True)
class FindAgents:
    """Looks whose decisions a piece has."""

    rows: int

    def __call__(self, piece: Piece) -> Names:
        """Return the agents of a piece."""
        found: set[str] = set()
        for batch in batches(piece, self.rows, ("agent",)):
            names, numbers = codes(joined(batch.table["agent"]))
            seen = np.bincount(numbers, minlength=len(names))
            found |= {str(names[number]) for number in np.flatnonzero(seen)}
        return Names(frozenset(found))


@dataclass(frozen=True)
class Survey:
    """What must be known of the whole log before anything is valued.

    Args:
        rows: decisions that count.
        open_rows, given_back_rows: as in `LoggedDecisions`.
        actions: ids, `none` first and then as they first appear.
        longest: the most actions that a row lists.
        limits: the least and the greatest reward, and 0.
        summary: of the contexts.
        bins: of the instants.
        ids: (n,) numbers of the decisions' ids.
    """

    rows: int
    open_rows: int
    given_back_rows: int
    actions: tuple[str, ...]
    longest: int
    limits: Bounds
    summary: Summary
    bins: Counted
    ids: NDArray[np.uint64] = field(repr=False)

    def __add__(self, other: Survey) -> Survey:
        return Survey(
            self.rows + other.rows,
            self.open_rows + other.open_rows,
            self.given_back_rows + other.given_back_rows,
            ordered((*self.actions, *other.actions)),
            max(self.longest, other.longest),
            self.limits.union(other.limits),
            self.summary + other.summary,
            self.bins + other.bins,
            np.concatenate([self.ids, other.ids]),
        )


@dataclass(frozen=True)
class TakeSurvey:
    """Surveys a piece; features named in `text` are read as text."""

    reader: Reader
    text: frozenset[str] = frozenset()

    def __call__(self, piece: Piece) -> Survey:
        """Return what a piece adds."""
        return added(self._of(batch) for batch in self.reader.batches(piece, _SURVEYED))

    def _of(self, batch: Batch) -> Survey:
        kept = self.reader.kept(batch)  # (n,)
        block = self.reader.block(batch, kept)
        self.reader.note(batch, *when(batch, kept))
        made = bools(batch.table["given_back"].is_null())  # (n,)
        closed = closed_rows(batch.table)  # (n,)
        reward, lists = floats(batch.table["reward"])[kept], joined(batch.table["actions"])
        return Survey(
            rows=int(np.count_nonzero(kept)),
            open_rows=int(np.count_nonzero(made & ~closed)),
            given_back_rows=int(np.count_nonzero(~made)),
            actions=action_union(lists.flatten()),
            longest=int(np.max(lists.value_lengths(), initial=0)),
            limits=Bounds(float(reward.min(initial=0.0)), float(reward.max(initial=0.0))),
            summary=Summary.of(block, self.text),
            bins=bins(block.at),
            ids=ids_of(batch),
        )


@dataclass(frozen=True)
class FoldMoments:
    """What a linear model needs of each block of time."""

    folds: tuple[Moments, ...]

    def __add__(self, other: FoldMoments) -> FoldMoments:
        pairs = zip(self.folds, other.folds, strict=True)
        return FoldMoments(tuple(one + two for one, two in pairs))


@dataclass(frozen=True)
class TakeMoments:
    """Adds up what a linear model needs of a piece.

    Args:
        reader: of the log.
        actions: of the log.
        encoding: how contexts become columns.
        cuts: where blocks of time begin.
    """

    reader: Reader
    actions: tuple[str, ...]
    encoding: Encoding
    cuts: Cuts

    def __call__(self, piece: Piece) -> FoldMoments:
        """Return what a piece adds."""
        return added(self._of(batch) for batch in self.reader.batches(piece, _LEARNED))

    def _of(self, batch: Batch) -> FoldMoments:
        kept = self.reader.kept(batch)  # (n,)
        names, numbers = codes(joined(batch.table["action"]))
        place = {name: column for column, name in enumerate(self.actions)}
        lookup = np.array([*(place.get(str(name), -1) for name in names), -1], dtype=np.int64)
        action, reward = lookup[numbers], floats(batch.table["reward"])  # (n,)
        kept &= (action >= 0) & np.isfinite(reward)  # others are refused where they are valued
        x = self.encoding.matrix(self.reader.block(batch, kept))  # (m, D)
        blocks = self.cuts.blocks(*when(batch, kept))  # (m,)
        action, reward = action[kept], reward[kept]  # (m,)
        stands = stands_for(batch.table, batch.origin)  # (n,)
        stands = None if stands is None else stands[kept]  # (m,)
        size = len(class_names(self.actions))
        nothing = Moments.nothing(x.shape[1], size)
        found, action = [nothing] * (len(self.cuts.at) + 1), class_of(action, self.actions)
        for fold in np.unique(blocks).tolist():
            own = np.flatnonzero(blocks == fold)
            chosen = slice(None) if len(own) == len(x) else own
            many = None if stands is None else stands[chosen]
            found[fold] = Moments.of(x[chosen], action[chosen], reward[chosen], size, many)
        return FoldMoments(tuple(found))
