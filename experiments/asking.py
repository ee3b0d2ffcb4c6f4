"""What is asked of a log on the command line: which of its decisions, and which policies' value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.errors import SnapshotError, UnknownNameError, did_you_mean
from agents.groups import Group
from agents.revision import Revision
from agents.spec import Holdout
from experiments.evaluate import Evaluation, declared_range, evaluate
from experiments.lift import expected_holdout
from experiments.logs import LoggedDecisions
from experiments.revisions import hidden_features
from experiments.targets import logged_target, none_target, snapshot_target, uniform_target
from policies.registry import load_learner
from policies.snapshot import unseal

BY_NAME = {"uniform": uniform_target, "none": none_target, "logged": logged_target}


class Rows(StrEnum):
    """Which decisions the values are computed from."""

    RANDOM = "random"
    TREATMENT = "treatment"
    ALL = "all"

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that are kept; control decisions never tell the value of another policy."""
        if self is Rows.ALL:
            return (Group.TREATMENT, Group.RANDOM)
        return (Group(self.value),)


@dataclass(frozen=True, slots=True)
class Asker:
    """What every policy on the command line is valued with.

    Args:
        log: closed decisions of all groups.
        rows: those that values are computed from.
        revisions: by id, as far as they stand beside the log.
        key: file of the key that snapshots are signed with.
    """

    log: LoggedDecisions
    rows: LoggedDecisions
    revisions: Mapping[str, Revision]
    estimators: Sequence[str]
    level: float
    key: Path | None

    @property
    def newest(self) -> Revision | None:
        """The revision of the last decision, if it is known."""
        return self.revisions.get(str(self.log.revision[np.argmax(self.log.at)]))

    @property
    def currency(self) -> str:
        """Three letters, or a word in their place if no revision is known."""
        return self.newest.workspace.currency if self.newest else "currency"

    @property
    def holdout(self) -> Holdout | None:
        """The shares by which all customers were assigned; None if unknown, or if they changed."""
        known = [self.revisions.get(name) for name in set(self.log.revision.tolist())]
        declared = {
            None if found is None else expected_holdout(found.workspace, found.agent)
            for found in known
        }
        return declared.pop() if len(declared) == 1 else None

    def ask(self, name: str) -> Evaluation:
        """Value one policy, by its name or its snapshot file."""
        newest = self.newest
        return evaluate(
            self.rows,
            self._target(name),
            name=name if name in BY_NAME else Path(name).stem,
            estimators=self.estimators,
            level=self.level,
            reward_range=declared_range(newest) if newest else None,
            exclude=hidden_features(newest) if newest else frozenset(),
        )

    def _target(self, name: str) -> NDArray[np.float64]:
        if name in BY_NAME:
            return BY_NAME[name](self.rows)  # (N, A)
        path = Path(name)
        if not path.is_file():
            hint = did_you_mean(name, BY_NAME)
            raise UnknownNameError(f"--policy: {name!r} is no snapshot file; {hint}")
        if self.key is None:
            raise SnapshotError(
                "--key: expected the key file that the snapshot was signed with, got none;"
                " a server keeps it in its data folder as keys/snapshot.key"
            )
        try:
            manifest, state = unseal(path.read_bytes(), self.key.read_bytes())
        except OSError as error:
            raise SnapshotError(f"{error.filename} cannot be read: {error.strerror}") from error
        return snapshot_target(
            self.rows,
            self.revisions,
            lambda revision: load_learner(manifest.policy, state, revision),
        )
