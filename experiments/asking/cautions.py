"""What a reader of values must know of how the policies were taught."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.asking.asker import Rows
from experiments.asking.options import Options
from experiments.evaluate import DEFAULT_INTERVAL
from experiments.targets.asked import Target, may_learn

_TAUGHT = (
    "a snapshot has learned from treatment, so it looks too good there; --group random values it"
    " on decisions that it has not seen, unless it was taught by nextbest train on this very log"
)
_AT_ONCE = (
    "--at-once taught learners outcomes that had not come yet; where a customer's later decisions"
    " share such an outcome, the learner has seen what it is judged on, and looks too good"
)
_STANDS_STILL = (
    "with --blocks 2 a learner was taught once and then stands still, while what decided in the log"
    " went on learning: its difference to the logged policy looks worse than it is; more blocks let"
    " it go on learning too"
)
_BEHIND = (
    "a learner answers each of at most {} blocks of time as taught by what had closed before it; a"
    " server learns sooner, so its difference to the logged policy may look a little worse than it"
    " is"
)
_STUDENT = "differences stand inside Student's t, whatever --interval says of the values"


def cautions(options: Options, targets: Sequence[Target]) -> Iterator[str]:
    """Say where a policy may have seen what it is judged on.

    Args:
        options: of the command.
        targets: that are valued.
    """
    if options.group is not Rows.RANDOM and any(target.snapshot for target in targets):
        yield _TAUGHT
    if options.at_once and any(map(may_learn, options.policies)):
        yield _AT_ONCE
    if not options.progressive and any(target.learns for target in targets):
        yield _STANDS_STILL if options.blocks == 2 else _BEHIND.format(options.blocks)
    if options.interval != DEFAULT_INTERVAL.name:
        yield _STUDENT
