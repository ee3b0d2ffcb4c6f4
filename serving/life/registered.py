"""A registered model decides: taken up as the server starts, and when the alias has moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.errors import ConflictError, SnapshotError, UnknownNameError
from policies.registry import load_policy
from serving.deciding.active import ActiveAgents
from serving.learning.models import Fetched, Models, Registry, let_go
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import Ledger
from serving.life.lifecycle import SERVER, Lifecycle
from serving.settings import Settings
from serving.writer import Writer


@dataclass(frozen=True, slots=True)
class TakenUp:
    """The model that decides for an agent, and whether another one did before."""

    model: Fetched
    changed: bool


def models_of(settings: Settings, snapshots: SnapshotFolder) -> Models | None:
    """Return where registered models are kept, None if the server was told no registry.

    Raises:
        SnapshotError: the file of the key that models are signed with cannot be read.
    """
    if not settings.model_registry:
        let_go(snapshots)  # so that nobody takes the note of an earlier start for what decides
        return None
    key = snapshots.key
    if settings.model_key is not None:
        try:
            key = settings.model_key.read_bytes()
        except OSError as error:
            raise SnapshotError(
                f"--model-key: {settings.model_key} cannot be read: {error.strerror}"
            ) from error
    registry = Registry(settings.model_registry, settings.model_alias, key)
    return Models.beside(snapshots, registry)


async def take_up_models(agents: ActiveAgents, writer: Writer, lifecycle: Lifecycle) -> None:
    """Let the models that the alias points to decide from the start, if there is a registry.

    Raises:
        StateError, SnapshotError: as `Models.take_up`.
    """
    models = agents.models
    if models is None:
        return
    standing = await writer.submit(lambda ledger: list(ledger.active()))
    names = {*agents.loaded.revisions, *standing}
    changed = await asyncio.to_thread(models.take_up, names)
    if changed:
        await writer.submit(lambda ledger: _note(ledger, lifecycle, changed, SERVER))


async def take_up_model(
    agents: ActiveAgents, writer: Writer, lifecycle: Lifecycle, name: str, actor: str
) -> TakenUp:
    """Let the model that the alias now points to decide for an agent, in every replica.

    Args:
        agents: of this replica.
        writer: for the audit log.
        lifecycle: tells the instant.
        name: of the agent.
        actor: who wants it, as the audit log says.

    Raises:
        UnknownNameError: there is no such agent, or no model of it has the alias.
        ConflictError: the server has no registry, or the model is of another learner.
        StateError, SnapshotError: as `Registry.fetch`, or its state does not fit the agent.
    """
    active = await writer.submit(lambda ledger: agents.current(ledger, name))
    models = agents.models
    if models is None:
        raise ConflictError("expected a server with a registry; start it with --model-registry")
    found = (await asyncio.to_thread(models.registry.fetch, (name,))).get(name)
    if found is None:
        raise UnknownNameError(
            f"no registered model of {name!r} has the alias {models.registry.alias!r}; see"
            " nextbest models list"
        )
    learner = active.revision.agent.policy.learner
    if found.manifest.policy != learner:
        raise ConflictError(
            f"expected a model of learner {learner}, which agent {name!r} has, got one of"
            f" {found.manifest.policy}"
        )
    await asyncio.to_thread(load_policy, learner, found.state, active.revision)
    changed = models.pinned(name, learner) != found.snapshot
    if changed:
        await writer.submit(lambda ledger: _note(ledger, lifecycle, [found], actor))
        await asyncio.to_thread(models.pin, found)
    for each in agents.by_name[name].all:
        newer = await asyncio.to_thread(agents.newer, each)
        if newer is not None:
            agents.swap(each, *newer)
    return TakenUp(found, changed)


def _note(ledger: Ledger, lifecycle: Lifecycle, models: Sequence[Fetched], actor: str) -> None:
    """Write an audit row for each model that is to decide."""
    for model in models:
        told: dict[str, Any] = {
            "agent": model.manifest.agent, "version": model.version, "snapshot": model.snapshot,
        }  # fmt: skip
        ledger.add_audit(lifecycle.now(ledger), actor, "agent.model", told)
