"""Whether a logged decision can be repeated: the same distribution and the same draw."""

from __future__ import annotations

from typing import Literal

import numpy as np

from agents.decisions import Decision
from agents.errors import SnapshotError
from agents.groups import Group
from agents.revision import Revision
from policies.base import Policy
from policies.decide import replay
from policies.registry import create_policy
from serving.learning.snapshots import SnapshotFolder

Verdict = Literal["same", "differs", "unknown"]

TOLERANCE = 1e-9
"""By which a probability may differ: another build of the same code may round otherwise."""


def replayed(
    snapshots: SnapshotFolder, decision: Decision, revision: Revision, secret: bytes
) -> tuple[Verdict, float | None]:
    """Recompute a decision from what was logged, and compare.

    Args:
        snapshots: where the policy that decided is looked for.
        decision: as it was logged.
        revision: by which it was made.
        secret: the server's key of draws.

    Returns:
        The verdict and the largest difference of a probability; `unknown` and None if the
        snapshot that decided is there no more.
    """
    policy = _policy_of(snapshots, decision, revision)
    if policy is None:
        return "unknown", None
    again = replay(decision, revision, policy, secret)
    if again.distribution.shape != decision.distribution.shape:
        return "differs", None
    difference = float(np.abs(again.distribution - decision.distribution).max())
    same = difference <= TOLERANCE and again.action == decision.action
    return ("same" if same else "differs"), difference


def _policy_of(snapshots: SnapshotFolder, decision: Decision, revision: Revision) -> Policy | None:
    """Return the policy that decided, None if its snapshot is gone or unusable.

    The control and the random group are decided without one; any will do.
    """
    if not decision.snapshot or decision.group is not Group.TREATMENT:
        return create_policy(revision)
    try:
        return snapshots.load(decision.agent, decision.snapshot, revision)
    except SnapshotError:
        return None
