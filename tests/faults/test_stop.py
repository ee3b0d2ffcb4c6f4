"""A server on Ray that is told to stop as soon as it answers ends cleanly."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from agents.catalog import write_example


def test_a_server_can_be_stopped_from_its_first_answer_on(tmp_path: Path, free_port: int) -> None:
    write_example("telecom", tmp_path / "telecom")
    program = Path(sys.executable).parent / "nextbest"
    command = [str(program), "serve", str(tmp_path / "telecom"), "--data", str(tmp_path / "data")]
    with (tmp_path / "printed").open("w+") as printed:
        process = subprocess.Popen(
            [*command, "--port", str(free_port)], stdout=printed, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + 120
            ready = False
            while not ready and process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    ready = httpx.get(f"http://127.0.0.1:{free_port}/readyz").is_success
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            code = process.wait(120)
        finally:
            process.kill()
            process.wait()
    said = (tmp_path / "printed").read_text()
    assert (ready, code) == (True, 0), said
    assert "stopping: finishing what is under way" in said
    assert said.rstrip().endswith("stopped")
