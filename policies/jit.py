"""Compiled kernels: plain functions on arrays, turned into machine code when first called.

The code is cached beside the modules, so that only the first process ever waits for it. Numba
notices a change in a function's own file only, and a kernel holds the code of those it calls; so
the cache is named after all files with kernels. Fast-math is off: a sum is added up in the
order in which it is written, and a replay gives the same bits.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Params = ParamSpec("Params")
Result = TypeVar("Result")

_HERE = Path(__file__).parent


def _cache_folder() -> Path | None:
    """Make the folder of the present files, None where nothing can be written."""
    digest = hashlib.sha256()
    for file in sorted(_HERE.rglob("*.py")):
        text = file.read_bytes()
        if b"import compiled" in text:
            digest.update(text)
    folder = _HERE / "__pycache__" / f"kernels-{digest.hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


_CACHE = _cache_folder()
if _CACHE is not None:
    numba.config.CACHE_DIR = str(_CACHE)  # type: ignore[attr-defined] # numba makes it at import


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
    kept = _CACHE is not None and Path(function.__code__.co_filename).is_relative_to(_HERE)
    made = numba.njit(function, cache=kept, nogil=True, error_model="numpy")
    return cast("Callable[Params, Result]", made)
