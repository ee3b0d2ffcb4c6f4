"""YAML 1.2 read strictly: plain values with the place of each, and nothing that surprises.

Refused: anchors, aliases, tags, several documents, duplicate keys, keys that are not text,
NaN and infinity, numbers not written in plain decimals, deep nesting, large files. A value such as
`21:00`, `NO` or `on` is text, as YAML 1.2 says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from agents.errors import DocumentError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 100_000

Path = tuple[str, ...]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}([eE][-+]?[0-9]{1,3})?")
_NUMBER_LIKE = re.compile(
    r"[-+]?(0[0-9_]+|0[xob][0-9a-fA-F_]+|[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*[eE][-+]?[0-9]+|\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# What a writer most likely meant, by what the parser complains of; the first that fits is said.
_HINTS = (
    ("'\\t'", "indent with spaces"),
    ("that cannot start any token", "put quotes around text that begins with it"),
    ("mapping values", "check the indentation, and put quotes around text that holds ': '"),
    ("but got ':'", "put quotes around text that holds ': ', and close every bracket"),
    ("'<", "check the indentation and the quotes"),
)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True)
class Source:
    """One YAML document as plain values, and where each stands.

    Args:
        file: the name used in messages.
        places: by path of keys and list positions, the (line, column) of the key or item, from 1.
    """

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def error(self, path: Path, message: str) -> DocumentError:
        """Make an error that points at a path, or at the nearest parent that has a place."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        return DocumentError(message, file=self.file, line=line, column=column, path=path)


class _Reader:
    """Builds plain values from the parser's events, in one pass."""

    def __init__(self, source: Source, events: Iterator[Event]) -> None:
        self._source = source
        self._events = events
        self._nodes = 0

    def refuse(self, event: Event, message: str, path: Path) -> DocumentError:
        mark = event.start_mark
        return DocumentError(
            message, file=self._source.file, line=mark.line + 1, column=mark.column + 1, path=path
        )

    def node(self, event: Event, path: Path) -> Any:
        self._check(event, path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, ScalarEvent)
        return self._scalar(event, path)

    def _check(self, event: Event, path: Path) -> None:
        self._nodes += 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self.refuse(event, "anchors and aliases are not accepted; write it out", path)
        tag = getattr(event, "tag", None)
        if tag:
            hint = "put quotes around text that begins with '!'"
            raise self.refuse(event, f"tags are not accepted, got {str(tag)[:60]}; {hint}", path)
        if len(path) > MAX_DEPTH:
            raise self.refuse(event, f"expected at most {MAX_DEPTH} levels of nesting", path[:3])
        if self._nodes > MAX_NODES:
            raise self.refuse(event, f"expected at most {MAX_NODES:,} values in one file", path)

    def _text(self, event: ScalarEvent, path: Path) -> str:
        """Return the text; an escape may have brought a character into it that no store holds."""
        text: str = event.value
        bad = _UNSTORABLE.search(text)
        if bad:
            raise self.refuse(event, f"the character {bad[0]!a} is not accepted", path)
        return text

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                message = "expected a name as key; put quotes around text that begins with '{'"
                raise self.refuse(event, message, path)
            self._check(event, path)
            key = self._text(event, path)
            if key in values:
                raise self.refuse(event, f"the key {key!r} stands here a second time", path)
            here = (*path, key)
            self._source.places[here] = (event.start_mark.line + 1, event.start_mark.column + 1)
            values[key] = self.node(next(self._events), here)
        return values

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            here = (*path, str(len(items)))
            self._source.places[here] = (event.start_mark.line + 1, event.start_mark.column + 1)
            items.append(self.node(event, here))
        return items

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        text = self._text(event, path)
        if not event.implicit[0]:  # quoted, or a block: text as it stands
            return text
        if text.lower() in _WORDS and text in (text.lower(), text.title(), text.upper()):
            return _WORDS[text.lower()]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        if _NUMBER_LIKE.fullmatch(text):
            raise self.refuse(
                event,
                f"expected a plain decimal number such as 17 or 0.5, got {text[:40]!r};"
                " put quotes around it if it is text",
                path,
            )
        return text


def read_yaml(text: str, file: str) -> Source:
    r"""Read one YAML document strictly.

    Args:
        text: the document, at most `MAX_BYTES` as UTF-8.
        file: the name used in messages.

    Raises:
        DocumentError: it is not YAML 1.2, or uses anything the module's head lists as refused.

    Example:
        >>> read_yaml("start: 21:00\ncountry: NO\n", "a.yaml").value
        {'start': '21:00', 'country': 'NO'}
    """
    source = Source(file)
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise DocumentError(f"expected at most {MAX_BYTES:,} bytes", file=file, line=1, column=1)
    try:
        events = YAML(typ="safe", pure=True).parse(text)
        _read_document(source, iter(events))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(error.problem or error.context)
        hint = next((f"; {hint}" for sign, hint in _HINTS if sign in problem), "")
        message = f"this is not YAML: {problem}{hint}"
        raise DocumentError(message, file=file, line=line, column=column) from None
    except ReaderError as error:
        before = text[: error.position]
        message = f"this is not YAML: the character {chr(error.character)!a} is not accepted"
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise DocumentError(message, file=file, line=line, column=column) from None
    except (YAMLError, ValueError) as error:
        message = f"this is not YAML: {str(error).splitlines()[0]}"
        raise DocumentError(message, file=file, line=1, column=1) from None
    except RecursionError:
        message = f"expected at most {MAX_DEPTH} levels of nesting"
        raise DocumentError(message, file=file, line=1, column=1) from None
    return source


def _read_document(source: Source, events: Iterator[Event]) -> None:
    reader = _Reader(source, events)
    documents = 0
    for event in events:
        if not isinstance(event, DocumentStartEvent):
            continue
        documents += 1
        first = next(events)
        if documents > 1:
            raise reader.refuse(first, "expected one document in a file, got a second '---'", ())
        if not isinstance(first, MappingStartEvent):
            raise reader.refuse(first, "expected keys and values, as in 'agent: name'", ())
        source.value = reader.node(first, ())
    if documents == 0:
        raise DocumentError("the file is empty", file=source.file, line=1, column=1)
