"""The folder of snapshots: written by the learner, read by every replica, never changed.

A snapshot is one sealed file, written beside its name and renamed into place, so a reader sees a
whole file or none. Names sort by the ledger position up to which was learned.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from agents.errors import SnapshotError
from agents.revision import Revision
from policies.base import Policy
from policies.registry import load_policy
from policies.snapshot import Manifest, seal, snapshot_id, unseal

_SUFFIX = ".snapshot"


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """All snapshots of a server, by agent.

    Args:
        folder: holds one folder an agent.
        key: signs what is published and checks what is loaded.
    """

    folder: Path
    key: bytes

    def publish(self, manifest: Manifest, state: bytes) -> str:
        """Write a snapshot durably and return its id."""
        name = snapshot_id(manifest)
        target = self._path(manifest.agent, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".partial")
        with temporary.open("wb") as file:
            file.write(seal(manifest, state, self.key))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
        _sync_folder(target.parent)
        return name

    def latest(self, agent: str) -> str | None:
        """Return the id of the newest snapshot of an agent."""
        names = sorted(path.stem for path in (self.folder / agent).glob(f"*{_SUFFIX}"))
        return names[-1] if names else None

    def read(self, agent: str, name: str) -> tuple[Manifest, bytes]:
        """Read and check a snapshot.

        Raises:
            SnapshotError: it does not exist, is damaged, or was signed with another key.
        """
        try:
            data = self._path(agent, name).read_bytes()
        except OSError as error:
            raise SnapshotError(f"snapshot {name} of {agent} cannot be read: {error}") from error
        return unseal(data, self.key)

    def load(self, agent: str, name: str, revision: Revision) -> Policy:
        """Rebuild the policy of a snapshot under a revision of its agent.

        Raises:
            SnapshotError: as `read`, or the state does not fit its policy.
        """
        manifest, state = self.read(agent, name)
        return load_policy(manifest.policy, state, revision)

    def _path(self, agent: str, name: str) -> Path:
        return self.folder / agent / f"{name}{_SUFFIX}"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
