"""One replica's working parts: the ledger's writer, the decider, the watch for new snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI

from agents.load import LoadedWorkspace, load_workspace
from policies.arbitrate import Arbiter
from policies.registry import check_policy
from serving.active import Active, ActiveAgents
from serving.clock import make_clock
from serving.decider import Decider
from serving.ledger import Ledger, SqliteLedger
from serving.recorder import Recorder
from serving.retention import Retention
from serving.settings import Settings, load_keys, prepare_data
from serving.snapshots import SnapshotFolder
from serving.writer import Writer

logger = logging.getLogger("nextbest")


@dataclass(slots=True)
class Runtime:
    """What the HTTP handlers work with."""

    settings: Settings
    writer: Writer
    agents: ActiveAgents
    decider: Decider
    recorder: Recorder


def runtime_of(app: FastAPI) -> Runtime:
    """Return the running parts of an application."""
    return cast("Runtime", app.state.runtime)


@contextlib.asynccontextmanager
async def run(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything a replica needs, and close it in order at the end.

    Raises:
        DocumentError: the workspace is wrong, or an agent of the ledger does not fit it any more.
        StateError: the data folder or the ledger cannot be used.
    """
    loaded = load_workspace(settings.workspace)
    prepare_data(settings.data)
    keys = load_keys(settings.data)
    agents = ActiveAgents(loaded, SnapshotFolder(settings.snapshots, keys.snapshot))
    ledger = await asyncio.to_thread(SqliteLedger.open, settings.ledger)
    writer = Writer(ledger)
    try:
        clock = make_clock(settings.clock, ledger.last_instant())
        agents.snapshots.set_aside(ledger.last_position())
        await writer.submit(lambda ledger: _take_up(ledger, agents, loaded))
        await asyncio.to_thread(agents.rehearse)
        decider = Decider(agents, Arbiter(loaded.workspace), keys, clock)
        runtime = Runtime(settings, writer, agents, decider, Recorder(agents, clock))
        pruning = Retention(agents, clock).keep_up(writer, settings.prune_every_s)
        tasks = [asyncio.create_task(work) for work in (_watch_snapshots(runtime), pruning)]
        try:
            yield runtime
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await writer.close()


def _take_up(ledger: Ledger, agents: ActiveAgents, loaded: LoadedWorkspace) -> None:
    """Take up what is active, and activate each agent whose files have changed since last time.

    An agent that was changed over HTTP stays as it is until its files change, but always under
    the guardrails of the workspace as it is now.
    """
    for name, text in loaded.texts.items():
        # the document as read, too: it holds the lists of customers that the text only names
        content = text + loaded.revisions[name].agent.model_dump_json()
        note, digest = f"file:{name}", hashlib.sha256(content.encode()).hexdigest()
        if ledger.note(note) != digest:
            _activate_file(ledger, agents, loaded, name)
            ledger.note(note, digest)
    agents.restore(ledger)
    for name, active in list(agents.by_name.items()):
        if active.revision.workspace.model_dump_json() != loaded.workspace.model_dump_json():
            yaml = ledger.find_yaml(active.revision.id)
            assert yaml is not None, "the ledger has each active revision's YAML"
            if yaml == loaded.texts.get(name):
                _activate_file(ledger, agents, loaded, name)
            else:
                agents.submit(ledger, name, yaml)


def _activate_file(
    ledger: Ledger, agents: ActiveAgents, loaded: LoadedWorkspace, name: str
) -> None:
    revision = loaded.revisions[name]
    policy = check_policy(revision, loaded.sources[name])
    agents.activate(ledger, revision, policy, loaded.texts[name])


async def _watch_snapshots(runtime: Runtime) -> None:
    """Swap in each newer snapshot as it appears; nothing that goes wrong ends the watch."""
    looked: dict[str, tuple[str, str]] = {}
    while True:
        await asyncio.sleep(runtime.settings.poll_s)
        for name, active in list(runtime.agents.by_name.items()):
            try:
                await _look(runtime.agents, name, active, looked)
            except Exception:
                logger.exception("the snapshots of %s could not be looked at", name)


async def _look(
    agents: ActiveAgents, name: str, active: Active, looked: dict[str, tuple[str, str]]
) -> None:
    """Look at an agent's snapshots once for each new one and each revision."""
    latest = await asyncio.to_thread(agents.snapshots.latest, name)
    seen = (active.revision.id, latest or "")
    if latest is None or latest <= active.snapshot or looked.get(name) == seen:
        return
    looked[name] = seen
    found = await asyncio.to_thread(agents.newer, active)
    if found is not None:
        agents.swap(active, *found)
