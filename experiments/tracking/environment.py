"""The environment of a run: versions that its figures depend on, and nothing of the machine."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

_PACKAGES = ("nextbest", "numpy", "scipy", "scikit-learn", "pyarrow", "numba", "vowpal-wabbit-next")
_LOCK = Path(__file__).parents[2] / "requirements.lock"


@cache
def environment() -> dict[str, str]:
    """Return the versions of Python and of what computes, and digests of everything installed.

    `packages_sha256` is that of the sorted lines `name==version` of all installed packages;
    `lock_sha256` that of `requirements.lock`, which only a checkout has. Neither the host, nor the
    user, nor a path is told.

    Example:
        >>> found = environment()
        >>> sorted(found)[:3], len(found["packages_sha256"])
        (['lock_sha256', 'nextbest', 'numba'], 64)
    """
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["packages_sha256"] = hashlib.sha256("\n".join(_installed()).encode()).hexdigest()
    found["lock_sha256"] = (
        hashlib.sha256(_LOCK.read_bytes()).hexdigest() if _LOCK.is_file() else "no lock file"
    )
    return found


def _installed() -> list[str]:
    pairs = {(found.metadata["Name"].lower(), found.version) for found in distributions()}
    return [f"{name}=={number}" for name, number in sorted(pairs)]
