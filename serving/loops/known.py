"""Lists of actions that came before: a page asks about its articles of the day again and again.

To read 50 actions and to write them for the log costs more than all else that a Rank is read for.
A list that came twice is known by its bytes from then on, and so is each action of other lists. A
body whose list is known is read with a mark in the place of the list: where the mark turns out to
be the value of `actions`, so was the list, as what stands before it is the same and the list is a
whole value.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from agents.supplied import Supplied
from agents.supplied_size import MOST_FEATURES
from serving.api.strict import BodyError, parse_json
from serving.loops.pieces import KnownActions

MOST = 16
"""Lists that are kept, and as many that came once."""

_KEY = b'"actions":'
_FIRST, _NEXT, _END = b',"_multi":[{"_tag":', b',{"_tag":', b"]}"


class KnownList(NamedTuple):
    """A list of actions that were read before.

    Args:
        text: as it stands in a body, from its key on.
        ids: of the actions, each once.
        texts: of the actions, as `agents.supplied.Supplied` has them.
        written: as it ends the content of `agents.supplied.Supplied`.
        longest: bytes of the longest action as it is written.
        commas: of the action that has most.
    """

    text: bytes
    ids: tuple[str, ...]
    texts: tuple[bytes, ...]
    written: bytes
    longest: int
    commas: int

    def supply(self, shared: Sequence[object], barred: Mapping[str, str]) -> Supplied | None:
        """Do what `agents.supplied.supply` does; None if there may be too many features.

        A feature takes two bytes at least, and commas stand between features.
        """
        moment = orjson.dumps(shared)
        short = len(moment) + self.longest < 2 * MOST_FEATURES
        if short or moment.count(b",") + self.commas < MOST_FEATURES:
            content = b'{"FromUrl":' + moment + self.written
            return Supplied(self.ids, content, barred, texts=self.texts)
        return None


class KnownLists:
    """The lists and actions that came last.

    Example:
        >>> from agents.supplied import supply
        >>> raw = b'{"contextFeatures":[{"n":1}],"actions":[{"id":"a","features":[{"x":1}]}]}'
        >>> read, known = KnownLists().take(raw)
        >>> read["contextFeatures"]
        [{'n': 1}]
        >>> known.supply([{"n": 1}], {}) == supply([{"n": 1}], {"a": [{"x": 1}]})
        True
    """

    def __init__(self) -> None:
        self._kept: deque[KnownList] = deque(maxlen=MOST)
        self._once: deque[bytes] = deque(maxlen=MOST)
        self._actions = KnownActions()
        self._mark = secrets.token_hex(16)  # nobody can have written it into a body

    def take(self, raw: bytes) -> tuple[dict[str, Any], KnownList] | None:
        """Read a body whose actions are known; None of any other, and of what is no JSON."""
        start = raw.find(_KEY)
        known = self._find(raw, start)
        if known is None:
            return None
        rest = raw[start + len(known.text) :]
        read = _read(b'%b%b"%b"%b' % (raw[:start], _KEY, self._mark.encode(), rest))
        return (read, known) if read.get("actions") == self._mark else None

    def _find(self, raw: bytes, start: int) -> KnownList | None:
        for known in self._kept:
            if raw.startswith(known.text, start):
                return known
        return None if start < 0 else self._gather(raw, start)

    def _gather(self, raw: bytes, start: int) -> KnownList | None:
        """Make a list of actions that are known; it is kept if it came before."""
        actions, end = self._actions.read(raw, start + len(_KEY))
        if not actions:
            return None
        ids, texts, sizes, commas = zip(*actions, strict=True)
        if len(set(ids)) < len(ids):
            return None
        text, written = raw[start:end], _FIRST + _NEXT.join(texts) + _END
        known = KnownList(text, ids, texts, written, max(sizes), max(commas))
        if text in self._once:
            self._once.remove(text)
            self._kept.append(known)
        else:
            self._once.append(text)
        return known


def _read(body: bytes) -> dict[str, Any]:
    try:
        read = parse_json(body)
    except BodyError:
        return {}
    return read if isinstance(read, dict) else {}
