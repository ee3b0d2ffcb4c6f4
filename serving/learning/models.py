"""Models of a registry that decide in place of what the learner has published.

A model that was fetched is checked, signed with the server's own key and kept in the data folder,
beside a note of which one decides. Every replica follows the note, and replays find the file; a
registry that is away changes nothing.
"""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agents.errors import NextbestError, SnapshotError, StateError
from policies.registered import check_model
from policies.snapshot import Manifest, snapshot_id
from serving.files import write_whole
from serving.learning.snapshots import MODELS, SnapshotFolder

logger = logging.getLogger("nextbest")

_NOTE = "pinned"
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model that was fetched and checked."""

    version: int
    manifest: Manifest
    state: bytes

    @property
    def snapshot(self) -> str:
        """Its id."""
        return snapshot_id(self.manifest)


@dataclass(frozen=True, slots=True)
class Registry:
    """Where models come from.

    Args:
        uri: of the MLflow store, such as `sqlite:///runs/mlflow/mlflow.db`.
        alias: whose model is taken.
        key: that models are signed with.
    """

    uri: str
    alias: str
    key: bytes

    def fetch(self, agents: Collection[str]) -> dict[str, Fetched]:
        """Fetch and check the models that the alias points to; agents without one are left out.

        Raises:
            StateError: the registry cannot be read.
            SnapshotError: a file is not what was registered, or was signed with another key.
        """
        asked = {"registry": self.uri, "alias": self.alias, "agents": sorted(agents)}
        found = orjson.loads(read_apart(orjson.dumps(asked)))
        return {agent: self._checked(agent, record) for agent, record in found.items()}

    def _checked(self, agent: str, record: Mapping[str, Any]) -> Fetched:
        data = base64.b64decode(record["data"])
        manifest, state = check_model(data, record["sha256"], agent, self.key)
        return Fetched(record["version"], manifest, state)


def read_apart(asked: bytes) -> bytes:
    """Ask a process of its own, which may import MLflow; return its answer.

    Raises:
        StateError: it could not be started, did not end, or could not read the registry.
    """
    command = [sys.executable, "-m", "serving.learning.registry_process"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=asked, capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError(f"the model registry was not read: {type(error).__name__}") from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").splitlines() or ["it was ended"]
        raise StateError(
            f"the model registry cannot be read: {told[-1]}; see --model-registry, and whether it"
            " runs"
        )
    return done.stdout


@dataclass(frozen=True, slots=True)
class Models:
    """Which registered model decides for which agent.

    Args:
        registry: where they come from.
        folder: where they are kept, signed with the server's key.
    """

    registry: Registry
    folder: SnapshotFolder

    @classmethod
    def beside(cls, snapshots: SnapshotFolder, registry: Registry) -> Models:
        """Keep models beside the learner's snapshots."""
        return cls(registry, SnapshotFolder(snapshots.folder.parent / MODELS, snapshots.key))

    def pin(self, fetched: Fetched) -> None:
        """Let a model decide for its agent from now on, in every replica.

        Raises:
            StateError: the disk does not take it; what decided goes on.
        """
        agent, policy = fetched.manifest.agent, fetched.manifest.policy
        note = {"snapshot": fetched.snapshot, "policy": policy, "version": fetched.version}
        try:
            self.folder.publish(fetched.manifest, fetched.state)
            write_whole(self._note(agent), orjson.dumps(note))
        except OSError as error:
            raise StateError(f"the model of {agent} was not kept: {error.strerror}") from error

    def pinned(self, agent: str, learner: str) -> str | None:
        """Return the id of the model that decides for an agent; None if it is of another learner.

        Args:
            agent: whose.
            learner: of the revision that is to decide.
        """
        try:
            note = orjson.loads(self._note(agent).read_bytes())
            return str(note["snapshot"]) if note["policy"] == learner else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            logger.error("which model decides for %s cannot be read: %s", agent, error)
            return None

    def take_up(self, agents: Collection[str]) -> list[Fetched]:
        """Fetch what the alias points to as the server starts; what is new is pinned.

        Returns:
            The models that were not the ones that decided before.

        Raises:
            StateError, SnapshotError: as `Registry.fetch`, if no model was ever fetched. Later,
                what decided last time decides again, and the error is reported.
        """
        try:
            found = self.registry.fetch(agents)
        except (StateError, SnapshotError) as error:
            if not any(self._note(agent).exists() for agent in agents):
                raise
            logger.error("models stay as they were: %s", error)
            return []
        for agent in sorted(set(agents) - found.keys()):
            logger.warning("%s has no model with the alias %s", agent, self.registry.alias)
        changed = [
            each
            for agent, each in sorted(found.items())
            if self.pinned(agent, each.manifest.policy) != each.snapshot
        ]
        for each in changed:
            self.pin(each)
        return changed

    def read(self, agent: str, name: str) -> tuple[Manifest, bytes] | None:
        """Read a model that decides; one that cannot be used is reported."""
        try:
            return self.folder.read(agent, name)
        except NextbestError as error:
            logger.error("model %s of %s is passed over: %s", name, agent, error)
            return None

    def _note(self, agent: str) -> Path:
        return self.folder.folder / agent / _NOTE


def kept_model(snapshots: SnapshotFolder, agent: str, learner: str) -> tuple[str, bytes] | None:
    """Return id and state of the registered model that decides for an agent, without a registry.

    Args:
        snapshots: of the learner, beside which models are kept.
        agent: whose.
        learner: of the revision that is to decide.

    Returns:
        None if no model decides for it, or if its file cannot be used, which is reported.
    """
    models = Models.beside(snapshots, Registry("", "", b""))
    name = models.pinned(agent, learner)
    found = None if name is None else models.read(agent, name)
    return None if name is None or found is None else (name, found[1])


def let_go(snapshots: SnapshotFolder) -> None:
    """Forget which models decide, as a server without a registry does; their files stay."""
    for note in (snapshots.folder.parent / MODELS).glob(f"*/{_NOTE}"):
        note.unlink(missing_ok=True)
