"""What one decision costs in one process, stage by stage, in microseconds of processor time.

Run it by `python -m serving.benchmarks.stages`. A real ledger in a temporary folder, the agent of
`serving.benchmarks.single`, eight decisions to a commit as with eight connections. Fresh customers
were never seen before; known ones have contacts and outcomes behind them. The last rows ask the
whole application without a socket, and an empty FastAPI application beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson
from fastapi import FastAPI

from agents.context import Context
from agents.groups import Group
from policies.decide import choose, hold_out
from serving.api.answers import decision_answer
from serving.api.strict import fingerprint, parse_json
from serving.api.wire import DecisionBody
from serving.app import make_app
from serving.benchmarks.questions import features
from serving.benchmarks.tables import heading, show
from serving.benchmarks.workspace import write_workspace
from serving.deciding.decider import Decided
from serving.deciding.recall import keep, recall
from serving.hearing.reported import OutcomeRequest
from serving.ids import new_id
from serving.ledger import Ledger
from serving.runtime import Runtime
from serving.settings import Settings

TOGETHER = 8
AT = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
_RNG = np.random.default_rng(20261123)
WHOLE, EMPTY = "the whole application", "an empty FastAPI application"

T = TypeVar("T")


@dataclass(slots=True)
class Meter:
    """The processor time of each stage, in microseconds, once for each time it ran."""

    costs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, stage: str, call: Callable[[], T], share: int = 1) -> T:
        """Run a stage; what it costs is shared by so many decisions."""
        start = time.process_time_ns()
        result = call()
        self.costs[stage].append((time.process_time_ns() - start) / 1_000 / share)
        return result


def body_of(customer: str, at: datetime) -> bytes:
    """Write the request of one decision."""
    asked = {"agent": "retention", "customer": customer, "features": features(_RNG)}
    return orjson.dumps(asked | {"at": at.isoformat()})


def decide_in_stages(
    meter: Meter, runtime: Runtime, ledger: Ledger, raw: bytes
) -> Callable[[], bytes]:
    """Do what the server does for one decision; return what writes its answer."""
    parsed = meter.time("parse", lambda: parse_json(raw))
    body = meter.time("validate", lambda: DecisionBody.model_validate(parsed))
    mark = meter.time(
        "fingerprint",
        lambda: fingerprint(
            body.agent, body.agents, body.customer, body.features, body.placement, body.at
        ),
    )
    active = meter.time("active revision", lambda: runtime.agents.current(ledger, body.asked[0]))
    revision, at = active.revision, body.at or AT
    bare = meter.time("context", lambda: revision.context(body.customer, at, body.features))
    whole = meter.time(
        "ledger read (with context)",
        lambda: recall(ledger, revision, body.customer, at, body.features),
    )
    assert bare.features == whole.features
    return _choose(meter, runtime, ledger, whole, mark)


def _choose(
    meter: Meter, runtime: Runtime, ledger: Ledger, context: Context, mark: bytes
) -> Callable[[], bytes]:
    active = runtime.agents.current(ledger, "retention")
    revision, policy = active.revision, active.policy
    mask = meter.time("mask", lambda: revision.mask(context))
    group = meter.time("group", lambda: revision.group(context))
    mask = hold_out(mask) if group is Group.CONTROL else mask
    if group is Group.TREATMENT:
        meter.time("policy", lambda: policy.distribution(context, mask))
    stage = "policy, floor and draw" if group is Group.TREATMENT else "floor and draw"
    decision = meter.time(
        stage,
        lambda: choose(
            revision, policy, context, mask, group,
            decision_id=new_id(), secret=b"secret", snapshot="",
        ),
    )  # fmt: skip
    action = revision.actions[decision.action]
    content = None
    if not action.is_none:
        content = meter.time("content", lambda: revision.content(action, context))
    meter.time("record", lambda: orjson.dumps(decision.to_record()))
    meter.time("ledger write (with record)", lambda: keep(ledger, decision, revision, request=mark))
    decided = Decided(decision, revision, content, False, None)
    return lambda: meter.time("answer", lambda: orjson.dumps(decision_answer(decided)))


def together(meter: Meter, runtime: Runtime, raws: list[bytes], ledger: Ledger) -> None:
    """Make several decisions durable at once, each in a savepoint, as the writer does."""
    meter.time("begin and commit", ledger.begin, len(raws))
    answers = []
    for raw in raws:
        with ledger.savepoint():
            answers.append(decide_in_stages(meter, runtime, ledger, raw))
    meter.time("begin and commit ", ledger.commit, len(raws))
    for answer in answers:
        answer()


async def ask_whole(
    meter: Meter,
    app: Any,
    path: str,
    stage: str,
    raws: list[bytes],
    expected: int = 200,
    keys: Sequence[str] = (),
) -> list[bytes]:
    """Ask an ASGI application several things at once, without a socket; return its answers.

    Args:
        meter: keeps what one cost.
        app: the application.
        path: the route.
        stage: what the cost is kept under.
        raws: the bodies.
        expected: the status of every answer.
        keys: idempotency keys, one for each body; none at all if empty.
    """
    start = time.process_time_ns()
    asked = zip(raws, keys or [""] * len(raws), strict=True)
    answers = await asyncio.gather(*(_ask(app, path, raw, expected, key) for raw, key in asked))
    meter.costs[stage].append((time.process_time_ns() - start) / 1_000 / len(raws))
    return answers


async def _ask(app: Any, path: str, raw: bytes, expected: int, key: str) -> bytes:
    headers = [
        (b"host", b"127.0.0.1"), (b"content-type", b"application/json"),
        (b"content-length", str(len(raw)).encode()),
        *([(b"idempotency-key", key.encode())] if key else []),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http", "root_path": "",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    said: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", expected) != expected:
            raise RuntimeError(f"expected status {expected}, got {message['status']}")
        said.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(said)


def make_empty() -> FastAPI:
    """Build an application that reads JSON and does nothing, as `serving.cluster.empty` does."""
    app = FastAPI()

    @app.post("/")
    async def empty() -> dict[str, str]:
        return {"status": "ok"}

    return app


def teach(runtime: Runtime, ledger: Ledger, customers: list[str]) -> None:
    """Give each customer contacts, and outcomes after them, in the weeks before."""
    for days in (12, 8, 4):
        at = AT - timedelta(days=days)
        for customer in customers:
            active = runtime.agents.current(ledger, "retention")
            context = recall(ledger, active.revision, customer, at, features(_RNG))
            decision = choose(
                active.revision, active.policy, context, active.revision.mask(context),
                Group.RANDOM, decision_id=new_id(), secret=b"secret", snapshot="",
            )  # fmt: skip
            keep(ledger, decision, active.revision)
            event = OutcomeRequest(
                new_id(), "complained", b"", decision_id=decision.decision_id,
                at=at + timedelta(days=1),
            )  # fmt: skip
            runtime.recorder.record(ledger, event)


async def measure(folder: Path, decisions: int) -> dict[str, Meter]:
    """Measure fresh customers and known ones, in turn."""
    write_workspace(folder / "workspace")
    settings = Settings(folder / "workspace", folder / "data", clock="driven")
    app, empty = make_app(settings), make_empty()
    meters = {"fresh": Meter(), "known": Meter()}
    async with app.router.lifespan_context(app):
        runtime: Runtime = app.state.runtime
        known = [f"known-{number}" for number in range(decisions)]
        await runtime.writer.submit(lambda ledger: teach(runtime, ledger, known))
        for first in range(0, decisions, TOGETHER):
            for name, meter in meters.items():
                raws = [body_of(f"{name}-{first + k}", AT) for k in range(TOGETHER)]
                later = AT + timedelta(seconds=1)
                again = [body_of(f"{name}-{first + k}-b", later) for k in range(TOGETHER)]
                if name == "known":
                    again = [body_of(f"known-{first + k}", later) for k in range(TOGETHER)]
                await runtime.writer.apart(partial(together, meter, runtime, raws))
                await ask_whole(meter, app, "/v1/decisions", WHOLE, again)
                await ask_whole(meter, empty, "/", EMPTY, raws)
    return meters


def main() -> None:
    """Measure and print."""
    decisions = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    heading(f"One decision in one process, by stage, {decisions:,} decisions")
    with tempfile.TemporaryDirectory() as folder:
        print_stages(asyncio.run(measure(Path(folder), decisions)))


def print_stages(meters: dict[str, Meter]) -> None:
    """Print what each stage costs, by what was measured."""
    stages = dict.fromkeys(stage for meter in meters.values() for stage in meter.costs)
    columns = [f"{name}, {what}" for name in meters for what in ("median us", "mean us")]
    rows = [(stage, *_costs(stage, list(meters.values()))) for stage in stages]
    show(("stage", *columns), rows)


def _costs(stage: str, meters: list[Meter]) -> Iterator[str]:
    """Return the median and the mean of a stage's cost for each meter; empty where it never ran."""
    for meter in meters:
        costs = meter.costs[stage]
        for middle in (statistics.median, statistics.fmean):
            yield f"{middle(costs):.1f}" if costs else ""


if __name__ == "__main__":
    main()
