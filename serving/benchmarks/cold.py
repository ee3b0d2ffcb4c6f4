"""From `nextbest serve` to ready: with an empty ledger, and with a million decisions in it.

Run it by `python -m serving.benchmarks.cold`. The decisions are made by batches over HTTP, as
anybody would make them; their learner has read them before. Then starts of both, turn about.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import subprocess
import sys
import time
from pathlib import Path

from agents.errors import StateError
from serving.benchmarks.batch import send_batch
from serving.benchmarks.questions import Customers
from serving.benchmarks.stand import free_port, private_folder, stand
from serving.benchmarks.tables import CONSOLE, bar, heading, show, spread
from serving.benchmarks.workspace import SMALL

_BAR_S, _SLOWER = 25.0, 1.1
_BATCH = 10_000
_PATIENCE_S = 120.0


def start_s(workspace: Path, data: Path) -> float:
    """Start a server, wait until it is ready, stop it; return the seconds until it was ready.

    Raises:
        StateError: it ends, or is not ready in two minutes.
    """
    port = free_port()
    command = [sys.executable, "-m", "nextbest", "serve", str(workspace), "--data", str(data)]
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--port", str(port), "--clock", "driven"], stdout=subprocess.DEVNULL
    )
    try:
        while not _ready(port):
            if process.poll() is not None or time.perf_counter() - begun > _PATIENCE_S:
                raise StateError("the server did not become ready")
            time.sleep(0.02)
        return time.perf_counter() - begun
    finally:
        time.sleep(1.0)  # it takes signals once it has said that it is ready
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE_S)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def fill(folder: Path, decisions: int) -> float:
    """Make so many decisions in `data` of a folder; return the size of the ledger in MiB."""
    customers = Customers("cold")
    with stand(folder) as server:
        for made in range(0, decisions, _BATCH):
            send_batch(server.port, customers.batch(SMALL, min(_BATCH, decisions - made)))
        server.settle()
        ledger = server.settings.ledger
    return ledger.stat().st_size / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="From nextbest serve to ready.")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    options = parser.parse_args()
    heading(f"Start, {options.turns} turns, and with {options.decisions:,} decisions")
    fresh: list[float] = []
    full: list[float] = []
    with private_folder() as folder:
        begun = time.perf_counter()
        size = fill(folder, options.decisions)
        CONSOLE.print(
            f"{options.decisions:,} decisions made in {time.perf_counter() - begun:,.0f} s with"
            f" start and stop: {size:,.0f} MiB"
        )
        for number in range(options.turns):
            fresh.append(start_s(folder / "workspace", folder / f"empty-{number}"))
            full.append(start_s(folder / "workspace", folder / "data"))
    show(
        ("ledger", "seconds until ready"),
        [
            ("empty", spread(fresh, ".1f")),
            (f"{options.decisions:,} decisions", spread(full, ".1f")),
        ],
    )
    bar("cold start, in s", fresh, _BAR_S, least=False)
    ratios = [b / a for a, b in zip(fresh, full, strict=True)]
    bar("restart with decisions to empty", ratios, _SLOWER, least=False)


if __name__ == "__main__":
    main()
