"""Loops, several slots an event: rank, reward, activate, as the previews of API v1.1 have them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from serving.api import loops_events
from serving.api.loops_events import EventId, RankableAction, agent_in
from serving.loops.errors import NOT_FOUND, LoopError
from serving.loops.slots import answer_slot_rewards, answer_slots, answer_slots_activate

STABLE = "v1.0"
PREVIEWS = ("v1.1-preview.1", "v1.1-preview.2", "v1.1-preview.3")


class SlottedAction(RankableAction):
    """An action that may be shown in one of the slots."""

    excludedSlots: list[str] | None = None  # noqa: N815 - the wire's name


class SlotRequest(BaseModel):
    """A slot to fill."""

    id: str = Field(min_length=1, max_length=256)
    features: list[dict[str, object]] | None = None
    excludedActions: list[str] | None = None  # noqa: N815 - the wire's name
    baselineAction: str = Field(  # noqa: N815 - the wire's name
        description="the action that would be shown there without a decision; another for each slot"
    )


class MultiSlotRankRequest(BaseModel):
    """POST multislot/rank."""

    contextFeatures: list[dict[str, object]] | None = None  # noqa: N815 - the wire's name
    actions: list[SlottedAction] = Field(min_length=1, max_length=50)
    slots: list[SlotRequest] = Field(min_length=1, max_length=50)
    eventId: str | None = Field(None, min_length=1, max_length=256)  # noqa: N815 - the wire's name
    deferActivation: bool | None = False  # noqa: N815 - the wire's name


class SlotResponse(BaseModel):
    """What is to be shown in a slot; null if a rule bars every action that is left."""

    id: str
    rewardActionId: str | None  # noqa: N815 - the wire's name


class MultiSlotRankResponse(BaseModel):
    """What is to be shown, slot by slot."""

    slots: list[SlotResponse]
    eventId: str  # noqa: N815 - the wire's name


class SlotReward(BaseModel):
    """What the action in one slot was worth."""

    slotId: str = Field(min_length=1, max_length=256)  # noqa: N815 - the wire's name
    value: float


class MultiSlotRewardRequest(BaseModel):
    """POST multislot reward."""

    reward: list[SlotReward] = Field(min_length=1)


def preview(version: Annotated[str, Path(json_schema_extra={"enum": list(PREVIEWS)})]) -> None:
    """Refuse a path of a version that has no slots."""
    require_version(version, PREVIEWS)


def single(version: Annotated[str, Path(json_schema_extra={"enum": list(PREVIEWS)})]) -> None:
    """Refuse a path of a version that there is not."""
    require_version(version, (STABLE, *PREVIEWS))


def require_version(version: str, known: Collection[str]) -> None:
    """Refuse a path of another version of the API.

    Raises:
        LoopError: it is none of those that are known.
    """
    if version not in known:
        raise LoopError(
            f"expected one of the versions {', '.join(known)}, got {version[:40]!r}",
            NOT_FOUND, status=404,
        )  # fmt: skip


async def rank_slots(request: Request) -> Response:
    """Choose which actions of the request are to be shown in its slots, each in one at most."""
    return await answer_slots(request.scope, await request.body(), agent_in(request))


async def reward_slots(event_id: EventId, request: Request) -> Response:
    """Say what the actions in some slots of an event were worth; all are recorded, or none.

    An event that nobody has ranked is answered alike; it teaches nothing.
    """
    raw = await request.body()
    return await answer_slot_rewards(request.scope, raw, agent_in(request), event_id)


async def activate_slots(event_id: EventId, request: Request) -> Response:
    """Say that an event that waits for its activation is shown now, all its slots."""
    return await answer_slots_activate(request.scope, agent_in(request), event_id)


_SLOTS = loops_events.Calls(
    rank_slots, reward_slots, activate_slots,
    MultiSlotRankRequest, MultiSlotRankResponse, MultiSlotRewardRequest, (preview,),
)  # fmt: skip
_BARE = "/personalizer/{version}/multislot"

router = loops_events.make_router(_BARE, names=False, calls=_SLOTS)
named_router = loops_events.make_router(f"/loops/{{agent}}{_BARE}", names=True, calls=_SLOTS)

previews = APIRouter(dependencies=[Depends(single)])
"""The calls of one action an event, as the previews have them: the same as those of v1.0."""
previews.include_router(loops_events.make_router("/personalizer/{version}", names=False))
previews.include_router(
    loops_events.make_router("/loops/{agent}/personalizer/{version}", names=True)
)
