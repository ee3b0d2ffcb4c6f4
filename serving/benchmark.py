"""What a decision costs over HTTP, beside the cheapest answer of the same Ray Serve.

Run by `make bench`. Both sides run in turn on the same machine, behind the same HAProxy, with the
same client: an empty FastAPI deployment, and POST /v1/decisions with a durable commit each.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agents.catalog import write_example
from serving.environment import set_ray_environment
from serving.settings import Settings

_CONNECTIONS = 8
_REQUESTS = 300  # on each connection and in each turn
_TURNS = 5

Request = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of one side: requests per second and the latency of each request in ms."""

    rate: float
    latencies_ms: list[float]

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in ms."""
        return statistics.quantiles(self.latencies_ms, n=100)[round(share * 100) - 1]


def _post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def empty_request(_number: int) -> bytes:
    """Ask the empty deployment."""
    return _post("/empty/", b"{}")


def decision_request(number: int) -> bytes:
    """Ask for a decision about a customer who was never asked for before."""
    body = {
        "agent": "retention",
        "customer": f"bench-{number}-{time.monotonic_ns()}",
        "features": {
            "tenure_months": number % 100, "plan": "plus", "monthly_bill": 42.5,
            "bill_change": 0.3, "data_used_share": 0.95, "roaming_days": 2,
            "contract_months_left": 3, "app_user": True, "open_complaint": False,
            "consent_email": True, "consent_sms": True, "consent_push": True,
            "time_zone": "Europe/Berlin",
        },
        "at": "2026-03-02T09:00:00+00:00",
    }  # fmt: skip
    return _post("/v1/decisions", json.dumps(body).encode())


async def _connection(port: int, request: Request, first: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies = []
    for number in range(first, first + _REQUESTS):
        start = time.perf_counter()
        writer.write(request(number))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"expected 200, got {head.splitlines()[0]!r}")
        length = head.split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        latencies.append(1_000 * (time.perf_counter() - start))
        if b"connection: close" in head:  # HAProxy hands over to a new process
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return latencies


async def turn(port: int, request: Request) -> Turn:
    """Send `_CONNECTIONS` x `_REQUESTS` requests and time them."""
    start = time.perf_counter()
    work = (_connection(port, request, i * _REQUESTS) for i in range(_CONNECTIONS))
    latencies = [value for part in await asyncio.gather(*work) for value in part]
    return Turn(len(latencies) / (time.perf_counter() - start), latencies)


def run(folder: Path) -> None:
    """Run both sides in turn and print the medians and the ratio."""
    set_ray_environment(folder)
    from ray import serve

    from serving.cluster.empty import build_empty
    from serving.cluster.local import cluster

    write_example("telecom", folder / "workspace")
    settings = Settings(folder / "workspace", folder / "data", port=8431, clock="driven")
    with cluster(settings, folder):
        serve.run(build_empty(), name="empty", route_prefix="/empty")
        sides = {"empty FastAPI": empty_request, "POST /v1/decisions": decision_request}
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        for request in sides.values():  # warm up
            asyncio.run(turn(settings.port, request))
        for _ in range(_TURNS):
            for name, request in sides.items():
                turns[name].append(asyncio.run(turn(settings.port, request)))
    _print(turns)


def _print(turns: dict[str, list[Turn]]) -> None:
    out = sys.stdout.write
    out(f"HTTP on Ray Serve, {_CONNECTIONS} connections, median of {_TURNS} turns\n")
    for name, found in turns.items():
        rate = statistics.median(t.rate for t in found)
        p50 = statistics.median(t.percentile(0.50) for t in found)
        p99 = statistics.median(t.percentile(0.99) for t in found)
        out(f"  {name:<20} {rate:8,.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms\n")
    empty, decisions = turns.values()
    ratios = [d.rate / e.rate for e, d in zip(empty, decisions, strict=True)]
    out(f"  ratio of rates, pair by pair: median {statistics.median(ratios):.2f}")
    out(f" ({min(ratios):.2f} to {max(ratios):.2f})\n")


if __name__ == "__main__":
    private = Path(tempfile.mkdtemp(prefix="nextbest-"))
    try:
        run(private)
    finally:
        shutil.rmtree(private, ignore_errors=True)
