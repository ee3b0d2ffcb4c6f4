"""Options of `nextbest evaluate` that ask for each other, looked at before anything is read."""

from __future__ import annotations

from agents.errors import LogError
from experiments.asking.options import Options
from experiments.targets.asked import may_learn
from experiments.targets.taught import BLOCKS

_BALANCED = "bips"


def check_used(options: Options) -> None:
    """Refuse options that would do nothing, or that lack another one.

    Raises:
        LogError: `--blocks`, `--at-once` or `--progressive` without a learner; `--logger`
            without bips, or bips without loggers that stand still.
    """
    _check_learner(options)
    if _BALANCED not in options.estimators:
        if options.loggers:
            raise LogError(
                "--logger: only --estimator bips asks who wrote the log; add it, or leave"
                " --logger out"
            )
        return
    if len(options.loggers) < 2:
        raise LogError(
            "--estimator bips: expected --logger for each of the policies that wrote the log, at"
            " least two, as in --logger uniform --logger NAME.snapshot with --key KEY; got"
            f" {', '.join(options.loggers) or 'none'}; a log of one policy is for ips"
        )
    for name in options.loggers:
        if name == "logged" or may_learn(name):
            raise LogError(
                f"--logger {name}: expected a policy that stood still while it wrote: uniform, a"
                " rule, or a snapshot file of what had been learned by then"
            )


def _check_learner(options: Options) -> None:
    """Refuse what only says how learners learn, where no policy does."""
    asked = {
        f"--blocks {options.blocks}": options.blocks != BLOCKS,
        "--at-once": options.at_once,
        "--progressive": options.progressive,
    }
    given = next((name for name, said in asked.items() if said), "")
    if given and not any(map(may_learn, options.policies)):
        raise LogError(
            f"{given}: expected a --policy that learns from the log, got"
            f" {', '.join(options.policies)}; leave it out"
        )
