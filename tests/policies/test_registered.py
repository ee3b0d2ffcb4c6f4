"""A file from a registry is used only if it is the one that was registered, of the right agent."""

from __future__ import annotations

import pytest

from agents.errors import SnapshotError
from policies.registered import check_model, file_digest, model_name
from policies.snapshot import Manifest, seal

KEY = b"k" * 32
STATE = b"state"
MANIFEST = Manifest.of(
    STATE, policy="uniform", agent="care", revision="0" * 16, position=3, lessons=2
)
DATA = seal(MANIFEST, STATE, KEY)


def test_a_good_file_is_taken_apart() -> None:
    assert check_model(DATA, file_digest(DATA), "care", KEY) == (MANIFEST, STATE)
    assert model_name("care") == "nextbest-care"


@pytest.mark.parametrize(
    ("data", "digest", "agent", "key", "message"),
    [
        (DATA, "0" * 64, "care", KEY, "expected a model file with SHA-256 0{64}, got [0-9a-f]{64}"),
        (DATA, "", "care", KEY, r"SHA-256 \(none is noted\)"),
        (DATA, file_digest(DATA), "care", b"t" * 32, "signed with another key"),
        (DATA, file_digest(DATA), "sales", KEY, "expected a model of agent 'sales', got one of"),
        (DATA[:-1], file_digest(DATA[:-1]), "care", KEY, "expected a state of 5 bytes, got 4"),
    ],
)
def test_anything_else_is_refused(
    data: bytes, digest: str, agent: str, key: bytes, message: str
) -> None:
    with pytest.raises(SnapshotError, match=message):
        check_model(data, digest, agent, key)
