"""Whether a replica can still do its work: asked every second or two by what would replace it."""

from __future__ import annotations

import asyncio
import os

from agents.errors import StateError
from serving.runtime import Runtime

_PATIENCE_S = 3.0
_LEAST_FREE_BYTES = 16 * 2**20  # a batch of commits with its index pages and WAL, many times over


async def check_vitality(runtime: Runtime) -> None:
    """Ask the ledger a question in its turn.

    Raises:
        StateError: the writer has stopped, the ledger does not answer, or the disk is full.
    """
    disk = os.statvfs(runtime.settings.data)
    free = disk.f_bavail * disk.f_frsize
    if free < _LEAST_FREE_BYTES:
        raise StateError(
            f"the disk of {runtime.settings.data} is full: expected"
            f" {_LEAST_FREE_BYTES >> 20} MB free, got {free >> 20}; make room"
        )
    answer = runtime.writer.submit(lambda ledger: ledger.last_position())
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.shield(answer)
    except TimeoutError as error:
        raise StateError(f"the ledger has not answered within {_PATIENCE_S:g} s") from error
