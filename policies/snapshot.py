"""Snapshots: a policy's state, sealed, so that only what the learner wrote is ever loaded.

A snapshot is one line of canonical JSON (the manifest, the state's length, and an HMAC-SHA256 over
both) and then the state, whose SHA-256 the manifest holds. One changed bit anywhere is noticed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from agents.errors import SnapshotError
from policies.state import canonical_json

_AGAIN = "; load another snapshot, or rebuild it from the ledger"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds.

    Args:
        policy: name in the registry.
        agent: name of the agent.
        revision: id of the revision it was taught under.
        position: last position of the ledger that it has learned.
        lessons: number of lessons learned.
        sha256: of the state, 64 hexadecimal digits.
        teacher: what the teacher knows beside the policy; empty if it knows nothing yet.
    """

    policy: str
    agent: str
    revision: str
    position: int
    lessons: int
    sha256: str
    teacher: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        state: bytes,
        *,
        policy: str,
        agent: str,
        revision: str,
        position: int,
        lessons: int,
        teacher: Mapping[str, Any] | None = None,
    ) -> Self:
        """Describe a state."""
        digest = hashlib.sha256(state).hexdigest()
        return cls(policy, agent, revision, position, lessons, digest, teacher or {})


def snapshot_id(manifest: Manifest) -> str:
    """Name a snapshot; names sort by position.

    Example:
        >>> snapshot_id(Manifest("uniform", "retention", "0" * 16, 17, 4, "c0ffee" + "0" * 58))
        '000000000017-c0ffee000000'
    """
    return f"{manifest.position:012d}-{manifest.sha256[:12]}"


def _line(manifest: Manifest, size: int, key: bytes) -> bytes:
    facts = asdict(manifest) | {"size": size}
    if not manifest.teacher:
        del facts["teacher"]  # so nothing that is empty has two spellings
    mac = hmac.new(key, canonical_json(facts).encode(), hashlib.sha256).hexdigest()
    return canonical_json(facts | {"hmac": mac}).encode()


def seal(manifest: Manifest, state: bytes, key: bytes) -> bytes:
    """Write a snapshot; the same arguments give the same bytes.

    Raises:
        ValueError: the manifest describes another state.
    """
    if hashlib.sha256(state).hexdigest() != manifest.sha256:
        raise ValueError("expected the manifest of this state, got that of another one")
    return _line(manifest, len(state), key) + b"\n" + state


def unseal(data: bytes, key: bytes) -> tuple[Manifest, bytes]:
    """Check a snapshot and take it apart.

    Raises:
        SnapshotError: it has no manifest, was signed with another key or changed, is cut short,
            or its state is damaged; the message says which.
    """
    line, newline, state = data.partition(b"\n")
    if not newline:
        raise SnapshotError(f"the snapshot ends within its first line{_AGAIN}")
    facts = _facts(line)
    mac, size = facts.pop("hmac", None), facts.pop("size", None)
    try:
        manifest = Manifest(**facts)
        expected = _line(manifest, size, key) if isinstance(size, int) else b""
    except (TypeError, ValueError) as error:
        raise SnapshotError(f"the snapshot's first line is no manifest: {error}{_AGAIN}") from error
    # The whole line is compared, not just the code in it: so no byte of it has two spellings.
    if not isinstance(mac, str) or not hmac.compare_digest(line, expected):
        raise SnapshotError(
            f"the snapshot's manifest was changed, or signed with another key{_AGAIN}"
        )
    if len(state) != size:
        raise SnapshotError(f"expected a state of {size} bytes, got {len(state)}{_AGAIN}")
    if hashlib.sha256(state).hexdigest() != manifest.sha256:
        raise SnapshotError(f"the state does not have the SHA-256 of its manifest{_AGAIN}")
    return manifest, state


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError as error:
        raise SnapshotError(f"the snapshot's first line is not JSON: {error}{_AGAIN}") from error
    if not isinstance(facts, dict):
        raise SnapshotError(f"the snapshot's first line is no JSON object{_AGAIN}")
    return facts
