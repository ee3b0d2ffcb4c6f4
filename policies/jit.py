"""Compiled kernels: plain functions on arrays, turned into machine code when first called.

The code is cached beside the module, so that only the first process ever waits for it. Fast-math
is off: a sum is added up in the order in which it is written, and a replay gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Params = ParamSpec("Params")
Result = TypeVar("Result")


def compiled(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """Compile a function of arrays and numbers; while it runs, other threads may too.

    Where nothing can be written, neither beside the module nor in the user's cache, each process
    compiles for itself.

    Example:
        >>> @compiled
        ... def double(x: float) -> float:
        ...     return 2.0 * x
        >>> double(2.0)
        4.0
    """
    try:
        made = numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # no place for the cache
        made = numba.njit(function, nogil=True, error_model="numpy")
    return cast("Callable[Params, Result]", made)
