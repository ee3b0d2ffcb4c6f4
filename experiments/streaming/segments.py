"""Segments of a log that is read in pieces: which there are, and which a decision is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.expressions import Language
from agents.revision import Revision
from experiments.asking.labels import (
    PIECES,
    column_of,
    cut_codes,
    cut_names,
    in_order,
    numbers_of,
    words_of,
)
from experiments.asking.segments import MOST, condition_codes, condition_names
from experiments.reward_models.raw_features import ContextBlock
from experiments.streaming.counted import Ints
from experiments.streaming.passes import Run, added
from experiments.streaming.ranks import INSTANTS, NUMBERS, at_ranks, keys_of, number_of
from experiments.streaming.reading import WHEN, Reader
from experiments.streaming.source import Batch, Piece
from experiments.streaming.times import microseconds
from experiments.targets.rules import conditions_hold


@dataclass(frozen=True)
class Split:
    """How one `--by` divides decisions.

    Args:
        by: a field of the contexts, or an expression.
        names: of the segments.
        cuts: of a number with many values; empty if values have segments of their own.
        language: of an expression; None for a field.
        middles: the instant at which the second half of each segment begins.
    """

    by: str
    names: tuple[str, ...] = ()
    cuts: tuple[float, ...] = ()
    language: Language | None = None
    middles: tuple[np.datetime64, ...] = ()

    def codes(self, block: ContextBlock) -> NDArray[np.intp]:
        """Return the number of the segment that each of n decisions is in; (n,)."""
        if self.language is not None:
            condition = self.language.compile(self.by)
            return condition_codes(conditions_hold(block, [condition], self.language)[:, 0])
        column = column_of(block.contexts, self.by)
        if self.cuts:
            return cut_codes(numbers_of(column), np.array(self.cuts))
        words, place = words_of(column), {name: code for code, name in enumerate(self.names)}
        return np.array([place[name] for name in words.names], dtype=np.intp)[words.codes]


def find_splits(
    asked: Sequence[str],
    fields: Sequence[str],
    revision: Revision | None,
    reader: Reader,
    pieces: Sequence[Piece],
    run: Run,
) -> tuple[Split, ...]:
    """Find the segments, by some short looks at contexts and instants alone.

    Args:
        asked: fields or expressions.
        fields: that the log has.
        revision: whose customer schema expressions speak of; None if it is not known.
        reader: of the log.
        pieces: of the log.
        run: applies a function to every piece, and returns the answers in order.

    Raises:
        UnknownNameError: neither a field of the log nor an expression.
        LogError: an expression without a revision, or more than 20 segments.
    """
    if not asked:
        return ()
    splits = [_split(by, fields, revision) for by in asked]
    own = tuple(split.by for split in splits if split.language is None)
    values = added(run(TakeValues(reader, own), pieces)).fields if own else {}
    many = tuple(by for by in own if len(values[by].numbers) > PIECES)
    columns = at_ranks(_Numbers(reader, many), pieces, run, _quarters, NUMBERS) if many else []
    cuts = {
        by: tuple(dict.fromkeys(map(number_of, keys)))
        for by, keys in zip(many, columns, strict=True)
    }
    named = tuple(
        split if split.language else _named(split, values[split.by], cuts.get(split.by, ()))
        for split in splits
    )
    middles = iter(at_ranks(_Instants(reader, named), pieces, run, _half, INSTANTS))
    found = [[next(middles) for _ in split.names] for split in named]
    return tuple(
        replace(split, middles=tuple(_instant(at) for at in each))
        for split, each in zip(named, found, strict=True)
    )


def _split(by: str, fields: Sequence[str], revision: Revision | None) -> Split:
    if by in fields:
        return Split(by)
    if by.isidentifier():
        hint = did_you_mean(by, fields)
        raise UnknownNameError(f"--by {by}: it is no field of the log; {hint}")
    if revision is None:
        raise LogError(
            f"--by {by}: expected the agent's revisions beside the log, as revisions/ID.json, got"
            " none; they say which fields expressions may speak of where a log is read in pieces;"
            " take --by FIELD, or --no-stream"
        )
    language = Language(revision.workspace.customer)
    try:
        language.compile(by)
    except ValueError as error:
        raise UnknownNameError(f"--by {by}: {error}") from None
    return Split(by, condition_names(by), language=language)


def _named(split: Split, found: Values, cuts: tuple[float, ...]) -> Split:
    names = cut_names(cuts) if cuts else in_order([*found.words])
    if len(names) > MOST:
        raise LogError(f"--by {split.by}: expected at most {MOST} segments, got more")
    return replace(split, names=tuple(names), cuts=cuts)


def _quarters(n: int) -> list[int]:
    """Return the ranks at which (n,) numbers are cut, as `np.quantile` has it by `lower`."""
    return [int((n - 1) * share) for share in np.linspace(0.0, 1.0, PIECES + 1)[1:-1]]


def _half(n: int) -> list[int]:
    return [n // 2]


def _instant(found: list[int]) -> np.datetime64:
    return np.datetime64(found[0] if found else 0, "us")


@dataclass(frozen=True)
class Values:
    """The different values of a field, as long as they are few.

    Args:
        numbers: at most one more than have segments of their own.
        words: what all values are called; at most one more than there may be segments.
    """

    numbers: frozenset[float] = frozenset()
    words: frozenset[str] = frozenset()

    def __add__(self, other: Values) -> Values:
        numbers, words = self.numbers | other.numbers, self.words | other.words
        return Values(
            frozenset(sorted(numbers)[: PIECES + 1]), frozenset(sorted(words)[: MOST + 1])
        )


@dataclass(frozen=True)
class FieldValues:
    """The values of some fields."""

    fields: Mapping[str, Values]

    def __add__(self, other: FieldValues) -> FieldValues:
        return FieldValues(
            {name: found + other.fields[name] for name, found in self.fields.items()}
        )


@dataclass(frozen=True)
class TakeValues:
    """Looks which values some fields have in a piece."""

    reader: Reader
    fields: tuple[str, ...]

    def __call__(self, piece: Piece) -> FieldValues:
        """Return the values of a piece."""
        return added(
            FieldValues({name: self._of(block, name) for name in self.fields})
            for _, block in _blocks(self.reader, piece)
        )

    def _of(self, block: ContextBlock, name: str) -> Values:
        column = column_of(block.contexts, name)
        numbers = numbers_of(column)
        known = frozenset(np.unique(numbers[~np.isnan(numbers)])[: PIECES + 1].tolist())
        return Values(known) + Values(words=frozenset(words_of(column).names))


@dataclass(frozen=True)
class _Numbers:
    """Yields the numbers of some fields, as integers of the same order."""

    reader: Reader
    fields: tuple[str, ...]

    def __call__(self, piece: Piece) -> Iterator[Sequence[Ints]]:
        for _, block in _blocks(self.reader, piece):
            found = [numbers_of(column_of(block.contexts, name)) for name in self.fields]
            yield [keys_of(numbers[~np.isnan(numbers)]) for numbers in found]


@dataclass(frozen=True)
class _Instants:
    """Yields the instants of each segment of some splits."""

    reader: Reader
    splits: tuple[Split, ...]

    def __call__(self, piece: Piece) -> Iterator[Sequence[Ints]]:
        for batch, block in _blocks(self.reader, piece):
            at, columns = microseconds(block.at), []  # (n,)
            for number, split in enumerate(self.splits):
                codes = self.reader.codes(batch, number, partial(split.codes, block))  # (n,)
                columns += [at[codes == code] for code in range(len(split.names))]
            yield columns


def _blocks(reader: Reader, piece: Piece) -> Iterator[tuple[Batch, ContextBlock]]:
    """Yield the contexts of the decisions that count, a batch at a time."""
    for batch in reader.batches(piece, WHEN):
        yield batch, reader.block(batch, reader.kept(batch))
