"""Being told to stop by a signal, at any moment.

`threading.Event` must not be set by a handler: its lock is not reentrant, so that a signal that
comes while the main thread has just entered `wait` makes the handler wait for the very thread it
interrupts, for ever. Nor may a wait be without end, whatever it rests on: Python's handler runs in
the main thread alone, and a signal that comes just before that thread blocks, or that another
thread receives, does not wake it.
"""

from __future__ import annotations

import contextlib
import math
import queue
import signal
import time
from collections.abc import Sequence
from types import FrameType

ON_CTRL_C_OR_TERM = (signal.SIGINT, signal.SIGTERM)
_SLICE_S = 0.5


class Stop:
    """A wish to stop, which handlers of signals may say and one thread waits for.

    It rests on `queue.SimpleQueue`, whose `put` may interrupt itself and `get`.

    Examples:
        >>> stop = Stop()
        >>> stop.wait(0.0)
        False
        >>> stop.set()
        >>> stop.wait(), stop.is_set()
        (True, True)
    """

    def __init__(self) -> None:
        self._wished = False
        self._bell = queue.SimpleQueue[None]()

    def set(self) -> None:
        """Wish to stop."""
        self._wished = True
        self._bell.put(None)

    def is_set(self) -> bool:
        """Return whether stopping is wished."""
        return self._wished

    def wait(self, timeout_s: float = math.inf) -> bool:
        """Wait until stopping is wished, or for `timeout_s`; return whether it is."""
        deadline = time.monotonic() + timeout_s
        while not self._wished:
            left = deadline - time.monotonic()
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=max(0.0, min(left, _SLICE_S)))
            if left <= _SLICE_S:
                break
        return self._wished

    def on(self, signals: Sequence[signal.Signals] = ON_CTRL_C_OR_TERM) -> None:
        """Let signals wish it from now on; to be called by the main thread."""
        for each in signals:
            signal.signal(each, lambda *_: self.set())

    def break_off_on(self, signals: Sequence[signal.Signals] = ON_CTRL_C_OR_TERM) -> None:
        """Let signals wish it, and break off by KeyboardInterrupt what the main thread does.

        For a start that may take long, or for ever. Whoever then ends what was begun calls `on`
        first, so that another signal does not break that off. What is interrupted may have kept
        the error to itself, so that this is to be called between the steps of a start.

        Raises:
            KeyboardInterrupt: stopping is wished already.
        """
        if self._wished:
            raise KeyboardInterrupt
        for each in signals:
            signal.signal(each, self._break_off)

    def _break_off(self, _signal: int, _frame: FrameType | None) -> None:
        self.set()
        raise KeyboardInterrupt
