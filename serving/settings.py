"""What a server is told at start, and the files it keeps."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agents.errors import StateError
from serving.files import sync_folder, write_whole

ClockKind = Literal["machine", "driven"]

_KEY_BYTES = 32
_KEYS = ("draw", "snapshot", "customer")
_LEDGER = "ledger.sqlite"
_KEYS_FOLDER = "keys"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a server needs to know.

    Args:
        workspace: folder with workspace.yaml and agents/.
        data: folder for the ledger, keys and snapshots; made if missing.
        host, port: where HTTP listens; loopback unless told otherwise.
        clock: `machine` in production; `driven` lets requests carry the time (simulation only).
        snapshot_every_s: least seconds between two snapshots of one agent.
        poll_s: seconds between two looks of the learner at the ledger, and of a replica at the
            snapshots.
        prune_every_s: seconds between two removals of what the workspace keeps no longer.
    """

    workspace: Path
    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    clock: ClockKind = "machine"
    snapshot_every_s: float = 10.0
    poll_s: float = 0.5
    prune_every_s: float = 86_400.0

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.data / _LEDGER

    @property
    def snapshots(self) -> Path:
        """The folder of sealed snapshots, one folder an agent."""
        return self.data / "snapshots"

    @property
    def keys(self) -> Path:
        """The folder of the server's secrets."""
        return self.data / _KEYS_FOLDER


@dataclass(frozen=True, slots=True)
class Keys:
    """The server's secrets: 32 random bytes each, in files that only their owner may read.

    Args:
        draw: with a decision's id it fixes the random number of the draw.
        snapshot: signs snapshots, so a replica loads none that the learner did not write.
        customer: hashes customer ids in exported logs.
    """

    draw: bytes
    snapshot: bytes
    customer: bytes


def prepare_data(data: Path) -> None:
    """Make the data folder, for its owner only.

    Raises:
        StateError: it cannot be made or written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"the data folder {data} cannot be made: {error.strerror}") from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise StateError(f"the data folder {data} is not writable; choose another with --data")


def load_keys(data: Path) -> Keys:
    """Read the keys of a data folder, making them if there is no ledger yet.

    Raises:
        StateError: a key file cannot be read or made, has the wrong length, or is missing beside
            a ledger: with a new key no decision of it could be replayed.
    """
    folder = data / _KEYS_FOLDER
    fresh = not (data / _LEDGER).exists()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if fresh:
            for name in _KEYS:
                _make_key(folder / f"{name}.key")
        return Keys(*(_load_key(folder / f"{name}.key") for name in _KEYS))
    except FileNotFoundError as error:
        raise StateError(
            f"there is a ledger in {data}, but not the key {error.filename}; bring it back from a"
            " backup"
        ) from error
    except OSError as error:
        raise StateError(f"the keys in {folder} cannot be used: {error}") from error


def _make_key(path: Path) -> None:
    """Make a key unless it is there; whole or not at all, and the first of two makers wins."""
    if path.exists():
        return
    mine = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    write_whole(mine, secrets.token_bytes(_KEY_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
    finally:
        mine.unlink()
    sync_folder(path.parent)


def _load_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StateError(f"expected {_KEY_BYTES} bytes in {path}, got {len(key)}")
    return key
