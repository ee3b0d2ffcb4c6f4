"""Several replicas of one ledger on PostgreSQL, without HTTP: decisions a second of all together.

Run it by `python -m serving.benchmarks.replicas`. Each replica is a process with eight decisions
in flight, half of them about customers who come back, with a budget that all of them share. Each
decision has an idempotency key and is durable before the next is asked. Turn about they are made
under the lock, as everything else that is written, and ahead of it. PostgreSQL's processes share
the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import orjson

from agents.errors import StateError
from serving.benchmarks.questions import RETURNING, Customers
from serving.benchmarks.stand import private_folder
from serving.benchmarks.tables import CONSOLE, heading, show, spread
from serving.benchmarks.workspace import SMALL
from serving.deciding.attempt import submit_decision
from serving.deciding.decider import Decided, DecisionRequest
from serving.deciding.foresee import foresee_decision
from serving.running.ledger_url import read_ledger_url
from serving.running.private_postgres import find_programs, private_postgres
from serving.runtime import Runtime, run
from serving.settings import LEDGER_ENV, Settings, load_keys, prepare_data
from serving.watching.metrics import Stopwatch

IN_FLIGHT = 8
_FASTEST = 4_000  # decisions a second of one replica that are made ready
_WARMING = 400


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared.

    Args:
        replicas: how many at once.
        locked: whether all is done under the lock.
    """

    replicas: int
    locked: bool


@dataclass(frozen=True, slots=True)
class Share:
    """What one replica did: decisions, seconds, and its processor's seconds."""

    decisions: int
    seconds: float
    processor_s: float


def measure(folder: Path, url: str, side: Side, seconds: float) -> list[Share]:
    """Run the replicas of one side at once, on an empty ledger."""
    settings = Settings(folder / "workspace", folder / f"data-{uuid4().hex}", ledger_url=url)
    prepare_data(settings.data)
    load_keys(settings.data)
    with ExitStack() as stack:
        running = [
            stack.enter_context(_replica(settings, side, number, seconds))
            for number in range(side.replicas)
        ]
        for process in running:
            _line(process)  # it is warm
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        return [Share(**orjson.loads(_line(process))) for process in running]


@contextmanager
def _replica(
    settings: Settings, side: Side, number: int, seconds: float
) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable, "-m", "serving.benchmarks.replicas", "--replica", str(number),
        "--seconds", str(seconds), str(settings.workspace), str(settings.data),
    ]  # fmt: skip
    process = subprocess.Popen(  # noqa: S603 - our own module
        command + ["--locked"] * side.locked, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {LEDGER_ENV: settings.ledger_url},
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise StateError("a replica ended before its time")
    return line


async def replica(settings: Settings, number: int, seconds: float, *, locked: bool) -> None:
    """Be one replica: warm up, wait for a line of standard input, decide for a while, and tell."""
    count = _WARMING + int(_FASTEST * seconds)
    requests = iter(list(_requests(number, count)))
    async with run(settings) as runtime:
        submit = _submit_locked if locked else _submit

        async def ask(most: int, end: float) -> int:
            """Ask one after another; return how many were answered."""
            for made in range(most):
                if time.perf_counter() >= end:
                    return made
                await submit(runtime, next(requests))
            return most

        await asyncio.gather(*(ask(_WARMING // IN_FLIGHT, math.inf) for _ in range(IN_FLIGHT)))
        sys.stdout.write("warm\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        started, spent = time.perf_counter(), time.process_time()
        made = await asyncio.gather(*(ask(count, started + seconds) for _ in range(IN_FLIGHT)))
        took = time.perf_counter() - started
        share = Share(sum(made), took, time.process_time() - spent)
        sys.stdout.buffer.write(orjson.dumps(share) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.to_thread(sys.stdin.read)


def _submit(runtime: Runtime, request: DecisionRequest) -> asyncio.Future[Decided]:
    return submit_decision(runtime.writer, runtime.decider, request, Stopwatch())


def _submit_locked(runtime: Runtime, request: DecisionRequest) -> asyncio.Future[Decided]:
    return runtime.writer.submit(
        lambda ledger: runtime.decider.decide(ledger, request),
        partial(foresee_decision, runtime.decider, request),
    )


def _requests(number: int, count: int) -> Iterator[DecisionRequest]:
    customers = Customers(f"replica-{number}")
    for _ in range(count):
        at = datetime.fromisoformat(customers.at)
        (line,) = customers.lines(1)
        customer = line["customer"]
        kind, _, place = customer.partition("-")
        if kind == "back":  # to all replicas, but not to all at once
            customer = f"back-{(int(place) + number * RETURNING // 4) % RETURNING}"
        else:
            customer = f"{number}-{customer}"
        yield DecisionRequest(
            (SMALL,), customer, line["features"], b"benchmark", key=line["key"], at=at
        )


def main() -> None:
    """Measure one, two and four replicas, turn about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of one turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--replica", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--locked", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("folders", nargs="*", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.replica is not None:
        workspace, data = told.folders
        url = read_ledger_url(os.environ[LEDGER_ENV])
        settings = Settings(workspace, data, clock="driven", ledger_url=url)
        asyncio.run(replica(settings, told.replica, told.seconds, locked=told.locked))
        return
    heading(f"Replicas on PostgreSQL ({find_programs().parent.name}), without HTTP")
    sides = [Side(replicas, locked) for replicas in told.replicas for locked in (True, False)]
    found: dict[Side, list[list[Share]]] = {side: [] for side in sides}
    with private_folder() as folder, private_postgres() as server:
        for turn in range(told.turns):
            for side, kept in found.items():
                url = server.schema(f"turn_{turn}_{side.replicas}_{side.locked}".lower())
                kept.append(measure(folder, url, side, told.seconds))
    columns = ("replicas", "made", "decisions/s", "processor us each")
    show(columns, map(_row, found, found.values()))
    CONSOLE.print("Compare turns of one run only: the machine is shared.")


def _row(side: Side, turns: list[list[Share]]) -> tuple[str, ...]:
    rates = [sum(each.decisions / each.seconds for each in shares) for shares in turns]
    cost = [
        1e6 * sum(each.processor_s for each in shares) / sum(each.decisions for each in shares)
        for shares in turns
    ]
    made = "under the lock" if side.locked else "ahead of it"
    return str(side.replicas), made, spread(rates, ",.0f"), spread(cost, ".0f")


if __name__ == "__main__":
    main()
