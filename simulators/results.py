"""What a rollout leaves behind: decisions, outcomes, rewards, the truth, and the log of it all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.decisions import Decision, OutcomeEvent
from agents.groups import Group
from agents.log import log_row, log_table
from agents.revision import Revision
from agents.rewards import reward

LOG_FILE = "decisions.parquet"
"""Name of the decision log in its folder."""


@dataclass(frozen=True)
class Rollout:
    """What happened in a world under a policy; all lists are in the order of time.

    Args:
        revision: whose actions the positions refer to.
        decisions: N of them.
        customers, rounds: (N,) int64, whom each decision was about, and which of theirs it was.
        events: the outcomes that followed, by arrival.
        expected: (N, A) currency, the world's exact expected reward of every action then.
        end: an instant at which no outcome can arrive any more (UTC).
    """

    revision: Revision
    decisions: tuple[Decision, ...]
    customers: NDArray[np.int64]
    rounds: NDArray[np.int64]
    events: tuple[OutcomeEvent, ...]
    expected: NDArray[np.float64]
    end: datetime

    @property
    def actions(self) -> NDArray[np.int64]:
        """Positions of the drawn actions; (N,)."""
        return np.array([decision.action for decision in self.decisions], dtype=np.int64)

    @property
    def distributions(self) -> NDArray[np.float64]:
        """The distributions that were drawn from; (N, A)."""
        return np.stack([decision.distribution for decision in self.decisions])

    def rewards(self) -> NDArray[np.float64]:
        """Return the reward that each decision came to, in currency; (N,)."""
        events, agent = self._by_decision(), self.revision.agent
        values = [
            reward(agent, self.revision.actions[d.action], d.at, events[d.decision_id])
            for d in self.decisions
        ]
        return np.array(values, dtype=np.float64)

    def in_group(self, group: Group) -> NDArray[np.bool_]:
        """Say which decisions were about customers of a group; (N,)."""
        return np.array([decision.group is group for decision in self.decisions])

    def log(self, key: bytes) -> pa.Table:
        """Make the decision log, as a server would export it when all windows have ended.

        Args:
            key: secret of the customer hash.
        """
        events = self._by_decision()
        return log_table(
            log_row(i, d, self.revision, events[d.decision_id], now=self.end, key=key)
            for i, d in enumerate(self.decisions)
        )

    def _by_decision(self) -> dict[str, list[OutcomeEvent]]:
        events: dict[str, list[OutcomeEvent]] = defaultdict(list)
        for event in self.events:
            events[event.decision_id].append(event)
        return events

    def write(self, folder: Path, key: bytes) -> None:
        """Write `decisions.parquet` and `revisions/ID.json`, as a server exports them.

        Args:
            folder: made if missing; a log that is there is replaced.
            key: secret of the customer hash.
        """
        sources = folder / "revisions"
        sources.mkdir(parents=True, exist_ok=True)
        (sources / f"{self.revision.id}.json").write_bytes(self.revision.source)
        write_parquet(self.log(key), folder / LOG_FILE)


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table whole or not at all: a partial file is never seen under the final name."""
    temporary = path.with_suffix(".partial")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(path)
