"""What follows decisions and when the company hears of it: memory, budgets and learner are told."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from agents.context import Contact
from agents.decisions import OutcomeEvent
from agents.tabular.columns import instant_of
from simulators.market.market import Happened, Market
from simulators.offline.budgets import Budgets
from simulators.offline.learning import Learning
from simulators.offline.mail import Ints, Letters, Mail, no_letters
from simulators.offline.memory import TableMemory
from simulators.offline.record import Followed
from simulators.offline.worth import Worth


class Hearing:
    """Carries what happens in a market to those who are to hear of it.

    What is reported twice is heard once: the second time changes nothing.

    Args:
        market: in which it happens.
        memory: hears all of it.
        budgets: likewise, what follows a contact.
        learning: what counts; None if nobody learns.
    """

    def __init__(
        self, market: Market, memory: TableMemory, budgets: Budgets, learning: Learning | None
    ) -> None:
        self._market, self._memory = market, memory
        self._budgets, self._learning = budgets, learning
        self._reported = np.array([word in market.reports for word in market.outcomes])
        self._mail, self._heard = Mail(), list[Letters]()
        self._worth = Worth(market.revision.agent, market.words)
        self._before: dict[int, list[str]] = defaultdict(list)  # words by decision

    @property
    def last(self) -> int | None:
        """When the last thing will be heard that has happened, None if there is none."""
        return self._mail.last

    def follow(
        self,
        rows: Ints,
        rounds: Ints,
        actions: Ints,
        sent: Ints,
        happened: Happened,
        taught: Ints,
        decided: int,
        position: int,
    ) -> None:
        """Send what followed n decisions on its way.

        Args:
            rows: (n,) as of `Market.live`.
            rounds: (n,) likewise.
            actions: (n,) likewise.
            sent: (n,) likewise.
            happened: what it returned.
            taught: (n,) numbers of the decisions with the teacher, -1 where they do not teach.
            decided: their instant, microseconds since 1970.
            position: of the first decision among all.
        """
        market = self._market
        (known,) = np.nonzero(self._reported[happened.outcome])
        (contacted,) = np.nonzero(actions)
        replied = market.replied(rows[contacted], rounds[contacted], sent[contacted])
        row = np.concatenate([happened.row[known], contacted[replied.row]])
        word = np.concatenate([happened.outcome[known], len(market.outcomes) + replied.word])
        at = np.concatenate([happened.at[known], replied.at])
        order = np.lexsort((at, row))
        row, word, at = row[order], word[order], at[order]
        reached = market.reached(rows[row], rounds[row], word, at)
        first = np.full(row.size, np.iinfo(np.int64).max)
        np.minimum.at(first, reached.which, reached.at)
        self._mail.send(Letters(
            first, at, word, position + row, rows[row], rounds[row], actions[row],
            np.full(row.size, decided), sent[row], taught[row],
        ))  # fmt: skip

    def until(self, before: int, position: int) -> None:
        """Let be heard what arrives before an instant.

        Args:
            before: microseconds since 1970.
            position: how many decisions there have been.
        """
        letters = self._mail.arrived(before)
        if not letters.reached.size:
            return
        self._heard.append(letters)
        self._memory.hear(
            letters.customer, letters.round_index, letters.action, letters.word, letters.at
        )
        if self._budgets.kept:
            self._charge(letters)
        if self._learning is not None:
            self._learning.heard(letters, position)

    def _charge(self, letters: Letters) -> None:
        """Let each event use what it uses of budgets, in its order."""
        market, actions = self._market, self._market.revision.actions
        counts = self._worth.which(letters).any(axis=1)
        columns = (letters.customer, letters.round_index, letters.action, letters.word,
                   letters.at, letters.sent, counts)  # fmt: skip
        for customer, i, action, word, at, sent, news in zip(
            *(c.tolist() for c in columns), strict=True
        ):
            if action == 0:
                continue
            name, key = market.words[word], market.decision_key(customer, i)
            event = OutcomeEvent(f"{key}-{name}", key, name, instant_of(at))
            like = actions[action]
            contact = Contact(
                instant_of(sent), market.revision.agent.agent, like.offer, like.kind,
                like.channel, like.id, like.includes, key,
            )  # fmt: skip
            before = self._before[customer * market.rounds + i]
            self._budgets.hear(event, contact, before, news=news)
            before.append(name)

    def followed(self) -> Followed:
        """Return all that was heard."""
        heard = [no_letters(), *self._heard]
        letters = Letters(*(np.concatenate(column) for column in zip(*heard, strict=True)))
        return Followed(
            letters.decision, letters.word, letters.at, letters.reached, self._worth.of(letters)
        )
