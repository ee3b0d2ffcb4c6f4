"""What the gate needs while a server runs: the first key, and what the ledgers know of the keys."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

from serving.ledger import Ledger
from serving.runtime import Runtime
from serving.security.bootstrap import take_up_admin
from serving.security.gate import Door

logger = logging.getLogger("nextbest")

REFRESH_S = 0.5
"""Seconds between two looks at the keys, so what another replica revokes ends within a second."""


@contextlib.asynccontextmanager
async def guarded(door: Door, runtimes: Mapping[str, Runtime]) -> AsyncIterator[None]:
    """Note the start in each audit log, and keep the gate's keys as the ledgers have them.

    Args:
        door: of this replica.
        runtimes: by name of their workspace.

    Raises:
        StateError: a ledger or an admin key cannot be read or written.
    """
    for runtime in runtimes.values():
        await runtime.writer.submit(partial(_begin, runtime=runtime, door=door))
    if not door.asks:
        yield
        return
    for name, runtime in runtimes.items():
        await refresh(door, name, runtime)
    tasks = [asyncio.create_task(_watch(door, *each)) for each in runtimes.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refresh(door: Door, workspace: str, runtime: Runtime) -> None:
    """Take up a workspace's keys as its ledger has them now."""
    keys = await asyncio.shield(runtime.writer.submit(lambda ledger: ledger.api_keys()))
    door.keyring.replace(workspace, keys)


async def _watch(door: Door, workspace: str, runtime: Runtime) -> None:
    """Refresh twice a second; nothing that goes wrong ends the watch."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            await refresh(door, workspace, runtime)
        except Exception as error:  # noqa: BLE001 - the next look comes in half a second
            logger.error("the API keys of %s cannot be read: %s", workspace, error)


def _begin(ledger: Ledger, runtime: Runtime, door: Door) -> None:
    now, settings = datetime.now(UTC), runtime.settings
    if door.asks:
        take_up_admin(ledger, settings.keys, now)
    told: dict[str, Any] = {
        "version": version("nextbest"),
        "auth": settings.auth,
        "host": settings.host,
        "port": settings.port,
        "clock": settings.clock,
        "engine": settings.engine,
        "ledger": "postgresql" if settings.ledger_url else "sqlite",
        "replicas": settings.replicas,
        "max_replicas": settings.max_replicas,
    }
    ledger.add_audit(now, "server", "server.start", told)
