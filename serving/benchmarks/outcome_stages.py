"""What one outcome costs in one process, stage by stage, in microseconds of processor time.

Run it by `python -m serving.benchmarks.outcome_stages`. As `serving.benchmarks.stages`: a real
ledger in a temporary folder, eight outcomes to a commit, each of a decision of its own. The last
rows ask the whole application without a socket, and an empty FastAPI application beside it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from serving.api.answers import outcome_answer
from serving.api.outcomes import request_of
from serving.api.strict import parse_json
from serving.api.wire import OutcomeBody
from serving.app import make_app
from serving.benchmarks.stages import (
    AT,
    EMPTY,
    TOGETHER,
    WHOLE,
    Meter,
    ask_whole,
    body_of,
    make_empty,
    print_stages,
)
from serving.benchmarks.tables import heading
from serving.benchmarks.workspace import write_workspace
from serving.ids import new_id
from serving.ledger import Ledger
from serving.runtime import Runtime
from serving.settings import Settings

_WORDS = ("renewed", "upgraded", "complained", "unsubscribed")


def outcomes_of(decisions: list[bytes]) -> list[bytes]:
    """Write the request of one outcome of each decision, a day later."""
    at = (AT + timedelta(days=1)).isoformat()
    named = {"outcome_id": "", "decision_id": "", "outcome": "", "at": at}
    return [
        orjson.dumps(
            named
            | {
                "outcome_id": new_id(),
                "decision_id": orjson.loads(decision)["decision_id"],
                "outcome": _WORDS[number % len(_WORDS)],
            }
        )
        for number, decision in enumerate(decisions)
    ]


def record_in_stages(meter: Meter, runtime: Runtime, ledger: Ledger, raw: bytes) -> None:
    """Do what the server does for one outcome."""
    parsed = meter.time("parse", lambda: parse_json(raw))
    body = meter.time("validate", lambda: OutcomeBody.model_validate(parsed))
    request = meter.time("fingerprint", lambda: request_of(body))
    made = meter.time("decision read", lambda: ledger.find_made(request.decision_id))
    assert made is not None, "each outcome is of a decision"
    recorded = meter.time(
        "record (with decision read)", lambda: runtime.recorder.record(ledger, request)
    )
    meter.time("answer", lambda: orjson.dumps(outcome_answer(recorded)))


def together(meter: Meter, runtime: Runtime, raws: list[bytes], ledger: Ledger) -> None:
    """Make several outcomes durable at once, as the writer does."""
    meter.time("begin", ledger.begin, len(raws))
    for raw in raws:
        record_in_stages(meter, runtime, ledger, raw)
    meter.time("commit", ledger.commit, len(raws))


async def measure(folder: Path, outcomes: int) -> Meter:
    """Measure outcomes of decisions that are made for it."""
    write_workspace(folder / "workspace")
    app: Any = make_app(Settings(folder / "workspace", folder / "data", clock="driven"))
    empty, meter, unseen = make_empty(), Meter(), Meter()
    async with app.router.lifespan_context(app):
        runtime: Runtime = app.state.runtime
        for first in range(0, outcomes, TOGETHER):
            for side in ("staged", "whole"):
                asked = [body_of(f"{side}-{first + k}", AT) for k in range(TOGETHER)]
                decided = await ask_whole(unseen, app, "/v1/decisions", "decision", asked)
                raws = outcomes_of(decided)
                if side == "staged":
                    await runtime.writer.apart(partial(together, meter, runtime, raws))
                else:
                    await ask_whole(meter, app, "/v1/outcomes", WHOLE, raws)
            await ask_whole(meter, empty, "/", EMPTY, raws)
    return meter


def main() -> None:
    """Measure and print."""
    outcomes = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    heading(f"One outcome in one process, by stage, {outcomes:,} outcomes")
    with tempfile.TemporaryDirectory() as folder:
        print_stages({"outcome": asyncio.run(measure(Path(folder), outcomes))})


if __name__ == "__main__":
    main()
