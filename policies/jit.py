"""Compiled kernels: plain functions on arrays, turned into machine code when first called.

The code is cached beside the modules, so that only the first process ever waits for it. Numba
notices a change in a function's own file only, and a kernel holds the code of those it calls; so
the cache of a room (a top-level package) is named after all its files with kernels, and kernels
call only those of their own room. Fast-math is off: a sum is added up in the
order in which it is written, and a replay gives the same bits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Params = ParamSpec("Params")
Result = TypeVar("Result")

_HERE = Path(__file__).parent


@cache
def _cache_folder(room: Path) -> Path | None:
    """Make the folder of a room's present files, None where nothing can be written."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(room.rglob("*.py")):
        text = file.read_bytes()
        if b"import compiled" in text:
            digest.update(text)
    folder = room / "__pycache__" / f"kernels-{digest.hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _folder_of(file: Path) -> Path | None:
    """Return where a file's kernels are kept; None if it is in no room, as a doctest is."""
    if not file.is_relative_to(_HERE.parent):
        return None
    room = _HERE.parent / file.relative_to(_HERE.parent).parts[0]
    return _cache_folder(room) if (room / "__init__.py").is_file() else None


def compiled(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """Compile a function of arrays and numbers; while it runs, other threads may too.

    Where nothing can be written, each process compiles for itself.

    Example:
        >>> @compiled
        ... def double(x: float) -> float:
        ...     return 2.0 * x
        >>> double(2.0)
        4.0
    """
    folder = _folder_of(Path(function.__code__.co_filename))
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined] # numba makes it at import
    made = numba.njit(function, cache=folder is not None, nogil=True, error_model="numpy")
    return cast("Callable[Params, Result]", made)
