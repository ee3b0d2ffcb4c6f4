"""Rules that ask what no request of an agent with supplied actions says."""

from __future__ import annotations

from collections.abc import Iterator

from agents.advising.documents import Advice, Place, WrittenRule
from agents.advising.never import fields_of
from agents.load import LoadedWorkspace
from agents.revision import Revision
from agents.spec import (
    ActionSuppressionSpec,
    CooldownSpec,
    EligibilitySpec,
    EventSuppressionSpec,
    ExclusionListSpec,
    ExclusiveSpec,
    FrequencyCapSpec,
    SequenceSpec,
    SuppressionSpec,
)

_ASKING = (ActionSuppressionSpec, EligibilitySpec, SuppressionSpec)
_OF_ONE = (CooldownSpec, EventSuppressionSpec, ExclusionListSpec, ExclusiveSpec, SequenceSpec)


def unsaid(loaded: LoadedWorkspace, name: str, rules: list[WrittenRule]) -> Iterator[Advice]:
    """Yield what bars everybody as a field is unknown, or nobody as everybody is new.

    Args:
        loaded: the workspace.
        name: of the agent.
        rules: all that are written.
    """
    revision = loaded.revisions[name]
    spec = revision.agent.supplied
    if spec is None:
        return
    own = Place(loaded.sources[name], ("supplied",))
    for place, fields in _asked(loaded, name, rules):
        for field in sorted(fields - spec.fields.keys()):
            words = f"it asks for customer.{field}, which no request of agent {name} says; add"
            yield Advice(place, f"{words} it to 'fields' there, as what is unknown bars", own)
    for rule in rules if spec.customer is None else ():
        if rule.agent == name and _of_one_customer(rule):
            words = "it never bars: without 'customer', every request is of a customer of its own"
            yield Advice(rule.place, words, own)


def _of_one_customer(rule: WrittenRule) -> bool:
    """Whether a rule looks at what happened to the same customer earlier, or at who it is."""
    spec = rule.spec
    if isinstance(spec, FrequencyCapSpec):
        return spec.for_ == "customer" and spec.max > 0
    return isinstance(spec, _OF_ONE)


def _asked(
    loaded: LoadedWorkspace, name: str, rules: list[WrittenRule]
) -> Iterator[tuple[Place, set[str]]]:
    """Yield where fields of a customer must be known for actions of an agent, and which."""
    revision, source = loaded.revisions[name], loaded.sources[name]
    yield from _shared(loaded, revision)
    if revision.agent.audience is not None:
        yield Place(source, ("audience",)), fields_of(revision.agent.audience)
    for rule in rules:
        if isinstance(rule.spec, _ASKING) and rule.actions.get(name):
            place = Place(rule.place.source, (*rule.place.path, "when"))
            yield place, fields_of(rule.spec.when)


def _shared(loaded: LoadedWorkspace, revision: Revision) -> Iterator[tuple[Place, set[str]]]:
    """Yield what the workspace asks of every customer, and of those on the agent's channel."""
    workspace, spec = loaded.workspace, revision.agent.supplied
    if spec is None:
        return
    if workspace.opt_out is not None:
        yield Place(loaded.source, ("opt_out",)), {workspace.opt_out}
    channel, path = workspace.channels[spec.channel], ("channels", spec.channel)
    for word in ("consent", "opt_out"):
        if (field := getattr(channel, word)) is not None:
            yield Place(loaded.source, (*path, word)), {field}
    if channel.quiet_hours is not None and revision.zone_field is not None:
        yield Place(loaded.source, (*path, "quiet_hours")), {revision.zone_field}
