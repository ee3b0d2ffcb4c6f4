"""The sample of a loop: a coffee bar's log as Azure Personalizer wrote it, in DSJSON.

Which drink to suggest first is drawn from an epsilon-greedy guess at what is liked at that time of
day. Whether the suggestion is bought is drawn from probabilities that the code states. Some lines
teach nothing, as in real logs: rewards whose event is missing, events that were never shown, and
probabilities that are rounded to float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

DRINKS: Mapping[str, Mapping[str, object]] = {
    "espresso": {"hot": True, "strength": 0.9},
    "iced tea": {"hot": False, "strength": 0.2},
    "irish coffee": {"hot": True, "strength": 0.7, "alcohol": True},
}
TIMES = ("morning", "noon", "evening")
BOUGHT = np.array([[0.7, 0.3, 0.05], [0.4, 0.5, 0.1], [0.2, 0.3, 0.6]])
"""The true probability that a suggested drink is bought, (times, drinks)."""

EVENTS, DANGLING, SKIPPED = 255, 12, 8
"""How many lines are learnable events, rewards without an event, and events to be skipped."""

_FLOOR, _SEED = 0.75, 20_261_124
_START = datetime(2026, 3, 2, 7, tzinfo=UTC)


def write_drinks(target: Path) -> None:
    """Write the sample, the same every time."""
    rng = np.random.default_rng(_SEED)
    kinds = np.repeat(["event", "dangling", "skipped"], [EVENTS, DANGLING, SKIPPED])
    lines = [_line(rng, number, kind) for number, kind in enumerate(rng.permutation(kinds))]
    target.write_bytes(b"".join(lines))


def _line(rng: np.random.Generator, number: int, kind: str) -> bytes:
    at = _START + timedelta(minutes=11 * number)
    made = _dangling(number, at) if kind == "dangling" else _event(rng, number, at)
    if kind == "skipped":
        made["_skipLearn"] = True
    return orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)


def _dangling(number: int, at: datetime) -> dict[str, Any]:
    return {"RewardValue": 1.0, "EnqueuedTimeUtc": _stamp(at), "EventId": f"gone{number}"}


def _event(rng: np.random.Generator, number: int, at: datetime) -> dict[str, Any]:
    time = int(rng.integers(len(TIMES)))
    chances = BOUGHT[time]  # (A,)
    p = _probabilities(chances)
    drawn = int(rng.choice(len(p), p=p))
    reward = float(rng.random() < chances[drawn])
    rounded = p.astype(np.float32).astype(np.float64).tolist()  # (A,)
    order = [drawn, *(place for place in range(len(p)) if place != drawn)]
    name = f"e{number}"
    return {
        "_label_cost": -reward, "_label_probability": rounded[drawn], "_label_Action": drawn + 1,
        "_labelIndex": drawn, "o": [{"v": reward, "EventId": name, "ActionTaken": False}],
        "Timestamp": _stamp(at), "Version": "1", "EventId": name,
        "a": [place + 1 for place in order], "c": _content(rng, TIMES[time]),
        "p": [rounded[place] for place in order], "VWState": {"m": "sample"},
        "_original_label_cost": -reward,
    }  # fmt: skip


def _probabilities(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logging policy's, (A,): it takes the drink that is liked second for the best."""
    guess = int(np.argsort(chances)[-2])
    even = np.full(len(chances), _FLOOR / len(chances))
    even[guess] += 1.0 - _FLOOR
    return even


def _content(rng: np.random.Generator, time: str) -> dict[str, Any]:
    user = {"id": f"u{rng.integers(90)}", "age": int(rng.integers(18, 80))}
    actions = [
        {"_tag": name, "i": {"constant": 1, "id": name}, "j": [features]}
        for name, features in DRINKS.items()
    ]
    return {"FromUrl": [{"time": time}, {"user": user}], "_multi": actions}


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "0Z")
