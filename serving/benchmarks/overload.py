"""Three times as many decisions asked for as can be made.

Run it by `python -m serving.benchmarks.overload`. Capacity is what comes back when every place at
the replica is taken and nobody waits at the front: its rate and p99, measured before and after.
Then requests are sent at three times that rate, whatever comes back. Nothing is asked twice, so
every decision that was answered must be in the ledger, and nothing else.
"""

from __future__ import annotations

import argparse

import orjson

from serving.benchmarks import processes
from serving.benchmarks.load import Turn, closed, paced, run
from serving.benchmarks.questions import Customers
from serving.benchmarks.stand import Stand, private_folder, stand
from serving.benchmarks.tables import CONSOLE, bar, heading, show
from serving.benchmarks.workspace import SMALL

_TIMES, _BAR = 3.0, 2.0
_FASTEST = 4_000
_CONNECTIONS = 256


def _capacity(server: Stand, customers: Customers, places: int, seconds: float) -> Turn:
    requests = customers.singles(SMALL, int(_FASTEST * seconds))
    server.settle()
    return run(closed(server.port, requests, places, seconds))


def _decided_after(server: Stand, position: int) -> set[str]:
    found: set[str] = set()
    while entries := server.reader.entries(position, 5_000):
        found |= {each.body["decision_id"] for each in entries if each.kind == "decision"}
        position = entries[-1].position
    return found


def _row(name: str, turn: Turn) -> tuple[str, ...]:
    return (
        name,
        f"{turn.sent / turn.seconds:,.0f}",
        f"{turn.rate:,.0f}",
        f"{turn.refused / turn.seconds:,.0f}",
        f"{turn.percentile(0.5):.1f}",
        f"{turn.percentile(0.99):.1f}",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Three times as much as can be done.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--calm-seconds", type=float, default=8.0)
    options = parser.parse_args()
    heading(f"Overload: {_TIMES:g} times capacity for {options.seconds:g} s")
    with private_folder() as folder, stand(folder) as server:
        customers, calm = Customers("overload"), options.calm_seconds
        most = server.settings.max_waiting
        places = most - max(1, most // 4)  # as HAProxy is told
        _capacity(server, customers, places, min(calm, 3.0))  # warms up
        before = _capacity(server, customers, places, calm)
        rate = _TIMES * before.rate
        requests = customers.singles(SMALL, int(rate * options.seconds) + _CONNECTIONS)
        server.settle()
        position, bodies = server.reader.last_position(), list[bytes]()
        memory = processes.rss_mib(server.replica("nextbest"))
        turn = run(
            paced(server.port, iter(requests), rate, options.seconds, _CONNECTIONS, bodies.append)
        )
        memory = processes.rss_mib(server.replica("nextbest")) - memory
        stored = _decided_after(server, position)
        after = _capacity(server, customers, places, calm)
    show(
        ("", "sent/s", "accepted/s", "503/s", "p50 ms", "p99 ms"),
        [_row("capacity", before), _row("overload", turn), _row("capacity again", after)],
    )
    calm_p99 = (before.percentile(0.99) + after.percentile(0.99)) / 2
    bar("p99 of the accepted to capacity's", [turn.percentile(0.99) / calm_p99], _BAR, least=False)
    answered = {orjson.loads(body)["decision_id"] for body in bodies}
    CONSOLE.print(
        f"{len(answered):,} accepted, of which {len(answered - stored)} are not in the ledger;"
        f" {len(stored - answered)} in the ledger without an answer;"
        f" {turn.refused:,} refused, each with Retry-After; the replica grew by {memory:.1f} MiB"
    )


if __name__ == "__main__":
    main()
