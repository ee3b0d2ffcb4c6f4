"""Work that the collector of reference cycles leaves alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class _Inside:
    """How many are inside, and whether the collector was on when the first came."""

    count: int = 0
    swept: bool = False
    lock: Lock = field(default_factory=Lock)  # seen and changed at once, or it stays off for good


_INSIDE = _Inside()


@contextmanager
def unswept() -> Iterator[None]:
    """Keep the collector away from work that makes many objects and no cycles.

    It looks at all that is alive each time so much was made: with ten thousand lines of a batch in
    memory, that costs more than a fifth of the whole. What is made in between, by whatever thread,
    is looked at when the last of them is done.

    Example:
        >>> with unswept():
        ...     gc.isenabled()
        False
    """
    with _INSIDE.lock:
        if not _INSIDE.count:
            _INSIDE.swept = gc.isenabled()
            gc.disable()
        _INSIDE.count += 1
    try:
        yield
    finally:
        with _INSIDE.lock:
            _INSIDE.count -= 1
            if not _INSIDE.count and _INSIDE.swept:
                gc.enable()
