"""What a drive leaves behind: the server's answers and, beside each, the world's truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agents.decisions import OutcomeEvent
from simulators.results import write_parquet

_TRUTH = pa.schema(
    [
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("customer", pa.int64(), nullable=False),
        pa.field("round", pa.int64(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("expected_rewards", pa.list_(pa.float64()), nullable=False),  # currency, (A,)
    ]
)


@dataclass(frozen=True, slots=True)
class Driven:
    """One decision that the server made, and what the world knows of it.

    Args:
        customer, round_index: whom it was about, and which of theirs it was.
        at: instant of the decision (UTC).
        action: position of the drawn action in the world's revision.
        expected: (A,) currency, the world's exact expected reward of every action then.
        latency_ms: from request to answer, retries included; in a batch, the batch's.
        answer: the server's answer as it came.
    """

    customer: int
    round_index: int
    at: datetime
    action: int
    expected: NDArray[np.float64]
    latency_ms: float
    answer: dict[str, Any]

    @property
    def decision_id(self) -> str:
        """The server's name of the decision."""
        return str(self.answer["decision_id"])

    @property
    def group(self) -> str:
        """The group that the server put the customer into."""
        return str(self.answer["group"])


@dataclass(frozen=True)
class DriveResult:
    """All that a drive brought; decisions in the order of time.

    Args:
        decisions: N of them.
        outcomes: every outcome that was sent, in the order of sending; what the world tells twice
            is in it twice.
        seconds: wall time of the whole drive.
        repeated: decisions that were asked for twice under one key.
        again: requests that were sent again, since the server did not answer them.
    """

    decisions: tuple[Driven, ...]
    outcomes: tuple[OutcomeEvent, ...]
    seconds: float
    repeated: int = 0
    again: int = 0

    @property
    def decision_ids(self) -> list[str]:
        """The server's names of the decisions."""
        return [decision.decision_id for decision in self.decisions]

    @property
    def customers(self) -> NDArray[np.int64]:
        """Whom each decision was about; (N,)."""
        return np.array([decision.customer for decision in self.decisions], dtype=np.int64)

    @property
    def actions(self) -> NDArray[np.int64]:
        """Positions of the drawn actions; (N,)."""
        return np.array([decision.action for decision in self.decisions], dtype=np.int64)

    @property
    def expected(self) -> NDArray[np.float64]:
        """The world's exact expected rewards, in currency; (N, A)."""
        return np.stack([decision.expected for decision in self.decisions])

    @property
    def latencies_ms(self) -> list[float]:
        """How long each decision took, in milliseconds."""
        return [decision.latency_ms for decision in self.decisions]


def write_truth(result: DriveResult, path: Path) -> None:
    """Write what the world knows of each decision as Parquet.

    Columns: decision_id, customer, round, at, group, action, expected_rewards (A numbers, in the
    order of the revision's actions).
    """
    rows = [
        {
            "decision_id": d.decision_id,
            "customer": d.customer,
            "round": d.round_index,
            "at": d.at,
            "group": d.group,
            "action": d.answer["action"]["id"],
            "expected_rewards": d.expected.tolist(),
        }
        for d in result.decisions
    ]
    write_parquet(pa.Table.from_pylist(rows, schema=_TRUTH), path)
