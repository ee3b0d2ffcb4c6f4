"""Which room may know what: import-linter's contracts, and what the inner rooms must not touch."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Commands and benchmarks are where a person stands: they pass in what the rest must not read.
EDGES = ("commands.py", "benchmark.py", "benchmark_mask.py")
INNER = [
    path
    for room in ("agents", "policies")
    for path in sorted((ROOT / room).rglob("*.py"))
    if path.name not in EDGES
]

# What reads the clock, the machine or chance by itself; instants, settings and seeds are passed in.
MODULES = {"random", "secrets", "time", "uuid"}
CALLS = {
    "datetime.now", "datetime.today", "datetime.utcnow", "date.today", "time.time",
    "time.monotonic", "time.perf_counter", "time.sleep", "os.environ", "os.environb", "os.getenv",
    "os.urandom", "random.seed", "random.random", "random.rand", "random.randn", "random.randint",
    "random.choice", "random.shuffle", "random.permutation", "random.normal", "random.uniform",
}  # fmt: skip


def forbidden(source: str) -> list[str]:
    """List what a source file uses that an inner room must not: clock, environment, chance."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in {*MODULES, "os"}:
            found += [
                f"{node.module}.{name.name}"
                for name in node.names
                if node.module in MODULES or f"os.{name.name}" in CALLS
            ]
        elif isinstance(node, ast.Attribute):
            dotted = ast.unparse(node)
            found += [dotted for call in CALLS if dotted == call or dotted.endswith(f".{call}")]
        elif isinstance(node, ast.Call) and ast.unparse(node).endswith("default_rng()"):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", INNER, ids=lambda path: str(path.relative_to(ROOT)))
def test_inner_rooms_know_no_clock_no_environment_and_no_chance(path: Path) -> None:
    assert forbidden(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import random", ["random"]),
        ("from random import choice", ["random.choice"]),
        ("from time import time", ["time.time"]),
        ("import time as t", ["time"]),
        ("from os import environ", ["os.environ"]),
        ("import os\nos.environ['X']", ["os.environ"]),
        ("import os\nos.getenv('X')", ["os.getenv"]),
        ("from datetime import datetime\ndatetime.now()", ["datetime.now"]),
        ("import datetime\ndatetime.datetime.now()", ["datetime.datetime.now"]),
        ("import numpy as np\nnp.random.rand(3)", ["np.random.rand"]),
        ("import numpy as np\nnp.random.default_rng()", ["np.random.default_rng()"]),
        ("import numpy as np\nnp.random.default_rng(7).random()", []),
        ("from datetime import time\ntime(8)", []),
        ("def draw(rng):\n    return rng.random()", []),
        ("import os\nos.fspath('x')", []),
    ],
)
def test_the_search_sees_what_it_must_see(source: str, found: list[str]) -> None:
    assert forbidden(source) == found


def test_the_contracts_say_what_the_design_says() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert layers == [["serving | experiments", "simulators", "policies", "agents"]]
    barred = {
        (room, name)
        for contract in contracts
        if contract["type"] == "forbidden"
        for room in contract["source_modules"]
        for name in contract["forbidden_modules"]
    }
    assert {("serving", "simulators"), ("serving", "experiments")} <= barred
    for room in ("agents", "policies", "simulators", "experiments"):
        for name in ("ray", "fastapi", "starlette", "uvicorn", "apsw"):
            assert (room, name) in barred


def test_imports_keep_the_contracts() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
