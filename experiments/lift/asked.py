"""What is asked of the groups of a log: its customers, and what was declared beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agents.errors import LogError
from agents.groups import Group
from agents.revision import Revision
from agents.spec import CustomerField
from agents.units import parse_instant
from experiments.intervals.asymptotic import TARGET, tuned_rho
from experiments.lift.comparison import Setting
from experiments.lift.cuped import Covariates, first_contexts, pre_period
from experiments.lift.histories import Histories, histories
from experiments.lift.paths import looks
from experiments.lift.plan import Plan
from experiments.lift.ratio import (
    SUSPICIOUS,
    RatioPath,
    declared_shares,
    ratio_path,
    sample_ratio,
    shares_of,
)
from experiments.logs import read_log, read_table
from experiments.revisions import hidden_features, read_revisions


@dataclass(frozen=True)
class Asked:
    """The customers of a log and what stands beside it.

    Args:
        found: the customers.
        newest: the revision of the last decision; None if it is not known.
        ratio: p-value of the groups' sizes; NaN if the declared shares are not known.
        sizes: the sequential test of them; None if the shares are not known.
    """

    found: Histories
    newest: Revision | None
    ratio: float
    sizes: RatioPath | None

    @property
    def broken(self) -> bool:
        """Whether customers were not assigned as declared: then no lift is shown."""
        return self.sizes is not None and (self.ratio < SUSPICIOUS or self.sizes.alarm is not None)

    @property
    def currency(self) -> str:
        """Three letters, or a word in their place."""
        return self.newest.workspace.currency if self.newest else "currency"

    @property
    def schema(self) -> Mapping[str, CustomerField]:
        """The customer fields that are declared; empty if they are not known."""
        return self.newest.workspace.customer if self.newest else {}


def ask(path: Path, agent: str | None = None) -> Asked:
    """Read a log, and test the groups' sizes against what its revisions declare.

    Args:
        path: a Parquet file or a folder of them, with `revisions/` beside it if they are known.
        agent: whose log; may be left out if it holds one agent only.

    Raises:
        LogError: a row is malformed; names file, row and column.
    """
    decisions = read_log(path, agent=agent, include_open=True)
    revisions = read_revisions(path)
    newest = None
    if len(decisions):
        newest = revisions.get(str(decisions.revision[np.argmax(decisions.at)]))
    declared = newest.agent.outcomes if newest else ()
    found = histories(read_table(path), agent=agent, declared=declared)
    shares = declared_shares(set(decisions.revision.tolist()), revisions)
    if shares is None:
        return Asked(found, newest, float("nan"), None)
    places = {str(group): place for place, group in enumerate(Group)}
    order = np.argsort(found.first, kind="stable")
    codes = np.array([places[name] for name in found.group[order].tolist()], dtype=np.int64)
    sizes = np.bincount(codes, minlength=len(places)).tolist()
    return Asked(found, newest, sample_ratio(sizes, shares), ratio_path(codes, shares_of(shares)))


def with_covariates(
    asked: Asked, fields: Sequence[str], since: str | None
) -> tuple[Asked, Covariates]:
    """Choose what CUPED takes out; see `experiments.lift.cuped`.

    Args:
        asked: the customers.
        fields: customer fields at the first decision; all that learners may see if none are named.
        since: the instant from which the groups were treated differently; what happened before is
            the covariate then.

    Raises:
        ValueError: both are given, or the instant is none.
    """
    if since is None:
        hidden = hidden_features(asked.newest) if asked.newest else frozenset()
        return asked, first_contexts(asked.found, fields, exclude=hidden - set(fields))
    if fields:
        raise ValueError("expected either --covariate or --since, got both")
    instant = np.datetime64(parse_instant(since).replace(tzinfo=None), "us")
    found, covariates = pre_period(asked.found, instant)
    return replace(asked, found=found), covariates


def setting_of(
    asked: Asked,
    *,
    over: str,
    looks_at: int,
    level: float,
    plan: Plan | None = None,
    covariates: Covariates | None = None,
) -> Setting:
    """Say who is compared with whom, when and how surely; a plan goes before everything else.

    Without a plan the sequence is tuned for a number of observations that is the same for all
    logs: it must not follow the data.

    Raises:
        LogError: fewer than two customers in one of the groups.
        ValueError: no such group.
    """
    group = str(Group.TREATMENT) if plan is None else plan.group
    over, level = (over, level) if plan is None else (plan.over, 1.0 - plan.alpha)
    if over not in {str(Group.CONTROL), str(Group.RANDOM)}:
        raise ValueError(f"--over: expected control or random, got {over!r}")
    counts = {str(name): int(np.count_nonzero(asked.found.member(str(name)))) for name in Group}
    for name in (group, over):
        if counts[name] < 2:
            raise LogError(_missing(name, counts))
    planned = None if plan is None else plan.customers
    rho = tuned_rho(float(planned or TARGET), level)
    return Setting(group, over, looks(asked.found, looks_at), rho, level, covariates)


def _missing(name: str, counts: Mapping[str, int]) -> str:
    """Say which customers a comparison lacks, and what the log has instead."""
    there = ", ".join(f"{count:,} in {group}" for group, count in counts.items() if count)
    said = f"expected at least two customers in {name}, got {counts[name]}; the log has"
    said = f"{said} {there or 'no customers'}"
    if name == Group.CONTROL and min(counts[Group.TREATMENT], counts[Group.RANDOM]) >= 2:
        return f"{said}; --over random compares treatment with random"
    return said
