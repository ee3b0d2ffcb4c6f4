"""What comes and goes over HTTP about agents."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from serving.api.wire import WHOLE, Body
from serving.ledger.revisions import Standing
from serving.life.standing import Changed

RevisionId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Reason = Annotated[
    str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]


class ActivationBody(Body):
    """POST /v1/agents/{name}/activate."""

    revision: RevisionId = Field(description="a revision that was put")
    expected: RevisionId | None = Field(
        description="the revision that the caller believes is active, null for none"
    )
    percent: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(
        100, description="of the customers; below 100 it is a canary"
    )
    shadow: bool = Field(False, description="decide beside only: nothing comes of it")
    reason: Reason = Field("", description="for those who read the log")

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if self.shadow and self.percent != 100:
            raise ValueError(
                "expected 'percent' or 'shadow': a shadow decides beside for everybody"
            )
        return self


class RollbackBody(Body):
    """POST /v1/agents/{name}/rollback."""

    reason: Reason = Field("", description="for those who read the log")


class StandingAnswer(BaseModel):
    """Which revisions of an agent decide, and which one is only watched."""

    revision: str = Field(description="the active one")
    canary: str | None = Field(description="decides for a share of the customers instead")
    percent: int = Field(description="the canary's share, 0 without one")
    shadow: str | None = Field(description="decides beside, and nothing comes of it")


class PutAnswer(BaseModel):
    """A revision that was put, or would be."""

    agent: str
    revision: str
    new: bool = Field(description="whether nobody has put it before")
    actions: int = Field(description="`none` counted")
    changes: list[str] = Field(description="in words, against what is active")
    advice: list[str] = Field(description="what deserves a second look, with its place")
    standing: StandingAnswer | None = Field(description="null for an agent that is not active yet")


class ChangedAnswer(BaseModel):
    """What stands after a change."""

    agent: str
    changed: bool
    standing: StandingAnswer


class ListedAgent(StandingAnswer):
    """The name of an agent and what stands of it."""

    agent: str


class AgentText(ListedAgent):
    """What stands of an agent, and the YAML that its active revision was submitted as."""

    yaml: str


class ListedRevision(BaseModel):
    """A revision of an agent."""

    revision: str
    at: datetime = Field(description="when it was put")
    actor: str = Field(description="who put it, as the audit log says")
    state: str = Field(description="`active`, `canary`, `shadow` or `stored`")


class RevisionText(ListedRevision):
    """A revision and the YAML that it was submitted as."""

    agent: str
    yaml: str


class DifferenceAnswer(BaseModel):
    """What is different between two revisions, in words."""

    before: str
    after: str
    changes: list[str]


def listed(name: str, standing: Standing) -> dict[str, Any]:
    """Return what `ListedAgent` describes, as JSON values."""
    return {"agent": name, **standing.to_record()}


def changed_answer(name: str, changed: Changed) -> dict[str, Any]:
    """Return what `ChangedAnswer` describes, as JSON values."""
    return {
        "agent": name, "changed": changed.changed, "standing": changed.standing.to_record()
    }  # fmt: skip
