"""What is read from a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agents.decisions import Decision, OutcomeEvent

EntryKind = Literal[
    "revision", "decision", "outcome", "correction", "delivery", "contact", "suppression", "erasure"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log.

    Args:
        position: order of commit, from 1; gaps only where something was pruned or erased.
        body: the record as plain JSON values; empty if what is stored is no such record.
    """

    position: int
    kind: EntryKind
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as committed, and the fingerprint of the request that asked for it.

    Args:
        arbitration: which agents bid for the customer and how it was settled, None if only one
            agent was asked.
        shadow: what the agent's shadow would have decided, None if it had none.
    """

    position: int
    request: bytes
    decision: Decision
    arbitration: Mapping[str, Any] | None = None
    shadow: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome as committed, and the fingerprint of its request.

    Args:
        counted: names of the agent's outcomes that counted once more because of it.
    """

    request: bytes
    counted: tuple[str, ...]
    event: OutcomeEvent
