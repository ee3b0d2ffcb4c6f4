"""Guardrails asked again of logged decisions: exact, since a context holds all that they read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError
from agents.guardrails.base import Guardrail, Moment, Ranking
from agents.guardrails.exclusion import ExclusionList
from agents.guardrails.maturity import Maturity
from agents.mask import ask, ask_among
from agents.revision import Revision
from agents.spec import ExclusionListSpec
from experiments.what_if.rows import Flags, Rows

Progress = Callable[[int], None]
Key = tuple[str, int]
R = TypeVar("R", Guardrail, Ranking)
_HASHED = (ExclusionList, Maturity)
_TOLD = 500  # decisions


@dataclass(frozen=True)
class Rerun:
    """What the rules of a revision say of logged decisions.

    Args:
        rows: N decisions.
        revision: whose rules were asked.
        keys: of its guardrails and then its rankings, in the order in which their reasons are
            given: their names, and how many of that name came before; G.
        plain: how many of them are guardrails.
        alone: (G, N, A) what each bars by itself; a ranking, given what the others allow.
        allowed: (N, A) what all of them leave.
        moments: (N,) what they were asked about; empty where actions come with each request, since
            their content would fill the memory.
        order: (A,) place of each of the rows' actions among the revision's own.
    """

    rows: Rows
    revision: Revision
    keys: tuple[Key, ...]
    plain: int
    alone: Flags
    allowed: Flags
    moments: tuple[Moment, ...]
    order: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the rules; (G,)."""
        return tuple(name for name, _ in self.keys)

    def moment(self, row: int) -> Moment:
        """Return what the rules were asked about in one decision."""
        if self.moments:
            return self.moments[row]
        return self.rows.under(row, self.revision).moment(self.rows.context(row))

    def without(self, rule: int, instead: Flags | None = None) -> Flags:
        """Return what would be allowed without one rule, or with another in its place; (N, A).

        Args:
            rule: its number.
            instead: (N, A) what would bar in its place; nothing if not said.
        """
        others = [i for i in range(self.plain) if i != rule]
        barred = self.alone[others].any(axis=0)  # (N, A)
        if instead is not None:
            barred = barred | instead
        skip = self.keys[rule] if rule >= self.plain else None
        return self._settled(np.asarray(~barred & self.rows.exists), skip)

    def _settled(self, free: Flags, skip: Key | None) -> Flags:
        """Ask the rankings and `always_act` again, where something is different."""
        allowed = free.copy()
        if len(self.keys) == self.plain and not self.revision.agent.always_act:
            return allowed
        before = ~self.alone[: self.plain].any(axis=0) & self.rows.exists  # (N, A)
        same = (before == free).all(axis=1) if skip is None else np.zeros(len(free), dtype=np.bool_)
        allowed[same] = self.allowed[same]
        places = np.argsort(self.order)  # (A,)
        for row in np.flatnonzero(~same).tolist():
            revision = self.rows.under(row, self.revision)
            here = places[: len(revision.actions)]  # columns of its own actions
            allowed[row, here] = rank(revision, self.moment(row), free[row, here], skip)[0]
        return allowed


