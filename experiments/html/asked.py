"""What the command line asked, as the facts of a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agents.groups import Group
from experiments.asking import Asker
from experiments.html.page import Facts
from experiments.lift import lift
from experiments.lift.asked import ask, setting_of
from experiments.lift.comparison import compare_groups
from experiments.lift.measures import parse_measures
from experiments.lift.metrics import compare_metrics
from experiments.logs import fingerprint
from experiments.plots import LiftCurve

_PER = 1_000.0
_LOOKS = 30
_LEAST = 2  # customers of a group that can be compared


def facts_of(
    asker: Asker, log: Path, agent: str | None, policies: Sequence[str], group: str
) -> Facts:
    """Gather what a page says beside the evaluations of one command.

    Args:
        asker: that valued the policies.
        log: file or folder of the log, as it was named.
        agent: whose log; None if it holds one agent only.
        policies: as they were named.
        group: whose decisions were used.
    """
    newest = asker.newest
    metrics = compare_metrics(asker.log, newest.agent, level=asker.level) if newest else ()
    return Facts(
        currency=asker.currency,
        lift=lift(asker.log, holdout=asker.holdout, level=asker.level),
        metrics=metrics,
        curve=curve_of(log, agent, asker.level),
        fingerprint=fingerprint(log),
        command=_command(asker, log, policies, group),
        title=f"Evaluation of {newest.agent.agent}" if newest else "Evaluation",
    )


def curve_of(log: Path, agent: str | None, level: float) -> LiftCurve | None:
    """Follow the reward of treatment over control, in currency per 1,000 customers.

    Args:
        log: file or folder of the log.
        agent: whose log; None if it holds one agent only.
        level: of the sequence, at all looks together.

    Returns:
        None if the groups' sizes are not as declared, or if there is no control group.
    """
    asked = ask(log, agent)
    if asked.broken or np.count_nonzero(asked.found.member(Group.CONTROL)) < _LEAST:
        return None
    setting = setting_of(asked, over=Group.CONTROL, looks_at=_LOOKS, level=level)
    (compared,) = compare_groups(asked.found, parse_measures(["reward"]), setting)
    path = compared.path
    inside = np.logical_or(*setting.members(asked.found))  # (C,)
    return LiftCurve(
        path.at, _PER * path.value, _PER * path.band.low, _PER * path.band.high,
        (asked.found.first[inside, None] <= path.at).sum(axis=0),
    )  # fmt: skip


def _command(asker: Asker, log: Path, policies: Sequence[str], group: str) -> str:
    """Write the command that gives the same figures again, from where it was run.

    Of an absolute path only the last part is told: the rest is about a machine and its user.
    """
    words = ["nextbest", "evaluate", _shown(log), "--group", group, "--level", f"{asker.level:g}"]
    words += [word for name in policies for word in ("--policy", _shown(Path(name)))]
    words += [word for name in asker.estimators for word in ("--estimator", name)]
    words += [] if asker.key is None else ["--key", _shown(asker.key)]
    return shlex.join(words)


def _shown(path: Path) -> str:
    return path.name if path.is_absolute() else str(path)
