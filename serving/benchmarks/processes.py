"""What single processes use, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

from agents.errors import StateError
from serving.running.ports import family, program

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def find(root: int, words: str) -> int:
    """Return the one process below `root` whose command line holds some words.

    Raises:
        StateError: there is none, or there are several.
    """
    found = [pid for pid in family(root) if words in _command(pid)]
    if len(found) != 1:
        raise StateError(f"expected one process {words!r}, got {len(found)}")
    return found[0]


def named(root: int, name: str) -> list[int]:
    """Return the processes below `root` with a short name."""
    return [pid for pid in family(root) if program(pid) == name]


def _command(pid: int) -> str:
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:  # it has ended
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace")


def cpu_s(*pids: int) -> float:
    """Return the processor time of processes so far, in seconds."""
    total = 0
    for pid in pids:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process, in MiB.

    Example:
        >>> rss_mib(os.getpid()) > 1
        True
    """
    pages = (_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]
    return int(pages) * _PAGE / 2**20


def descriptors(pid: int) -> int:
    """Return how many file descriptors a process holds."""
    return len(list((_PROC / str(pid) / "fd").iterdir()))
