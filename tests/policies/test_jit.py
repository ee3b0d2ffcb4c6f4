from __future__ import annotations

from pathlib import Path
from typing import Any

import policies
import simulators
from policies.jit import compiled
from policies.propensities import normal
from simulators.market import chance


def folder_of(kernel: Any) -> Path:
    return Path(kernel.stats.cache_path)


def test_each_room_keeps_its_kernels_beside_its_code() -> None:
    kernels = [
        (policies, next(k for k in vars(normal).values() if hasattr(k, "py_func"))),
        (simulators, chance.luck_of),
    ]
    for room, kernel in kernels:
        assert room.__file__ is not None
        kept = Path(room.__file__).parent / "__pycache__"
        inside = folder_of(kernel).relative_to(kept)
        assert inside.parts[0].startswith("kernels-")


def test_what_is_no_part_of_a_room_is_not_kept() -> None:
    @compiled
    def double(x: float) -> float:
        return 2.0 * x

    assert double(2.0) == 4.0
    assert not list((Path(__file__).parent).rglob("*.nbi"))
