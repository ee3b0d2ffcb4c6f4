"""Which hosts are this machine alone, and which names a request may call it by."""

from __future__ import annotations

import ipaddress

from agents.errors import StateError
from serving.settings import Settings

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there.

    Example:
        >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "shop")]
        [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_access(settings: Settings) -> None:
    """Refuse to serve everybody without keys.

    Raises:
        StateError: no keys are asked for, and others than this machine could reach the server, or
            there would be no telling which of several workspaces is meant.
    """
    if settings.auth == "keys":
        return
    if not is_loopback(settings.host):
        raise StateError(
            f"expected --auth keys where others reach the server (host {settings.host}), got"
            f" --auth {settings.auth}: add --auth keys, or listen on 127.0.0.1"
        )


def name_in(host: bytes) -> str:
    """Return the name in a Host header, without its port.

    Example:
        >>> name_in(b"LocalHost:8000"), name_in(b"[::1]:80"), name_in(b"::1")
        ('localhost', '[::1]', '::1')
    """
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    plain = colon and port.isdigit() and (":" not in name or name.endswith("]"))
    return name if plain else text


class Hosts:
    """The names by which a server without keys may be called.

    A page of another site can make a browser on this machine ask us, by a name of its own that it
    lets lead to 127.0.0.1 (DNS rebinding); the Host header then still holds that name.

    Args:
        own: the host that the server was told to listen on.
    """

    def __init__(self, own: str) -> None:
        self._names = _LOCAL | {f"[{own}]" if ":" in own else own.lower()}
        self._known: set[bytes] = set()

    def fits(self, host: bytes) -> bool:
        """Whether a Host header names this machine."""
        if host in self._known:
            return True
        if name_in(host) not in self._names:
            return False
        if len(self._known) < 64:  # ports are many; what is remembered stays small
            self._known.add(host)
        return True
