"""A policy's state as bytes: named arrays and plain facts, never code.

The bytes are one safetensors file. Its only metadata entry is canonical JSON, since the format
does not fix the order of several; so the same state gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from agents.errors import SnapshotError

_KEY = "state"
_LENGTH = 8  # bytes of the header's own length, little-endian

Arrays = Mapping[str, NDArray[Any]]
Facts = Mapping[str, Any]


def canonical_json(value: object) -> str:
    """Write a value as JSON with sorted keys, no spaces and no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def pack(policy: str, facts: Facts, arrays: Arrays) -> bytes:
    """Write a state.

    Args:
        policy: name in the registry.
        facts: JSON values: names of rows and columns, versions, arguments.
        arrays: of any shape and a numeric type.
    """
    text = canonical_json({**facts, "policy": policy})
    return save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, metadata={_KEY: text})


def unpack(policy: str, state: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `pack` wrote for the same policy.

    Raises:
        SnapshotError: the bytes are damaged, are no such file, or belong to another policy.

    Example:
        >>> facts, arrays = unpack("demo", pack("demo", {"names": ["a"]}, {"m": np.ones(1)}))
        >>> facts["names"], arrays["m"].tolist()
        (['a'], [1.0])
    """
    try:
        arrays = load(state)
        length = int.from_bytes(state[:_LENGTH], "little")
        header = json.loads(state[_LENGTH : _LENGTH + length])
        facts = json.loads(header["__metadata__"][_KEY])
        found = facts.pop("policy")
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SnapshotError(
            f"expected the state of {policy}, got bytes that are no such file"
            f" ({type(error).__name__}); rebuild the snapshot from the ledger"
        ) from error
    if found != policy:
        raise SnapshotError(f"expected the state of {policy}, got the state of {found}")
    return facts, arrays
