"""What a world's YAML says: the customers, what they do untouched, and what a message changes.

All effects are log-odds, linear in named numbers of a customer. A name is a trait (latent, standard
normal unless it says otherwise) or a signal (made of fields or of other names); `one` is the
constant 1.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from simulators.market.spec_base import ONE, Part, Positive, Share, Span, Weights
from simulators.market.spec_people import (
    Chance,
    Choice,
    FieldSpec,
    Held,
    Instant,
    Kind,
    Number,
    SignalSpec,
    Trait,
    VisitSpec,
    Zone,
)
from simulators.market.spec_truth import (
    Change,
    DelaySpec,
    Drift,
    Effect,
    FatigueSpec,
    Inventory,
    Life,
    Noise,
    OutcomeSpec,
    Season,
    Shock,
    Wear,
)

__all__ = [
    "ONE", "Chance", "Change", "Choice", "DelaySpec", "Drift", "Effect", "FatigueSpec", "FieldSpec",
    "Held", "Instant", "Inventory", "Kind", "Life", "Noise", "Number", "OutcomeSpec", "Part",
    "Positive", "Season", "Share", "Shock", "SignalSpec", "Span", "Trait", "VisitSpec", "Wear",
    "Weights", "WorldSpec", "Zone",
]  # fmt: skip


class WorldSpec(Part):
    """A market.

    Args:
        world: its name.
        version: counted up with every change of its truth.
        example, agent: the packaged workspace and agent it was made for.
        customers, rounds, every: its usual size.
        hours: of the day (UTC) at which customers are met.
        weekly: log-odds of good outcomes by weekday, Monday first.
        channels: how well a channel reaches a customer, logistic(weights); 0.5 if not said.
        windows: how well a send window suits a customer, likewise; 1 if not said.
        visits: rounds in which channels with placements are used, and no others; none if not said.
        logging: weights by which a company without our software chose whom to contact, among them
            a trait that no field shows; for the confounded world.
    """

    world: str
    version: Annotated[int, Field(ge=0)]
    example: str
    agent: str
    about: str
    customers: Annotated[int, Field(gt=0)] = 3_000
    rounds: Annotated[int, Field(gt=0)] = 13
    every: Span = timedelta(days=7)
    hours: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field((8, 12, 17), min_length=1)
    traits: dict[str, Trait]
    kinds: dict[str, Kind] = Field(min_length=1)
    fields: dict[str, FieldSpec] = Field({})
    signals: dict[str, SignalSpec] = Field({})
    outcomes: dict[str, OutcomeSpec] = Field(min_length=1)
    effects: tuple[Effect, ...] = ()
    channels: dict[str, Weights] = Field({})
    windows: dict[str, Weights] = Field({})
    fatigue: FatigueSpec = FatigueSpec()
    visits: VisitSpec | None = None
    wear: Wear | None = None
    inventory: tuple[Inventory, ...] = ()
    weekly: tuple[float, ...] = Field((0.0,) * 7, min_length=7, max_length=7)
    seasons: tuple[Season, ...] = ()
    shocks: tuple[Shock, ...] = ()
    drift: tuple[Drift, ...] = ()
    lives: tuple[Life, ...] = ()
    noise: Noise = Noise()
    logging: Weights | None = None
