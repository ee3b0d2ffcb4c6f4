"""Fairness of a log: which groups are declared, and their parity as tables and as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from rich import box
from rich.table import Table
from rich.text import Text

from agents.errors import LogError, UnknownNameError, did_you_mean
from agents.groups import Group
from agents.revision import Revision
from experiments.diagnostics import Health
from experiments.evaluate import declared_range
from experiments.fairness.parity import Parity, Served, exposure_parity
from experiments.fairness.values import value_parity
from experiments.lift.labels import label
from experiments.logs import read_log, read_table
from experiments.revisions import currency_of, hidden_features, read_revisions
from experiments.reward_models.ridge import cross_fit
from experiments.targets import logged_target, none_target, uniform_target

TARGETS = {"logged": logged_target, "uniform": uniform_target, "none": none_target}

_GROUPS = (str(Group.TREATMENT), str(Group.RANDOM))
_PER = 1_000.0


def ask_fairness(
    path: Path,
    by: Sequence[str],
    *,
    offers: Sequence[str] = (),
    policy: str = "logged",
    group: str = "treatment",
    agent: str | None = None,
    level: float = 0.95,
) -> dict[str, tuple[Parity, ...]]:
    """Compare exposure and value over declared groups of a log.

    Args:
        path: the log.
        by: customer fields or expressions. If none is named: every category and boolean that the
            workspace keeps out of learners (`feature: false`), which is where such fields stand.
        offers: offers whose exposure is compared too, beside that of any contact.
        policy: a name of `TARGETS`, whose value is compared.
        group: treatment or random, whose decisions are used.
        agent: whose log; may be left out if it holds one agent only.
        level: nominal coverage.

    Returns:
        By field or expression: contact, offers, value.

    Raises:
        LogError: no such decisions, no declared groups, a log that was thinned, or an imported
            one without whole distributions, whose exposures nobody knows.
        UnknownNameError: no such policy, group or offer.
    """
    for name, known in ((policy, tuple(TARGETS)), (group, _GROUPS)):
        if name not in known:
            raise UnknownNameError(f"expected one of {', '.join(known)}, got {name!r}")
    log, revisions = read_log(path, agent=agent), read_revisions(path)
    _check_rows(path, agent)
    rows = log.in_groups(group)
    if not len(rows):
        raise LogError(f"expected closed decisions of group {group!r}, got none")
    if not rows.whole:
        raise LogError(
            "expected the probabilities of all actions, got those of the drawn ones only;"
            " from such a log nobody knows how likely a group was to be reached"
        )
    newest = revisions.get(str(log.revision[np.argmax(log.at)]))
    hidden = hidden_features(newest) if newest else frozenset()
    target = TARGETS[policy](rows)  # (N, A)
    q_hat = cross_fit(rows, exclude=hidden)  # (N, A)
    health, limits = Health.of(rows, hidden), declared_range(newest) if newest else None
    found = {}
    for name in by or _declared(newest):
        schema = newest.workspace.customer if newest else {}
        labels = label(name, rows.contexts.tolist(), rows.at, schema)
        exposures = (exposure_parity(rows, labels, offer=o, level=level) for o in (None, *offers))
        value = value_parity(
            rows, labels, target, q_hat=q_hat, level=level, reward_range=limits, health=health
        )
        found[name] = (*exposures, replace(value, currency=currency_of(newest)))
    return found


def parity_table(by: str, found: Parity) -> Table:
    """Lay out one figure over the groups of one field."""
    unit = f"{found.currency} per 1,000 decisions" if found.money else "probability per decision"
    table = Table(
        title=f"{found.what} by {by}: {unit}", title_justify="left",
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("group", overflow="fold")  # long names give way, no figure does
    bounds = (f"{100.0 * found.level:g}% from", "to")
    for name in ("customers", "mean", *bounds, "of best", "from", "to"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("note")
    for row in found.rows:
        amounts = [_amount(x, money=found.money) for x in (row.value, row.low, row.high)]
        shares = [_share(x) for x in (row.ratio, row.ratio_low, row.ratio_high)]
        table.add_row(Text(row.group), f"{row.customers:,}", *amounts, *shares, _note(row))
    return table


def parity_record(found: Parity) -> dict[str, Any]:
    """Return a parity as plain values for JSON; None where a figure is not defined or told."""
    rows = [
        {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in row.items()}
        for row in (asdict(each) | {"supported": each.supported} for each in found.rows)
    ]
    return {
        "what": found.what, "money": found.money, "level": found.level, "groups": rows,
        "warnings": found.warnings,
    }  # fmt: skip


def _check_rows(path: Path, agent: str | None) -> None:
    """Refuse a log whose rows stand for different numbers of decisions."""
    table = read_table(path)
    if agent is not None:
        table = table.filter(pc.equal(table["agent"], agent))
    if "kept" in table.column_names and len(pc.unique(pc.fill_null(table["kept"], 1.0))) > 1:
        raise LogError(
            "expected a log of all decisions, got one that was thinned: its rows stand for"
            " different numbers of decisions, so means over them are those of nobody"
        )


def _declared(newest: Revision | None) -> list[str]:
    """Return the hidden categories; a channel's consent is hidden too, and no such group."""
    fields = newest.workspace.customer if newest else {}
    channels = newest.workspace.channels.values() if newest else ()
    permissions = {name for channel in channels for name in (channel.consent, channel.opt_out)}
    names = [
        name
        for name, field in fields.items()
        if not field.feature and field.type in ("category", "boolean") and name not in permissions
    ]
    if newest is None:
        raise LogError(
            "--by: expected a customer field or an expression, since there is no revision beside"
            " the log that says which categories are hidden from learners"
        )
    if not names:
        kinds = [n for n, f in fields.items() if f.type in ("category", "boolean")]
        raise LogError(
            "--by: expected a customer field or an expression, since the workspace has no hidden"
            f" category to go by; {did_you_mean('', set(kinds) - permissions)}"
        )
    return names


def _note(row: Served) -> str:
    if row.refused:
        return "not supported"
    if not row.enough:
        return "few"
    return "best" if row.best else "under 4/5" if row.below else ""


def _amount(value: float, *, money: bool) -> str:
    if math.isnan(value):
        return ""
    if not money:
        return f"{value:.4f}"
    return f"{value * _PER:,.{0 if abs(value) >= 1.0 else 2}f}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1%}"
