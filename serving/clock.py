"""The server's clock: the machine's in production, the driver's in simulation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from agents.errors import ContextError
from serving.settings import ClockKind


class Clock(Protocol):
    """Tells the instant at which something is recorded."""

    def now(self, claimed: datetime | None) -> datetime:
        """Return the instant (UTC); `claimed` is what the request says, if anything."""


class MachineClock:
    """The machine's clock, never running backwards; the time of a request is not asked for."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self, claimed: datetime | None) -> datetime:
        """Return the machine's time.

        Raises:
            ContextError: the request claims a time.
        """
        if claimed is not None:
            raise ContextError(
                "expected no 'at': this server runs on its own clock;"
                " start it with --clock driven to simulate"
            )
        self._last = max(self._last, datetime.now(UTC))
        return self._last


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


def make_clock(kind: ClockKind) -> Clock:
    """Return a clock of the kind that the settings ask for."""
    return MachineClock() if kind == "machine" else DrivenClock()
