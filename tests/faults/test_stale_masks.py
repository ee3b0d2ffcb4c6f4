"""No decision is made from a state that has passed, or estimates from the log would be wrong.

In each hour there is one scarce offer and four customers at once, half of whom find it gone. The
value of 'always the plentiful offer', whose reward is 0.4 each time, is estimated from the log by
inverse propensities. Masks that are read in the transaction give 0.4. A server that draws first,
then sees that what it drew is gone and draws again, gives another number: its second draw depends
on the first, which no logged probability tells.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.decisions import Decision
from agents.revision import Revision
from serving.deciding.attempt import submit_decision
from serving.deciding.decider import DecisionRequest
from serving.deciding.recall import keep
from serving.ids import new_id
from serving.ledger import Ledger, open_reader
from serving.runtime import Runtime, run
from serving.settings import Settings
from serving.watching.metrics import Stopwatch

HOURS, AT_ONCE = 500, 4
TRUTH = 0.4
RULE = "  scarce: {rule: budget, measure: contacts, max: 1, per: hour, on: {offers: [scarce]}}\n"
START = datetime(2026, 3, 2, tzinfo=UTC)

Decide = Callable[[Sequence[Runtime], list[DecisionRequest]], Any]


def question(hour: int, place: int) -> DecisionRequest:
    at = START + timedelta(hours=hour)
    return DecisionRequest(
        ("sales",), f"c{hour}-{place}", {"spend": 1.0}, b"", f"k{hour}-{place}", at=at
    )


async def as_it_is(replicas: Sequence[Runtime], asked: list[DecisionRequest]) -> None:
    """Ask the replicas in turn, all at once."""

    def job(runtime: Runtime, request: DecisionRequest) -> Any:
        return submit_decision(runtime.writer, runtime.decider, request, Stopwatch())

    await asyncio.gather(
        *(job(replicas[n % len(replicas)], request) for n, request in enumerate(asked))
    )


def broken(log_first: bool) -> Decide:
    """Draw from what was read before; if it is gone at the commit, draw again.

    Args:
        log_first: whether the first distribution is logged, as if nothing had happened.
    """

    def draw(runtime: Runtime, ledger: Ledger, request: DecisionRequest) -> tuple[Any, Revision]:
        active = runtime.agents.current(ledger, "sales")
        assert request.at is not None
        made = runtime.decider._decide(ledger, active, request, request.at, new_id())
        return made, active.revision

    def settle(runtime: Runtime, ledger: Ledger, request: DecisionRequest, first: Decision) -> None:
        again, revision = draw(runtime, ledger, request)
        gone = again.mask.reasons[first.action] is not None  # it looks at the drawn action
        made = again if gone else first
        if gone and log_first:
            made = replace(again, distribution=first.distribution, mask=first.mask)
        keep(ledger, made, revision, key=request.key)

    async def decide(replicas: Sequence[Runtime], asked: list[DecisionRequest]) -> None:
        runtime, submit = replicas[0], replicas[0].writer.submit
        for start in range(0, len(asked), AT_ONCE):
            now = asked[start : start + AT_ONCE]
            drawn = [submit(partial(draw, runtime, request=each)) for each in now]
            firsts = [made for made, _ in await asyncio.gather(*drawn)]
            kept = [
                submit(partial(settle, runtime, request=each, first=first))
                for each, first in zip(now, firsts, strict=True)
            ]
            await asyncio.gather(*kept)

    return decide


def decisions(settings: Settings, decide: Decide) -> list[dict[str, Any]]:
    """Make 2,000 decisions; return them as logged."""

    async def go() -> None:
        async with AsyncExitStack() as stack:
            many = 2 if settings.ledger_url else 1
            replicas = [await stack.enter_async_context(run(settings)) for _ in range(many)]
            for hour in range(0, HOURS, 25):
                asked = [question(h, n) for h in range(hour, hour + 25) for n in range(AT_ONCE)]
                await decide(replicas, asked)

    asyncio.run(go())
    with closing(open_reader(settings)) as reader:
        entries = reader.entries(0, 100_000)
    return [dict(entry.body) for entry in entries if entry.kind == "decision"]


def estimate(log: list[dict[str, Any]]) -> tuple[float, float]:
    """Estimate the value from the log; return it with its standard error, over hours."""
    hours: dict[str, list[float]] = {}
    for row in log:
        drawn = row["actions"][row["action"]]
        taken = drawn.startswith("plenty")
        weight = 1.0 / row["distribution"][row["action"]] if taken else 0.0
        hours.setdefault(row["at"], []).append(TRUTH * weight)
    means = np.array([np.mean(values) for values in hours.values()])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


@pytest.fixture
def settings(
    write_shop: Any, tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Keys and ids, and with them all draws, are the same each time; replicas still race."""
    data = tmp_path / "data"
    (data / "keys").mkdir(parents=True)
    for name in ("draw", "snapshot", "customer"):
        (data / "keys" / f"{name}.key").write_bytes(name.encode().ljust(32, b"."))
    numbers = count(1)
    monkeypatch.setattr("serving.deciding.decider.new_id", lambda: f"{next(numbers):032x}")
    return Settings(write_shop(RULE), data, clock="driven", ledger_url=ledger_url)


def test_estimates_from_the_log_are_right_though_the_budget_runs_dry(settings: Settings) -> None:
    log = decisions(settings, as_it_is)
    assert len(log) == HOURS * AT_ONCE
    dry = [row for row in log if any(reason is not None for reason in row["mask"][1:])]
    assert 0.4 < len(dry) / len(log) < 0.65
    value, error = estimate(log)
    sys.stdout.write(f"estimate {value:.3f}, standard error {error:.4f}, truth {TRUTH}\n")
    assert abs(value - TRUTH) < 4 * error


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("log_first", [False, True])
def test_a_server_that_looks_at_what_it_drew_is_found_out(
    settings: Settings, log_first: bool
) -> None:
    value, error = estimate(decisions(settings, broken(log_first)))
    sys.stdout.write(f"broken: {value:.3f}, standard error {error:.4f}, truth {TRUTH}\n")
    assert (value - TRUTH) / error > 8
