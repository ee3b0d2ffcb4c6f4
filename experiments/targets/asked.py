"""Targets as they are asked for on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.errors import (
    LogError,
    NextbestError,
    SnapshotError,
    StateError,
    UnknownNameError,
    did_you_mean,
)
from agents.revision import Revision
from experiments.logs import LoggedDecisions
from experiments.progressive import progress
from experiments.targets.answering import snapshot_target
from experiments.targets.learner import Learner, check_settings
from experiments.targets.named import NAMED
from experiments.targets.rules import Rule, parse_rule, read_rules, rule_target
from experiments.targets.taught import Lessons, taught_target
from policies.registry import POLICIES, RANKERS, STATELESS, load_learner
from policies.snapshot import unseal

Floats = NDArray[np.float64]
Probabilities = Callable[[LoggedDecisions], Floats]

INCUMBENT = "incumbent"
_LEARNERS = POLICIES | RANKERS
_RULE_FILES = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """What targets are made from, beside the decisions that they are valued on.

    Args:
        revisions: by id, as far as they stand beside the log.
        newest: the revision of the last decision; None if it is not known.
        key: file of the key that snapshots are signed with.
        lessons: where learners learn; None only if no target learns.
        progressive: whether learners answer every decision and learn from it afterwards.
        option: by which they are asked for, to name in errors.
    """

    revisions: Mapping[str, Revision]
    newest: Revision | None = None
    key: Path | None = None
    lessons: Lessons | None = None
    progressive: bool = False
    option: str = "--policy"


@dataclass(frozen=True)
class Target:
    """One policy that is asked about.

    Args:
        name: for reports.
        probabilities: returns its (N, A) on decisions; see `Lessons.judged` for one that learns.
        learns: whether it is taught on the log itself.
        snapshot: whether it has learned elsewhere, maybe from these very decisions.
        speaks: whether it has expressions about the customer.
    """

    name: str
    probabilities: Probabilities
    learns: bool = False
    snapshot: bool = False
    speaks: bool = False


def read_target(text: str, source: Source) -> Target:
    """Find out which policy is meant.

    Args:
        text: `uniform`, `none`, `logged`, `first`, `incumbent`, a learner as in
            `hybrid_thompson:tau=0.3`, `fixed:ACTION > OFFER`, `when EXPR then ACTION else ACTION`,
            a YAML file of rules, or the file of a snapshot.
        source: what it is made from.

    Raises:
        UnknownNameError: it is none of them, or has no such setting.
        StateError: it looks like a file, and there is none.
        LogError: it needs revisions, and there are none beside the log.
        SnapshotError: the snapshot cannot be read, or is not signed with the key.
        ValueError: a rule or a setting of another form.
    """
    if text in NAMED:
        return Target(text, NAMED[text])
    if text.startswith("when "):
        return _rules(text, parse_rule(text), source)
    head, _, rest = text.partition(":")
    if head == "fixed" and rest and "=" not in rest:
        return _rules(text, parse_rule(rest), source)
    if text == INCUMBENT or head in _LEARNERS:
        return _learner(text, source)
    path = Path(text)
    if not path.is_file():
        raise _unknown(text, path, source.option)
    if path.suffix in _RULE_FILES:
        return _rules(path.stem, read_rules(path), source)
    return Target(path.stem, _snapshot(path, source), snapshot=True)


def _unknown(text: str, path: Path, option: str) -> NextbestError:
    """Return the error for what is neither a name nor a file, by what it looks like."""
    if path.is_dir():
        return StateError(f"{option}: expected a file of rules or a snapshot, got folder {text}")
    if path.suffix in (*_RULE_FILES, ".snapshot") or len(path.parts) > 1:
        return StateError(f"{option}: there is no file {text}")
    hint = did_you_mean(text.partition(":")[0], {*NAMED, INCUMBENT, *_LEARNERS})
    return UnknownNameError(
        f"{option}: {text!r} is no policy, no rule and no snapshot file; {hint}"
    )


def may_learn(text: str) -> bool:
    """Whether a text of `read_target` names a learner, which may have to be taught.

    Example:
        >>> may_learn("hybrid_thompson:tau=0.3"), may_learn("fixed:tea"), may_learn("uniform")
        (True, False, False)
    """
    head = text.partition(":")[0]
    return text == INCUMBENT or (head in _LEARNERS and head not in STATELESS)


def _rules(name: str, rules: tuple[Rule, ...], source: Source) -> Target:
    speaks = any(rule.when is not None for rule in rules)
    rows = partial(rule_target, rules=rules, revision=source.newest)
    return Target(name, rows, speaks=speaks)


def _learner(text: str, source: Source) -> Target:
    if source.newest is None:
        raise LogError(
            f"{source.option} {text}: expected the agent's revisions beside the log, as"
            " revisions/ID.json, got none; without them only uniform, none, logged, first and fixed"
            " rules can be valued"
        )
    learner = Learner() if text == INCUMBENT else Learner.parsed(text)
    check_settings(learner, source.newest)
    if not learner.learns(source.newest):
        return Target(text, partial(_untaught, learner=learner, source=source))
    if source.progressive:
        return Target(text, partial(_progressive, learner=learner, source=source))
    return Target(text, partial(_taught, learner=learner, source=source), learns=True)


def _untaught(rows: LoggedDecisions, learner: Learner, source: Source) -> Floats:
    adapted = {name: learner.adapted(each) for name, each in source.revisions.items()}
    return snapshot_target(rows, adapted, learner.create)


def _progressive(rows: LoggedDecisions, learner: Learner, source: Source) -> Floats:
    adapted = {name: learner.adapted(each) for name, each in source.revisions.items()}
    wait = None if source.lessons is None else source.lessons.wait
    return progress(rows, adapted, learner.create, wait=wait).target


def _taught(rows: LoggedDecisions, learner: Learner, source: Source) -> Floats:
    if source.lessons is None:
        raise LogError("expected decisions to learn from, got none")
    return taught_target(rows, source.lessons, source.revisions, learner)


def _snapshot(path: Path, source: Source) -> Probabilities:
    if source.key is None:
        raise SnapshotError(
            "--key: expected the key file that the snapshot was signed with, got none;"
            " a server keeps it in its data folder as keys/snapshot.key"
        )
    try:
        manifest, state = unseal(path.read_bytes(), source.key.read_bytes())
    except OSError as error:
        raise SnapshotError(f"{error.filename} cannot be read: {error.strerror}") from error
    return partial(
        snapshot_target,
        revisions=source.revisions,
        policy_for=lambda revision: load_learner(manifest.policy, state, revision),
    )
