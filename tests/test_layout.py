"""The house: what must stand where, how large it may grow, what must never be in it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("agents", "policies", "simulators", "experiments", "serving")
SOURCES = [
    *(p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py"))),
    ROOT / "nextbest.py",
]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project, tracked or about to be."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others"]
    listed = subprocess.check_output([*command, "--exclude-standard"], cwd=ROOT, text=True)
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines, docstring left out, of every function of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None and first.end_lineno is not None:
                length -= first.end_lineno - first.lineno + 1
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length


def test_the_five_rooms_and_what_stands_beside_them() -> None:
    for room in ROOMS:
        assert (ROOT / room / "__init__.py").is_file()
    for name in ("nextbest.py", "Makefile", "README.md", "CHANGELOG.md", "LICENSE",
                 "pyproject.toml", "requirements.lock", ".ci/run"):  # fmt: skip
        assert (ROOT / name).is_file(), f"{name} is missing"
    assert (ROOT / "docs").is_dir()
    assert (ROOT / "agents/examples/telecom/workspace.yaml").is_file()


def test_no_room_beside_the_five() -> None:
    packages = {path.relative_to(ROOT).parts[0] for path in tracked() if path.suffix == ".py"}
    assert packages <= {*ROOMS, "nextbest.py", "tests", "docs"}


@pytest.mark.parametrize("name", ROOMS)
def test_an_import_name_is_ours_in_a_fresh_interpreter(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print(getattr(u.find_spec({name!r}), 'origin', None))"
    found = subprocess.check_output([sys.executable, "-P", "-c", code], cwd=tmp_path, text=True)
    assert Path(found.strip()).is_relative_to(ROOT), f"`import {name}` finds {found}"


def test_modules_are_small() -> None:
    sizes = {str(path.relative_to(ROOT)): lines(path) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > 300} == {}
    assert median(sizes.values()) < 130


def test_functions_are_small() -> None:
    sizes = dict(function for path in SOURCES for function in functions(path))
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert quantiles(sizes.values(), n=20)[-1] <= 40


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "TB" + "D"])
def test_nothing_is_left_for_later(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (*SOURCES, *sorted((ROOT / "tests").rglob("*.py")))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b{word}\b", line)
    ]
    assert found == []


def imports(path: Path) -> set[str]:
    """First names of all modules that a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_nothing_is_pickled() -> None:
    picklers = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    found = {str(p.relative_to(ROOT)): imports(p) & picklers for p in SOURCES}
    assert {name: names for name, names in found.items() if names} == {}


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = "|".join(("home", "work", "Users", "root", "mnt"))
    machine = re.compile(rf"(?<![\w.~$}}/-])/(?:{places})/\w".encode())
    assert machine.search(b"open('/" + b"home/ann/log')")
    assert not machine.search(b"https://example.org/" + b"home/ann")
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in tracked()
        for match in machine.finditer(path.read_bytes())
    ]
    assert found == []


def test_the_lock_names_versions_and_hashes_and_no_place() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    logical = text.replace("\\\n", " ").splitlines()
    requirements = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    assert len(requirements) > 50
    pinned = re.compile(
        r"[a-zA-Z0-9._-]+(\[[a-z0-9,_-]+\])?==[^\s;]+(\s*;[^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*"
    )
    assert [line[:60] for line in requirements if not pinned.fullmatch(line)] == []


def normal(name: str) -> str:
    """Write a distribution's name the one way in which all its spellings agree."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_holds_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {normal(re.split(r"[^\w.-]", name)[0]) for name in wanted}
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {
        normal(name) for name in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==", text, re.MULTILINE)
    }
    assert names - locked == set()
    assert "openai-agents" not in locked  # it installs a top-level `agents` over ours


def test_the_changelogs_newest_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?v?(\d+\.\d+\.\d+)\]?", text, re.MULTILINE)
    assert versions[:1] == [project["project"]["version"]]
