"""What a candidate has to show: a small YAML file, written before it is known what it will show."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from agents.errors import StateError
from agents.loading.faults import validate
from agents.spec import Document
from agents.units import Name
from agents.yamlsource import read_yaml


class CanaryCriteria(Document):
    """When a canary is promoted or taken back, while it runs."""

    margin: float = Field(0.0, description="promoted above this, currency per 1,000 decisions")
    rollback: float = Field(
        0.0, le=0.0, description="taken back below this, currency per 1,000 decisions"
    )
    planned: int = Field(
        10_000, ge=100, description="decisions at which the sequence is narrowest, planned before"
    )
    share: float | None = Field(
        None, gt=0.0, lt=1.0, description="of the customers that it was given, to test it"
    )
    looks: int = Field(100, ge=1, le=10_000, description="how often the arms are compared")


class Criteria(Document):
    """All criteria of a gate; what is not said is as here."""

    alpha: float = Field(
        0.05, gt=0.0, lt=0.5,
        description="how often a candidate that is no better may be promoted",
    )  # fmt: skip
    margin: float = Field(0.0, description="by how much it must be better, per 1,000 decisions")
    estimators: tuple[Literal["snips", "dr"], ...] = Field(
        ("snips", "dr"), min_length=1, description="each of them has to show it"
    )
    ess: float = Field(200.0, gt=0.0, description="least effective decisions of the candidate")
    conversions: float = Field(
        30.0, ge=10.0, description="least effective conversions that tell the two apart"
    )
    unsupported: float = Field(
        0.01, ge=0.0, le=1.0, description="greatest share of its choices that were never tried"
    )
    tolerate: dict[Name, float] = Field(
        default_factory=dict,
        description="by outcome, how many events per 1,000 decisions it may be worse, surely; an"
        " outcome with 'metric: guardrail' that is not named must only not be worse for certain",
    )
    breaches: int = Field(0, ge=0, description="greatest number of decisions against a rule")
    canary: CanaryCriteria = Field(CanaryCriteria(), description="of a canary")

    @property
    def digest(self) -> str:
        """The SHA-256 of what it says, to compare with what was written down."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_criteria(path: Path | None) -> Criteria:
    """Read criteria from a YAML file; all as they are if there is none.

    Raises:
        StateError: the file cannot be read.
        DocumentError: it holds something else; names line and column.
    """
    if path is None:
        return Criteria()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"--criteria: {path} cannot be read: {error}") from error
    return validate(Criteria, read_yaml(text, str(path)))
