"""Actions that are not declared: they come with each request, as features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from agents.spec.base import Cost, Document, OfferKind
from agents.units import Name

PATH_PATTERN = r"^[^.\x00-\x1f\x7f]+(\.[^.\x00-\x1f\x7f]+)*$"

Path = Annotated[str, StringConstraints(max_length=256, pattern=PATH_PATTERN)]


class SuppliedSpec(Document):
    """A loop: the caller lists the actions with each request, and has one of them back."""

    channel: Name = Field(description="the channel on which they are shown")
    kind: OfferKind = Field(
        "promotion", description="what they are for; caps and precedence may speak of it"
    )
    at_most: int = Field(50, ge=1, le=50, description="how many a request may list")
    cost: Cost = Field(0.0, description="currency per contact, beside the channel's cost")
    customer: Path | None = Field(
        None,
        description="where in the context features the customer's id stands, as user.id;"
        " without it each event is of a customer of its own",
    )
    fields: dict[Name, Path] = Field(
        default_factory=dict,
        description="fields of the customer schema, and where in the context features each stands",
    )
