"""Apprentice mode: the incumbent decides as ever, and a learner learns from what follows.

The distribution is the incumbent's, so nothing changes for customers; the expected rewards are the
learner's, so the log shows where the two differ. Once it is switched to `mode: online`, the learner
decides with all that it has learned. Among supplied actions it learns to do as the incumbent does.

In `mode: logging` the incumbent decides, too; neither learns, and what was learned is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision, Reason
from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from agents.spec.agent import PolicySpec
from policies.base import Distribution, Lesson, Policy
from policies.floor import factored_shares
from policies.imitation import imitate
from policies.state import canonical_json

_MARK = b"apprentice\n"
_ROUNDING = 1e-12  # of probabilities from which the floor was taken


def split(state: bytes) -> tuple[bytes, str, bytes]:
    """Take a state apart into the learner's own, the name of the incumbent, and its state.

    The state of a policy that is no apprentice is its own, and no incumbent's.

    Raises:
        SnapshotError: the state is cut short.

    Example:
        >>> split(b"plain"), split(join(b"own", "uniform", b"other"))
        ((b'plain', '', b''), (b'own', 'uniform', b'other'))
    """
    if not state.startswith(_MARK):
        return state, "", b""
    line, _, both = state[len(_MARK) :].partition(b"\n")
    try:
        facts = json.loads(line)
        name, size = str(facts["incumbent"]), int(facts["size"])
    except (ValueError, LookupError, TypeError) as error:
        raise SnapshotError(
            f"expected the state of an apprentice, got one cut short ({type(error).__name__});"
            " rebuild the snapshot from the ledger"
        ) from error
    return both[:size], name, both[size:]


def join(own: bytes, incumbent: str, state: bytes) -> bytes:
    """Put a learner's state and that of its incumbent into one."""
    facts = canonical_json({"incumbent": incumbent, "size": len(own)})
    return _MARK + facts.encode() + b"\n" + own + state


def apprentice_class(learner: type[Policy], incumbent: type[Policy]) -> type[Policy]:
    """Return the class of policies that decide as an incumbent and learn as a learner.

    It has the learner's name: it is the learner's state that its snapshots hold, in front of the
    incumbent's.

    Args:
        learner: what learns.
        incumbent: what decides; it is taught as well.
    """

    class Apprentice:
        name: ClassVar[str] = learner.name

        def __init__(self, own: Policy, decider: Policy, spec: PolicySpec) -> None:
            self.learner, self.incumbent = own, decider
            self._learns = spec.mode == "apprentice"

        @classmethod
        def create(cls, revision: Revision) -> Self:
            with _named():
                decider = incumbent.create(_deciding(revision))
            return cls(learner.create(revision), decider, revision.agent.policy)

        @classmethod
        def from_bytes(cls, state: bytes, revision: Revision) -> Self:
            own, name, other = split(state)
            beside = _deciding(revision)
            known = name == incumbent.name
            decider = incumbent.from_bytes(other, beside) if known else incumbent.create(beside)
            return cls(learner.from_bytes(own, revision), decider, revision.agent.policy)

        def distribution(self, context: Context, mask: Mask) -> Distribution:
            decided = self.incumbent.distribution(context, mask)
            if context.supplied is not None:
                return decided  # no learner of supplied actions has expected rewards
            believed = self.learner.distribution(context, mask)
            return Distribution(decided.probabilities, believed.expected)

        def update(self, lessons: Sequence[Lesson]) -> None:
            if self._learns:
                _teach(self.learner, self.incumbent, lessons)

        def to_bytes(self) -> bytes:
            return join(self.learner.to_bytes(), self.incumbent.name, self.incumbent.to_bytes())

    return Apprentice


def _teach(learner: Policy, incumbent: Policy, lessons: Sequence[Lesson]) -> None:
    """Teach both what came of decisions; what was supplied, the learner only imitates."""
    for lesson in lessons:
        if lesson.context.supplied is not None:
            imitate(learner, incumbent, lesson)
    learner.update([each for each in lessons if each.context.supplied is None])
    incumbent.update(lessons)


def _deciding(revision: Revision) -> Revision:
    """Return the revision as the incumbent reads it: with its own settings."""
    spec = revision.agent.policy
    assert spec.incumbent is not None
    policy = PolicySpec(
        learner=spec.incumbent.learner, floor=spec.floor, settings=spec.incumbent.settings
    )
    agent = revision.agent.model_copy(update={"policy": policy})
    return Revision(revision.workspace, agent)


@contextmanager
def _named() -> Iterator[None]:
    """Say of a wrong setting that it is the incumbent's."""
    try:
        yield
    except (UnknownNameError, ValueError) as error:
        kind = UnknownNameError if isinstance(error, UnknownNameError) else ValueError
        raise kind(str(error).replace("policy.", "policy.incumbent.", 1)) from None


class Agreement(NamedTuple):
    """How often an apprentice's learner and its incumbent would do the same.

    Args:
        same: decisions in which they would.
        decisions: in which there was a choice.
    """

    same: int
    decisions: int

    @property
    def share(self) -> float:
        """The share of decisions, in [0, 1]; NaN if there was none."""
        return self.same / self.decisions if self.decisions else float("nan")


def agreement(decisions: Iterable[Decision], revisions: Mapping[str, Revision]) -> Agreement:
    """Count in how many of an apprentice's decisions both would do the same.

    Of each decision in the log of which a policy had a choice: whether the action that the learner
    expects most of is among those that the incumbent finds most probable.

    Args:
        decisions: of an agent in apprentice mode, as they were logged.
        revisions: by id, those that decided.
    """
    same = count = 0
    for decision in decisions:
        allowed = decision.mask.indices  # (E,)
        expected = decision.expected[allowed]  # (E,)
        if decision.reason is Reason.POLICY and len(allowed) > 1 and np.isfinite(expected).all():
            chances = _chances(decision, revisions[decision.revision])[allowed]  # (E,)
            same += bool(chances[np.argmax(expected)] >= chances.max() - _ROUNDING)
            count += 1
    return Agreement(same, count)


def _chances(decision: Decision, revision: Revision) -> NDArray[np.float64]:
    """Return probabilities that stand in the incumbent's order, (A,).

    A floor that is even over actions keeps that order; one over offers is taken away again.
    """
    if revision.agent.policy.floor_over == "actions":
        return decision.distribution
    shares = factored_shares(decision.mask.allowed, revision.factors)  # (A,)
    return decision.distribution - decision.floor * shares
