"""The folder of snapshots: written by the learner, read by every replica, never changed.

A snapshot is one sealed file, written beside its name and renamed into place, so a reader sees a
whole file or none. Names sort by the ledger position up to which was learned.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from agents.errors import NextbestError, SnapshotError, StateError
from agents.revision import Revision
from policies.base import Policy
from policies.registry import load_policy
from policies.snapshot import Manifest, seal, snapshot_id, unseal
from serving.files import write_whole

T = TypeVar("T")

logger = logging.getLogger("nextbest")

_SUFFIX = ".snapshot"
_LEARNED = "learned"  # a file that holds one position
_READ = "read"  # another one
MODELS = "models"
"""Folder beside that of the snapshots, of models that decide in place of them."""
_NAME = re.compile(r"[0-9]{12}-[0-9a-f]{12}")


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
        """Write a snapshot durably and return its id.

        Raises:
            OSError: the disk does not take it; nothing of it is left.
        """
        name = snapshot_id(manifest)
        target = self._path(manifest.agent, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, seal(manifest, state, self.key))
        return name

    def names(self, agent: str) -> list[str]:
        """Return the ids of all snapshots of an agent, the newest first."""
        stems = (path.stem for path in (self.folder / agent).glob(f"*{_SUFFIX}"))
        return sorted(filter(_NAME.fullmatch, stems), reverse=True)

    def agents(self) -> list[str]:
        """Return the names of all agents that have had a snapshot."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir())

    def remove(self, agent: str, name: str, *, before: float) -> bool:
        """Remove a snapshot unless it is too young; return whether it was removed.

        Args:
            agent: whose.
            name: its id.
            before: seconds since 1970 before which it must have been written.

        Raises:
            OSError: it cannot be removed.
        """
        path = self._path(agent, name)
        if path.stat().st_mtime >= before:
            return False
        path.unlink()
        return True

    def written_at(self, agent: str, name: str) -> datetime | None:
        """Return when a snapshot was written (UTC), None if it is gone."""
        try:
            written = self._path(agent, name).stat().st_mtime
        except OSError:
            return None
        return datetime.fromtimestamp(written, UTC)

    def latest(self, agent: str) -> str | None:
        """Return the id of the newest snapshot of an agent, usable or not."""
        return next(iter(self.names(agent)), None)

    def newest(
        self, agent: str, rebuild: Callable[[Manifest, bytes], T], *, above: str = ""
    ) -> tuple[str, T] | None:
        """Rebuild the newest snapshot that can be used; a bad one is reported and passed over.

        Args:
            agent: whose snapshots to look at.
            rebuild: what to make of a snapshot that is whole; it raises if the state does not fit.
            above: look only at snapshots newer than this id.

        Returns:
            The id of the snapshot and what was rebuilt; None if no snapshot can be used.
        """
        for name in self.names(agent):
            if name <= above:
                break
            try:
                return name, rebuild(*self.read(agent, name))
            except (NextbestError, ValueError, LookupError, TypeError) as error:
                logger.error("snapshot %s of %s is passed over: %s", name, agent, error)
        return None

    def set_aside(self, position: int) -> None:
        """Rename snapshots that learned more than the ledger has, as after a backup came back.

        They would hide all snapshots to come, whose positions are lower.

        Args:
            position: the last one of the ledger.

        Raises:
            StateError: the ledger is empty, so that every cap and budget would be forgotten.
        """
        ahead = [path for path in self.folder.glob(f"*/*{_SUFFIX}") if _position(path) > position]
        if position == 0 and ahead:
            raise StateError(
                f"the snapshots in {self.folder} have learned from a ledger, but the ledger is"
                " empty; bring it back from a backup, or choose another --data"
            )
        for path in ahead:
            logger.warning("snapshot %s is newer than the ledger; set aside", path.stem)
            path.rename(path.with_suffix(".aside"))
        if self.learned() > position:
            self.mark_learned(position)

    def mark_learned(self, position: int) -> None:
        """Note that everything up to a position of the ledger is in published snapshots.

        Raises:
            OSError: the disk does not take it; the older note stands.
        """
        self._note(_LEARNED, position)

    def learned(self) -> int:
        """Return the position up to which everything is in published snapshots, 0 if unknown."""
        return self._noted(_LEARNED)

    def _note(self, name: str, position: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / name, str(position).encode())

    def _noted(self, name: str) -> int:
        try:
            text = (self.folder / name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return 0
        return int(text) if text.isdecimal() else 0

    def mark_read(self, position: int) -> None:
        """Note how far the learner has read the ledger, whatever of it is in snapshots.

        Raises:
            OSError: the disk does not take it; the older note stands.
        """
        self._note(_READ, position)

    def read_to(self) -> int:
        """Return the position up to which the learner has read the ledger, 0 if unknown."""
        return self._noted(_READ)

    def read(self, agent: str, name: str) -> tuple[Manifest, bytes]:
        """Read and check a snapshot, or a model of this name that decides in place of them.

        Raises:
            SnapshotError: it does not exist, is damaged, was signed with another key, or is
                another one under this name.
        """
        path, model = self._path(agent, name), self.folder.parent / MODELS / agent
        if not path.exists() and (model / path.name).exists():
            path = model / path.name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SnapshotError(f"snapshot {name} of {agent} cannot be read: {error}") from error
        manifest, state = unseal(data, self.key)
        if manifest.agent != agent or snapshot_id(manifest) != name:
            raise SnapshotError(
                f"expected snapshot {name} of {agent}, got {snapshot_id(manifest)} of"
                f" {manifest.agent}"
            )
        return manifest, state

    def load(self, agent: str, name: str, revision: Revision) -> Policy:
        """Rebuild the policy of a snapshot under a revision of its agent.

        Raises:
            SnapshotError: as `read`, or the state does not fit its policy.
        """
        manifest, state = self.read(agent, name)
        return load_policy(manifest.policy, state, revision)

    def _path(self, agent: str, name: str) -> Path:
        return self.folder / agent / f"{name}{_SUFFIX}"


def _position(path: Path) -> int:
    """Return up to which position a snapshot learned, by its name; 0 if it has no such name."""
    return int(path.stem[:12]) if _NAME.fullmatch(path.stem) else 0
