"""What a server is told at start, and the files it keeps."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agents.errors import StateError
from serving.files import sync_folder, write_whole
from serving.watching.logs import LogKind

ClockKind = Literal["machine", "driven"]
Engine = Literal["ray", "uvicorn"]
AuthKind = Literal["none", "keys"]

_KEY_BYTES = 32
_KEYS = ("draw", "snapshot", "customer")
_LEDGER = "ledger.sqlite"
LEDGER_ENV = "NEXTBEST_LEDGER"
"""The environment variable with the URL of a shared ledger."""
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
        sweep_every_s: seconds between two looks for what has become due: reservations that have
            expired, outcomes whose decision has appeared.
        ledger_url: of a PostgreSQL that replicas share; empty for SQLite in the data folder.
        engine: `ray` for Ray Serve; `uvicorn` for one plain process with the learner beside it.
        replicas: how many processes decide; more than one needs a ledger they can share.
        max_replicas: the most that autoscaling may start; 0 for always `replicas`.
        max_waiting: requests under way at once for one replica; more are answered 503 at once.
        body_timeout_s: seconds within which a request must have arrived whole.
        auth: `keys` lets in who has an API key; `none` everybody, on loopback only.
        export_every_s: seconds between two shippings of the log as Parquet; 0 for on demand only.
        export_to: folder of the shipped log; None for `exports` in the data folder.
        log: lines of the log as `text`, or as `json` with one for each request.
        log_to: file that lines are appended to; None for `server.log` in the data folder under
            Ray, whose own files end with it, and for standard error elsewhere.
        more: further workspaces, each kept apart from the others; see `serving.running.tenants`.
        model_registry: URI of an MLflow store whose models decide in place of what the learner
            publishes; empty for none.
        model_alias: which model of an agent decides.
        model_key: file of the key that models are signed with; None for the server's own.
    """

    workspace: Path
    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    clock: ClockKind = "machine"
    snapshot_every_s: float = 10.0
    poll_s: float = 0.5
    prune_every_s: float = 86_400.0
    sweep_every_s: float = 1.0
    ledger_url: str = field(default="", repr=False)  # may hold a password
    engine: Engine = "ray"
    replicas: int = 1
    max_replicas: int = 0
    max_waiting: int = 16
    body_timeout_s: float = 10.0
    auth: AuthKind = "none"
    export_every_s: float = 0.0
    export_to: Path | None = None
    log: LogKind = "text"
    log_to: Path | None = None
    more: tuple[Path, ...] = ()
    model_registry: str = ""
    model_alias: str = "champion"
    model_key: Path | None = None

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.data / _LEDGER

    @property
    def snapshots(self) -> Path:
        """The folder of sealed snapshots, one folder an agent."""
        return self.data / "snapshots"

    @property
    def exports(self) -> Path:
        """The folder of the shipped log."""
        return self.export_to or self.data / "exports"

    @property
    def log_file(self) -> Path | None:
        """Where the log goes; None for standard error."""
        return self.log_to or (self.data / "server.log" if self.engine == "ray" else None)

    @property
    def keys(self) -> Path:
        """The folder of the server's secrets."""
        return self.data / _KEYS_FOLDER


def base_url(settings: Settings) -> str:
    """Return where a client on this machine reaches the server.

    Example:
        >>> base_url(Settings(Path(), Path(), host="::1", port=8080))
        'http://[::1]:8080'
    """
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


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

    @property
    def audit(self) -> bytes:
        """Seals the newest row of the audit log; derived, so that no other file can be lost."""
        return hmac.digest(self.snapshot, b"audit", "sha256")


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
