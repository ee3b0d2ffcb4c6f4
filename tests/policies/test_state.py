from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from agents.errors import SnapshotError
from policies.state import canonical_json, pack, unpack

ARRAYS: dict[str, NDArray[Any]] = {
    "b": np.arange(6, dtype=np.float64).reshape(2, 3),
    "a": np.array([1, 2], dtype=np.uint8),
}


def test_round_trip() -> None:
    facts, arrays = unpack("demo", pack("demo", {"names": ["x", "ü|:"]}, ARRAYS))
    assert facts == {"names": ["x", "ü|:"]}
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


def test_order_of_facts_and_arrays_does_not_matter() -> None:
    one = pack("demo", {"x": 1, "y": 2}, ARRAYS)
    other = pack("demo", {"y": 2, "x": 1}, dict(reversed(ARRAYS.items())))
    assert one == other


def test_a_transposed_array_is_written_as_it_reads() -> None:
    _, arrays = unpack("demo", pack("demo", {}, {"t": ARRAYS["b"].T}))
    assert np.array_equal(arrays["t"], ARRAYS["b"].T)


def test_state_of_another_policy() -> None:
    with pytest.raises(SnapshotError, match="expected the state of demo, got the state of other"):
        unpack("demo", pack("other", {}, ARRAYS))


GOOD = pack("demo", {}, ARRAYS)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"junk",
        GOOD[:-1],
        GOOD + b"\0",
        b"\xff" * 200,
        save(ARRAYS),
        save(ARRAYS, metadata={"state": "[]"}),
        save(ARRAYS, metadata={"state": "{"}),
        save(ARRAYS, metadata={"other": "{}"}),
    ],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(SnapshotError, match="rebuild the snapshot from the ledger"):
        unpack("demo", garbage)


def test_canonical_json_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [True, None]}) == '{"a":[true,null],"b":1}'
    assert json.loads(canonical_json("ü")) == "ü"
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
