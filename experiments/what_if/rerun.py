"""Guardrails asked again of logged decisions: exact, since a context holds all that they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import read_context
from agents.errors import LogError
from agents.guardrails.base import Guardrail, Moment
from agents.guardrails.exclusion import ExclusionList
from agents.guardrails.maturity import Maturity
from agents.mask import ask, ask_among
from agents.revision import Revision
from agents.units import parse_instant
from experiments.logs import LoggedDecisions

Flags = NDArray[np.bool_]
Progress = Callable[[int], None]
_HASHED = (ExclusionList, Maturity)
_TOLD = 500  # decisions


@dataclass(frozen=True)
class Rows:
    """Logged decisions of one revision, in the order of its actions.

    Args:
        log: N decisions of the treatment and random groups.
        revision: that decided them; A is the number of its actions.
        columns: (A,) the log's column of each action.
        reasons: (N, A) name of the rule that barred each action in the log, empty if none.
        expected: (N, A) the policy's own expected rewards in currency, NaN where it had none.
        left_out: closed decisions of treatment and random that other revisions made.
    """

    log: LoggedDecisions
    revision: Revision
    columns: NDArray[np.int64]
    reasons: NDArray[np.object_]
    expected: NDArray[np.float64]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.log)

    @property
    def allowed(self) -> Flags:
        """What the log says was allowed; (N, A)."""
        return self.log.allowed[:, self.columns]

    @property
    def distribution(self) -> NDArray[np.float64]:
        """What was drawn from; (N, A)."""
        return self.log.distribution[:, self.columns]

    @property
    def drawn(self) -> NDArray[np.intp]:
        """Position of the drawn action among the revision's; (N,)."""
        return np.asarray(np.argmax(self.columns == self.log.action[:, None], axis=1))

    def context(self, row: int) -> Context:
        """Return the context of one decision; its customer is the hash."""
        at = parse_instant(f"{self.log.at[row]}+00:00")
        log = self.log
        return read_context(log.contexts[row], customer=str(log.customer[row]), at=at)

    def wide(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put (N, A) of the revision's actions into the log's columns."""
        found = np.zeros_like(self.log.distribution)
        found[:, self.columns] = matrix
        return found


@dataclass(frozen=True)
class Rerun:
    """What the rules of a revision say of logged decisions.

    Args:
        revision: whose rules were asked.
        names: of its guardrails and rankings, in the order in which their reasons are given; G.
        alone: (G, N, A) what each bars by itself; a ranking, given what the others allow.
        allowed: (N, A) what all of them leave.
        moments: (N,) what they were asked about.
        order: (A,) place of each of the rows' actions among the revision's own.
    """

    revision: Revision
    names: tuple[str, ...]
    alone: Flags
    allowed: Flags
    moments: tuple[Moment, ...]
    order: NDArray[np.int64]

    def without(self, rule: int, instead: Flags | None = None) -> Flags:
        """Return what would be allowed without one rule, or with another in its place; (N, A).

        Args:
            rule: its number.
            instead: (N, A) what would bar in its place; nothing if not said.
        """
        plain = len(self.revision.guardrails)
        others = [i for i in range(plain) if i != rule]
        barred = self.alone[others].any(axis=0)  # (N, A)
        if instead is not None:
            barred = barred | instead
        skip = rule - plain if rule >= plain else None
        return self._settled(np.asarray(~barred), skip)

    def _settled(self, free: Flags, skip: int | None) -> Flags:
        """Ask the rankings and `always_act` again, where something is different."""
        revision, allowed = self.revision, free.copy()
        if not revision.rankings and not revision.agent.always_act:
            return allowed
        before = ~self.alone[: len(revision.guardrails)].any(axis=0)  # (N, A)
        same = (before == free).all(axis=1) if skip is None else np.zeros(len(free), dtype=np.bool_)
        allowed[same] = self.allowed[same]
        for row in np.flatnonzero(~same).tolist():
            own = free[row][np.argsort(self.order)]
            allowed[row] = rank(revision, self.moments[row], own, skip)[0][self.order]
        return allowed


def rerun(rows: Rows, revision: Revision, progress: Progress | None = None) -> Rerun:
    """Ask the rules of a revision, the rows' own or a changed one, about every decision.

    What depends on the customer's identifier (exclusion lists, maturity) cannot be asked again,
    as the log has hashes; it bars what it barred in the log.

    Args:
        rows: decisions.
        revision: with the same actions as the rows' own.
        progress: is told how many more decisions were asked, every so often.
    """
    order = np.array([revision.index(name) for name in rows.revision.action_ids], dtype=np.int64)
    own = np.argsort(order)  # (A,) place of the revision's actions among the rows'
    guardrails, rankings = revision.guardrails, revision.rankings
    names = tuple(rule.name for rule in (*guardrails, *rankings))
    size = len(revision.actions)
    alone = np.zeros((len(names), len(rows), size), dtype=np.bool_)  # (G, N, A)
    allowed = np.zeros((len(rows), size), dtype=np.bool_)  # (N, A)
    moments = []
    for row in range(len(rows)):
        moment = revision.moment(rows.context(row))
        moments.append(moment)
        for number, rule in enumerate(guardrails):
            barred = bars(rule, moment, rows, row)
            alone[number, row] = barred[own] if isinstance(rule, _HASHED) else barred
        free = np.asarray(~alone[: len(guardrails), row].any(axis=0))
        allowed[row], ranked = rank(revision, moment, free)
        alone[len(guardrails) :, row] = ranked
        if progress is not None and (row + 1) % _TOLD == 0:
            progress(_TOLD)
    return Rerun(revision, names, alone[:, :, order], allowed[:, order], tuple(moments), order)


def bars(rule: Guardrail, moment: Moment, rows: Rows, row: int) -> Flags:
    """Return what one guardrail bars in one decision; (A,) in its own revision's order.

    Args:
        rule: what is asked; one that depends on the customer's identifier answers in the order of
            the rows' revision.
        moment: that decision, as the rule's revision sees it.
        rows: decisions.
        row: which of them.
    """
    if isinstance(rule, _HASHED):
        return np.asarray(rows.reasons[row] == rule.name, dtype=np.bool_)
    reasons = ask(rule, moment, len(rows.revision.actions))
    return np.array([reason is not None for reason in reasons])


def rank(
    revision: Revision, moment: Moment, free: Flags, skip: int | None = None
) -> tuple[Flags, Flags]:
    """Ask the rankings, and `always_act`, among what the guardrails allow.

    Args:
        revision: whose rankings.
        moment: one customer now.
        free: (A,) what the guardrails allow.
        skip: number of a ranking to leave out.

    Returns:
        (A,) what is allowed in the end; (rankings, A) what each of them barred.
    """
    allowed = free.copy()
    ranked = np.zeros((len(revision.rankings), len(free)), dtype=np.bool_)
    for number, ranking in enumerate(revision.rankings):
        if number != skip:
            reasons = ask_among(ranking, moment, allowed.tolist())
            ranked[number] = [reason is not None for reason in reasons]
            allowed &= ~ranked[number]
    if revision.agent.always_act and allowed[1:].any():
        allowed[0] = False
    return allowed, ranked


def check_same(rows: Rows, found: Rerun) -> None:
    """Refuse to go on if the rules, asked again, do not give the logged masks.

    Raises:
        LogError: with the first decision and action that differ.
    """
    wrong = np.argwhere(found.allowed != rows.allowed)
    if len(wrong):
        row, action = wrong[0].tolist()
        got = "barred" if rows.allowed[row, action] else "allowed"
        raise LogError(
            f"decision {rows.log.decision_id[row]}: the rules of revision {rows.revision.id}, asked"
            f" again, say that {rows.revision.action_ids[action]} is {got}, and the log says"
            f" otherwise; {len(np.unique(wrong[:, 0])):,} of {len(rows):,} decisions differ, so"
            " nothing can be said of changed rules"
        )


def check_hashed(before: Revision, after: Revision) -> None:
    """Refuse a change of what depends on customers' identifiers, which a log does not have.

    Raises:
        LogError: with the rule's name.
    """
    kept = [_hashed(revision) for revision in (before, after)]
    different = {name for name in kept[0].keys() | kept[1].keys()
                 if kept[0].get(name) != kept[1].get(name)}  # fmt: skip
    if different:
        raise LogError(
            f"{min(different)} depends on customers' identifiers, and a log has only their hashes;"
            " use `nextbest diff --customers` for it"
        )


def _hashed(revision: Revision) -> dict[str, object]:
    """Return what each such rule is made of."""
    found: dict[str, object] = {}
    for rule in revision.guardrails:
        if isinstance(rule, ExclusionList):
            found[rule.name] = (rule.customers, tuple(revision.action_ids[i] for i in rule.actions))
        elif isinstance(rule, Maturity):
            found[rule.name] = revision.agent.maturity
    return found
