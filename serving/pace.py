"""Where a commit waits for the disk: on the event loop while the disk is quick, else beside it.

A thread for each commit costs two hand-overs of the interpreter and a wake-up of the loop: longer
than a quick disk takes, and all that is asked at once waits for that commit anyway. A slow disk
must not keep the loop from refusing what is too much. So after two long commits among a few the
next ones are made in a thread, then one on the loop shows whether the disk is quick again; each
time that it is not, twice as many follow in the thread. One long commit alone says nothing: whoever
else runs on the machine may have held the process up.
"""

from __future__ import annotations

LONG_S = 0.004
"""A commit that takes longer keeps the loop from more than its hand-overs would cost."""

_FEWEST, _MOST = 16, 1_024
_NEAR = 16  # commits within which a second long one says that it is the disk


class Pace:
    """Counts how many commits are to be made in a thread.

    Example:
        >>> pace = Pace()
        >>> pace.note(0.0002), pace.here
        (None, True)
        >>> pace.note(0.5), pace.here
        (None, True)
        >>> pace.note(0.5), pace.here
        (None, False)
        >>> for _ in range(16):
        ...     pace.note(0.5)
        >>> pace.here
        True
    """

    def __init__(self) -> None:
        self._beside = 0  # commits that are to be made in the thread
        self._next = _FEWEST
        self._quick = _NEAR  # commits since the last long one, as far as they count

    @property
    def here(self) -> bool:
        """Whether the next commit is to be made on the loop."""
        return not self._beside

    def note(self, seconds: float) -> None:
        """Note how long a commit took, wherever it was made."""
        if self._beside:
            self._beside -= 1
        elif seconds <= LONG_S:
            self._next, self._quick = _FEWEST, min(self._quick + 1, _NEAR)
        else:
            if self._quick < _NEAR:
                self._beside = self._next
                self._next = min(2 * self._next, _MOST)
            self._quick = 0
