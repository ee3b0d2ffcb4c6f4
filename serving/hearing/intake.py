"""Everything that is reported to the server after a decision, or beside one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.hearing.corrector import Corrector
from serving.hearing.deliverer import Deliverer
from serving.hearing.elsewhere import Witness
from serving.hearing.objections import Objections
from serving.hearing.recorder import Recorder
from serving.hearing.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Intake:
    """Who takes in which report; each works inside one transaction of the ledger."""

    recorder: Recorder
    corrector: Corrector
    deliverer: Deliverer
    witness: Witness
    objections: Objections
    sweep: Sweep

    @classmethod
    def of(cls, agents: ActiveAgents, clock: Clock, key: bytes) -> Self:
        """Make all of them.

        Args:
            agents: that decide.
            clock: of the server.
            key: hashes customer ids.
        """
        recorder, deliverer = Recorder(agents, clock), Deliverer(agents, clock)
        return cls(
            recorder, Corrector(agents, clock), deliverer, Witness(agents, clock),
            Objections(deliverer, clock, key), Sweep(deliverer, recorder, clock),
        )  # fmt: skip
