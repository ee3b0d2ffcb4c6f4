"""What is allowed in a workspace and yet surely not meant: the warnings of `nextbest check`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from agents.advising.contradictions import contradictions
from agents.advising.documents import Advice, Place, written_rules
from agents.advising.gates import never_together
from agents.advising.hearing import half_heard
from agents.advising.idle import idle
from agents.advising.learning import untaught
from agents.advising.never import never_false, never_true
from agents.advising.unsaid import unsaid
from agents.load import LoadedWorkspace
from agents.loading.references import expressions
from agents.revision import Revision
from agents.spec import (
    ActionSuppressionSpec,
    Agent,
    PrecedenceSpec,
    SuppressionSpec,
    Workspace,
)
from agents.units import zone_info
from agents.yamlsource import Source


def advise(loaded: LoadedWorkspace, now: datetime) -> list[Advice]:
    """List what deserves a second look in a workspace that is otherwise in order.

    Args:
        loaded: the workspace.
        now: the instant by which offers have ended or not.
    """
    today = now.astimezone(zone_info(loaded.workspace.zone)).date()
    rules = list(written_rules(loaded))
    advice = [
        *_never(loaded.workspace, loaded.workspace, loaded.source),
        *_channels(loaded),
        *contradictions(rules),
    ]
    for rule in rules:
        advice += [*idle(rule, loaded), *half_heard(rule, loaded)]
    for name, revision in loaded.revisions.items():
        source = loaded.sources[name]
        advice += [
            *_never(revision.agent, loaded.workspace, source),
            *_offers(revision, source, today),
            *never_together(loaded, name, rules),
            *untaught(loaded, name),
            *unsaid(loaded, name, rules),
        ]
    return advice


def _never(document: Agent | Workspace, workspace: Workspace, source: Source) -> Iterator[Advice]:
    for path, text in expressions(document):
        rule = document.guardrails.get(path[1]) if path[0] == "guardrails" else None
        if isinstance(rule, (ActionSuppressionSpec, SuppressionSpec)):
            if never_false(text, workspace.customer):
                words = f"{text} is false for no customer, so it bars all that it speaks of"
                yield Advice(Place(source, path), words)
        elif never_true(text, workspace.customer):
            what = "nobody passes"
            if isinstance(rule, PrecedenceSpec) or path[0] == "arbitration":
                what = "it never holds"
            yield Advice(Place(source, path), f"{text} is true for no customer, so {what}")


def _channels(loaded: LoadedWorkspace) -> Iterator[Advice]:
    control = loaded.workspace.universal_control
    if control is not None and control.share == 1.0:
        place = Place(loaded.source, ("universal_control", "share"))
        yield Advice(place, "a share of 1: no agent ever contacts anybody")
    for name, channel in loaded.workspace.channels.items():
        if channel.capacity is not None and channel.capacity.max == 0:
            place = Place(loaded.source, ("channels", name, "capacity"))
            yield Advice(place, "a capacity of 0 bars every action of the channel")


def _offers(revision: Revision, source: Source, today: date) -> Iterator[Advice]:
    agent = revision.agent
    for name, offer in agent.offers.items():
        path = ("offers", name)
        if offer.end is not None and offer.end < today:
            words = f"it ended on {offer.end}, so nobody can get it any more"
            yield Advice(Place(source, (*path, "end")), words)
        if offer.stock is not None and offer.stock.max == 0:
            yield Advice(Place(source, (*path, "stock")), "a stock of 0: nobody can get it")
        yield from _bundle(agent, name, source)
        yield from _unread(revision, name, source)
    if agent.offers and all(offer.fallback for offer in agent.offers.values()):
        yield Advice(Place(source, ("offers",)), "every offer is a fallback, and there is no other")
    if agent.maturity is not None and agent.maturity.start_share == 1.0:
        place = Place(source, ("maturity", "start_share"))
        yield Advice(place, "every customer may get a new action at once, so nothing is ramped up")


def _bundle(agent: Agent, name: str, source: Source) -> Iterator[Advice]:
    """A bundle and an offer that it includes whose days never meet."""
    offer = agent.offers[name]
    for position, child in enumerate(offer.includes):
        other = agent.offers[child]
        starts = [day for day in (offer.start, other.start) if day is not None]
        ends = [day for day in (offer.end, other.end) if day is not None]
        if starts and ends and max(starts) > min(ends):
            yield Advice(
                Place(source, ("offers", name, "includes", str(position))),
                f"the days of {name} and {child} never meet, so nobody can get the bundle",
                Place(source, ("offers", child)),
            )


def _unread(revision: Revision, name: str, source: Source) -> Iterator[Advice]:
    """Translations that no customer is ever shown."""
    spoken = revision.workspace.locales
    for variant, wording in revision.agent.offers[name].variants.items():
        place = Place(source, ("offers", name, "variants", variant, "locales"))
        if wording.locales and spoken is None:
            yield Advice(place, "the workspace has no 'locales', so these are never used")
        elif spoken is not None:
            values = revision.workspace.customer[spoken.field].values
            for tag in wording.locales if values else ():
                if not any(_leads(value, tag) for value in (*values, spoken.default)):
                    words = f"no value of customer.{spoken.field} leads to it, so it is never used"
                    yield Advice(Place(source, (*place.path, tag)), words)


def _leads(language: str, tag: str) -> bool:
    """Whether a customer's language is a tag, or falls back to it."""
    return f"{language}-".lower().startswith(f"{tag}-".lower())
