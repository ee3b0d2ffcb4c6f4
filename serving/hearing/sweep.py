"""What time alone makes due: reservations expire, outcomes find their decisions or die."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from agents.errors import NextbestError
from serving.clock import Clock
from serving.hearing.deliverer import Deliverer
from serving.hearing.recorder import KEPT, Recorder
from serving.ledger import Ledger
from serving.writer import Writer

logger = logging.getLogger("nextbest")

BATCH = 50
_LOST = "there was no such decision in 7 days"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks again and again for what has become due."""

    deliverer: Deliverer
    recorder: Recorder
    clock: Clock

    def step(self, ledger: Ledger) -> bool:
        """Do one batch of what is due, as a job of the writer; say whether more may be.

        Raises:
            StateError: the machine's clock is behind the ledger: nothing is due.
        """
        now = self.clock.reached(ledger.last_instant())
        if now is None:
            return False
        expired = self.deliverer.expire(ledger, now, BATCH)
        joined = self.recorder.join(ledger, BATCH)
        dead = ledger.bury_late(now, _LOST, now + KEPT)
        if dead:
            logger.warning("%d outcomes have waited for their decision in vain", dead)
        ledger.forget_dead(now)
        return BATCH in (expired, joined)

    async def keep_up(self, writer: Writer, every_s: float) -> None:
        """Sweep now and ever again; nothing that goes wrong ends it.

        Args:
            writer: of the ledger.
            every_s: seconds from the end of one sweep to the next.
        """
        while True:
            try:
                while await writer.submit(self.step):
                    await asyncio.sleep(0)
            except NextbestError as error:
                logger.error("what has become due could not be done: %s", error)
            except Exception:
                logger.exception("what has become due could not be done")
            await asyncio.sleep(every_s)