def rerun(rows: Rows, revision: Revision, progress: Progress | None = None) -> Rerun:
    """Ask the rules of a revision, the rows' own or a changed one, about every decision.

    What depends on the customer's identifier (exclusion lists, maturity) cannot be asked again,
    as the log has hashes; it bars what it barred in the log.

    Args:
        rows: decisions.
        revision: with the same actions as the rows' own, or with those of each request as they.
        progress: is told how many more decisions were asked, every so often.
    """
    size = len(rows.columns)
    supplied = rows.log.listed is not None
    order = np.arange(size) if supplied else _order(rows, revision)  # (A,)
    places = np.argsort(order)  # (A,) of the revision's actions among the rows'
    sheets = _sheets((len(rows), size)), _sheets((len(rows), size))
    allowed = np.zeros((len(rows), size), dtype=np.bool_)  # (N, A)
    moments = []
    for row in range(len(rows)):
        own = rows.under(row, revision)
        here = places[: len(own.actions)]
        moment = own.moment(rows.context(row))
        moments += [] if supplied else [moment]
        free = np.ones(len(here), dtype=np.bool_)
        for key, rule in keyed(own.guardrails):
            barred = bars(rule, moment, rows, row)
            barred = barred[here] if isinstance(rule, _HASHED) else barred
            sheets[0][key][row, here] = barred
            free &= ~barred
        allowed[row, here], ranked = rank(own, moment, free)
        for key, barred in ranked.items():
            sheets[1][key][row, here] = barred
        if progress is not None and (row + 1) % _TOLD == 0:
            progress(_TOLD)
    keys = (*sheets[0], *sheets[1])
    alone = np.array([*sheets[0].values(), *sheets[1].values()], dtype=np.bool_)  # (G, N, A)
    alone = alone.reshape(len(keys), *allowed.shape)
    return Rerun(
        rows, revision, keys, len(sheets[0]), alone, allowed, tuple(moments), order
    )  # fmt: skip


def _sheets(shape: tuple[int, int]) -> defaultdict[Key, Flags]:
    """Return (N, A) for each rule that is met; of supplied actions not every row has every rule."""
    return defaultdict(lambda: np.zeros(shape, dtype=np.bool_))


def _order(rows: Rows, revision: Revision) -> NDArray[np.int64]:
    """Return the place of each of the rows' actions among a revision's own; (A,)."""
    return np.array([revision.index(name) for name in rows.revision.action_ids], dtype=np.int64)


def keyed(rules: Iterable[R]) -> Iterator[tuple[Key, R]]:
    """Name rules so that no two have the same name."""
    before: Counter[str] = Counter()
    for rule in rules:
        yield (rule.name, before[rule.name]), rule
        before[rule.name] += 1


def bars(rule: Guardrail, moment: Moment, rows: Rows, row: int) -> Flags:
    """Return what one guardrail bars in one decision; (own A,) in its own revision's order.

    Args:
        rule: what is asked; one that depends on the customer's identifier answers in the order of
            the rows, (A,).
        moment: that decision, as the rule's revision sees it.
        rows: decisions.
        row: which of them.
    """
    if isinstance(rule, _HASHED):
        return np.asarray(rows.reasons[row] == rule.name, dtype=np.bool_)
    reasons = ask(rule, moment, len(rows.ids(row)))
    return np.array([reason is not None for reason in reasons])


def rank(
    revision: Revision, moment: Moment, free: Flags, skip: Key | None = None
) -> tuple[Flags, dict[Key, Flags]]:
    """Ask the rankings, and `always_act`, among what the guardrails allow.

    Args:
        revision: whose rankings.
        moment: one customer now.
        free: (A,) what the guardrails allow.
        skip: key of a ranking to leave out.

    Returns:
        (A,) what is allowed in the end; (A,) what each ranking barred.
    """
    allowed = free.copy()
    ranked = {}
    for key, ranking in keyed(revision.rankings):
        barred = np.zeros(len(free), dtype=np.bool_)
        if key != skip:
            reasons = ask_among(ranking, moment, allowed.tolist())
            barred[:] = [reason is not None for reason in reasons]
            allowed &= ~barred
        ranked[key] = barred
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
            f" again, say that {rows.ids(row)[action]} is {got}, and the log says"
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
    """Return what each such rule is made of; of supplied actions, as it is written."""
    found: dict[str, object] = {}
    if revision.agent.supplied is not None:
        specs = {**revision.workspace.guardrails, **revision.agent.guardrails}
        found = {name: each for name, each in specs.items() if isinstance(each, ExclusionListSpec)}
        return found | {"maturity": revision.agent.maturity}
    for rule in revision.guardrails:
        if isinstance(rule, ExclusionList):
            found[rule.name] = (rule.customers, tuple(revision.action_ids[i] for i in rule.actions))
        elif isinstance(rule, Maturity):
            found[rule.name] = revision.agent.maturity
    return found
