"""Files that are there whole or not at all, also after the machine has lost its power."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(target: Path, mode: int = 0o600) -> Iterator[Path]:
    """Give a new file to write to, and put it in the target's place when it is written.

    Two writers at once do not meet: each has a file of its own. If the writing fails, the target
    is as it was and nothing else is left.

    Args:
        target: in a folder that exists.
        mode: permissions of the file, less what the process's umask takes away.

    Raises:
        OSError: the disk does not take it.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_whole(target: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file, replacing what is there in one step.

    Raises:
        OSError: the disk does not take it.
    """
    with whole_file(target, mode) as temporary:
        temporary.write_bytes(data)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
