"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = re.findall(r"^\$ (nextbest .*)$", README, flags=re.MULTILINE)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "nextbest"
    words = [str(program), *shlex.split(command)[1:]]
    environment = os.environ | {"COLUMNS": "160"}
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tour")


def test_the_tour_has_its_commands() -> None:
    verbs = [shlex.split(command)[1] for command in TOUR]
    assert verbs == ["init", "check", "decide", "simulate", "evaluate"]


def test_the_tour_runs(folder: Path) -> None:
    printed = []
    for command in TOUR:
        done = run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout)
    assert "retention: 4 offers, 25 actions" in printed[1]
    assert "bigger_plan/save@email#morning" in printed[2]
    assert "treatment" in printed[3]
    assert "snips" in printed[4].lower()


def test_the_commands_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_explains_itself(folder: Path) -> None:
    listing = run("nextbest --help", folder).stdout
    for command in ("init", "check", "serve", "decide", "export", "simulate", "evaluate", "demo"):
        assert command in listing
        text = run(f"nextbest {command} --help", folder).stdout
        assert "Usage: nextbest" in text
        assert "--help" in text


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nextbest check nowhere", "workspace.yaml:1:1: there is no such file; `nextbest init`"),
        ("nextbest init --example telcom again", "did you mean 'telecom'?"),
        ("nextbest init full", "exists and is not an empty folder"),
        ("nextbest init full/file/x", "cannot be written"),
        ("nextbest serve full --port 1", "workspace.yaml:1:1: there is no such file"),
        ("nextbest decide ann --workspace nowhere --features {}", "there is no such file"),
        ("nextbest decide ann --features '[1]'", "expected --features as JSON"),
        ("nextbest decide ann --features {} --url http://127.0.0.1:9", "is `nextbest serve` run"),
        ("nextbest export out --data nowhere", "expected a ledger at"),
        ("nextbest evaluate nowhere", "nowhere"),
    ],
)
def test_mistakes_get_one_clear_line(folder: Path, command: str, message: str) -> None:
    (folder / "full").mkdir(exist_ok=True)
    (folder / "full" / "file").write_text("")
    done = run(command, folder)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
