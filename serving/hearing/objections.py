"""What the server does inside one transaction: honour that a customer is not to be contacted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from agents.context import check_channels, check_customer
from agents.errors import ContextError
from agents.guardrails.suppressed import EVERY
from agents.log import hash_customer
from serving.clock import Clock
from serving.hearing.deliverer import Deliverer
from serving.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Objection:
    """What is asked for a customer; no channel means all of them.

    Args:
        until: when it ends; None for good.
        reason: in the caller's words, for the log.
        actor: who asks, as the audit log writes it.
        at: the simulated time, None in production.
    """

    customer: str
    channels: tuple[str, ...]
    until: datetime | None
    reason: str
    actor: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Honoured:
    """What holds now for a customer.

    Args:
        customer: keyed hash of the id, as in exported logs.
        suppressed: by channel, `*` for all, until when; None for good.
        released: decisions whose planned contacts are not to be sent.
        position: of the entry in the log.
    """

    customer: str
    suppressed: dict[str, datetime | None]
    released: tuple[str, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Objections:
    """Keeps who is not to be contacted, with the ledger's transaction as its only state.

    Args:
        key: hashes customer ids.
    """

    deliverer: Deliverer
    clock: Clock
    key: bytes = field(repr=False)

    def suppress(self, ledger: Ledger, asked: Objection) -> Honoured:
        """Contact a customer no more: no later decision does, and what is planned is released.

        Raises:
            ContextError: there is no such channel, the identifier is none, or the end has passed.
        """
        channels, now = self._checked(asked), self.clock.now(asked.at)
        if asked.until is not None and asked.until <= now:
            raise ContextError(
                f"until: expected a time after now, {now.isoformat(timespec='seconds')},"
                f" got {asked.until.isoformat(timespec='seconds')}"
            )
        released = self._release(ledger, asked, channels, now)
        position = ledger.suppress(
            asked.customer, channels, asked.until,
            {"reason": asked.reason, "at": now.isoformat(), "released": len(released)},
        )  # fmt: skip
        self._audit(ledger, asked, "customer.suppress", channels, now, position)
        return self._now(ledger, asked.customer, released, position)

    def lift(self, ledger: Ledger, asked: Objection) -> Honoured:
        """Let a customer be contacted again on some channels, or on all if none is named.

        Raises:
            ContextError: there is no such channel, or the identifier is none.
        """
        channels, now = self._checked(asked), self.clock.now(asked.at)
        if not asked.channels:
            channels = tuple({EVERY: None, **ledger.suppressions(asked.customer)})
        position = ledger.lift(
            asked.customer, channels, {"reason": asked.reason, "at": now.isoformat()}
        )
        self._audit(ledger, asked, "customer.lift", channels, now, position)
        return self._now(ledger, asked.customer, (), position)

    def _checked(self, asked: Objection) -> tuple[str, ...]:
        check_customer(asked.customer)
        known = self.deliverer.agents.workspace.channels
        return check_channels(known, asked.channels) or (EVERY,)

    def _release(
        self, ledger: Ledger, asked: Objection, channels: Collection[str], now: datetime
    ) -> tuple[str, ...]:
        """Release what is still to be sent while the customer is not to be contacted.

        What was reported as delivered ahead of its time stays: it reaches the customer.
        """
        released = []
        for contact in ledger.contacts(asked.customer, now):
            held = asked.until is None or contact.at < asked.until
            if not held or not {EVERY, contact.channel} & set(channels):
                continue
            stored = ledger.find_decision(contact.decision_id)
            told = ledger.delivery(contact.decision_id)
            if stored is None or (told is not None and told.state == "delivered"):
                continue  # made elsewhere, or out of our hands already
            self.deliverer.give_back(ledger, stored, "released", now, "the customer objects")
            released.append(contact.decision_id)
        return tuple(released)

    def _audit(
        self, ledger: Ledger, asked: Objection, action: str, channels: Collection[str],
        now: datetime, position: int,
    ) -> None:  # fmt: skip
        body = {
            "customer": hash_customer(self.key, asked.customer), "channels": list(channels),
            "until": None if asked.until is None else asked.until.isoformat(),
            "position": position,
        }  # fmt: skip
        ledger.add_audit(now, asked.actor, action, body)

    def _now(
        self, ledger: Ledger, customer: str, released: tuple[str, ...], position: int
    ) -> Honoured:
        hashed = hash_customer(self.key, customer)
        return Honoured(hashed, ledger.suppressions(customer), released, position)
