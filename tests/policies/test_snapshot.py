from __future__ import annotations

from dataclasses import replace

import pytest

from agents.errors import SnapshotError
from policies.snapshot import Manifest, seal, snapshot_id, unseal

KEY, STATE = b"a key for tests", b"state\nwith a newline \x00\xff"
MANIFEST = Manifest.of(
    STATE, policy="uniform", agent="retention", revision="0" * 16, position=1234, lessons=1000
)


def test_round_trip_and_determinism() -> None:
    data = seal(MANIFEST, STATE, KEY)
    assert unseal(data, KEY) == (MANIFEST, STATE)
    assert seal(MANIFEST, STATE, KEY) == data


def test_an_empty_state_is_a_state() -> None:
    manifest = Manifest.of(b"", policy="p", agent="a", revision="r", position=0, lessons=0)
    assert unseal(seal(manifest, b"", KEY), KEY) == (manifest, b"")


def test_every_single_bit_counts() -> None:
    data = seal(MANIFEST, STATE, KEY)
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(SnapshotError):
                unseal(bytes(damaged), KEY)


def test_every_truncation_counts() -> None:
    data = seal(MANIFEST, STATE, KEY)
    for size in range(len(data)):
        with pytest.raises(SnapshotError):
            unseal(data[:size], KEY)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (seal(MANIFEST, STATE, b"other"), "changed, or signed with another key"),
        (seal(MANIFEST, STATE, KEY)[:-1], "expected a state of 23 bytes, got 22"),
        (seal(MANIFEST, STATE, KEY)[:-1] + b"x", "does not have the SHA-256 of its manifest"),
        (b"", "ends within its first line"),
        (b"{}\n", "is no manifest"),
        (b"[]\n", "is no JSON object"),
        (b"\xff\n", "is not JSON"),
        (b'{"size": NaN}\n', "is no manifest"),
    ],
)
def test_the_message_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        unseal(data, KEY)


def test_another_spelling_of_the_same_manifest_is_refused() -> None:
    data = seal(MANIFEST, STATE, KEY)
    with pytest.raises(SnapshotError, match="changed"):
        unseal(data.replace(b'"agent":', b'"agent": ', 1), KEY)


def test_the_manifest_must_be_of_the_state() -> None:
    with pytest.raises(ValueError, match="manifest of this state"):
        seal(MANIFEST, STATE + b"!", KEY)


def test_ids_sort_by_position() -> None:
    ids = [snapshot_id(replace(MANIFEST, position=p)) for p in (9, 10, 999_999_999_999)]
    assert ids == sorted(ids)
    assert ids[0] == f"000000000009-{MANIFEST.sha256[:12]}"


def test_what_the_teacher_knows_is_sealed_with_the_state() -> None:
    teacher = {"clock": "2026-03-02T00:00:00+00:00", "since": 3, "curves": {"o": {"heard": 2}}}
    manifest = replace(MANIFEST, teacher=teacher)
    data = seal(manifest, STATE, KEY)
    assert unseal(data, KEY) == (manifest, STATE)
    with pytest.raises(SnapshotError, match="was changed"):
        unseal(data.replace(b'"since":3', b'"since":4'), KEY)
    assert b"teacher" not in seal(MANIFEST, STATE, KEY)  # nothing known, nothing said
