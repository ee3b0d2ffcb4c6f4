"""The policy under tighter rules: what it would have chosen, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.errors import SnapshotError
from agents.groups import Group
from agents.mask import Mask
from experiments.what_if.rows import Flags, Rows
from policies.base import Policy
from policies.decide import explore
from policies.registry import create_policy, load_policy
from policies.snapshot import unseal

Floats = NDArray[np.float64]
_BARRED = "barred in the log"
_SAME = 1e-9


@dataclass(frozen=True)
class Tightened:
    """A policy with some actions taken away.

    Args:
        target: (N, A) in the order of the revision's actions.
        changed: decisions that lose an action.
        recomputed: those of them in which the policy itself was asked again; its answer under the
            old mask was the logged one, so its answer under the new mask is what it would be.
        emptied: decisions in which nothing of what was likely remains allowed; of what the policy
            would do there, the log says nothing.
    """

    target: Floats
    changed: int
    recomputed: int
    emptied: int


def tighten(rows: Rows, kept: Flags, policies: Mapping[str, Policy]) -> Tightened:
    """Return what a policy chooses among what is left.

    Where the policy that decided is at hand and repeats the logged distribution, it is asked again
    under the new mask. Elsewhere its probabilities are scaled up to sum to 1 over what is left,
    p'(a) = p(a) 1[a in E'] / p(E'): exact for random and for all policies that choose in proportion
    to a score, an approximation for others, Thompson sampling among them.

    Args:
        rows: decisions.
        kept: (N, A) what is allowed before and after.
        policies: by the id of their snapshot as the log has it; empty for an untaught one.
    """
    p, before = rows.distribution, rows.allowed  # (N, A)
    mass = (p * kept).sum(axis=1)  # (N,)
    emptied = mass <= 0.0
    # What cannot be known goes where the log has no support, so that it counts as unsupported.
    barred = ~before & rows.exists
    nowhere = np.where(kept.any(axis=1, keepdims=True), kept, barred)  # (N, A)
    left = np.where(emptied[:, None], nowhere, p * kept)
    target = left / left.sum(axis=1, keepdims=True)  # (N, A)
    changed = np.flatnonzero((before & ~kept).any(axis=1) & ~emptied)
    recomputed = 0
    for row in changed.tolist():
        policy = policies.get(str(rows.log.snapshot[row]))
        if policy is None or rows.log.group[row] != Group.TREATMENT:
            continue
        found = _asked(rows, row, policy, before[row], kept[row], p[row])
        if found is not None:
            target[row, : len(found)], recomputed = found, recomputed + 1
    lost = int((before & ~kept).any(axis=1).sum())
    return Tightened(target, lost, recomputed, int(emptied.sum()))


def _asked(
    rows: Rows, row: int, policy: Policy, before: Flags, kept: Flags, logged: Floats
) -> Floats | None:
    """Return what the policy answers under the new mask; None if it is not what decided."""
    context, own = rows.context(row), rows.under(row, rows.revision)
    size = len(own.actions)
    answers = []
    for free in (before, kept):
        mask = Mask(tuple(None if each else _BARRED for each in free[:size].tolist()))
        answer = policy.distribution(context, mask).probabilities
        answers.append(explore(own, answer, mask.allowed))
        if np.abs(answers[0] - logged[:size]).max() > _SAME:
            return None
    return answers[1]


def policies_of(rows: Rows, folder: Path | None, key: Path | None) -> dict[str, Policy]:
    """Return the policies that decided, as far as they are at hand, by their snapshots' ids.

    Args:
        rows: decisions.
        folder: of files `ID.snapshot`; None if there is none.
        key: file of the key that they are signed with.

    Raises:
        SnapshotError: a file is there and cannot be used.
    """
    found = {"": create_policy(rows.revision)}
    if folder is None:
        return found
    if key is None:
        raise SnapshotError("--key: expected the key file that the snapshots were signed with")
    secret = _read(key)
    for name in sorted(set(map(str, rows.log.snapshot.tolist())) - {""}):
        file = folder / f"{name}.snapshot"
        if file.is_file():
            manifest, state = unseal(_read(file), secret)
            found[name] = load_policy(manifest.policy, state, rows.revision)
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{file} cannot be read: {error.strerror}") from error
