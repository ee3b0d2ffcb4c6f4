"""Every learner by name. A new one is one module and one line here."""

from __future__ import annotations

from agents.errors import UnknownNameError, did_you_mean
from agents.revision import Revision
from agents.yamlsource import Source
from policies.base import Policy
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from policies.vowpal import VowpalEpsilon, VowpalSquareCB

_CLASSES: tuple[type[Policy], ...] = (Uniform, HybridThompson, VowpalEpsilon, VowpalSquareCB)

POLICIES: dict[str, type[Policy]] = {cls.name: cls for cls in _CLASSES}
STATELESS = frozenset({Uniform.name})


def policy_class(name: str) -> type[Policy]:
    """Return the class of a learner.

    Raises:
        UnknownNameError: there is no such learner.

    Example:
        >>> policy_class("uniform").__name__
        'Uniform'
    """
    try:
        return POLICIES[name]
    except KeyError:
        raise UnknownNameError(
            f"policy.learner: there is no learner {name!r}; {did_you_mean(name, POLICIES)}"
        ) from None


def create_policy(revision: Revision) -> Policy:
    """Build the untaught learner that a revision's agent asks for.

    Raises:
        UnknownNameError: there is no such learner, or it has no such setting.
        ValueError: a setting outside its range.
    """
    return policy_class(revision.agent.policy.learner).create(revision)


def check_policy(revision: Revision, source: Source) -> Policy:
    """Build the untaught learner of an agent that was just read, as `create_policy` does.

    Raises:
        DocumentError: the learner or a setting is wrong; with the place in the agent's document.
    """
    try:
        return create_policy(revision)
    except (UnknownNameError, ValueError) as error:
        where, _, message = str(error).partition(": ")  # `policy.settings.tau: expected ...`
        raise source.error(tuple(where.split(".")), message) from None


def load_policy(name: str, state: bytes, revision: Revision) -> Policy:
    """Rebuild a learner from its bytes, under the same or a later revision.

    Raises:
        UnknownNameError: there is no such learner, or it lacks a setting of the revision.
        SnapshotError: the bytes are not its state.
    """
    return policy_class(name).from_bytes(state, revision)
