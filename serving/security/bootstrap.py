"""The first admin key: it lies in a file, since somebody has to be let in to make the others."""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import datetime
from pathlib import Path

from agents.errors import ContextError, StateError
from serving.files import sync_folder, write_whole
from serving.ledger import Ledger
from serving.security.issuing import BOOTSTRAP, create, new_key, revoke
from serving.security.tokens import make_token, read_token

VARIABLE = "NEXTBEST_ADMIN_KEY_FILE"

_SERVER = "server"


def take_up_admin(ledger: Ledger, folder: Path, now: datetime) -> None:
    """See to it that there is an admin key.

    With `NEXTBEST_ADMIN_KEY_FILE` it is the one in that file, and an earlier one from such a file
    ends. Otherwise one is made, with its file, whenever no live key has the scope `admin`.

    Args:
        ledger: inside a transaction.
        folder: of the server's secrets, where `admin.key` is written.
        now: the instant (UTC).

    Raises:
        StateError: the file cannot be read or written, or holds no API key.
    """
    named = os.environ.get(VARIABLE)
    if named:
        _take_up(ledger, _read(Path(named)), now, only=True)
        return
    if any("admin" in key.scopes and key.live(now) for key in ledger.api_keys()):
        return
    path = folder / "admin.key"
    if path.exists() and _take_up(ledger, _read(path), now):
        return
    _take_up(ledger, _make(path), now)


def _take_up(ledger: Ledger, token: str, now: datetime, *, only: bool = False) -> bool:
    """Store a token as an admin key, unless it is there; return whether it is accepted now."""
    key = new_key(token, BOOTSTRAP, ("admin",), now)
    known = ledger.api_key(key.key_id)
    if only:
        for other in ledger.api_keys():
            if other.name == BOOTSTRAP and other.key_id != key.key_id and other.live(now):
                revoke(ledger, other.key_id, now, _SERVER)
    if known is None:
        create(ledger, key, _SERVER)
        return True
    return known.digest == key.digest and known.live(now)


def _read(path: Path) -> str:
    try:
        return read_token(path.read_text(encoding="ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise StateError(f"the admin key {path} cannot be read: {reason}") from None
    except ContextError as error:
        raise StateError(str(error)) from None


def _make(path: Path) -> str:
    """Write a new token to a file that only its owner may read; the first of two makers wins.

    What is there already has ended.
    """
    mine = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        path.unlink(missing_ok=True)
        write_whole(mine, f"{make_token()}\n".encode())
        try:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(mine)
        finally:
            mine.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise StateError(f"the admin key {path} cannot be written: {error.strerror}") from None
    return _read(path)
