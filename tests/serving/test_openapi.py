"""The OpenAPI document is true: what it allows is answered as it says, and nothing else is let in.

schemathesis makes requests from the document of a running server, good ones and bad ones, and
checks the answers with all of its checks. It runs as a program of its own, as its users run it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from agents.catalog import write_example
from serving.security.scopes import SCOPES
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]

# A request can be as the document says and not fit the workspace: it names a channel that is not
# there, or lacks a field of its customer schema. That is 422 in words of our own. What must not be
# is that a body which the document allows is refused for its shape.
CONFIG = """\
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 422, 429]
"""
HOOKS = """\
import schemathesis


@schemathesis.check
def shape_is_as_documented(ctx, response, case):
    meta = case.meta
    if response.status_code != 422 or meta is None or not meta.generation.mode.is_positive:
        return
    faults = response.json().get("errors") or []
    wrong = [fault for fault in faults if ": expected " not in fault]  # not in words of our own
    assert not wrong, f"the document allows what is refused for its shape: {wrong}"
"""
EXAMPLES = "8"
PHASES = "examples,coverage,fuzzing"


def fuzz(
    client: httpx.Client, folder: Path, phases: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a server."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    (folder / "hooks.py").write_text(HOOKS)
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        str(program), "run", f"{client.base_url}/openapi.json", "--checks", "all", "--seed", "7",
        "--max-examples", EXAMPLES, "--no-shrink", "--phases", phases,
        "--continue-on-failure", "--warnings", "off", *options,
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=150, cwd=folder, env=environment,
        check=False,
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_example("telecom", tmp_path / "telecom")
    return Settings(tmp_path / "telecom", tmp_path / "data", log="json")


def test_whatever_the_document_allows_is_answered_as_it_says(
    serve_settings: Serve, settings: Settings, tmp_path: Path
) -> None:
    with serve_settings(settings) as client:
        # stateful: it follows answers to other routes, by the links that it finds between them
        run = fuzz(client, tmp_path, f"{PHASES},stateful")
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert client.get("/readyz").json()["status"] == "ready"
    log = (tmp_path / "data" / "server.log").read_text()
    assert '"status":500' not in log


def test_the_same_with_keys_which_are_asked_for_as_the_document_says(
    serve_settings: Serve, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # who guesses keys this fast is told to come again, which is not what is looked at here
    monkeypatch.setattr("serving.security.gate._FAILURES", 1e6)
    with serve_settings(replace(settings, auth="keys")) as client:
        admin = (tmp_path / "data" / "keys" / "admin.key").read_text().strip()
        wanted = {"name": "all", "scopes": list(SCOPES)}
        key = client.post("/v1/keys", json=wanted, headers={"Authorization": f"Bearer {admin}"})
        token = key.json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        options = ("--header", f"Authorization: Bearer {token}")
        run = fuzz(client, tmp_path, PHASES, *options)
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert client.get("/v1/agents").status_code == 200
    log = (tmp_path / "data" / "server.log").read_text()
    assert '"status":500' not in log
    assert token not in log
