"""Up to some hundred decisions in one transaction, each as if it were asked for alone.

Customers that come once are decided column by column, which costs a tenth; whoever comes again, in
his turn after the others. So do all where one after another is the only exact way: several agents
whose bids are settled, a canary or a shadow beside the agent, a budget that may run dry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.context import (
    FeatureValue,
    check_channels,
    check_customer,
    check_placement,
)
from agents.errors import ContextError, NextbestError
from agents.revision import Revision
from serving.deciding.columnwise import Asked, Made, decide_columnwise
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.ledger import Ledger

Answer = Decided | Made | NextbestError
"""Of one request: what was decided, or why nothing was."""

CHUNK = 512
"""Requests in one transaction: some 40 ms, so that single decisions come through between."""


@dataclass(frozen=True, slots=True)
class BatchDecider:
    """Decides for many customers of the same agents, inside one transaction.

    Args:
        decider: makes decisions one by one, and knows the agents.
    """

    decider: Decider

    def decide(self, ledger: Ledger, requests: Sequence[DecisionRequest]) -> list[Answer]:
        """Answer requests that name the same agents, in their order.

        A request that does not fit is answered by what is wrong with it; the others are decided.

        Raises:
            UnknownNameError: there is no such agent.
            StateError: the ledger cannot be used, or a policy answered no distribution; nothing
                was decided.
        """
        answers = self._made_before(ledger, requests)
        first, rest = _first_times(requests, answers)
        lineups = [self.decider.agents.lineup(ledger, name) for name in requests[0].agents]
        if len(lineups) > 1 or len(lineups[0].revisions) > 1:
            rest += first
        else:
            for alike in _alike(requests, first):
                rest += self._together(ledger, requests, alike, answers)
        for place in sorted(rest):
            answers[place] = self._alone(ledger, requests[place])
        return [answers[place] for place in range(len(requests))]

    def _made_before(
        self, ledger: Ledger, requests: Sequence[DecisionRequest]
    ) -> dict[int, Answer]:
        """Find the decisions that were made under the same keys before."""
        keys = [request.key for request in requests if request.key is not None]
        known = ledger.known_keys(tuple(dict.fromkeys(keys)))
        return {
            place: self._alone(ledger, request)
            for place, request in enumerate(requests)
            if request.key in known
        }

    def _alone(self, ledger: Ledger, request: DecisionRequest) -> Answer:
        try:
            return self.decider.decide(ledger, request)
        except ContextError as error:
            return error

    def _together(
        self,
        ledger: Ledger,
        requests: Sequence[DecisionRequest],
        places: Sequence[int],
        answers: dict[int, Answer],
    ) -> list[int]:
        """Answer requests that share their options; return those that must be decided alone."""
        lead = requests[places[0]]
        active = self.decider.agents.lineup(ledger, lead.agents[0]).active
        fit, features = [], []
        for place in places:
            try:
                features.append(_checked(active.revision, requests[place]))
                fit.append(place)
            except ContextError as error:
                answers[place] = error
        if not fit:
            return []
        asked = Asked(
            [requests[place] for place in fit], features, self.decider.clock.now(lead.at),
            check_channels(active.revision.workspace.channels, lead.channels),
            [self.decider.clock.name(requests[place].key) for place in fit],
        )  # fmt: skip
        made = decide_columnwise(ledger, active, asked, self.decider.keys.draw)
        if made is None:
            return fit
        answers.update(zip(fit, made, strict=True))
        return []


def _first_times(
    requests: Sequence[DecisionRequest], answered: Mapping[int, Answer]
) -> tuple[list[int], list[int]]:
    """Split what is not answered: those who come for the first time, and the rest.

    A second request of a customer must know of what the first was given, and one under the same
    key is a retry of the first.
    """
    first: list[int] = []
    rest: list[int] = []
    seen: set[tuple[str, str]] = set()
    for place, request in enumerate(requests):
        if place not in answered:
            marks = {("customer", request.customer)}
            if request.key is not None:
                marks.add(("key", request.key))
            (rest if seen & marks else first).append(place)
            seen |= marks
    return first, rest


def _alike(requests: Sequence[DecisionRequest], places: Sequence[int]) -> list[list[int]]:
    """Group requests by their options."""
    groups: defaultdict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for place in places:
        groups[requests[place].placement, requests[place].channels].append(place)
    return list(groups.values())


def _checked(revision: Revision, request: DecisionRequest) -> dict[str, FeatureValue]:
    """Check what one request says of its customer, as `Revision.context` does.

    Raises:
        ContextError: it does not fit.
    """
    features = revision.features.check(request.features)
    check_customer(request.customer)
    if request.channels:
        check_channels(revision.workspace.channels, request.channels)
    if request.placement:
        check_placement(revision.workspace.channels, request.placement)
    return features
