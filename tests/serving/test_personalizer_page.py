"""The page for those who move from Azure Personalizer does what it says, to its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.load import load_workspace
from policies.registry import create_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "personalizer.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
EXAMPLE = ROOT / "agents" / "examples" / "personalizer"
SAMPLE = ROOT / "experiments" / "samples" / "drinks.dsjson"

YAML = [block for kind, block in BLOCKS if kind == "yaml"]


def commands(block: str) -> list[str]:
    return re.findall(r"^\$ (nextbest .*)$", block, flags=re.MULTILINE)


START = commands(BLOCKS[0][1])
"""What the first terminal is given."""


def script() -> str:
    """Write down what the second terminal is given, in the order of the page."""
    steps = ["set -eu -o pipefail"]
    for number, (kind, block) in enumerate(BLOCKS[1:]):
        steps.append(f"echo '# {number} {kind}'")
        if kind == "sh":
            steps.append(block)
        elif kind == "python":
            steps.append(f"python <<'END'\n{block}END")
        elif kind == "console":
            steps.extend(commands(block))
        else:
            assert kind == "yaml", kind
    return "\n".join(steps)


def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "160", "HOME": str(tmp_path)}


@pytest.fixture
def address(tmp_path: Path, free_port: int, limit: Any) -> Iterator[str]:
    """Run the commands of the first terminal; without Ray, as the page says."""
    *before, serve = START
    names = environment(tmp_path)
    for command in before:
        subprocess.run(
            command.split(), cwd=tmp_path, env=names, check=True, stdout=subprocess.DEVNULL
        )
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*serve.split(), "--engine", "uvicorn", "--port", str(free_port)],
            cwd=tmp_path, env=names, text=True, stdout=subprocess.PIPE, stderr=log,
        ) as server,
        limit(server),
    ):  # fmt: skip
        assert server.stdout is not None
        try:
            assert any("ready:" in line for line in server.stdout), (tmp_path / "log").read_text()
            yield f"http://127.0.0.1:{free_port}"
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def test_every_block_of_the_page_works(tmp_path: Path, address: str) -> None:
    shutil.copy(SAMPLE, tmp_path)
    assert script().count("http://127.0.0.1:8000") == 1
    ran = subprocess.run(
        ["bash", "-c", script().replace("http://127.0.0.1:8000", address)],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=400,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert '"error"' not in ran.stdout
    for word in (
        "irish coffee 0.0\n", '"eventId":"visit-2","rewardActionId":', '"slots":[{"id":"top"',
        '"learningMode":"Apprentice"', '"learningMode":"Online"', "wrote 4 decisions to own/",
        "4 decisions, 5 actions; 0 closed, 4 open", "nothing is wrong with it",
        "learnable 255, dangling 12, inactive 8",
        "12 dangling rewards, 8 inactive events); 255 lessons learned", "Propensity audit passed",
        "263 events of 263 decisions written to again.dsjson",
    ):  # fmt: skip
        assert word in ran.stdout, f"{word}: {ran.stdout[-6000:]}"
    settings = json.loads((tmp_path / "service.json").read_text())
    assert (settings["rewardWaitTime"], settings["explorationPercentage"]) == ("PT10M", 0.2)


def test_what_is_written_under_warm_begins_a_loop(tmp_path: Path) -> None:
    """Shown here without a server: what one begins with is the newest snapshot of its folder."""
    shutil.copy(SAMPLE, tmp_path)
    steps = [START[0]] + [
        step for _, block in BLOCKS for step in commands(block) if "dsjson" in step
    ]
    for step in steps[:2]:
        subprocess.run(
            step.split(), cwd=tmp_path, env=environment(tmp_path), check=True, capture_output=True
        )
    folders = [
        file.parent for file in (tmp_path / "warm" / "snapshots").rglob("*") if file.is_file()
    ]
    assert folders
    assert {folder.name for folder in folders} == {"drinks"}


def test_the_least_loop_stands_beside_the_example(tmp_path: Path) -> None:
    folder = tmp_path / "bar"
    shutil.copytree(EXAMPLE, folder)
    (folder / "agents" / "front_page.yaml").write_text(YAML[0], encoding="utf-8")
    revision = load_workspace(folder).revisions["front_page"]
    assert revision.agent.supplied is not None
    assert create_policy(revision).name == "vw_rank"


def test_the_rule_on_the_page_is_the_examples() -> None:
    _, rule = YAML
    *_, condition = re.findall(r"when: (.*)", rule)
    agent = load_workspace(EXAMPLE).revisions["drinks"].agent
    assert getattr(agent.guardrails["adults_only"], "when", None) == condition
    assert f"    when: {condition}\n" in (EXAMPLE / "agents" / "drinks.yaml").read_text()
