"""A clock that jumps: nothing is decided by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.errors import StateError
from serving.clock import MachineClock
from serving.deciding.decider import DecisionRequest
from serving.ledger import Ledger, open_reader
from serving.ledger.database import Moment
from serving.runtime import run
from serving.settings import Settings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
RULE = "  pause: {rule: cooldown, pause: 30m, scope: offer}\n"


class Times:
    """What both clocks show.

    Args:
        wall: can be set.
        steady: cannot.
    """

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 1_000.0

    def pass_by(self, seconds: float, *, late_s: float = 0.0) -> None:
        self.wall += timedelta(seconds=seconds - late_s)
        self.steady += seconds

    def clock(self) -> MachineClock:
        return MachineClock(None, lambda: self.wall, steady=lambda: self.steady)


@pytest.mark.parametrize(
    ("jump", "why"),
    [
        (-HOUR, "set the clock right"),
        (HOUR, "set ahead by 3600 s"),
        (YEAR, "set ahead by 31536000 s"),
    ],
)
def test_a_clock_that_jumps_is_not_believed_until_it_is_right(jump: timedelta, why: str) -> None:
    times = Times()
    clock = times.clock()
    clock.now(None)
    times.pass_by(10.0)
    assert clock.now(None) == times.wall
    times.wall += jump
    for _ in range(3):
        times.pass_by(600.0)
        with pytest.raises(StateError, match=why):
            clock.now(None)
    with pytest.raises(StateError, match=why):
        clock.reached(NOW)
    times.wall -= jump
    assert clock.now(None) == times.wall
    times.wall += jump
    assert times.clock().now(None) == times.wall  # a server that starts has nothing to compare with


def test_a_clock_that_is_kept_right_is_believed() -> None:
    times = Times()
    clock = times.clock()
    for day in range(100):  # drifting by half a second a day, and set anew each week
        times.pass_by(86_400.0, late_s=-0.5 if day % 14 < 7 else 0.5)
        clock.now(None)
    times.pass_by(3 * 86_400.0)  # asleep
    clock.now(None)


def test_a_moment_that_was_told_late_is_no_jump() -> None:
    times = Times()
    clock = times.clock()
    clock.now(None)
    times.pass_by(200.0, late_s=180.0)  # the answer took three minutes
    clock.now(None)
    times.wall += timedelta(seconds=180)
    times.pass_by(1.0)
    assert clock.now(None) == times.wall


def test_a_server_whose_clock_jumps_decides_nothing(
    write_shop: Any, tmp_path: Path, ledger_url: str
) -> None:
    settings = Settings(write_shop(RULE), tmp_path / "data", ledger_url=ledger_url)
    times = Times()

    def asks(name: str) -> Callable[[], DecisionRequest]:
        return lambda: DecisionRequest(("sales",), "ann", {"spend": 1.0}, b"", name)

    async def go() -> None:
        async with run(settings) as runtime:
            clock = MachineClock(
                None, lambda: times.wall, lambda: Moment(times.wall, NOW) if ledger_url else None,
                lambda: times.steady,
            )  # fmt: skip
            for holder in (runtime.decider, runtime.recorder):
                object.__setattr__(holder, "clock", clock)

            async def decide(name: str) -> Any:
                def job(ledger: Ledger) -> Any:
                    return runtime.decider.decide(ledger, asks(name)())

                return await runtime.writer.submit(job)

            first = await decide("first")
            for jump in (-HOUR, HOUR, YEAR):
                times.wall += jump
                for name in ("again", "once more"):
                    with pytest.raises(StateError):
                        await decide(name)
                assert (await decide("first")).decision == first.decision  # made before
                times.wall -= jump
            times.pass_by(60.0)
            second = await decide("again")
            assert second.decision.action != first.decision.action  # it is still paused

    asyncio.run(go())
    with closing(open_reader(settings)) as reader:
        kinds = [entry.kind for entry in reader.entries(0, 100)]
    assert kinds == ["revision", "decision", "decision"]
