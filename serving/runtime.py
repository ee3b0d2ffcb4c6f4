"""One replica's working parts: the ledger's writer, the decider, the watch for new snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI

from agents.errors import SnapshotError
from agents.load import LoadedWorkspace, load_workspace
from serving.clock import make_clock
from serving.decider import Decider
from serving.ledger import Ledger, SqliteLedger
from serving.settings import Settings, load_keys, prepare_data
from serving.snapshots import SnapshotFolder
from serving.writer import Writer

logger = logging.getLogger("nextbest")


@dataclass(slots=True)
class Runtime:
    """What the HTTP handlers work with."""

    settings: Settings
    writer: Writer
    decider: Decider


def runtime_of(app: FastAPI) -> Runtime:
    """Return the running parts of an application."""
    return cast("Runtime", app.state.runtime)


@contextlib.asynccontextmanager
async def run(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything a replica needs, and close it in order at the end.

    Raises:
        DocumentError: the workspace is wrong.
        StateError: the data folder or the ledger cannot be used.
    """
    loaded = load_workspace(settings.workspace)
    prepare_data(settings.data)
    keys = load_keys(settings.data)
    snapshots = SnapshotFolder(settings.snapshots, keys.snapshot)
    decider = Decider(loaded.workspace, keys, make_clock(settings.clock), snapshots)
    writer = Writer(await asyncio.to_thread(SqliteLedger.open, settings.ledger))
    runtime = Runtime(settings, writer, decider)
    try:
        await writer.submit(lambda ledger: _take_up(ledger, decider, loaded))
        watch = asyncio.create_task(_watch_snapshots(runtime))
        try:
            yield runtime
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    finally:
        await writer.close()


def _take_up(ledger: Ledger, decider: Decider, loaded: LoadedWorkspace) -> None:
    """Take up what is active, and activate each agent whose file has changed since last time.

    An agent that was changed over HTTP stays as it is until its file changes.
    """
    decider.restore(ledger)
    for name, revision in loaded.revisions.items():
        note = f"file:{name}"
        if ledger.note(note) != revision.id:
            decider.submit(ledger, name, loaded.texts[name])
            ledger.note(note, revision.id)


async def _watch_snapshots(runtime: Runtime) -> None:
    """Swap in each newer snapshot as it appears; a bad one is reported and passed over."""
    decider, refused = runtime.decider, set[str]()
    while True:
        await asyncio.sleep(runtime.settings.poll_s)
        for name, active in list(decider.active.items()):
            latest = decider.snapshots.latest(name)
            if latest is None or latest <= active.snapshot or latest in refused:
                continue
            try:
                policy = await asyncio.to_thread(
                    decider.snapshots.load, name, latest, active.revision
                )
            except SnapshotError as error:
                logger.error("%s", error)
                refused.add(latest)
                continue
            if policy.name == active.policy.name:
                decider.swap(name, active.revision, policy, latest)
