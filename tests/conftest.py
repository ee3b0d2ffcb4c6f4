"""For every test: property tests try the same examples on every machine; a free port."""

from __future__ import annotations

import socket

import pytest
from hypothesis import settings

settings.register_profile("nextbest", deadline=None, derandomize=True, database=None)
settings.load_profile("nextbest")


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
