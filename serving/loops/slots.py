"""Multi-slot events: several places on one page, each filled from one list of actions.

Each slot is a decision of its own, with its own mask, distribution and draw, made in the order of
the slots inside one transaction. What one slot shows is barred from the slots after it. So every
probability is the exact one of its draw, given what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.types import Scope

from serving.api.reply import Reply
from serving.api.strict import fingerprint, parse_json
from serving.deciding.decider import Decided, Decider, DecisionRequest, UsedBeforeError
from serving.deciding.foresee import foresee_decision
from serving.ids import new_id
from serving.ledger import Ledger, LedgerReader, StoredDecision
from serving.loops.caller import own_customer
from serving.loops.errors import ACTIVATE, REWARD, LoopError
from serving.loops.events import Events, Told, check_value
from serving.loops.finding import asked_of, find_loop, key_of
from serving.loops.page import Page, read_page, read_rewards
from serving.loops.rank import answer_told, events_of, ranked, require_id, used_before
from serving.runtime import Runtime, runtime_in
from serving.watching.metrics import Stopwatch


def slot_key(agent: str, event_id: str, number: int) -> str:
    """Return the idempotency key of a slot's decision; the first one's is the event's own.

    No event of any agent has the key of a later slot, whatever its id.

    Example:
        >>> slot_key("front_page", "e-1", 0), slot_key("front_page", "e-1", 1)
        ('loop:front_page:e-1', 'slot:1:front_page:e-1')
    """
    return f"slot:{number}:{agent}:{event_id}" if number else key_of(agent, event_id)


def find_slots(ledger: LedgerReader, agent: str, event_id: str) -> Iterator[StoredDecision]:
    """Yield the decisions of an event's slots, in their order."""
    number = 0
    while (stored := ledger.find_by_key(slot_key(agent, event_id, number))) is not None:
        yield stored
        number += 1


@dataclass(frozen=True, slots=True)
class Slots:
    """Decides and hears of multi-slot events, with the ledger's transaction as its only state."""

    decider: Decider
    events: Events

    def rank(
        self, ledger: Ledger, agent: str, event_id: str, page: Page, fingerprint: bytes
    ) -> list[Decided]:
        """Decide all slots, or return what was decided before for the same request.

        Args:
            ledger: inside a transaction; whoever catches an error undoes all of it.
            agent: name of the loop.
            event_id: the caller's, or one that was made for it.
            page: what is asked.
            fingerprint: digest of the whole request.

        Raises:
            ContextError: the event's id was used for another request, or only a part of the event
                is kept still.
            ConflictError: the event was not activated in time.
        """
        made: list[Decided] = []
        shown: dict[str, str] = {}
        for number, slot in enumerate(page.slots):
            request = self.request(agent, event_id, page, number, shown, fingerprint)
            decided = self.decider.decide(ledger, request)
            if decided.decision.action:
                shown[decided.decision.action_id] = slot.id
            made.append(decided)
        if len({each.replayed for each in made}) > 1:  # what is left could be shown twice
            raise UsedBeforeError("a part of the event is gone from the log; choose a new id")
        return made

    def request(
        self,
        agent: str,
        event_id: str,
        page: Page,
        number: int,
        shown: Mapping[str, str],
        fingerprint: bytes,
    ) -> DecisionRequest:
        """Return the question that one slot is."""
        return DecisionRequest(
            agents=(agent,),
            customer=page.customer or own_customer(event_id),
            features=page.features,
            fingerprint=fingerprint,
            key=slot_key(agent, event_id, number),
            supplied=replace(page.supplied(page.slots[number], shown), event=event_id),
            defer=page.defer,
        )

    def reward(
        self, ledger: Ledger, agent: str, event_id: str, told: Sequence[tuple[str, float, str]]
    ) -> Told:
        """Record rewards of an event, all of them or none.

        Args:
            ledger: inside a transaction.
            agent: name of the loop.
            event_id: of the event.
            told: slot, value, and the id of the outcome that it makes.

        Raises:
            LoopError: the event has no such slot, or the value is out of range.
        """
        slots = {_slot_of(each): each for each in find_slots(ledger, agent, event_id)}
        if not slots:
            return "unknown"
        for slot, value, outcome_id in told:
            if slot not in slots:
                raise LoopError(
                    f"slotId: expected one of {len(slots)} slots of the event, got another",
                    REWARD, target="slotId",
                )  # fmt: skip
            self.events.credit(ledger, slots[slot], value, outcome_id)
        return "known"

    def activate(self, ledger: Ledger, agent: str, event_id: str) -> Told:
        """Note that an event is shown, all its slots.

        Raises:
            ConflictError: one of them must not be shown now.
        """
        said = [self.events.show(ledger, each) for each in find_slots(ledger, agent, event_id)]
        return "unknown" if not said else "late" if "late" in said else "known"


