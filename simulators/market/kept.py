"""What is worked out once for a world's document and a revision, however many seeds are played."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agents.revision import Revision
from simulators.market.spec import WorldSpec

_MOST = 16  # results of one function that are kept

T = TypeVar("T")


def kept(make: Callable[[WorldSpec, Revision], T]) -> Callable[[WorldSpec, Revision], T]:
    """Return the function that makes something once and then hands back the very same.

    A document and a revision are told by which objects they are: to compare what they say would
    take longer than to play an episode. What is made must not be changed.

    Args:
        make: depends on nothing else.
    """
    found: dict[tuple[int, int], tuple[WorldSpec, Revision, T]] = {}

    def made(spec: WorldSpec, revision: Revision) -> T:
        key = id(spec), id(revision)
        known = found.get(key)
        if known is None:
            if len(found) >= _MOST:
                found.pop(next(iter(found)), None)
            # Both are held, so that no other object can get the same id.
            found[key] = known = (spec, revision, make(spec, revision))
        return known[2]

    return made
