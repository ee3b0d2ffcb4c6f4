"""A signal that comes at any moment stops what waits, and never makes it wait for itself."""

from __future__ import annotations

import subprocess
import sys

RAIN = """
import signal
from serving.stopping import Stop

stops = 0
signal.setitimer(signal.ITIMER_REAL, 5e-5, 5e-5)
while stops < 20_000:
    stop = Stop()
    stop.on((signal.SIGALRM,))
    while not stop.wait({patience}):
        pass
    stops += 1
signal.setitimer(signal.ITIMER_REAL, 0.0)
print(stops)
"""
"""With `threading.Event` in its place, handlers wait for one another: it never ends well."""


def _rained(patience: str) -> str:
    command = [sys.executable, "-c", RAIN.replace("{patience}", patience)]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_a_signal_may_come_while_a_wait_begins() -> None:
    assert _rained("") == "20000"


def test_a_signal_may_come_while_a_wait_ends() -> None:
    assert _rained("1e-5") == "20000"
