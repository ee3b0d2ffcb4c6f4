"""A decision as a job of the writer: made, and looked at again if others wrote meanwhile.

Where several replicas share a ledger, it is made before the lock is held. Then others may have
used up what its mask allows, so the mask is made again from what the counters say now. If it is
the same, so are distribution and draw, which know nothing else of the counters; if it is not, the
decision is made again. What was drawn is never looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import orjson

from agents.decisions import Decision
from agents.revision import Revision
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.deciding.foresee import foresee_decision
from serving.ledger import Ledger, LedgerReader
from serving.ledger.foreseen import UnforeseenError
from serving.ledger.optimistic import Changes
from serving.watching.metrics import Stopwatch
from serving.writer import Writer


def submit_decision(
    writer: Writer, decider: Decider, request: DecisionRequest, watch: Stopwatch
) -> asyncio.Future[Decided]:
    """Queue a decision; the future ends after its commit. Await it under `asyncio.shield`.

    Args:
        writer: of the ledger.
        decider: makes it.
        request: the question.
        watch: times it.

    Raises:
        StateError: the writer has stopped.
    """
    look = partial(foresee_decision, decider, request)
    if not writer.ahead:
        return writer.submit(lambda ledger: watch.run(decider.decide, ledger, request), look)
    attempt = Attempt(decider, request, watch)
    return writer.submit(attempt.run, look, attempt.renew)


class Attempt:
    """One decision that may be made without the lock.

    Args:
        decider: makes it.
        request: the question.
        watch: times it.
    """

    def __init__(self, decider: Decider, request: DecisionRequest, watch: Stopwatch) -> None:
        self._decider = replace(decider, note=self._note)
        self._request = request
        self._watch = watch
        self._made: list[tuple[Revision, Decision]] = []

    def run(self, ledger: Ledger) -> Decided:
        """Make the decision.

        Raises:
            UnforeseenError: which questions it asks would depend on what is drawn, so it is made
                under the lock only.
        """
        self._made.clear()
        if ledger.ahead is not None and ledger.ahead.unlocked and len(self._request.agents) > 1:
            lineups = [self._decider.agents.lineup(ledger, name) for name in self._request.agents]
            if any(lineup.shadow is not None for lineup in lineups):
                raise UnforeseenError
        return self._watch.run(self._decider.decide, ledger, self._request)

    def _note(self, revision: Revision, decision: Decision) -> None:
        self._made.append((revision, decision))

    def renew(self, ledger: LedgerReader, decided: Decided) -> tuple[Decided, Changes] | None:
        """Return the decision with what the counters say now, None if it is to be made again.

        Everything that was decided on the way to it counts: the bids of other agents, the shadow.
        """
        changes: Changes = ()
        for revision, decision in self._made:
            context = decision.context
            usage = {each.key: ledger.used(each) for each in revision.readings(context)}
            if usage == context.usage:
                continue
            now = replace(context, usage=usage)
            if revision.mask(now).reasons != decision.mask.reasons:
                return None
            if decision is decided.decision:
                decided = replace(decided, decision=replace(decision, context=now))
                changes = ((_record(context.usage), _record(usage)),)
        return decided, changes


def _record(usage: object) -> bytes:
    """Write usage as it stands in the record of a decision; no text of a record looks so."""
    return b'"usage":' + orjson.dumps(usage)
