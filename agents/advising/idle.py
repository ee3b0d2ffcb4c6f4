"""Guardrails, each by itself, that never bar anything or bar what they speak of for good."""

from __future__ import annotations

from collections.abc import Iterator

from agents.advising.documents import Advice, Place, WrittenRule
from agents.guardrails.base import selects
from agents.load import LoadedWorkspace
from agents.spec import (
    BudgetSpec,
    CooldownSpec,
    EscalationSpec,
    ExclusiveSpec,
    FrequencyCapSpec,
    PrecedenceSpec,
    SequenceSpec,
)


def idle(rule: WrittenRule, loaded: LoadedWorkspace) -> Iterator[Advice]:
    """Yield what of one guardrail can have no effect, or no other than to bar for good."""
    actions = [action for spoken in rule.actions.values() for action in spoken]
    if not actions:
        yield Advice(rule.place, "it speaks of no action of any agent")
        return
    yield from _selection(rule, loaded)
    yield from _limits(rule)
    yield from _deaf(rule, loaded)
    yield from _escalation(rule, loaded)
    spec = rule.spec
    for position, step in enumerate(spec.steps if isinstance(spec, SequenceSpec) else ()):
        if not any(selects(step, action) for action in actions):
            yield Advice(_at(rule, "steps", str(position)), "no action takes this step")
    if isinstance(spec, ExclusiveSpec) and rule.agent not in ("", *spec.agents):
        words = f"it binds only the agents that it lists, and {rule.agent} is none of them"
        yield Advice(_at(rule, "agents"), words)
    if isinstance(spec, PrecedenceSpec):
        ranked = [{a.kind for a in spoken} & set(spec.order) for spoken in rule.actions.values()]
        if max(map(len, ranked)) < 2:
            words = "no agent has actions of two of these kinds, so it never bars"
            yield Advice(_at(rule, "order"), words)


def _selection(rule: WrittenRule, loaded: LoadedWorkspace) -> Iterator[Advice]:
    """An exception that excepts nothing; in an agent's own rule it is an error already."""
    every = [a for revision in loaded.revisions.values() for a in revision.actions[1:]]
    excepted = rule.spec.except_
    if not rule.agent and excepted and not any(selects(excepted, action) for action in every):
        yield Advice(_at(rule, "except"), "no action of any agent fits it, so it excepts nothing")


def _limits(rule: WrittenRule) -> Iterator[Advice]:
    """A limit of nothing, or of less than one contact."""
    spec = rule.spec
    if not isinstance(spec, (FrequencyCapSpec, BudgetSpec)) or spec.max is None:
        return
    money = isinstance(spec, BudgetSpec) and spec.measure == "cost"
    if spec.max == 0:
        what = "costs something" if money else "it speaks of"
        yield Advice(_at(rule, "max"), f"a limit of 0 bars every action that {what}")
        return
    dear = [a for spoken in rule.actions.values() for a in spoken if money and a.cost > spec.max]
    if dear:
        words = f"one contact of {dear[0].id} costs {dear[0].cost:g}, so it can never be sent"
        yield Advice(_at(rule, "max"), words)


def _deaf(rule: WrittenRule, loaded: LoadedWorkspace) -> Iterator[Advice]:
    """A rule that waits for a signal that no event gives."""
    signals: set[str | None] = set()
    for name in [rule.agent] if rule.agent else loaded.revisions:
        signals |= set(loaded.revisions[name].signals.values())
    spec, word, signal = rule.spec, "", ""
    if isinstance(spec, CooldownSpec) and spec.after in ("response", "rejection"):
        word, signal = "after", str(spec.after)
    elif isinstance(spec, FrequencyCapSpec) and spec.counts != "decision":
        word, signal = "counts", "response" if spec.counts == "response" else "failure"
    if signal and signal not in signals:
        end = "it is the same as 'counts: decision'" if signal == "failure" else "it never bars"
        yield Advice(_at(rule, word), f"no event counts as a {signal}, so {end}")


def _escalation(rule: WrittenRule, loaded: LoadedWorkspace) -> Iterator[Advice]:
    """A second channel that nothing uses, or that no contact on the first can open."""
    spec = rule.spec
    if not isinstance(spec, EscalationSpec):
        return
    late: list[str] = []
    stuck: list[str] = []
    for agent, actions in rule.actions.items():
        offers = loaded.revisions[agent].agent.offers
        tried = [name for name, offer in offers.items() if spec.from_ in offer.channels]
        mine = list(dict.fromkeys(a.offer for a in actions if a.channel == spec.to))
        late += mine
        stuck += [o for o in mine if not tried or (spec.scope == "offer" and o not in tried)]
    if not late:
        words = f"no offer that it speaks of uses {spec.to}, so it bars nothing"
        yield Advice(_at(rule, "to"), words)
    elif stuck == late:
        words = f"no offer that it speaks of uses {spec.from_}, so it bars {spec.to} for good"
        yield Advice(_at(rule, "from"), words)
    elif stuck:
        names = ", ".join(stuck)
        words = f"{names} never goes by {spec.from_}, so nothing opens {spec.to} for it"
        yield Advice(_at(rule, "from"), words)


def _at(rule: WrittenRule, *path: str) -> Place:
    return Place(rule.place.source, (*rule.place.path, *path))
