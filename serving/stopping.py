"""Being told to stop by a signal, at any moment.

`threading.Event` must not be set by a handler: its lock is not reentrant, so that a signal that
comes while the main thread has just entered `wait` makes the handler wait for the very thread it
interrupts, for ever.
"""

from __future__ import annotations

import contextlib
import queue
import signal
from collections.abc import Sequence

ON_CTRL_C_OR_TERM = (signal.SIGINT, signal.SIGTERM)


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

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until stopping is wished, or for `timeout_s`; return whether it is."""
        if not self._wished:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=timeout_s)
        return self._wished

    def on(self, signals: Sequence[signal.Signals] = ON_CTRL_C_OR_TERM) -> None:
        """Let signals wish it from now on; to be called by the main thread."""
        for each in signals:
            signal.signal(each, lambda *_: self.set())
