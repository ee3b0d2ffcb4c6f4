"""Registered models: what a snapshot is called in a model registry, and how it is checked there.

A registry keeps a sealed snapshot as it is, a file among others. Nothing that a registry says is
believed: the file's SHA-256 and its signature decide.
"""

from __future__ import annotations

import hashlib

from agents.errors import SnapshotError
from policies.snapshot import Manifest, unseal

MODEL_FILE = "model.snapshot"
"""Name of the file among the artifacts of a registered model."""

SHA256_TAG = "nextbest.sha256"
"""Tag of a model version that holds the SHA-256 of its file."""

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases: the model that decides, and the one that may come after it."""


def model_name(agent: str) -> str:
    """Return the name under which an agent's models are registered.

    Example:
        >>> model_name("retention")
        'nextbest-retention'
    """
    return f"nextbest-{agent}"


def file_digest(data: bytes) -> str:
    """Return the SHA-256 of a sealed snapshot's file, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check_model(data: bytes, sha256: str, agent: str, key: bytes) -> tuple[Manifest, bytes]:
    """Check a file from a registry and take it apart; nothing of it is unpickled.

    Args:
        data: the file.
        sha256: the digest that was written down when it was registered.
        agent: whose model it must be.
        key: that it must be signed with.

    Raises:
        SnapshotError: the file is another one, is damaged, was signed with another key, or is a
            model of another agent.
    """
    found = file_digest(data)
    if found != sha256:
        raise SnapshotError(
            f"expected a model file with SHA-256 {sha256 or '(none is noted)'}, got {found};"
            " register the snapshot again"
        )
    manifest, state = unseal(data, key)
    if manifest.agent != agent:
        raise SnapshotError(
            f"expected a model of agent {agent!r}, got one of {manifest.agent!r}; register it"
            " under its own agent"
        )
    return manifest, state
