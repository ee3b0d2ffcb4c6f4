"""Actions that came before, each known by its bytes: lists vary, articles come again and again.

A list is taken apart where one action seems to end and the next to begin, which is a guess: text
may look the same. It is not trusted. Each piece has to be a whole JSON object by itself, as was
found when it was first read; whole objects with commas between them and brackets around are a list
of these objects and of nothing else. What is taken apart wrongly has a piece that is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

from agents.errors import ContextError
from agents.supplied import supply
from serving.api.strict import BodyError, parse_json

MOST = 2_000
"""Pieces that are kept since the last sweep, and as many from before it."""

LARGEST, MOST_BYTES = 4_096, 2**20
"""Bytes of a piece that is kept, and of all since the last sweep."""

READ = 10
"""New pieces that are read of one list: where there are more, to read it whole costs less."""

HEADS = 4
"""Ways of writing the beginning of an action that are told apart."""

_DEEPEST = 100  # brackets in a piece: in a list it stands two levels deeper, and 254 are read
_CLOSE = re.compile(rb"\}[ \t\r\n]*\]")
_OPEN = re.compile(rb'[ \t\r\n]*\[[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]*")')
_BEFORE, _AFTER = b'{"FromUrl":[],"_multi":[{"_tag":', b"]}"


class KnownAction(NamedTuple):
    """One action of a Rank.

    Args:
        id: as the caller has it.
        text: as it stands in the content of `agents.supplied.Supplied`, behind `{"_tag":`.
        size: how many bytes that has.
        commas: how many of them.
    """

    id: str
    text: bytes
    size: int
    commas: int


class KnownActions:
    """The actions that came last.

    Example:
        >>> raw = b'"actions":[{"id":"a","features":[{"x":1}]},{"id":"b","features":[{}]}],"n":1'
        >>> found, end = KnownActions().read(raw, 10)
        >>> [each.id for each in found], raw[end:]
        (['a', 'b'], b',"n":1')
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}

    def read(self, raw: bytes, start: int) -> tuple[Sequence[KnownAction], int]:
        """Read the list that begins in a body.

        Args:
            raw: the body.
            start: where it begins, or white space before it.

        Returns:
            The actions, and where the list ends. No actions where it has to be read as a whole: it
            is written unusually, has too many new actions, or something is wrong with it.
        """
        opened = _OPEN.match(raw, start)
        if opened is None:
            return (), start
        first, head = opened.span(1), opened[1]
        between = b"}," + head if raw.find(b"}," + head, first[1]) > 0 else b"}, " + head
        end, closed = _end(raw, first[1], between)
        if not end:
            return (), start
        kept = self._kept.get(head)
        if kept is None:
            if len(self._kept) >= HEADS:
                self._kept.clear()
            kept = self._kept[head] = _Kept(head)
        return kept.read(raw[first[1] : end].split(between)), closed


class _Kept:
    """Actions that begin alike; they are kept by their bytes between that and the last brace.

    Args:
        head: their first bytes.
    """

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._new: dict[bytes, KnownAction | None] = {}  # None of what is no usual action
        self._bytes = 0  # of what is new
        self._old: dict[bytes, KnownAction | None] = {}

    def read(self, rests: list[bytes]) -> Sequence[KnownAction]:
        """Return the actions; none if not all are known."""
        found = list(map(self._new.get, rests))
        if not all(found):
            self._add(rests)
            found = list(map(self._new.get, rests))
        return cast("list[KnownAction]", found) if all(found) else ()

    def _add(self, rests: list[bytes]) -> None:
        """Read what is not known yet, some of it if it is much."""
        left = READ
        for rest in rests:
            if rest in self._new:
                continue
            if rest in self._old:
                self._keep(rest, self._old[rest])
            elif left and len(rest) <= LARGEST:
                left -= 1
                self._keep(rest, _read(self._head + rest + b"}"))

    def _keep(self, rest: bytes, action: KnownAction | None) -> None:
        if len(self._new) >= MOST or self._bytes >= MOST_BYTES:
            # what is not asked for until the next sweep is forgotten
            self._old, self._new, self._bytes = self._new, {}, 0
        self._new[rest] = action
        self._bytes += len(rest)


def _end(raw: bytes, first: int, between: bytes) -> tuple[int, int]:
    """Guess where the last brace of a list stands, and where the list ends; 0 where none does.

    Args:
        raw: the body.
        first: where the first action goes on behind its first key.
        between: from the last brace of an action to the first key of the next.
    """
    last = raw.rfind(between, first)
    last = first if last < 0 else last + len(between)
    for closed in _CLOSE.finditer(raw, last):
        if _whole(raw[last : closed.start()]):
            return closed.start(), closed.end()
    return 0, 0


def _whole(piece: bytes) -> bool:
    """Guess whether what stands in a piece is closed, as if no text had brackets."""
    return piece.count(b"{") == piece.count(b"}") and piece.count(b"[") == piece.count(b"]")


def _read(piece: bytes) -> KnownAction | None:
    """Read an action; None of what is no JSON object by itself, or has to be looked at closely."""
    if b"\0" in piece or piece.count(b"{") + piece.count(b"[") > _DEEPEST:
        return None  # with a 0 it might be another encoding
    try:
        action = parse_json(piece)
        name, features = action["id"], action["features"]
        if type(name) is not str or type(features) is not list or {*map(type, features)} != {dict}:
            return None
        content = supply([], {name: features}).content
    except (BodyError, ContextError, KeyError):
        return None
    text = content.removeprefix(_BEFORE).removesuffix(_AFTER)
    return KnownAction(name, text, len(text), text.count(b","))
