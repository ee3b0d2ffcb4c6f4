"""What the holder of a loop may ask: its settings, its learning policy, its log, its model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np

from agents.revision import Revision
from policies.snapshot import Manifest
from policies.state import unpack
from policies.vowpal.rank import VowpalRank
from serving.learning.learner import ANEW
from serving.ledger import Ledger, LedgerReader, open_reader
from serving.life.lifecycle import Lifecycle
from serving.life.standing import Activation
from serving.life.written import read_agent
from serving.loops.errors import NOT_FOUND, LoopError
from serving.loops.service import Service, rewrite
from serving.runtime import Runtime

_REASON = "configurations/service"
_BATCH = 100
_PAUSE_S = 0.02  # between two batches: decisions first


@dataclass(frozen=True, slots=True)
class Standing:
    """A loop as it stands.

    Args:
        revision: the active one.
        yaml: as it was submitted.
        since: when it became so (UTC).
    """

    revision: Revision
    yaml: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Model:
    """A loop's newest model.

    Args:
        data: as Vowpal Wabbit saves it.
        created: when the oldest model that is still kept was written (UTC).
        modified: when this one was.
    """

    data: bytes
    created: datetime
    modified: datetime


def service_of(runtime: Runtime, revision: Revision) -> Service:
    """Return the settings of a loop's revision on this server."""
    return Service.of(
        revision.agent,
        retention=revision.workspace.retention,
        every=timedelta(seconds=runtime.settings.snapshot_every_s),
    )


def standing_of(lifecycle: Lifecycle, ledger: LedgerReader, name: str) -> Standing:
    """Return a loop as the ledger has it in this transaction.

    Raises:
        UnknownNameError: there is no such agent.
    """
    revision = lifecycle.agents.current(ledger, name).revision
    since = ledger.stands_since(name) or lifecycle.now(ledger)
    return Standing(revision, ledger.find_yaml(revision.id) or "", since)


async def get_service(runtime: Runtime, name: str) -> dict[str, Any]:
    """Return the settings of a loop as the wire has them."""
    work = runtime.writer.submit(lambda ledger: standing_of(runtime.lifecycle, ledger, name))
    standing = await asyncio.shield(work)
    return service_of(runtime, standing.revision).to_wire(standing.since)


async def put_service(
    runtime: Runtime, name: str, body: Mapping[str, Any], actor: str
) -> dict[str, Any]:
    """Change the settings of a loop: submit and activate a revision that says so.

    What is asked for as it is already changes nothing. A canary and a shadow end, as with every
    activation.

    Args:
        runtime: of the workspace.
        name: of the loop.
        body: the settings, all of them.
        actor: who asks, as the audit log writes it.

    Raises:
        LoopError: a setting is out of range, or is not offered here.
        DocumentError: the document that says so cannot be accepted.
        ConflictError: somebody else has changed the loop meanwhile.
    """
    work = runtime.writer.submit(lambda ledger: standing_of(runtime.lifecycle, ledger, name))
    standing = await asyncio.shield(work)
    before = service_of(runtime, standing.revision)
    after = before.asked(body)
    if after == before:
        return before.to_wire(standing.since)
    yaml = await asyncio.to_thread(rewrite, standing.yaml, before, after)
    workspace = runtime.agents.workspace
    written = await asyncio.to_thread(read_agent, name, yaml, workspace)
    asked = Activation(written.revision.id, standing.revision.id, reason=_REASON)

    def change(ledger: Ledger) -> Standing:
        runtime.lifecycle.put(ledger, written, actor)
        runtime.lifecycle.activate(ledger, name, asked, actor)
        return standing_of(runtime.lifecycle, ledger, name)

    now = await asyncio.shield(runtime.writer.submit(change))
    return service_of(runtime, now.revision).to_wire(now.since)


def policy_of(revision: Revision) -> dict[str, str]:
    """Return the name and the arguments of what a loop learns with.

    Another learner than Vowpal Wabbit has none.
    """
    vowpal = revision.agent.policy.learner == VowpalRank.name
    arguments = VowpalRank.create(revision).arguments if vowpal else ""
    return {"name": revision.agent.agent, "arguments": arguments}


async def log_range(runtime: Runtime, name: str) -> tuple[datetime, datetime]:
    """Return when a loop has decided first and last, as far as the ledger knows.

    Raises:
        LoopError: it has decided nothing, or all of it is gone.
    """

    def read() -> tuple[datetime, datetime] | None:
        reader = open_reader(runtime.settings)
        try:
            return reader.decided_between(name)
        finally:
            reader.close()

    found = await asyncio.to_thread(read)
    if found is None:
        raise LoopError(
            f"loop {name!r} has no events in its log", "LogsPropertiesNotFound", status=404
        )
    return found


