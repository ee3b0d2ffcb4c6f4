"""One decision a request, beside the cheapest answer that the same Ray Serve can give.

Run it by `python -m serving.benchmarks.single`. Eight connections, turn about: an empty FastAPI
deployment (`empty`, which the bars are about), the same one reached past Ray's wrapper as decisions
are (`straight`), an agent of 24 actions, one of 200. Each decision has an idempotency key and is
durable before it is answered; every other one is about a customer who was there before. Before each
turn the learner has read all that came before. Then the same with PostgreSQL, whose processes share
the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat

from agents.errors import StateError
from serving.benchmarks import processes
from serving.benchmarks.load import Turn, closed, run
from serving.benchmarks.questions import EMPTY, STRAIGHT, Customers
from serving.benchmarks.stand import Stand, private_folder, stand
from serving.benchmarks.tables import CONSOLE, bar, heading, show, spread
from serving.benchmarks.workspace import ACTIONS, GUARDRAILS, LARGE, SMALL
from serving.running.private_postgres import find_programs, private_postgres

CONNECTIONS = 8
_FASTEST = 6_000  # requests a second that are made ready
_BARS = {SMALL: 0.7, LARGE: 0.4}
_POSTGRES_BAR, _P99_BAR = 0.5, 2.0
_EMPTY, _STRAIGHT = "empty", "straight"
_NOTHING = {_EMPTY: EMPTY, _STRAIGHT: STRAIGHT}


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn of one side.

    Args:
        turn: what came back.
        replica_us, front_us, load_us: processor time per request of the replica, of HAProxy and
            of the process that asks.
        learner_us: the same of the learner, until it has read what the turn has made.
    """

    turn: Turn
    replica_us: float
    front_us: float
    load_us: float
    learner_us: float


def measure(server: Stand, deployment: str, requests: Iterable[bytes], seconds: float) -> Measured:
    """Run one turn against one deployment."""
    server.settle()
    replica, front, learner = server.replica(deployment), server.front(), server.learner()
    before = _spent(replica, front, learner)
    turn = run(closed(server.port, requests, CONNECTIONS, seconds))
    after = _spent(replica, front, learner)
    server.settle()
    after[-1] = processes.cpu_s(learner)
    each = [1e6 * (b - a) / len(turn.latencies_ms) for a, b in zip(before, after, strict=True)]
    return Measured(turn, *each)


def _spent(replica: int, front: list[int], learner: int) -> list[float]:
    """Return the processor time so far of who takes part, in seconds."""
    return [
        processes.cpu_s(replica),
        processes.cpu_s(*front),
        time.process_time(),
        processes.cpu_s(learner),
    ]


def alternate(
    server: Stand, agents: list[str], turns: int, seconds: float
) -> dict[str, list[Measured]]:
    """Take turns: the empty deployments, then each agent; the first round warms up."""
    customers = Customers("single")
    found: dict[str, list[Measured]] = {side: [] for side in (*_NOTHING, *agents)}
    for number in range(turns + 1):
        for side, kept in found.items():
            if side in _NOTHING:
                measured = measure(server, side, repeat(_NOTHING[side]), seconds)
            else:
                requests = customers.singles(side, int(_FASTEST * seconds))
                measured = measure(server, "nextbest", requests, seconds)
            if number:
                kept.append(measured)
    return found


def tell(found: dict[str, list[Measured]], bars: dict[str, float]) -> None:
    """Print what each side costs, and the ratios turn by turn."""
    columns = ("side", "requests/s", "p50 ms", "p99 ms", "replica us", "HAProxy us", "client us",
               "learner us")  # fmt: skip
    show(columns, (_row(side, turns) for side, turns in found.items()))
    straight = found[_STRAIGHT]
    for side, limit in bars.items():
        pairs = list(zip(found[side], found[_EMPTY], strict=True))
        name = f"{ACTIONS[side]} actions"
        bar(f"{name}: rate to empty's", [a.turn.rate / b.turn.rate for a, b in pairs], limit,
            least=True)  # fmt: skip
        tails = [a.turn.percentile(0.99) / b.turn.percentile(0.99) for a, b in pairs]
        if side == SMALL:
            bar(f"{name}: p99 to empty's", tails, _P99_BAR, least=False)
        else:
            CONSOLE.print(f"{name}: p99 to empty's: {spread(tails)}")
        rates = [a.turn.rate / b.turn.rate for a, b in zip(found[side], straight, strict=True)]
        CONSOLE.print(f"{name}: rate to straight's: {spread(rates)}")


def _row(side: str, turns: list[Measured]) -> tuple[str, ...]:
    def middle(values: Iterable[float], form: str) -> str:
        return f"{statistics.median(values):{form}}"

    return (
        side,
        middle((each.turn.rate for each in turns), ",.0f"),
        middle((each.turn.percentile(0.5) for each in turns), ".2f"),
        middle((each.turn.percentile(0.99) for each in turns), ".2f"),
        middle((each.replica_us for each in turns), ".0f"),
        middle((each.front_us for each in turns), ".0f"),
        middle((each.load_us for each in turns), ".0f"),
        middle((each.learner_us for each in turns), ".0f"),
    )


def on_sqlite(turns: int, seconds: float) -> None:
    """Measure with the embedded ledger."""
    heading(
        f"One decision a request, SQLite, {CONNECTIONS} connections, {GUARDRAILS} guardrails,"
        f" {turns} turns of {seconds:g} s"
    )
    with private_folder() as folder, stand(folder) as server:
        found = alternate(server, [SMALL, LARGE], turns, seconds)
    tell(found, _BARS)


def on_postgres(turns: int, seconds: float) -> None:
    """Measure with a PostgreSQL of our own, if its programs are there."""
    heading(f"The same with PostgreSQL on this machine, {turns} turns of {seconds:g} s")
    try:
        find_programs()
    except StateError as error:
        CONSOLE.print(f"not measured: {error}")
        return
    with (
        private_postgres() as postgres,
        private_folder() as folder,
        stand(folder, postgres.url()) as server,
    ):
        found = alternate(server, [SMALL], turns, seconds)
    tell(found, {SMALL: _POSTGRES_BAR})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="One decision a request.")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    on_sqlite(options.turns, options.seconds)
    on_postgres(options.turns, options.seconds)


if __name__ == "__main__":
    main()
