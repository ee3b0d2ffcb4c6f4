"""Rows of a log in the terms of its revisions: contexts, masks and lessons as a policy has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import read_context
from agents.errors import LogError
from agents.mask import Mask
from agents.revision import Revision
from agents.units import parse_instant
from experiments.logs import LoggedDecisions
from experiments.targets.supplied import Places, supplied_ids
from policies.base import Label, Lesson

_ABSENT = "not allowed then"


@dataclass(frozen=True)
class Reader:
    """Reads the rows of a log.

    The customer's identifier is hashed in the log, which no policy may notice.

    Args:
        log: decisions of one agent.
        revisions: by id, at least those that the log names.
    """

    log: LoggedDecisions
    revisions: Mapping[str, Revision]
    _columns: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _last: dict[int, Context] = field(default_factory=dict)  # one, which is asked for repeatedly

    def revision(self, row: int) -> Revision:
        """Return the revision of a decision.

        Raises:
            LogError: it is not given.
        """
        name = str(self.log.revision[row])
        if name not in self.revisions:
            raise LogError(
                f"decision {self.log.decision_id[row]}: expected one of the {len(self.revisions)}"
                f" known revisions, got {name}; add revisions/{name}.json beside the log"
            )
        return self.revisions[name]

    def columns(self, revision: Revision) -> NDArray[np.int64]:
        """Return the log's column of each action of a revision; (own A,).

        Raises:
            LogError: it has an action that no row of the log has.
        """
        if revision.id not in self._columns:
            place = {
                name: column for column, name in enumerate(self.log.by_action("a policy").actions)
            }
            missing = [name for name in revision.action_ids if name not in place]
            if missing:
                raise LogError(
                    f"revision {revision.id}: expected its actions in the log, got no row with"
                    f" {missing[0]!r}"
                )
            found = [place[name] for name in revision.action_ids]
            self._columns[revision.id] = np.array(found, dtype=np.int64)
        return self._columns[revision.id]

    @cached_property
    def _places(self) -> Places:
        return Places(self.log)

    def offered(self, row: int, revision: Revision) -> NDArray[np.int64]:
        """Return the log's column of each action of a decision; (own A,).

        They are those of its revision, or `none` and those that came with its request.

        Raises:
            LogError: the log has no such action.
        """
        if revision.agent.supplied is None:
            return self.columns(revision)
        supplied = self.context(row).supplied
        assert supplied is not None, "`context` refuses a loop's decision without its actions"
        return self._places.of(row, supplied.actions)

    def free(self, row: int, revision: Revision) -> NDArray[np.bool_]:
        """Say which actions of a decision were allowed; (own A,)."""
        return np.asarray(self.log.allowed[row, self.offered(row, revision)])

    def mask(self, row: int, revision: Revision) -> Mask:
        """Return the mask of a row; why an action was barred is not told."""
        free = self.free(row, revision)
        return Mask(tuple(None if allowed else _ABSENT for allowed in free.tolist()))

    def context(self, row: int) -> Context:
        """Return what was known of the customer.

        Raises:
            LogError: it is a loop's decision, and has no actions that a loop can offer.
        """
        if row not in self._last:
            at = parse_instant(f"{self.log.at[row]}+00:00")
            record = self.log.contexts[row]
            if self.revision(row).agent.supplied is not None:
                supplied_ids(record, str(self.log.decision_id[row]))
            self._last.clear()
            self._last[row] = read_context(record, customer=str(self.log.customer[row]), at=at)
        return self._last[row]

    def lesson(self, row: int, revision: Revision) -> Lesson | None:
        """Return what a closed decision teaches, whole; None if its action is gone."""
        drawn = np.flatnonzero(self.offered(row, revision) == self.log.action[row])
        if not len(drawn):
            return None
        labels = self._labels(row, revision)
        return Lesson(
            self.context(row), self.mask(row, revision), int(drawn[0]),
            float(self.log.propensity[row]), labels, first=True,
        )  # fmt: skip

    def _labels(self, row: int, revision: Revision) -> tuple[Label, ...]:
        """Return what is learned of each outcome; of supplied actions, what was earned."""
        if revision.agent.supplied is not None:
            (outcome,) = revision.agent.outcomes
            return (Label(outcome, happened=True, value=float(self.log.reward[row])),)
        counted = self.log.outcomes[row]
        return tuple(Label(name, happened=name in counted) for name in revision.agent.outcomes)
