"""Decisions for up to ten thousand customers in one request, answered line by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import Field, TypeAdapter, ValidationError

from agents.declared import require_declared
from agents.errors import NextbestError
from serving.api.answers import DecisionAnswer
from serving.api.batch_lines import count_answers, written
from serving.api.decisions import request_of
from serving.api.problems import BODY, Problem, problems
from serving.api.strict import LargeRoute, parse_json
from serving.api.wire import Asking, Identifier, Line
from serving.deciding.batch import CHUNK, Answer, BatchDecider
from serving.deciding.decider import DecisionRequest
from serving.deciding.unswept import unswept
from serving.ledger import Ledger, LedgerReader
from serving.runtime import Runtime, runtime_of

_MOST = 10_000
_CHECKED = 500  # lines that are checked before others get a turn


class BatchLine(Line):
    """One customer of a batch."""

    key: Identifier | None = Field(None, description="idempotency key of this line")


class BatchBody(Asking):
    """POST /v1/decisions/batch."""

    decisions: Annotated[list[BatchLine], Field(min_length=1, max_length=_MOST)]


class _Envelope(Asking):
    """The same with its lines unread, since so many are read some at a time."""

    decisions: Annotated[list[Any], Field(min_length=1, max_length=_MOST)]


class LineAnswer(DecisionAnswer):
    """One line of the answer: the decision about one customer."""

    customer: str
    replayed: bool = Field(description="whether it was made before under the same key")


class LineProblem(Problem):
    """One line of the answer: why nothing was decided about one customer."""

    customer: str


router = APIRouter(prefix="/v1/decisions", tags=["decisions"], route_class=LargeRoute)

_LINES: TypeAdapter[list[BatchLine]] = TypeAdapter(list[BatchLine])


class _Lines(StreamingResponse):
    media_type = "application/x-ndjson"


def _described() -> dict[str, Any]:
    """Describe the body for the OpenAPI document, without references, and what each line is."""
    schema = BatchBody.model_json_schema()
    schema["properties"]["decisions"]["items"] = schema.pop("$defs")["BatchLine"]
    streamed = {"content": {"application/x-ndjson": {"schema": {"type": "object"}}}}
    return {
        "requestBody": {"content": {"application/json": {"schema": schema}}, "required": True},
        "responses": {"200": streamed},
    }


_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": LineAnswer | LineProblem,
        "description": "one line for each customer, in the order asked",
    }
}


@router.post(
    "/batch",
    response_class=_Lines,
    responses=_STREAMED | problems(*BODY, 404),
    openapi_extra=_described(),
)
async def make_decisions(request: Request) -> StreamingResponse:
    """Decide for many customers: one line of JSON each, as soon as it is durable.

    Each decision is the one that `POST /v1/decisions` would make. A line that does not fit is
    answered by a problem; the others are decided. If the connection is cut, what was committed
    stays: send the lines again with their keys.
    """
    runtime = runtime_of(request)
    envelope, requests = await _read(request)
    check = runtime.writer.submit(lambda ledger: _check(runtime, ledger, envelope))
    await asyncio.shield(check)
    return _Lines(answer_lines(runtime, requests))


async def _read(request: Request) -> tuple[Asking, list[DecisionRequest]]:
    """Read the body, some lines at a time.

    Raises:
        RequestValidationError: it is not what `BatchBody` describes.
    """
    body = await request.body()
    try:
        with unswept():
            envelope = _Envelope.model_validate(parse_json(body))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
    requests: list[DecisionRequest] = []
    for first in range(0, len(envelope.decisions), _CHECKED):
        await asyncio.sleep(0)
        with unswept():
            lines = _read_lines(envelope.decisions[first : first + _CHECKED], first)
            requests += (request_of(envelope, line, line.key) for line in lines)
    return envelope, requests


def _read_lines(raw: list[Any], first: int) -> list[BatchLine]:
    try:
        return _LINES.validate_python(raw)
    except ValidationError as error:
        faults = [
            {**fault, "loc": ("decisions", first + int(fault["loc"][0]), *fault["loc"][1:])}
            for fault in error.errors()
        ]
        raise RequestValidationError(faults) from None


def _check(runtime: Runtime, ledger: LedgerReader, asking: Asking) -> None:
    """Refuse what would be wrong with every line.

    Raises:
        UnknownNameError: there is no such agent.
        ContextError: a time is claimed that this server does not take, or an agent has its
            actions from each request.
    """
    for name in asking.asked:
        for revision in runtime.agents.lineup(ledger, name).revisions:
            require_declared(revision, "a batch")
    runtime.decider.clock.now(asking.at)


async def answer_lines(
    runtime: Runtime, requests: Sequence[DecisionRequest]
) -> AsyncIterator[bytes]:
    """Decide chunk by chunk; while one is answered, the next is decided."""
    decider = BatchDecider(runtime.decider)
    waiting: tuple[Sequence[DecisionRequest], asyncio.Future[list[Answer]]] | None = None
    for first in range(0, len(requests), CHUNK):
        chunk = requests[first : first + CHUNK]
        work = await _submit(runtime, decider, chunk)
        if waiting is not None:
            yield await _lines(runtime, *waiting)
        waiting = chunk, work
    if waiting is not None:
        yield await _lines(runtime, *waiting)


async def _submit(
    runtime: Runtime, decider: BatchDecider, chunk: Sequence[DecisionRequest]
) -> asyncio.Future[list[Answer]]:
    """Queue a chunk as soon as no other of any batch waits: single decisions come between."""
    await runtime.batches.acquire()
    turn = [runtime.batches]

    def pass_on() -> None:
        if turn:
            turn.pop().release()

    def work(ledger: Ledger) -> list[Answer]:
        pass_on()
        with unswept():
            return decider.decide(ledger, chunk)

    try:
        future = runtime.writer.submit(work)
    except BaseException:
        pass_on()
        raise
    future.add_done_callback(lambda _: pass_on())  # also if the writer has stopped before
    return future


async def _lines(
    runtime: Runtime, requests: Sequence[DecisionRequest], work: asyncio.Future[list[Answer]]
) -> bytes:
    """Wait until a chunk is durable, and write its lines."""
    answers: Sequence[Answer]
    try:
        answers = await asyncio.shield(work)
        count_answers(runtime.meters, answers)
    except NextbestError as error:
        answers = [error] * len(requests)
    with unswept():
        return b"".join(written(requests, answers))
