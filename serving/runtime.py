"""One replica's working parts: the ledger's writer, the decider, the watch for new snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request
from starlette.types import Scope

from agents.errors import StateError
from agents.load import load_workspace
from policies.arbitrate import Arbiter
from policies.registry import check_policy
from serving.clock import Clock, make_clock
from serving.deciding.active import Active, ActiveAgents
from serving.deciding.decider import Decider
from serving.hearing.intake import Intake
from serving.hearing.recorder import Recorder
from serving.keeping.erasure import Eraser
from serving.keeping.retention import Retention
from serving.keeping.shipping_process import Shipper
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import Ledger, open_ledger, open_reader
from serving.life.lifecycle import Lifecycle
from serving.life.registered import models_of, take_up_models
from serving.life.written import Written, same_workspace
from serving.reports.reader import Reports
from serving.security.principal import PLACE
from serving.settings import Keys, Settings, load_keys, prepare_data
from serving.watching.metrics import Meters
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
    intake: Intake
    lifecycle: Lifecycle
    eraser: Eraser
    reports: Reports
    shipper: Shipper
    meters: Meters = field(default_factory=Meters)
    batches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Of all batches, one chunk at a time waits for the ledger."""
    looked_at: float = float("-inf")
    """When it was last looked which agents other replicas may have begun with (monotonic, s)."""

    def scrub(self) -> asyncio.Future[bool]:
        """Overwrite what was removed from the ledger; the future says whether all of it was."""
        return self.writer.apart(lambda ledger: ledger.scrub())


def runtime_of(request: Request) -> Runtime:
    """Return the running parts of the workspace that a request's key belongs to."""
    return runtime_in(request.scope)


def runtime_in(scope: Scope) -> Runtime:
    """Return the same of a request of which there is only the ASGI scope."""
    state, workspace = scope["app"].state, scope[PLACE].workspace
    return cast("Runtime", state.runtimes[workspace] if workspace else state.runtime)


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
    snapshots = SnapshotFolder(settings.snapshots, keys.snapshot)
    agents = ActiveAgents(loaded, snapshots, models_of(settings, snapshots))
    ledger = await asyncio.to_thread(open_ledger, settings)
    ledger.audit_key, ledger.customer_key = keys.audit, keys.customer
    writer = Writer(ledger)
    try:
        clock = make_clock(settings.clock, ledger)
        lifecycle = Lifecycle(agents, clock)
        agents.snapshots.set_aside(ledger.last_position())
        await writer.submit(lambda ledger: _require_keys(ledger, keys))
        await take_up_models(agents, writer, lifecycle)
        await writer.submit(lambda ledger: _take_up(ledger, lifecycle))
        await asyncio.to_thread(agents.rehearse)
        decider = Decider(agents, Arbiter(loaded.workspace), keys, clock)
        intake = Intake.of(agents, clock, keys.customer)
        runtime = Runtime(
            settings, writer, agents, decider, intake.recorder, intake, lifecycle,
            Eraser(keys.customer, clock), Reports(lambda: open_reader(settings)),
            Shipper(settings),
        )  # fmt: skip
        writer.on_commit = runtime.meters.committed
        async with _chores(runtime, clock):
            yield runtime
    finally:
        await writer.close()


@contextlib.asynccontextmanager
async def _chores(runtime: Runtime, clock: Clock) -> AsyncIterator[None]:
    """Do beside the requests what time makes due, until the end."""
    settings, writer = runtime.settings, runtime.writer
    shipped_to = settings.exports if settings.export_every_s else None
    works = (
        _watch_snapshots(runtime),
        Retention(runtime.agents, clock, shipped_to).keep_up(writer, settings.prune_every_s),
        runtime.intake.sweep.keep_up(writer, settings.sweep_every_s),
        runtime.shipper.keep_up(settings.export_every_s),
    )
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runtime.reports.close()
        await runtime.shipper.close()


def _require_keys(ledger: Ledger, keys: Keys) -> None:
    """Refuse other keys than those that a shared ledger was begun with.

    Raises:
        StateError: with these, no decision of it could be replayed, and no suppression found.
    """
    if not ledger.remote:
        return
    digest = hashlib.sha256(keys.draw + keys.snapshot + keys.customer).hexdigest()
    known = ledger.note("keys") or ledger.note("keys", digest)
    if known != digest:
        raise StateError(
            "the keys in --data are not those that this ledger was begun with; all replicas need"
            " the same folder of keys, from a shared disk or a backup"
        )


def _take_up(ledger: Ledger, lifecycle: Lifecycle) -> None:
    """Take up what stands, and activate each agent whose files have changed since last time.

    An agent that was changed over HTTP stays as it is until its files change, but always under
    the guardrails of the workspace as it is now.
    """
    agents = lifecycle.agents
    loaded = agents.loaded
    for name, text in loaded.texts.items():
        revision, source = loaded.revisions[name], loaded.sources[name]
        # the document as read, too: it holds the lists of customers that the text only names
        content = text + revision.agent.model_dump_json()
        note, digest = f"file:{name}", hashlib.sha256(content.encode()).hexdigest()
        if ledger.note(note) != digest:
            check_policy(revision, source)
            lifecycle.submit(ledger, Written(revision, text, source))
            ledger.note(note, digest)
    agents.restore(ledger)
    for name, lineup in list(agents.by_name.items()):
        if not all(same_workspace(each, loaded.workspace) for each in lineup.revisions):
            lifecycle.renew(ledger, name)


async def _watch_snapshots(runtime: Runtime) -> None:
    """Swap in each newer snapshot as it appears; nothing that goes wrong ends the watch."""
    looked: dict[str, str] = {}
    while True:
        await asyncio.sleep(runtime.settings.poll_s)
        for name, active in list(runtime.agents.every()):
            try:
                await _look(runtime.agents, active, looked)
            except Exception:
                logger.exception("the snapshots of %s could not be looked at", name)


async def _look(agents: ActiveAgents, active: Active, looked: dict[str, str]) -> None:
    """Look at an agent's snapshots once for each new one and each revision."""
    latest = await asyncio.to_thread(agents.due, active)
    revision = active.revision.id
    if latest is None or looked.get(revision) == latest:
        return
    looked[revision] = latest
    found = await asyncio.to_thread(agents.newer, active)
    if found is not None:
        agents.swap(active, *found)
