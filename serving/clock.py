"""The server's clock: the machine's in production, the driver's in simulation."""

from __future__ import annotations

import time as machine
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agents.errors import ContextError, StateError
from serving.ledger import Ledger
from serving.ledger.database import Moment
from serving.settings import ClockKind

AHEAD = timedelta(minutes=5)
"""How far the clocks of whoever reports something may differ from the server's."""

_LAST_YEAR = 2988  # a window is ten years at most, and no year after 2999 can be read again
_TOLERANCE = timedelta(seconds=5)  # by which a machine's clock is set back now and then
_LEAP_S = 60.0  # ahead: longer than a machine is stopped while it moves to another host
_DRIFT = 0.001  # of the time, by which clocks that are kept right may run apart
_STEADY = getattr(machine, "CLOCK_BOOTTIME", machine.CLOCK_MONOTONIC)  # counts sleep, too


class Clock(Protocol):
    """Tells the instant at which something is recorded."""

    def now(self, claimed: datetime | None) -> datetime:
        """Return the instant (UTC); `claimed` is what the request says, if anything."""

    def happened(self, claimed: datetime | None) -> datetime:
        """Return when something that is reported happened (UTC), by what the report says of it."""

    def name(self, key: str | None) -> str | None:
        """Return the id that a new decision takes from its idempotency key, None for a new id."""

    def reached(self, last: datetime | None) -> datetime | None:
        """Return the instant by which the age of what is stored counts, None if there is none.

        Args:
            last: the ledger's newest instant.
        """


def _machine_time() -> datetime:
    return datetime.now(UTC)


def _steady_time() -> float:
    return machine.clock_gettime(_STEADY)


class MachineClock:
    """The machine's clock, never running backwards; the time of a request is not asked for.

    A clock that was set ahead ends pauses before they are over, so it is not believed: it is
    compared with another one of the machine that nobody can set. What it shows at start is taken
    as right.

    Args:
        last: the ledger's newest instant, before which nothing can happen any more.
        read: tells the machine's time (UTC).
        moment: tells what the clock of a shared ledger showed when the transaction began, which
            then counts instead of the machine's.
        steady: tells seconds of a clock that nobody can set.
    """

    def __init__(
        self,
        last: datetime | None = None,
        read: Callable[[], datetime] = _machine_time,
        moment: Callable[[], Moment | None] = lambda: None,
        steady: Callable[[], float] = _steady_time,
    ) -> None:
        self._last = last or datetime.min.replace(tzinfo=UTC)
        self._read = read
        self._moment = moment
        self._steady = steady
        self._set: tuple[float, float] | None = None  # how far it is ahead of the steady one; since

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
        moment = self._moment()
        time = self._read() if moment is None else moment.now
        self._last = self._last if moment is None else max(self._last, moment.latest)
        if self._last - time > _TOLERANCE:
            raise StateError(
                f"the machine's clock shows {time.isoformat(timespec='seconds')}, but the ledger"
                f" has been at {self._last.isoformat(timespec='seconds')}; set the clock right, or"
                " choose another --data if that was a simulation's time"
            )
        self._require_no_leap(time)
        self._last = max(self._last, time)
        return self._last

    def _require_no_leap(self, time: datetime) -> None:
        """Compare with the steady clock; a moment that is told late looks behind, never ahead.

        Raises:
            StateError: the clock was set ahead.
        """
        steady = self._steady()
        ahead = time.timestamp() - steady
        known, since = self._set or (ahead, steady)
        drift = _DRIFT * (steady - since)
        if ahead - known > _LEAP_S + drift:
            raise StateError(
                f"the clock was set ahead by {ahead - known:.0f} s, to"
                f" {time.isoformat(timespec='seconds')}, so that no pause could be relied on; set"
                " it right, or start the server again if it is right now"
            )
        self._set = max(ahead, known - drift), steady

    def happened(self, claimed: datetime | None) -> datetime:
        """Return the claimed instant, and never one that is still to come: clocks differ a little.

        Raises:
            ContextError: it is further ahead than clocks differ.
            StateError: the machine's clock is far behind.
        """
        now = self.now(None)
        if claimed is not None and claimed - now > AHEAD:
            raise ContextError(
                f"at: expected no later than now, {now.isoformat(timespec='seconds')},"
                f" got {claimed.isoformat(timespec='seconds')}"
            )
        return now if claimed is None else min(claimed, now)

    def name(self, key: str | None) -> None:
        """Return None: callers do not choose ids, and so cannot choose what is drawn."""
        del key

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
            ContextError: the request claims none, or one whose outcomes could come after 2999.
        """
        if claimed is None:
            raise ContextError(
                "expected 'at', an instant such as '2026-03-01T12:00:00Z':"
                " this server was started with --clock driven"
            )
        if claimed.year > _LAST_YEAR:
            raise ContextError(f"at: expected a year up to {_LAST_YEAR}, got {claimed.year}")
        return claimed

    def happened(self, claimed: datetime | None) -> datetime:
        """Return the claimed time: reports drive the clock, too.

        Raises:
            ContextError: the report claims none.
        """
        return self.now(claimed)

    def name(self, key: str | None) -> str | None:
        """Return the key: what is drawn depends on the id, so a simulation can be repeated."""
        return key

    def reached(self, last: datetime | None) -> datetime | None:
        """Return the ledger's newest instant: only what is recorded makes time go on."""
        return last


def make_clock(kind: ClockKind, ledger: Ledger) -> Clock:
    """Return a clock of the kind that the settings ask for.

    Args:
        kind: as in the settings.
        ledger: whose newest instant nothing precedes, and whose own clock counts if it has one.

    Raises:
        StateError: the machine's clock is far behind the ledger's newest instant.
    """
    if kind == "driven":
        return DrivenClock()
    clock = MachineClock(ledger.last_instant(), moment=lambda: ledger.moment)
    clock.now(None)
    return clock
