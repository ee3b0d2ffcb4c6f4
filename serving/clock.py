"""The server's clock: the machine's in production, the driver's in simulation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agents.errors import ContextError, StateError
from serving.settings import ClockKind

_TOLERANCE = timedelta(seconds=5)  # by which a machine's clock is set back now and then


class Clock(Protocol):
    """Tells the instant at which something is recorded."""

    def now(self, claimed: datetime | None) -> datetime:
        """Return the instant (UTC); `claimed` is what the request says, if anything."""

    def reached(self, last: datetime | None) -> datetime | None:
        """Return the instant by which the age of what is stored counts, None if there is none.

        Args:
            last: the ledger's newest instant.
        """


def _machine_time() -> datetime:
    return datetime.now(UTC)


class MachineClock:
    """The machine's clock, never running backwards; the time of a request is not asked for.

    Args:
        last: the ledger's newest instant, before which nothing can happen any more.
        read: tells the machine's time (UTC).
    """

    def __init__(
        self, last: datetime | None = None, read: Callable[[], datetime] = _machine_time
    ) -> None:
        self._last = last or datetime.min.replace(tzinfo=UTC)
        self._read = read

    def now(self, claimed: datetime | None) -> datetime:
        """Return the machine's time; it stands still while the machine's is a little behind.

        Raises:
            ContextError: the request claims a time.
            StateError: the machine's clock is far behind what the ledger has seen, so that no
                quiet hour and no rolling span could be relied on.
        """
        if claimed is not None:
            raise ContextError(
                "expected no 'at': this server runs on its own clock;"
                " start it with --clock driven to simulate"
            )
        time = self._read()
        if self._last - time > _TOLERANCE:
            raise StateError(
                f"the machine's clock shows {time.isoformat(timespec='seconds')}, but the ledger"
                f" has been at {self._last.isoformat(timespec='seconds')}; set the clock right, or"
                " choose another --data if that was a simulation's time"
            )
        self._last = max(self._last, time)
        return self._last

    def reached(self, last: datetime | None) -> datetime | None:
        """Return the machine's time, and never less than the ledger has seen.

        Raises:
            StateError: the machine's clock is far behind.
        """
        now = self.now(None)
        return now if last is None else max(now, last)


class DrivenClock:
    """A simulation's clock: each request says what time it is."""

    def now(self, claimed: datetime | None) -> datetime:
        """Return the claimed time.

        Raises:
            ContextError: the request claims none.
        """
        if claimed is None:
            raise ContextError(
                "expected 'at', an instant such as '2026-03-01T12:00:00Z':"
                " this server was started with --clock driven"
            )
        return claimed

    def reached(self, last: datetime | None) -> datetime | None:
        """Return the ledger's newest instant: only what is recorded makes time go on."""
        return last


def make_clock(kind: ClockKind, last: datetime | None) -> Clock:
    """Return a clock of the kind that the settings ask for.

    Args:
        kind: as in the settings.
        last: the ledger's newest instant, None if nothing has happened yet.

    Raises:
        StateError: the machine's clock is far behind the ledger's newest instant.
    """
    if kind == "driven":
        return DrivenClock()
    clock = MachineClock(last)
    clock.now(None)
    return clock
