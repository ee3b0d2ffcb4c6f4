"""What a report asks the ledger while it reads the log: of the past only, up to a position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from agents.corrections import corrected
from agents.decisions import Decision, OutcomeEvent
from agents.errors import LogError
from agents.revision import Revision
from serving.ledger import LedgerReader

_REVISIONS = 64


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be known of a revision.

    Args:
        costs: of each action, `none` first, in currency.
        order: by guardrail, its turn.
    """

    revision: Revision
    costs: tuple[float, ...]
    order: Mapping[str, int]

    def cost(self, action: int) -> float:
        """Return what an action costs; those that come with requests all cost the same."""
        return self.costs[min(action, len(self.costs) - 1)]


class Past:
    """Answers from a ledger.

    Args:
        ledger: a connection of one's own.
    """

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self._remembered = lru_cache(_REVISIONS)(self._compile)

    def facts(self, revision_id: str) -> Facts:
        """Return what is to be known of a revision.

        Raises:
            LogError: the ledger does not have it.
        """
        return self._remembered(revision_id)

    def _compile(self, revision_id: str) -> Facts:
        source = self._ledger.find_revision(revision_id)
        if source is None:
            raise LogError(f"the ledger has lost revision {revision_id}")
        revision = Revision.from_source(source)
        costs = tuple(action.cost for action in revision.actions)
        rules = [*revision.guardrails, *revision.rankings]
        order: dict[str, int] = {}
        for turn, rule in enumerate(rules):
            order[rule.name] = turn  # a rule that has two turns bars last in its second
        return Facts(revision, costs, order)

    def decision(self, decision_id: str) -> Decision | None:
        """Return a decision, None if the ledger does not have it any more."""
        stored = self._ledger.find_decision(decision_id)
        return None if stored is None else stored.decision

    def events(self, decision_id: str, until: int) -> list[OutcomeEvent]:
        """Return a decision's outcomes as they were thought of at a position of the log."""
        events = self._ledger.find_events(decision_id, until=until)
        said = self._ledger.find_corrections(decision_id) if events else []
        return corrected(events, [each.correction for each in said if each.position <= until])
