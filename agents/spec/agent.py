"""One agent: whom it speaks to, what counts, what may be offered, and how it learns."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agents.spec.base import Document, Expression, SettingValue, Share
from agents.spec.offers import Offer
from agents.spec.outcomes import Amount, Outcome
from agents.spec.rules import GuardrailSpec
from agents.spec.supplied import SuppliedSpec
from agents.units import Duration, Name


class Holdout(Document):
    """Who is measured against: shares of customers, assigned by hash and sticky."""

    control: Share = Field(0.1, description="share that always gets nothing")
    random: Share = Field(0.1, description="share that gets a uniform choice of the allowed")
    salt: str = Field("1", min_length=1, max_length=64, description="changes who is drawn")
    managed: Name | None = Field(
        None,
        description="category customer field with the values treatment, control and random, where"
        " groups are assigned elsewhere; it replaces the shares, and unknown means control",
    )

    @model_validator(mode="after")
    def _leaves_treatment(self) -> Self:
        if self.control + self.random >= 1.0:
            raise ValueError(
                f"expected control + random below 1, got {self.control:g} + {self.random:g}"
            )
        return self


class Maturity(Document):
    """How a new action is ramped up: a growing share of customers may get it."""

    start_share: float = Field(0.02, gt=0.0, le=1.0, description="share before any success")
    full_at_positives: int = Field(
        200, ge=1, le=10**6, description="successes at which every customer may get it"
    )


class Confirm(Document):
    """A contact is only reserved by its decision: the sender asks just before it is sent.

    It counts as made until it is released, or until nobody has asked in time; then it is given
    back, and nothing is learned from the decision.
    """

    within: Duration = Field(description="how long after its sending instant it may be asked for")


class Incumbent(Document):
    """What decides while an apprentice only learns."""

    learner: Name = Field(description="a name of the policy registry")
    settings: dict[Name, SettingValue] = Field(
        default_factory=dict, description="the incumbent's own settings"
    )
    floor: Share | None = Field(
        None, description="the floor while the incumbent decides; the policy's own if not said"
    )


class WarmStart(Document):
    """What a learner knows when it begins: the state of another agent's learner of its kind."""

    agent: Name = Field(description="the other agent; what both have by the same name is shared")
    share: float = Field(
        0.5, gt=0.0, le=1.0, description="how much the other agent's evidence counts; 1 is all"
    )


class PolicySpec(Document):
    """Which learner chooses, and how much it explores."""

    learner: Name = Field("hybrid_thompson", description="a name of the policy registry")
    floor: float = Field(
        0.02, ge=0.0, le=1.0, description="share of each decision spread over all allowed actions"
    )
    floor_over: Literal["actions", "offers"] = Field(
        "actions",
        description="whether that share is even over actions, or over offers, then over the"
        " channels of each, then over its windows: for many actions, as it keeps the weight of"
        " each offer bounded",
    )
    settings: dict[Name, SettingValue] = Field(
        default_factory=dict, description="the learner's own settings; docs/policies.md lists them"
    )
    mode: Literal["online", "apprentice", "logging"] = Field(
        "online",
        description="apprentice learns from what the incumbent decides; logging learns nothing,"
        " and keeps what was learned before",
    )
    incumbent: Incumbent | None = Field(None, description="what decides while the learner does not")
    warm_start: WarmStart | None = Field(
        None, description="begins with what another agent learned; with nothing if not said"
    )
    publish_every: Duration | None = Field(
        None,
        description="least span between two snapshots of what was learned; the server's own if"
        " not said",
    )

    @property
    def deciding_floor(self) -> float:
        """The floor of what decides now: the incumbent's own, if it decides and has one."""
        own = None if self.incumbent is None else self.incumbent.floor
        return self.floor if own is None else own

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mode == "online") != (self.incumbent is None):
            raise ValueError(
                "expected 'mode: apprentice' or 'mode: logging' and an 'incumbent' together, or"
                f" neither; got mode {self.mode!r} and {'an' if self.incumbent else 'no'} incumbent"
            )
        return self


class Agent(Document):
    """One goal-seeking campaign: whom it speaks to, what counts, what may be offered."""

    agent: Name = Field(description="its name, the same as the file's")
    description: str = Field("", max_length=2_000, description="for people")
    audience: Expression | None = Field(None, description="CEL; others get nothing")
    outcomes: dict[Name, Outcome] = Field(min_length=1, description="what counts")
    offers: dict[Name, Offer] = Field(default_factory=dict, description="what may be offered")
    supplied: SuppliedSpec | None = Field(
        None, description="instead of offers: the caller lists the actions with each request"
    )
    guardrails: dict[Name, GuardrailSpec] = Field(
        default_factory=dict, description="rules of this agent"
    )
    maturity: Maturity | None = Field(None, description="ramps up new actions; at once if not said")
    confirm: Confirm | None = Field(
        None, description="contacts are confirmed before they are sent; at once made if not said"
    )
    policy: PolicySpec = Field(
        PolicySpec(), description="which learner chooses, and how much it explores"
    )
    holdout: Holdout = Field(Holdout(), description="who is measured against")
    always_act: bool = Field(False, description="bar 'none' while anything else is allowed")

    @model_validator(mode="after")
    def _offers_or_supplied(self) -> Self:
        if bool(self.offers) == (self.supplied is not None):
            raise ValueError(
                "expected 'offers', or 'supplied' where each request lists its actions; got"
                f" {'both' if self.offers else 'neither'}"
            )
        if self.supplied is None:
            self._require_no_default()
        else:
            self._require_loop()
        return self

    def _require_no_default(self) -> None:
        for name, outcome in self.outcomes.items():
            if outcome.default:
                raise ValueError(
                    f"outcomes.{name}.default: only an agent with 'supplied' actions has a default;"
                    " elsewhere what does not happen is worth 0"
                )

    def _require_loop(self) -> None:
        """Refuse what could answer a request without an action, or learn another reward."""
        outcomes = list(self.outcomes.values())
        if len(outcomes) != 1 or not isinstance(outcomes[0].value, Amount):
            raise ValueError(
                "outcomes: expected one outcome, whose value is a property, beside 'supplied'"
            )
        if not self.always_act or self.holdout.control > 0.0:
            raise ValueError(
                "expected 'always_act: true' and 'holdout: {control: 0, ...}' beside 'supplied':"
                " a request that lists actions is answered with one of them"
            )