async def delete_log(runtime: Runtime, name: str, actor: str) -> int:
    """Remove all that a loop has decided until now, and what came of it; return how much it was.

    Its contacts go with it, so no cap counts them any more. What was used of budgets stays counted,
    what was learned stays learned. What the learner still waits for is forgotten: it teaches
    nothing, and a reward that comes later finds no event. Between two bits others have their turn.

    Args:
        runtime: of the workspace.
        name: of the loop.
        actor: who asks, as the audit log writes it.
    """
    through = await asyncio.shield(
        runtime.writer.submit(lambda ledger: _begin_deletion(runtime, ledger, name, actor))
    )
    after: int | None = 0
    removed = 0
    while after is not None:
        remove = partial(
            Ledger.remove_decisions, agent=name, after=after, through=through, limit=_BATCH
        )
        after, kinds = await asyncio.shield(runtime.writer.submit(remove))
        removed += kinds.total()
        await asyncio.sleep(_PAUSE_S if kinds else 0)
    told = {"agent": name, "through": through, "removed": removed}
    await asyncio.shield(
        runtime.writer.submit(
            lambda ledger: ledger.add_audit(
                runtime.lifecycle.now(ledger), actor, "loop.log_deleted", told
            )
        )
    )
    await asyncio.shield(runtime.scrub())
    return removed


def _begin_deletion(runtime: Runtime, ledger: Ledger, name: str, actor: str) -> int:
    """Note in log and audit log that a loop's log is being deleted; return up to where."""
    at = runtime.lifecycle.now(ledger)
    through = ledger.last_position()
    told = {"agent": name, "through": through, "at": at.isoformat()}
    position = ledger.append("erasure", told)
    ledger.add_audit(at, actor, "loop.log_delete", {**told, "position": position})
    return through


async def reset_model(runtime: Runtime, name: str, actor: str) -> None:
    """Let the learner of a loop begin anew, from here on in the log.

    The log says so, so every learner that reads it again forgets at the same place. What decides
    until the untaught model is published is the model that was. Decisions, their snapshots and
    their rewards stay; what still waits for its reward is learned when it is due.

    Args:
        runtime: of the workspace.
        name: of the loop.
        actor: who asks, as the audit log writes it.

    Raises:
        LoopError: a model of the registry decides, which nothing that is learned changes.
    """

    def job(ledger: Ledger) -> None:
        learner = runtime.agents.current(ledger, name).revision.agent.policy.learner
        models = runtime.agents.models
        if models is not None and models.pinned(name, learner) is not None:
            raise LoopError(
                f"loop {name!r} decides by a model of the registry; let it go there first, as its"
                " learner has no part in it", "OperationNotAllowed", status=409,
            )  # fmt: skip
        standing, at = ledger.standing(name), runtime.lifecycle.now(ledger)
        assert standing is not None, "what is active stands"
        told = {"reason": "model", "actor": actor, "at": at.isoformat(), ANEW: True}
        position = ledger.stand(name, standing, told)
        ledger.add_audit(at, actor, "loop.model_reset", {"agent": name, "position": position})

    await asyncio.shield(runtime.writer.submit(job))


async def newest_model(runtime: Runtime, revision: Revision) -> Model:
    """Return the newest model that a loop has published.

    Raises:
        LoopError: there is none yet, or what the loop learns with has none.
    """
    found = await asyncio.to_thread(_read_model, runtime, revision.agent.agent)
    if found is None:
        raise LoopError(
            f"loop {revision.agent.agent!r} has no model yet; it is published some time after the"
            " first rewards, see modelExportFrequency",
            NOT_FOUND,
            status=404,
        )
    return found


def _read_model(runtime: Runtime, name: str) -> Model | None:
    snapshots = runtime.agents.snapshots
    found = snapshots.newest(name, _model_in)
    if found is None or found[1] is None:
        return None
    times = [at for each in snapshots.names(name) if (at := snapshots.written_at(name, each))]
    modified = snapshots.written_at(name, found[0]) or datetime.now(UTC)
    return Model(found[1], min(times, default=modified), modified)


def _model_in(manifest: Manifest, state: bytes) -> bytes | None:
    """Take Vowpal Wabbit's model out of a snapshot; None if it is of another learner."""
    if manifest.policy != VowpalRank.name:
        return None
    _, arrays = unpack(manifest.policy, state)
    return np.asarray(arrays["model"], dtype=np.uint8).tobytes()
