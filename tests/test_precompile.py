"""After the three commands with which `make setup` ends there is nothing left to compile."""

from __future__ import annotations

import subprocess
import sys

LEFT = """
import importlib, pkgutil, runpy
import experiments.diagnostics, experiments.logs, policies, simulators
from numba.core.dispatcher import Dispatcher

for room in policies, simulators, experiments:  # the second compiles what only markets call
    runpy.run_module(f"{room.__name__}.precompile", run_name="__main__")
names = [
    found.name
    for room in (policies, simulators, experiments.diagnostics, experiments.logs)
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    if not found.name.startswith("simulators.benchmarks")  # scripts
]
modules = [importlib.import_module(name) for name in names]
kernels = {k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)}
within = {name for kernel in kernels for name in kernel.py_func.__code__.co_names}
for kernel in kernels:
    name = kernel.py_func.__name__
    if name not in within:  # else its code is part of another's, and it may never be called itself
        print("compiled" if kernel.signatures else name)
"""


def test_no_kernel_is_left() -> None:
    """In a process of its own: here, other tests may have compiled them."""
    done = subprocess.run(
        [sys.executable, "-c", LEFT], capture_output=True, text=True, check=True, timeout=300
    )
    assert set(done.stdout.split()) == {"compiled"}
