"""The commands of the page about the server do what it says, from the first to the last."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
WALK = PAGE.read_text(encoding="utf-8").split("## All of it, to be copied")[1].split("\n## ")[0]
START = re.findall(r"^\$ (nextbest .*)$", WALK, flags=re.MULTILINE)
STEPS = "\n".join(re.findall(r"^```sh\n(.*?)^```$", WALK, flags=re.MULTILINE | re.DOTALL))


def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "160", "HOME": str(tmp_path)}


@pytest.fixture
def address(tmp_path: Path, free_port: int, limit: Any) -> Iterator[str]:
    """Run the commands of the first terminal; without Ray, which the commands do not show."""
    init, serve = START
    names = environment(tmp_path)
    subprocess.run(init.split(), cwd=tmp_path, env=names, check=True, stdout=subprocess.DEVNULL)
    command = [*serve.split(), "--engine", "uvicorn", "--port", str(free_port)]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=tmp_path, env=names, text=True, stdout=subprocess.PIPE, stderr=log
        ) as server,
        limit(server),
    ):
        assert server.stdout is not None
        try:
            assert any("ready:" in line for line in server.stdout), (tmp_path / "log").read_text()
            yield f"http://127.0.0.1:{free_port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def test_every_command_of_the_page_works(tmp_path: Path, address: str) -> None:
    assert STEPS.count("http://127.0.0.1:8000") == 1
    script = "set -eu -o pipefail\n" + STEPS.replace("http://127.0.0.1:8000", address)
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(tmp_path), capture_output=True,
        text=True, timeout=400, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    for word in (
        '"insight":{', '"state":"delivered"', '"uncounted":["renewed"]', '"pending":true',
        '"suppressed":{"email":null}', '"suppressed":{}', "what decides for 10 % of the customers",
        '"changed":true', '"guardrails":[', 'nextbest_decisions_total{agent="retention"} 6.0',
        "wrote 6 decisions to run/log", '"removed":{', "is refused from now on",
        "the audit log holds",
    ):  # fmt: skip
        assert word in ran.stdout, f"{word}: {ran.stdout[-6000:]}"
