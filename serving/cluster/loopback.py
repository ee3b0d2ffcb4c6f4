"""The one port of a replica that Ray binds to every interface whatever it is told.

Through it handles of other deployments call a replica; we have none. Under Ray's token nobody
without it gets an answer, but on one machine it need not stand open at all. Where Ray spans
several machines (its address is not loopback) nothing is changed.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import ray
from ray.serve._private import replica

_BINDER = "add_port_to_grpc_server"  # by this name Ray's module calls it


def _bind_to_loopback(server: Any, _address: str) -> int:
    return int(server.add_insecure_port("127.0.0.1:0"))


def keep_to_loopback() -> None:
    """Let this replica's port for handles be bound to loopback, if all of Ray is.

    The start of the server looks at every port afterwards, so a Ray in which this had no effect
    would be found out.
    """
    if ipaddress.ip_address(ray.util.get_node_ip_address()).is_loopback:
        vars(replica)[_BINDER] = _bind_to_loopback
