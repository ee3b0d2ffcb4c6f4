"""What a candidate has to show: a small YAML file, written before it is known what it will show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from agents.errors import StateError, UnknownNameError, did_you_mean
from agents.loading.faults import validate
from agents.spec import Document, Outcome
from agents.units import Name
from agents.yamlsource import read_yaml
from experiments.diagnostics import LIMITS


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
    """All criteria of a gate; what is not said is as here.

    Of evidence more can be asked for than `experiments.diagnostics.LIMITS` do, and never less.
    """

    alpha: float = Field(
        0.05, gt=0.0, lt=0.5,
        description="how often a candidate that is no better may be promoted",
    )  # fmt: skip
    margin: float = Field(0.0, description="by how much it must be better, per 1,000 decisions")
    estimators: tuple[Literal["snips", "dr"], ...] = Field(
        ("snips", "dr"), min_length=1, description="each of them has to show it"
    )
    ess: float = Field(
        200.0, ge=LIMITS.ess, description="least effective decisions of the candidate"
    )
    conversions: float = Field(
        30.0,
        ge=LIMITS.conversions,
        description="least effective conversions that tell the two apart",
    )
    unsupported: float = Field(
        LIMITS.unsupported, ge=0.0, le=LIMITS.unsupported,
        description="greatest share of its choices that were never tried",
    )  # fmt: skip
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


def watched(criteria: Criteria, outcomes: Mapping[str, Outcome]) -> list[str]:
    """Return the outcomes that must not get worse: guardrail metrics and what is tolerated, sorted.

    Args:
        criteria: what is asked for.
        outcomes: of the agent, by name; empty if they are not known.

    Raises:
        UnknownNameError: something is tolerated that is no outcome of the agent.
    """
    for name in criteria.tolerate if outcomes else ():
        if name not in outcomes:
            hint = did_you_mean(name, outcomes)
            raise UnknownNameError(f"tolerate: {name!r} is no outcome of the agent; {hint}")
    names = {name for name, each in outcomes.items() if each.metric == "guardrail"}
    return sorted(names | criteria.tolerate.keys())


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
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise StateError(f"--criteria: {path} cannot be read: {why}") from error
    return validate(Criteria, read_yaml(text, str(path)))
