"""Every learner by name. A new one is one module and one line here.

Those in `POLICIES` choose among declared offers. Those in `RANKERS` choose among actions that come
with each request, and so may one that looks at neither.
"""

from __future__ import annotations

from agents.errors import UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.yamlsource import Source
from policies.apprentice import apprentice_class, split
from policies.base import Policy
from policies.beta import BetaThompson
from policies.first import First
from policies.fixed import Fixed
from policies.greedy import Greedy
from policies.hybrid import HybridThompson
from policies.linear import LinearThompson
from policies.priority import Priority
from policies.teaching.discount import check_share
from policies.uniform import Uniform
from policies.vowpal.learners import VowpalEpsilon, VowpalLarge, VowpalSoftmax, VowpalSquareCB
from policies.vowpal.rank import VowpalRank

_CLASSES: tuple[type[Policy], ...] = (
    Uniform,
    HybridThompson,
    LinearThompson,
    BetaThompson,
    Priority,
    Greedy,
    Fixed,
    VowpalEpsilon,
    VowpalSquareCB,
    VowpalSoftmax,
    VowpalLarge,
)

POLICIES: dict[str, type[Policy]] = {cls.name: cls for cls in _CLASSES}
RANKERS: dict[str, type[Policy]] = {cls.name: cls for cls in (VowpalRank, First)}
STATELESS = frozenset({Uniform.name, Fixed.name, First.name})
VALUELESS = STATELESS | {name for name in (*POLICIES, *RANKERS) if name.startswith("vw_")}
ORDERED = frozenset({Fixed.name, First.name})
FOR_SUPPLIED = frozenset({*RANKERS, Uniform.name})


def is_idle(revision: Revision) -> bool:
    """Say whether what decides learns nothing: it has nothing to learn, or is told not to.

    Example:
        >>> from agents.catalog import example_folder
        >>> from agents.load import load_workspace
        >>> with example_folder("telecom") as folder:
        ...     is_idle(load_workspace(folder).revisions["retention"])
        False
    """
    spec = revision.agent.policy
    return spec.learner in STATELESS or spec.mode == "logging"


def policy_class(name: str, where: str = "policy") -> type[Policy]:
    """Return the class of a learner.

    Args:
        name: of the learner.
        where: what of an agent's document names it, for the message.

    Raises:
        UnknownNameError: there is no such learner.

    Example:
        >>> policy_class("uniform").__name__
        'Uniform'
    """
    known = POLICIES | RANKERS
    try:
        return known[name]
    except KeyError:
        raise UnknownNameError(
            f"{where}.learner: there is no learner {name!r}; {did_you_mean(name, known)}"
        ) from None


def _suited(name: str, revision: Revision, where: str = "policy") -> type[Policy]:
    """Return the class of a learner that can choose among an agent's actions.

    Raises:
        UnknownNameError: there is no such learner.
        ValueError: it cannot.
    """
    cls = policy_class(name, where)
    if revision.agent.supplied is not None and name not in FOR_SUPPLIED:
        raise ValueError(
            f"{where}.learner: {name} cannot choose among supplied actions; choose one of"
            f" {', '.join(sorted(FOR_SUPPLIED))}"
        )
    if revision.agent.supplied is None and name == VowpalRank.name:
        raise ValueError(
            f"{where}.learner: {name} learns from the features of supplied actions only; for"
            f" offers choose {VowpalSquareCB.name}, or declare 'supplied' in place of 'offers'"
        )
    return cls


def _deciding(name: str, revision: Revision) -> type[Policy]:
    """Return the class of what decides: the learner, or an apprentice beside its incumbent."""
    learner, incumbent = _suited(name, revision), revision.agent.policy.incumbent
    if incumbent is None:
        return learner
    if name in STATELESS:
        raise ValueError(
            f"policy.mode: {name} learns nothing, so it can be no apprentice; choose a learner that"
            " does, or let it decide with mode: online"
        )
    return apprentice_class(learner, _suited(incumbent.learner, revision, "policy.incumbent"))


def create_policy(revision: Revision) -> Policy:
    """Build the untaught learner that a revision's agent asks for, beside its incumbent if any.

    Raises:
        UnknownNameError: there is no such learner, or it has no such setting.
        ValueError: a setting outside its range.
    """
    return _deciding(revision.agent.policy.learner, revision).create(revision)


def check_policy(revision: Revision, source: Source) -> Policy:
    """Build the untaught learner of an agent that was just read, as `create_policy` does.

    Raises:
        DocumentError: the learner or a setting is wrong; with the place in the agent's document.
    """
    try:
        policy = create_policy(revision)
        check_share(revision, policy_class(policy.name).create(revision))
        return policy
    except (UnknownNameError, ValueError) as error:
        where, _, message = str(error).partition(": ")  # `policy.settings.tau: expected ...`
        raise source.error(tuple(where.split(".")), message) from None


def load_policy(name: str, state: bytes, revision: Revision) -> Policy:
    """Rebuild what decides from its bytes, under the same or a later revision.

    The bytes may have been written in the other mode, online or apprentice: what the learner has
    learned is kept.

    Raises:
        UnknownNameError: there is no such learner, or it lacks a setting of the revision.
        SnapshotError: the bytes are not its state.
    """
    if revision.agent.policy.incumbent is None:
        return load_learner(name, state, revision)
    return _deciding(name, revision).from_bytes(state, revision)


def load_learner(name: str, state: bytes, revision: Revision) -> Policy:
    """Rebuild the learner alone, also if it is an apprentice: to see what it would have done.

    Raises:
        UnknownNameError: there is no such learner, or it lacks a setting of the revision.
        SnapshotError: the bytes are not its state.
    """
    return policy_class(name).from_bytes(split(state)[0], revision)
