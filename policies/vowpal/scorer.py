"""Answers of a model of Vowpal Wabbit that learns no more, without asking VW for each action.

What VW reads of an action is kept by the action's text, as the same articles are offered again and
again; the rest is one sum, that of `policies.vowpal.pairs`. The answers are VW's own to the bit, so
what was decided by one may be replayed by the other. Where VW's own way of answering is needed, for
content that is not plain or sums that overflow, there is no answer here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
import vowpal_wabbit_next as vw
from numpy.typing import NDArray

from policies.vowpal.pairs import Features, Floats, read_features, read_weights, score, share
from policies.vowpal.shelf import halves, read_action, read_shared, shared_of, texts_of

MOST = 1_000
"""Actions that are kept."""

_LISTS = 16  # whole lists of which the rows are kept
_WIDEST = 64  # features of one that is kept


class _Table:
    """Features of actions, a row each; rows are only added, so that no lock is needed to read."""

    def __init__(self) -> None:
        self.rows: dict[bytes, int] = {}
        self.groups = np.zeros((MOST, _WIDEST), dtype=np.int64)
        self.indices = np.zeros((MOST, _WIDEST), dtype=np.int64)
        self.values = np.zeros((MOST, _WIDEST), dtype=np.float32)
        self.counts = np.zeros(MOST, dtype=np.int64)
        self.shapes = np.zeros(MOST, dtype=np.int64)
        self._shapes: dict[bytes, int] = {}

    def add(self, text: bytes, features: Features) -> None:
        """Add an action's row."""
        row, count = len(self.rows), features.indices.size
        self.groups[row, :count], self.indices[row, :count] = features.groups, features.indices
        self.values[row, :count], self.counts[row] = features.values, count
        self.shapes[row] = self._shapes.setdefault(features.groups.tobytes(), len(self._shapes))
        self.rows[text] = row


class _List(NamedTuple):
    """A list of actions: their texts, and the row of each in a table; (A,)."""

    texts: Sequence[bytes]
    table: _Table
    rows: NDArray[np.int64]


class Scorer:
    """A model that learns no more.

    Args:
        weights: (2^18,) of the model.
        parser: of its workspace.
    """

    def __init__(self, weights: Floats, parser: vw.DSJsonFormatParser) -> None:
        self._weights, self._parser = weights, parser
        self._table, self._adding = _Table(), Lock()
        self._lists: deque[_List] = deque(maxlen=_LISTS)

    def probabilities(
        self, content: bytes, count: int, shown: Sequence[int], texts: Sequence[bytes] = ()
    ) -> NDArray[np.float64] | None:
        """Return what VW answers, 1 for the action of least loss, shared alike by ties; (E,).

        Args:
            content: of the supplied actions.
            count: how many it has features of.
            shown: (E,) positions among them, each once.
            texts: (A,) of the actions, as `agents.supplied.Supplied` may have them.

        Returns:
            None where VW itself has to be asked.
        """
        try:
            shared, listed = self._listed(content, count, texts)
            moment = read_features(read_shared(self._parser, shared))
        except (RuntimeError, ValueError):
            return None
        rows, table = listed.rows, listed.table
        if len(shown) < count:
            rows = rows[np.array(shown)]
        scores = score(
            self._weights,
            table.groups,
            table.indices,
            table.values,
            table.counts,
            table.shapes,
            rows,
            moment,
        )  # (E,)
        shares, finite = share(scores)
        if not finite:
            return None
        shares /= float(shares.sum())
        return shares

    def _listed(self, content: bytes, count: int, texts: Sequence[bytes]) -> tuple[bytes, _List]:
        """Return what the actions share, and where they stand in the table.

        Raises:
            ValueError: the content is not plain, or has too many features to be kept.
            RuntimeError: VW has no name for something in it.
        """
        if texts:
            shared = shared_of(content, texts)
            for listed in tuple(self._lists):  # another thread may add to them
                if listed.texts is texts:
                    return shared, listed
        else:
            shared, rest = halves(content)
            texts = texts_of(rest)
        table = self._table
        found = list(map(table.rows.get, texts))
        if None in found:
            with self._adding:
                table = self._added(texts)
            found = [table.rows[text] for text in texts]
        if not len(set(found)) == len(found) == count:
            raise ValueError("expected so many actions, each another one")
        listed = _List(texts, table, np.array(found, dtype=np.int64))
        self._lists.append(listed)
        return shared, listed

    def _added(self, texts: Sequence[bytes]) -> _Table:
        new = [text for text in dict.fromkeys(texts) if text not in self._table.rows]
        if len(self._table.rows) + len(new) > MOST:
            self._table, new = _Table(), list(dict.fromkeys(texts))
            self._lists.clear()
        if len(new) > MOST:
            raise ValueError(f"expected at most {MOST} actions, got {len(new)}")
        for text in new:
            features = read_features(read_action(self._parser, text))
            if features.indices.size > _WIDEST:
                raise ValueError(f"expected at most {_WIDEST} features of an action")
            self._table.add(text, features)
        return self._table


def scorer_of(
    model: bytes | None, arguments: Sequence[str], parser: vw.DSJsonFormatParser
) -> Scorer | None:
    """Make what answers for a model; None where its weights cannot be told from the rest.

    Args:
        model: its bytes, None for an untaught one.
        arguments: what VW is given.
        parser: of a workspace under them.
    """
    untaught = _untaught(tuple(arguments))
    told = untaught if model is None else model
    begin = untaught.index(b" --")
    said = slice(begin, untaught.index(b"\0", begin) + 1)  # VW's arguments, in the order it likes
    if told[said] != untaught[said]:  # saved under others: its weights begin elsewhere
        return None
    weights = read_weights(told, len(untaught))
    return None if weights is None else Scorer(weights, parser)


@lru_cache(8)
def _untaught(arguments: tuple[str, ...]) -> bytes:
    """Return a model that has learned nothing: all that stands before the weights of others."""
    return vw.Workspace(list(arguments)).serialize()
