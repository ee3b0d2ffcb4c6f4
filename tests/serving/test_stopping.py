"""A signal that comes at any moment stops what waits, and never makes it wait for itself."""

from __future__ import annotations

import subprocess
import sys

RAIN = """
import signal
from serving.stopping import Stop

stops = 0
signal.setitimer(signal.ITIMER_REAL, 3e-4, 3e-4)
while stops < 5_000:
    stop = Stop()
    stop.on((signal.SIGALRM,))
    while not stop.wait({patience}):
        pass
    stops += 1
signal.setitimer(signal.ITIMER_REAL, 0.0)
print(stops)
"""
"""With `threading.Event` in its place, handlers wait for one another: it never ends well."""


ELSEWHERE = """
import signal, threading
from serving.stopping import Stop

stop, ended = Stop(), threading.Event()
stop.on()

def hear():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    ended.wait()

threading.Timer(0.2, hear).start()
print(stop.wait())
ended.set()
"""
"""The signal does not wake the main thread, as one that comes just before it blocks does not."""

BROKEN_OFF = """
import os, signal
from serving.stopping import Stop

stop = Stop()
stop.break_off_on()
try:
    os.kill(os.getpid(), signal.SIGTERM)
    print("went on")
except KeyboardInterrupt:
    stop.on()
    os.kill(os.getpid(), signal.SIGINT)
    print("broken off once", stop.wait())
"""


def _ran(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_a_signal_may_come_while_a_wait_begins() -> None:
    assert _ran(RAIN.replace("{patience}", "")) == "5000"


def test_a_signal_may_come_while_a_wait_ends() -> None:
    assert _ran(RAIN.replace("{patience}", "1e-5")) == "5000"


def test_a_single_signal_is_heard_even_if_it_wakes_nobody() -> None:
    assert _ran(ELSEWHERE) == "True"


def test_a_start_is_broken_off_once_and_its_end_is_not() -> None:
    assert _ran(BROKEN_OFF) == "broken off once True"
