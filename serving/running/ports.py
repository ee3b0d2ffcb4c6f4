"""Which ports a process and its children listen on: Ray's own must stay on this machine.

Read from /proc, so it knows nothing where there is none (macOS, where Ray keeps to loopback by
itself).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.errors import StateError

_PROC = Path("/proc")
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket.

    Args:
        program: name of the process that holds it.
        address: where it is bound; 0.0.0.0 and :: are every interface.
        port: 0 to 65535.
    """

    program: str
    address: str
    port: int

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return bool(mapped.is_loopback)


def _address(text: str) -> tuple[str, int]:
    """Read `0100007F:1F90`: each 32-bit word in the machine's (little-endian) order.

    Example:
        >>> _address("0100007F:1F90")
        ('127.0.0.1', 8080)
        >>> _address("00000000000000000000000001000000:0050")
        ('::1', 80)
    """
    host, port = text.split(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)


def _sockets() -> dict[str, tuple[str, int]]:
    """Find every listening socket of this machine: inode to address and port."""
    found = {}
    for table in (_PROC / "net/tcp", _PROC / "net/tcp6"):
        if table.exists():
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    found[f"socket:[{fields[9]}]"] = _address(fields[1])
    return found


def family(root: int) -> set[int]:
    """Return a process and all its descendants, by id; only those that still run."""
    parents = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found, before = {root} & parents.keys(), -1
    while len(found) != before:
        before = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return found


def _held(process: int) -> Iterator[str]:
    try:
        for handle in (_PROC / str(process) / "fd").iterdir():
            yield str(handle.readlink())
    except OSError:  # it has ended, or is not ours to look into
        return


def program(process: int) -> str:
    """Return a process's short name, empty if it has ended."""
    try:
        return (_PROC / str(process) / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def listeners(root: int) -> frozenset[Listener]:
    """Return what a process and its descendants listen on."""
    sockets = _sockets()
    return frozenset(
        Listener(program(process), *sockets[name])
        for process in family(root)
        for name in _held(process)
        if name in sockets
    )


def check_private(root: int, port: int) -> None:
    """Make sure that nothing but the front can be reached from outside.

    Args:
        root: the server's process id.
        port: the front's port, the only one that may stand open.

    Raises:
        StateError: another port of the server is open to other machines.
    """
    if open_ones := sorted(
        f"{found.program} on {found.address}:{found.port}"
        for found in listeners(root)
        if not found.local and found.port != port
    ):
        raise StateError(
            "expected Ray's own ports on loopback only, got " + ", ".join(open_ones)
            + "; unset the RAY_ variables of your environment, or close the ports with a firewall"
        )  # fmt: skip
