"""For every test: property tests try the same examples on every machine; a port, a customer."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("nextbest", deadline=None, derandomize=True, database=None)
settings.load_profile("nextbest")


def pytest_configure() -> None:
    """Give Ray's replicas ports of their own, as many tests run at once.

    A replica that was killed frees its port; were it taken by a replica of another test's Ray, the
    front that has not yet noticed would send it requests that are not its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 30_000 + 100 * worker
    os.environ["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"] = str(first)
    os.environ["RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT"] = str(first + 99)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives until the end: modules, and thousands of tests.

    To go through them again and again took as long as the tests that make many objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


Limit = Callable[[subprocess.Popen[str]], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def limit() -> Limit:
    """Kill a process that has not ended after four minutes: who waits for it, or reads, goes on."""

    @contextlib.contextmanager
    def limited(process: subprocess.Popen[str]) -> Iterator[None]:
        timer = threading.Timer(240.0, process.kill)
        timer.start()
        try:
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()

    return limited


@pytest.fixture
def features() -> dict[str, Any]:
    """What is known of a customer of the example `telecom`; rooms with others bring their own."""
    return {
        "tenure_months": 30, "plan": "plus", "monthly_bill": 42.5, "bill_change": 0.3,
        "data_used_share": 0.95, "roaming_days": 2, "contract_months_left": 3, "app_user": True,
        "open_complaint": False, "consent_email": True, "consent_sms": True, "consent_push": True,
        "time_zone": "Europe/Berlin",
    }  # fmt: skip
