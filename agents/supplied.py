"""Actions that came with a request: what they are, as features, and which of them may be chosen.

Their features are kept as the JSON object that DSJSON logs call `c`: what is known of the moment
under `FromUrl`, the actions under `_multi`, in the caller's order. So what is logged is what was
asked, a learner reads live decisions and imported ones alike, and an export writes them as they
came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from agents.errors import ContextError
from agents.supplied_size import check_size

MAX_ID = 256
NONE_ID = "none"


@dataclass(frozen=True, slots=True)
class Supplied:
    """The actions of one request.

    Args:
        ids: in the caller's order, each once; a decision's actions are `none` and these.
        content: compact JSON, an object; `_multi` has the features of each action, as `ids`.
        barred: by id, why the request itself bars an action.
        slot: which of several slots is to be filled, empty if there is one only.
        baseline: the action that the caller would show by itself, one of `ids`.
        event: the caller's id of the event, empty if it is that of the decision.
        texts: each action as it stands in the content behind `{"_tag":`, where that is known
            without a look: the same text is the same object from one request to the next.
    """

    ids: tuple[str, ...]
    content: bytes
    barred: Mapping[str, str] = field(default_factory=dict)
    slot: str = ""
    baseline: str = ""
    event: str = ""
    texts: tuple[bytes, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.baseline and self.ids:
            object.__setattr__(self, "baseline", self.ids[0])

    @property
    def actions(self) -> tuple[str, ...]:
        """The ids of all actions of the decision, `none` first."""
        return (NONE_ID, *self.ids)

    def to_record(self, content: object = None) -> dict[str, Any]:
        """Return plain values for JSON.

        Args:
            content: what to put in the place of the content, read; as an `orjson.Fragment`.
        """
        return {
            "ids": list(self.ids),
            "content": orjson.loads(self.content) if content is None else content,
            "barred": dict(self.barred),
            "slot": self.slot,
            "baseline": self.baseline,
            "event": self.event,
        }


def supply(
    shared: Sequence[object],
    actions: Mapping[str, Sequence[object]],
    *,
    barred: Mapping[str, str] | None = None,
    slot: str = "",
    place: Sequence[object] | None = None,
    baseline: str = "",
) -> Supplied:
    """Make the actions of a request from features as JSON values.

    Args:
        shared: what is known of the moment, objects.
        actions: by id, the features of each, objects.
        barred: by id, why the request itself bars an action.
        slot: which of several slots is to be filled.
        place: the features of that slot, objects.
        baseline: the action that the caller would show by itself; the first if empty.

    Raises:
        ContextError: there is no action, an id is `none`, the features are not JSON, or there are
            more than a learner can look at.

    Example:
        >>> made = supply([{"time": "morning"}], {"pasta": [{"hot": True}]})
        >>> made.content.decode()
        '{"FromUrl":[{"time":"morning"}],"_multi":[{"_tag":"pasta","i":{"constant":1,"id":"pasta"},"j":[{"hot":true}]}]}'
    """
    check_ids(actions)
    content: dict[str, object] = {"FromUrl": shared}
    if place is not None:
        content["slot"] = place
    content["_multi"] = [
        {"_tag": name, "i": {"constant": 1, "id": name}, "j": features}
        for name, features in actions.items()
    ]
    try:
        written = orjson.dumps(content)
    except orjson.JSONEncodeError as error:
        raise ContextError(f"features: expected JSON values, got others: {error}") from None
    check_size(written, (shared, place or ()), actions)
    return Supplied(tuple(actions), written, barred or {}, slot, baseline)


def check_ids(ids: Sequence[str] | Mapping[str, object]) -> None:
    """Refuse ids that actions cannot have.

    Raises:
        ContextError: there is none, one is `none`, empty, or longer than 256 characters.
    """
    if not ids:
        raise ContextError("actions: expected at least one, got none")
    longest = max(map(len, ids))
    if NONE_ID not in ids and "" not in ids and longest <= MAX_ID and "".join(ids).isprintable():
        return  # all at once, a third of what one after another costs
    for name in ids:
        if name == NONE_ID:
            raise ContextError(
                f"actions: the id {NONE_ID!r} is taken: it means to do nothing; name it otherwise"
            )
        if not 1 <= len(name) <= MAX_ID or not name.isprintable():
            raise ContextError(
                f"actions: expected ids of 1 to {MAX_ID} printable characters,"
                f" got one of length {len(name)}"
            )


def read_supplied(record: Mapping[str, Any] | None) -> Supplied | None:
    """Rebuild from `Supplied.to_record`; None from None."""
    if record is None:
        return None
    return Supplied(
        tuple(record["ids"]),
        orjson.dumps(record["content"]),
        dict(record["barred"]),
        record["slot"],
        record["baseline"],
        record.get("event", ""),
    )
