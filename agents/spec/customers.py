"""The customer schema: which fields a customer may have, and what they mean."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.spec.base import Document


class CustomerField(Document):
    """One declared field of a customer, by which contexts and expressions are checked."""

    type: Literal["integer", "number", "boolean", "category", "set", "text", "instant", "zone"] = (
        Field(
            description="category is one text from a list, set is any of them; text is free, for"
            " content only; instant is a time with its offset; zone is the customer's IANA zone"
        )
    )
    values: tuple[str, ...] = Field((), description="the allowed values of a category or set")
    min: float | None = Field(None, description="least number, inclusive")
    max: float | None = Field(None, description="greatest number, inclusive")
    required: bool = Field(False, description="refuse a context without it")
    feature: bool = Field(True, description="false keeps it out of every learner")

    @property
    def learnable(self) -> bool:
        """Whether learners and reward models may see it; a zone or free text never is."""
        return self.feature and self.type not in ("zone", "text")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.type in ("category", "set")) != bool(self.values):
            raise ValueError("expected 'values' for a category or a set, and for no other type")
        if len(set(self.values)) < len(self.values):
            raise ValueError("expected each of 'values' once, got one of them twice")
        numeric = self.type in ("integer", "number")
        if not numeric and (self.min is not None or self.max is not None):
            raise ValueError(f"expected 'min' and 'max' only for numbers, got type {self.type!r}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"expected min <= max, got {self.min:g} > {self.max:g}")
        return self
