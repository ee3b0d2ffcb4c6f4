"""Outcomes beside the empty deployment, and how far the learner is behind at that rate.

Run it by `python -m serving.benchmarks.outcomes`. Each outcome is of a decision of its own, one day
old, and durable before it is answered. The lag is the age of the oldest entry that the learner has
not read, looked at twenty times a second while outcomes come as fast as they are taken; the learner
notes how far it is four times a second, which is part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, repeat
from time import perf_counter
from uuid import uuid4

import orjson

from serving.benchmarks.batch import send_batch
from serving.benchmarks.load import Turn, closed, run
from serving.benchmarks.questions import EMPTY, Body, Customers, post
from serving.benchmarks.single import CONNECTIONS, Measured, measure
from serving.benchmarks.stand import Stand, private_folder, stand
from serving.benchmarks.tables import CONSOLE, bar, heading, show, spread
from serving.benchmarks.workspace import SMALL

_RATE_BAR, _LAG_BAR_S = 0.7, 2.0
_BATCH, _DECIDED = 1_000, 10_000
_LOOK_S = 0.05
_WORDS = ("renewed", "upgraded", "complained", "unsubscribed")


class Outcomes:
    """Makes up outcomes, each of another decision; decisions are made as they are needed."""

    def __init__(self, server: Stand) -> None:
        self._server = server
        self._customers = Customers("outcomes")
        self._decided: deque[Body] = deque()
        self._made = 0

    def bodies(self, count: int) -> Iterator[Body]:
        """Make up so many."""
        while len(self._decided) < count:
            body = self._customers.batch(SMALL, _DECIDED)
            self._decided += map(orjson.loads, send_batch(self._server.port, body))
        for _ in range(count):
            decision = self._decided.popleft()
            at = datetime.fromisoformat(decision["at"]) + timedelta(days=1)
            self._made += 1
            yield {
                "outcome_id": uuid4().hex,
                "decision_id": decision["decision_id"],
                "outcome": _WORDS[self._made % len(_WORDS)],
                "at": at.isoformat(),
            }

    def singles(self, count: int) -> list[bytes]:
        """Write so many requests of one outcome each."""
        return [post("/v1/outcomes", orjson.dumps(body)) for body in self.bodies(count)]

    def batches(self, count: int) -> list[bytes]:
        """Write requests of a thousand outcomes each."""
        bodies = self.bodies(count * _BATCH)
        return [
            post("/v1/outcomes/batch", orjson.dumps({"outcomes": list(islice(bodies, _BATCH))}))
            for _ in range(count)
        ]


async def _lag(server: Stand, requests: list[bytes], seconds: float) -> tuple[Turn, list[float]]:
    """Send outcomes; return how old the oldest unread entry was at each look, in seconds."""
    stop = asyncio.Event()
    ages: list[float] = []

    async def look() -> None:
        seen: deque[tuple[int, float]] = deque()  # positions and when they were the last ones
        while not stop.is_set():
            now, last, read = (
                perf_counter(), server.reader.last_position(), server.snapshots.read_to()
            )  # fmt: skip
            seen.append((last, now))
            while len(seen) > 1 and seen[0][0] <= read:
                seen.popleft()
            ages.append(now - seen[0][1] if last > read else 0.0)
            await asyncio.sleep(_LOOK_S)

    watching = asyncio.create_task(look())
    turn = await closed(server.port, requests, CONNECTIONS, seconds)
    stop.set()
    await watching
    return turn, ages


def _sides(
    server: Stand, made: Outcomes, turns: int, seconds: float, fastest: int
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {"empty": [], "one outcome": [], "a thousand": []}
    for number in range(turns + 1):
        empty = measure(server, "empty", repeat(EMPTY), seconds)
        single = measure(server, "nextbest", made.singles(int(fastest * seconds)), seconds)
        many = measure(server, "nextbest", made.batches(max(1, int(seconds))), 60.0)
        if number:  # the first turn warms up
            for kept, each in zip(found.values(), (empty, single, many), strict=True):
                kept.append(each)
    return found


def _row(side: str, found: list[Measured]) -> tuple[str, ...]:
    times = _BATCH if side == "a thousand" else 1
    rate = times * statistics.median(each.turn.rate for each in found)
    spent = statistics.median(each.replica_us for each in found) / times
    return (side, f"{rate:,.0f}", f"{spent:.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Outcomes, and the learner's lag.")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--lag-seconds", type=float, default=15.0)
    parser.add_argument("--fastest", type=int, default=3_000)
    options = parser.parse_args()
    heading(f"Outcomes, {CONNECTIONS} connections, {options.turns} turns of {options.seconds:g} s")
    with private_folder() as folder, stand(folder) as server:
        made = Outcomes(server)
        found = _sides(server, made, options.turns, options.seconds, options.fastest)
        requests = made.singles(int(options.fastest * options.lag_seconds))
        server.settle()
        turn, ages = run(_lag(server, requests, options.lag_seconds))
    show(("side", "outcomes/s", "replica us"), (_row(side, each) for side, each in found.items()))
    pairs = zip(found["one outcome"], found["empty"], strict=True)
    pairs_p99 = zip(found["one outcome"], found["empty"], strict=True)
    bar("rate to empty's", [a.turn.rate / b.turn.rate for a, b in pairs], _RATE_BAR, least=True)
    tails = [a.turn.percentile(0.99) / b.turn.percentile(0.99) for a, b in pairs_p99]
    CONSOLE.print(f"p99 to empty's: {spread(tails)}")
    CONSOLE.print(f"learner at {turn.rate:,.0f} outcomes/s: lag {spread(ages)} s")
    bar("its longest lag, in s", [max(ages)], _LAG_BAR_S, least=False)


if __name__ == "__main__":
    main()
