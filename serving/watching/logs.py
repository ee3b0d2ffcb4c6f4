"""Logs: one line an event, as JSON or as text; ids of requests and decisions, never of customers.

Every line is appended with one write, so processes may share a file. A request's line names the
route's template and not its path, which may hold a customer's id.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

LogKind = Literal["json", "text"]

ROOT = "nextbest"
REQUESTS = f"{ROOT}.http"
"""The logger of requests; it speaks only where lines are read by machines."""

LOG_ENV = "NEXTBEST_LOG"
"""The environment variable that tells a process of the server its kind of log and its file."""

FACTS = "facts"
"""Name of a record's attribute: a mapping of plain JSON values that the line holds, too."""


class JsonLines(logging.Formatter):
    """Writes a record as one JSON object: time, level, logger, event and its facts.

    Of an exception it writes the kind and where it was raised, not its message, which may quote
    what a caller sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            line |= _error(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


class TextLines(logging.Formatter):
    """Writes a record for people to read."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return the kind of an exception and where it was raised, without its message."""
        facts = _error(ei[1])
        return f"{facts['error']} at {', '.join(facts['where'])}"


def _error(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where}


class Lines(logging.Handler):
    """Appends each record to a file with one write.

    Args:
        target: the file, made for its owner only; None for standard error. It is opened for each
            line, so that it may be moved away.
    """

    def __init__(self, target: Path | None) -> None:
        super().__init__()
        self._target = target

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a log that cannot be written stops nobody."""
        try:
            line = (self.format(record) + "\n").encode(errors="replace")
            if self._target is None:
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
            else:
                _append(self._target, line)
        except Exception:  # noqa: BLE001 - whatever it is, logging reports it its own way
            self.handleError(record)


def _append(target: Path, line: bytes) -> None:
    file = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


@contextlib.contextmanager
def logging_to(kind: LogKind, target: Path | None) -> Iterator[None]:
    """Write what this process logs inside the context.

    Args:
        kind: `json` has a line for each request, `text` only for those that failed.
        target: a file; None for standard error.
    """
    if target is not None:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    root, requests = logging.getLogger(ROOT), logging.getLogger(REQUESTS)
    before = root.level, requests.level
    handler = Lines(target)
    handler.setFormatter(JsonLines() if kind == "json" else TextLines())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    requests.setLevel(logging.INFO if kind == "json" else logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        requests.setLevel(before[1])
