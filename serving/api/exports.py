"""Exports: the log as Parquet, brought up to date on demand."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from serving.api.problems import problems
from serving.keeping.shipped import read_manifest
from serving.runtime import Runtime, runtime_of

router = APIRouter(prefix="/v1/exports", tags=["exports"])


class ExportAnswer(BaseModel):
    """How far the log is out as Parquet files."""

    state: Literal["running", "idle"]
    error: str = Field(description="why the last run failed; empty if it did not")
    through: int = Field(description="last position of the ledger that is taken into account")
    settled: int = Field(description="position up to which no outcome window was open")
    decisions: int
    files: dict[str, str] = Field(description="SHA-256 by name")


@router.post("", status_code=202, responses=problems(422, 503))
async def start_export(request: Request) -> ExportAnswer:
    """Begin to write what is new to the server's folder of exports, unless a run is under way.

    The files are read by `nextbest evaluate`; the folder is the one of `--export-to`.
    """
    runtime = runtime_of(request)
    runtime.shipper.start()
    return await _answer(runtime)


@router.get("", responses=problems(422, 503))
async def get_export(request: Request) -> ExportAnswer:
    """Say how far the log is out."""
    return await _answer(runtime_of(request))


async def _answer(runtime: Runtime) -> ExportAnswer:
    manifest = await asyncio.to_thread(read_manifest, runtime.settings.exports)
    return ExportAnswer(
        state=runtime.shipper.state,
        error=runtime.shipper.error,
        through=manifest.through,
        settled=manifest.settled,
        decisions=manifest.decisions,
        files={name: digest for block in manifest.blocks for name, digest in block.files.items()},
    )
