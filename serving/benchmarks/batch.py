"""Ten thousand customers in one request, beside one customer a request.

Run it by `python -m serving.benchmarks.batch`. Turn about on the same server, the same kind of
customers, each with a key, half of them known. A batch is timed from sending until its last line.
"""

from __future__ import annotations

import argparse
import statistics
from http.client import HTTPConnection
from time import perf_counter

from serving.benchmarks import processes
from serving.benchmarks.load import closed, run
from serving.benchmarks.questions import Customers
from serving.benchmarks.single import CONNECTIONS
from serving.benchmarks.stand import Stand, private_folder, stand
from serving.benchmarks.tables import bar, heading, show
from serving.benchmarks.workspace import SMALL

_LEAST, _MOST = 10.0, 10_000
_FASTEST = 4_000

Cost = tuple[float, float]
"""Decisions per second, and the replica's processor time of one in microseconds."""


def send_batch(port: int, body: bytes) -> list[bytes]:
    """Send one batch; return the lines of its answer.

    Raises:
        RuntimeError: it is not answered 200, or a line of it is a problem.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(
            "POST", "/v1/decisions/batch", body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        lines = answer.read().splitlines()
    finally:
        connection.close()
    wrong = next((line for line in lines if b'"decision_id"' not in line), None)
    if answer.status != 200 or wrong is not None:
        raise RuntimeError(f"expected decisions, got {answer.status}: {wrong!r}")
    return lines


def batch_turn(server: Stand, customers: Customers, size: int) -> Cost:
    """Decide for so many customers at once."""
    body = customers.batch(SMALL, size)
    server.settle()
    replica = server.replica("nextbest")
    spent, begun = processes.cpu_s(replica), perf_counter()
    lines = send_batch(server.port, body)
    seconds, spent = perf_counter() - begun, processes.cpu_s(replica) - spent
    assert len(lines) == size
    return size / seconds, 1e6 * spent / size


def single_turn(server: Stand, customers: Customers, seconds: float) -> Cost:
    """Decide one by one, as `serving.benchmarks.single` does."""
    requests = customers.singles(SMALL, int(_FASTEST * seconds))
    server.settle()
    replica = server.replica("nextbest")
    spent = processes.cpu_s(replica)
    turn = run(closed(server.port, requests, CONNECTIONS, seconds))
    spent = processes.cpu_s(replica) - spent
    return turn.rate, 1e6 * spent / len(turn.latencies_ms)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A batch beside single calls.")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--customers", type=int, default=_MOST)
    options = parser.parse_args()
    heading(
        f"A batch of {options.customers:,} beside {CONNECTIONS} connections of single calls,"
        f" {options.turns} turns"
    )
    alone: list[Cost] = []
    many: list[Cost] = []
    with private_folder() as folder, stand(folder) as server:
        customers = Customers("batch")
        for number in range(options.turns + 1):
            one = single_turn(server, customers, options.seconds)
            all_of_them = batch_turn(server, customers, options.customers)
            if number:  # the first turn warms up
                alone.append(one)
                many.append(all_of_them)
    show(
        ("side", "decisions/s", "replica us"),
        [
            (
                side,
                f"{statistics.median(rate for rate, _ in costs):,.0f}",
                f"{statistics.median(spent for _, spent in costs):.0f}",
            )
            for side, costs in (("one by one", alone), ("batch", many))
        ],
    )
    ratios = [b[0] / a[0] for a, b in zip(alone, many, strict=True)]
    bar("decisions per second, batch to single", ratios, _LEAST, least=True)


if __name__ == "__main__":
    main()
