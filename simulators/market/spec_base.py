"""What all parts of a world's YAML share: strictness, spans of time, and weighted sums."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from agents.spec import Document
from agents.units import parse_duration

ONE = "one"
"""The name of the constant 1 in every weighted sum."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Weights = dict[str, float]
Span = Annotated[
    timedelta, BeforeValidator(lambda v: parse_duration(v) if isinstance(v, str) else v)
]


class Part(Document):
    """A part of a world: frozen, and strict about names."""

    model_config = ConfigDict(strict=False)  # in Python; a YAML document is read strictly
