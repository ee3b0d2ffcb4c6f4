"""The settings of a loop as the wire has them, and the same settings in the agent's document.

Each field stands for one place of the document. A change is written into the agent's YAML where it
stands, comments and all, and is then submitted as any other revision; a learner goes on with what
it knows.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from ruamel.yaml import YAML

from agents.spec import Agent
from serving.loops.durations import from_iso, to_iso, to_yaml
from serving.loops.errors import LoopError

Mode = Literal["Online", "Apprentice", "LoggingOnly"]
Aggregation = Literal["earliest", "sum", "max"]

MODES: Mapping[str, Mode] = {
    "online": "Online",
    "apprentice": "Apprentice",
    "logging": "LoggingOnly",
}
"""The wire's word for each mode of an agent's policy."""

WAIT = (timedelta(seconds=5), timedelta(days=2))
"""The shortest and the longest time that a reward may be waited for."""

_AGGREGATES: Mapping[str, Aggregation] = {"first": "earliest", "sum": "sum", "max": "max"}
_REQUIRED = (
    "rewardWaitTime", "defaultReward", "rewardAggregation", "explorationPercentage",
    "modelExportFrequency", "logRetentionDays",
)  # fmt: skip
_UNLIMITED = -1
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Service:
    """The settings of a loop.

    Args:
        wait: how long a reward is waited for.
        default: the reward if none came by then.
        aggregation: how several rewards make one; `max` by the agent's own document only.
        exploration: the share of decisions that is spread over all allowed actions, 0 to 1.
        export_every: least span between two models.
        retention: days for which the log is kept, -1 for good.
        mode: what learns and what decides.
    """

    wait: timedelta
    default: float
    aggregation: Aggregation
    exploration: float
    export_every: timedelta
    retention: int
    mode: Mode

    @classmethod
    def of(cls, agent: Agent, *, retention: timedelta | None, every: timedelta) -> Service:
        """Return the settings of a loop.

        Args:
            agent: a loop's document.
            retention: of the workspace, None for good.
            every: least span between two models if the loop says nothing.
        """
        (outcome,) = agent.outcomes.values()
        first = outcome.count == "once"  # whatever its aggregate: there is but one
        return cls(
            outcome.window,
            outcome.default,
            "earliest" if first else _AGGREGATES[outcome.aggregate],
            agent.policy.floor,
            agent.policy.publish_every or -(-every // _SECOND) * _SECOND,
            _UNLIMITED if retention is None else max(1, retention // _DAY),
            MODES[agent.policy.mode],
        )

    def to_wire(self, edited: datetime) -> dict[str, Any]:
        """Return the settings as the wire has them.

        Args:
            edited: when they were changed last (UTC).
        """
        return {
            "rewardWaitTime": to_iso(self.wait),
            "defaultReward": self.default,
            "rewardAggregation": self.aggregation,
            "explorationPercentage": self.exploration,
            "modelExportFrequency": to_iso(self.export_every),
            "logMirrorEnabled": False,
            "logRetentionDays": self.retention,
            "lastConfigurationEditDate": edited.isoformat(),
            "learningMode": self.mode,
            "isAutoOptimizationEnabled": False,
        }

    def asked(self, body: Mapping[str, Any]) -> Service:
        """Return the settings that a body asks for in place of these.

        Raises:
            LoopError: a field is missing, is out of range, or asks for what is not done here.
        """
        for name in _REQUIRED:
            if body.get(name) is None:
                raise _refuse("expected a value, got none", name)
        _require_possible(body, self)
        mode = body.get("learningMode")
        asked = replace(
            self,
            wait=_wait(body["rewardWaitTime"]),
            default=_number(body, "defaultReward", -1.0, 1.0),
            aggregation=_aggregation(body["rewardAggregation"], self.aggregation),
            exploration=_number(body, "explorationPercentage", 0.0, 1.0),
            export_every=_span(body, "modelExportFrequency"),
            mode=self.mode if mode is None else _mode(mode),
        )
        rewards = (asked.wait, asked.default, asked.aggregation)
        if {self.mode, asked.mode} == {"Online", "Apprentice"} and rewards != (
            self.wait, self.default, self.aggregation,
        ):  # fmt: skip
            raise _refuse(
                "expected rewardWaitTime, defaultReward and rewardAggregation as they are while"
                " learningMode changes between Online and Apprentice; change them afterwards",
                "learningMode",
                "InvalidLearningModeServiceConfiguration",
            )
        return asked


def rewrite(yaml: str, before: Service, after: Service) -> str:
    r"""Write settings into the YAML of a loop; what does not change stays as it is written.

    Args:
        yaml: the loop's document, which says `before`.
        before: its settings.
        after: those that it is to have.

    Example:
        >>> from dataclasses import replace
        >>> day = timedelta(days=1)
        >>> was = Service(day, 0.0, "sum", 0.2, day, -1, "Online")
        >>> text = "outcomes: {reward: {window: 1d}}  # how long\npolicy: {floor: 0.2}\n"
        >>> print(rewrite(text, was, replace(was, wait=timedelta(minutes=5))).splitlines()[0])
        outcomes: {reward: {window: 5m}}  # how long
    """
    editor = YAML(typ="rt")
    editor.preserve_quotes = True
    editor.width = 10_000  # no line is folded that was not
    document = editor.load(yaml)
    outcome = next(iter(document["outcomes"].values()))
    if after.wait != before.wait:
        outcome["window"] = to_yaml(after.wait)
    if after.default != before.default:
        outcome["default"] = after.default
    if after.aggregation != before.aggregation:
        outcome["count"] = "each"
        outcome["aggregate"] = "first" if after.aggregation == "earliest" else "sum"
    _rewrite_policy(document.setdefault("policy", {}), before, after)
    written = io.StringIO()
    editor.dump(document, written)
    return written.getvalue()


def _rewrite_policy(policy: dict[str, Any], before: Service, after: Service) -> None:
    if after.exploration != before.exploration:
        policy["floor"] = after.exploration
    if after.export_every != before.export_every:
        policy["publish_every"] = to_yaml(after.export_every)
    if after.mode == before.mode:
        return
    if after.mode == "Online":
        del policy["mode"], policy["incumbent"]
        return
    policy["mode"] = next(word for word, wire in MODES.items() if wire == after.mode)
    if "incumbent" not in policy:
        policy["incumbent"] = {"learner": "first", "floor": 0}


def _require_possible(body: Mapping[str, Any], now: Service) -> None:
    """Refuse what is asked for and not done here; what it would need is never repeated."""
    if body.get("logMirrorEnabled"):
        raise _refuse(
            "expected false: the log is shipped by `nextbest start"
            " --export-every`, and its address is never sent in a request",
            "logMirrorEnabled",
        )
    if body.get("isAutoOptimizationEnabled"):
        raise _refuse(
            "expected false: learners are compared by `nextbest evaluate`, and activated by people",
            "isAutoOptimizationEnabled",
        )
    days = body["logRetentionDays"]
    if isinstance(days, bool) or not isinstance(days, int) or days != now.retention:
        raise _refuse(
            f"expected {now.retention}, as it is: `retention` in workspace.yaml"
            " says how long things are kept, for all agents alike",
            "logRetentionDays",
        )


def _span(body: Mapping[str, Any], name: str) -> timedelta:
    try:
        return from_iso(body[name])
    except ValueError as error:
        raise _refuse(str(error), name) from None


def _wait(value: object) -> timedelta:
    name = "rewardWaitTime"
    try:
        span = from_iso(value)
    except ValueError as error:
        raise _refuse(str(error), name, "InvalidRewardWaitTime") from None
    if not WAIT[0] <= span <= WAIT[1]:
        raise _refuse(
            f"expected from {to_iso(WAIT[0])} to {to_iso(WAIT[1])}, got {to_iso(span)}",
            name,
            "InvalidRewardWaitTime",
        )
    return span


def _number(body: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse("expected a number", name)
    if not (math.isfinite(value) and least <= value <= most):
        raise _refuse(f"expected a number from {least:g} to {most:g}", name)
    return float(value)


def _aggregation(value: object, now: Aggregation) -> Aggregation:
    word = value.lower() if isinstance(value, str) else ""
    for known in ("earliest", "sum", now):
        if word == known:
            return known
    raise _refuse("expected 'earliest' or 'sum'", "rewardAggregation")


def _mode(value: object) -> Mode:
    for known in MODES.values():
        if value == known:
            return known
    raise _refuse(f"expected one of {', '.join(MODES.values())}", "learningMode")


def _refuse(message: str, field: str, code: str = "InvalidServiceConfiguration") -> LoopError:
    return LoopError(f"{field}: {message}", code, target=field)