def _slot_of(stored: StoredDecision) -> str:
    """Return the slot that a decision fills; empty if its event has but one place."""
    supplied = stored.decision.context.supplied
    return "" if supplied is None else supplied.slot


async def answer_slots(scope: Scope, raw: bytes, agent: str | None) -> Reply:
    """Decide which actions of a request are to be shown in its slots.

    Args:
        scope: of the request.
        raw: its body.
        agent: the loop that is named, None for the only one.

    Raises:
        LoopError: the request does not fit.
        BodyError: it is no JSON.
        NextbestError: nothing can be decided.
    """
    runtime, name, spec = await asked_of(scope, agent)
    body = parse_json(raw)
    digest = fingerprint(body)
    page = read_page(body, spec)
    event_id = page.event_id or new_id()
    slots, watch = _slots_of(runtime), Stopwatch()

    def job(ledger: Ledger, page: Page) -> list[Decided]:
        return slots.rank(ledger, name, event_id, page, digest)

    first = slots.request(name, event_id, page, 0, {}, digest)
    assert first.supplied is not None, "a loop's actions are supplied"
    page.check_size(first.supplied.content)
    look = partial(foresee_decision, runtime.decider, first)
    try:
        made = await runtime.writer.submit(lambda ledger: watch.run(job, ledger, page), look)
    except UsedBeforeError:
        raise used_before() from None
    return ranked(scope, runtime, made, watch, slots_answer(page, made, event_id))


def slots_answer(page: Page, made: Sequence[Decided], event_id: str) -> dict[str, Any]:
    """Tell the decisions of a page as a multi-slot Rank's answer."""
    shown = [each.decision.action_id if each.decision.action else None for each in made]
    return {
        "slots": [
            {"id": slot.id, "rewardActionId": action}
            for slot, action in zip(page.slots, shown, strict=True)
        ],
        "eventId": event_id,
    }


async def answer_slot_rewards(scope: Scope, raw: bytes, agent: str | None, event_id: str) -> Reply:
    """Record the rewards of a multi-slot event.

    Raises:
        LoopError: a value, a slot or the id does not fit.
        BodyError: the body is no JSON.
    """
    runtime = runtime_in(scope)
    revision = await find_loop(runtime, agent)
    name, slots = revision.agent.agent, _slots_of(runtime)
    told = [(slot, value, new_id()) for slot, value in read_rewards(parse_json(raw))]
    for _, value, _ in told:
        check_value(revision, value)
    require_id(event_id, REWARD)

    def job(ledger: Ledger) -> Told:
        return slots.reward(ledger, name, event_id, told)

    return await answer_told(scope, runtime, name, "reward", job, key_of(name, event_id))


async def answer_slots_activate(scope: Scope, agent: str | None, event_id: str) -> Reply:
    """Note that what a multi-slot event decided is shown.

    Raises:
        LoopError: the id does not fit.
        ConflictError: it must not be shown now.
    """
    runtime = runtime_in(scope)
    revision = await find_loop(runtime, agent)
    name, slots = revision.agent.agent, _slots_of(runtime)
    require_id(event_id, ACTIVATE)

    def job(ledger: Ledger) -> Told:
        return slots.activate(ledger, name, event_id)

    return await answer_told(scope, runtime, name, "activate", job, key_of(name, event_id))


def _slots_of(runtime: Runtime) -> Slots:
    return Slots(runtime.decider, events_of(runtime))
