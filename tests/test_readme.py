"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

import nextbest

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


class Called(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


Call = Callable[[str], Called]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run a command inside this process, in a folder of its own: no second of imports each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def called(command: str) -> Called:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            nextbest.main()
        printed = capsys.readouterr()
        return Called(int(ended.value.code or 0), printed.out, printed.err)

    return called


def test_the_tour_has_its_commands() -> None:
    verbs = [shlex.split(command)[1] for command in TOUR]
    assert verbs == ["init", "check", "decide", "simulate", "compare", "evaluate"]


def test_the_tour_runs(call: Call) -> None:
    printed = []
    for command in TOUR:
        done = call(command)
        assert done.code == 0, f"{command}\n{done.out}\n{done.err}"
        printed.append(done.out)
    assert "retention: 4 offers, 25 actions" in printed[1]
    assert "bigger_plan/save@email#morning" in printed[2]
    assert "treatment" in printed[3]
    assert "in brackets: the difference to the first" in printed[4]
    assert "snips" in printed[5].lower()
    values, _, _ = printed[5].partition("Difference in")
    assert "not supported" not in values


def test_the_commands_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_command_explains_itself(call: Call) -> None:
    listing = call("nextbest --help").out
    commands = typer.main.get_group(nextbest.app).commands.keys()
    assert commands >= {
        "init", "check", "diff", "serve", "decide", "export", "simulate", "drive", "calibrate",
        "compare", "evaluate", "demo",
    }  # fmt: skip
    for command in commands:
        assert command in listing
        text = call(f"nextbest {command} --help").out
        assert f" {command} [OPTIONS]" in text
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
def test_mistakes_get_one_clear_line(call: Call, command: str, message: str) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("")
    done = call(command)
    assert done.code == 1
    assert message in done.err
    assert done.err.startswith("error: ")


def test_the_installed_program_does_the_same(tmp_path: Path) -> None:
    done = run(TOUR[0], tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "tour" / "workspace" / "workspace.yaml").is_file()
    done = run("nextbest check nowhere", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
