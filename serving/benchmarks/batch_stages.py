"""What a decision costs in a batch, beside one alone, in one process.

Run it by `python -m serving.benchmarks.batch_stages`. A real ledger in a temporary folder, the
agent of `serving.benchmarks.single`. Both sides ask the same application without a socket between:
single requests, eight at a time, then a batch of as many customers; in turn, so that what else the
machine does meets both. Every line has a key. Fresh customers were never seen before; known ones
have a contact behind them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from serving.api import batch as api
from serving.api import batch_lines
from serving.app import make_app
from serving.benchmarks.questions import features
from serving.benchmarks.stages import AT
from serving.benchmarks.workspace import write_workspace
from serving.deciding import batch, columnwise
from serving.ledger.bulk import Bulk
from serving.settings import Settings

TOGETHER = 8
TURNS = 5
STAGES: dict[str, tuple[Any, str]] = {
    "check and fingerprint": (api, "_read_lines"),
    "known keys": (batch.BatchDecider, "_made_before"),
    "check features": (batch, "_checked"),
    "read the ledger": (columnwise, "_recall"),
    "mask, policy, draw": (columnwise, "draw_batch"),
    "record and content": (columnwise._Writing, "add"),
    "write the ledger": (Bulk, "add_decisions"),
    "answer": (batch_lines, "_line"),
    "count": (batch_lines, "_tell"),
}


@dataclass(slots=True)
class Stages:
    """Processor time of parts of a batch, in seconds, by name."""

    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Time every stage inside."""
        originals = {name: getattr(*where) for name, where in STAGES.items()}
        try:
            for name, (owner, word) in STAGES.items():
                setattr(owner, word, self._wrap(name, originals[name]))
            yield
        finally:
            for name, (owner, word) in STAGES.items():
                setattr(owner, word, originals[name])

    def _wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, timed."""

        def measured(*args: Any, **named: Any) -> Any:
            start = time.process_time()
            try:
                return call(*args, **named)
            finally:
                self.spent[name] += time.process_time() - start

        return measured


async def ask(app: Any, path: str, body: bytes, key: str = "") -> bytes:
    """Ask an application without a socket between; return its whole answer."""
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    headers.append((b"content-length", str(len(body)).encode()))
    if key:
        headers.append((b"idempotency-key", key.encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http", "root_path": "",
    }  # fmt: skip
    answer: list[bytes] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()  # nobody hangs up
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 200) != 200:
            raise RuntimeError(f"expected status 200, got {message['status']}")
        answer.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(answer)


def customers_of(names: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Make up customers who differ."""
    return [{"customer": name, "features": features(rng)} for name in names]


async def one_by_one(app: Any, customers: list[dict[str, Any]], at: str) -> None:
    """Ask for each customer alone, so many at a time."""
    bodies = [orjson.dumps({"agent": "retention", "at": at, **each}) for each in customers]
    waiting = iter(bodies)

    async def connection() -> None:
        for body in waiting:
            await ask(app, "/v1/decisions", body, uuid4().hex)

    await asyncio.gather(*(connection() for _ in range(TOGETHER)))


async def together(app: Any, customers: list[dict[str, Any]], at: str) -> None:
    """Ask for all customers in one request."""
    lines = [each | {"key": uuid4().hex} for each in customers]
    body = orjson.dumps({"agent": "retention", "at": at, "decisions": lines})
    answer = await ask(app, "/v1/decisions/batch", body)
    got = answer.count(b'"decision_id"')
    if got != len(customers):
        raise RuntimeError(f"expected {len(customers)} decisions, got {got}: {answer[:200]!r}")


async def measure(folder: Path, count: int) -> tuple[dict[str, list[float]], Stages]:
    """Return the processor time of a decision in microseconds by side and turn, and its stages."""
    write_workspace(folder / "workspace")
    app = make_app(Settings(folder / "workspace", folder / "data", clock="driven"))
    costs: dict[str, list[float]] = defaultdict(list)
    stages, rng = Stages(), np.random.default_rng(5)
    async with app.router.lifespan_context(app):
        for turn in range(TURNS + 1):  # the first warms up
            for side, work in (("one by one", one_by_one), ("batch", together)):
                names = [f"{side}-{turn}-{number}" for number in range(count)]
                for kind, at in (("fresh", AT), ("known", AT + timedelta(hours=1))):
                    customers = customers_of(names, rng)
                    spent = await timed(work(app, customers, at.isoformat()))
                    if turn:
                        costs[f"{side}, {kind}"].append(1e6 * spent / count)
        with stages.timing():
            for at in (AT, AT + timedelta(hours=1)):
                customers = customers_of([f"parts-{number}" for number in range(count)], rng)
                stages.spent["all of it"] += await timed(together(app, customers, at.isoformat()))
    return costs, stages


async def timed(work: Awaitable[None]) -> float:
    """Wait for some work; return the processor time of this process meanwhile, in seconds."""
    start = time.process_time()
    await work
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    with tempfile.TemporaryDirectory() as folder:
        costs, stages = asyncio.run(measure(Path(folder), count))
    console = Console()
    shown = Table("side", "us", "range", title="processor time of a decision, medians of turns")
    for side, found in costs.items():
        span = f"{min(found):,.1f} to {max(found):,.1f}"
        shown.add_row(side, f"{statistics.median(found):,.1f}", span)
    console.print(shown)
    parts = Table("stage of a batch", "us", title="the same in parts, fresh and known")
    for stage, spent in stages.spent.items():
        parts.add_row(stage, f"{1e6 * spent / (2 * count):,.1f}")
    console.print(parts)
    for kind in ("fresh", "known"):
        pairs = zip(costs[f"one by one, {kind}"], costs[f"batch, {kind}"], strict=True)
        ratios = [alone / many for alone, many in pairs]
        console.print(f"{kind}: {statistics.median(ratios):.1f} times as many in a batch")


if __name__ == "__main__":
    main()
