"""Which column of a table means what: a small YAML file, or its equal in Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from agents.errors import DocumentError, LogError, did_you_mean
from agents.yamlsource import read_yaml

ALL = "*"
_NAMED = ("distribution", "allowed")  # a column of lists, or a column for each action
_SEVERAL = ("features",)


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of a table's columns; empty where it has none.

    Args:
        action: id of the drawn action.
        propensity: the probability that it was drawn with, in (0, 1].
        reward: currency, after costs; or else `outcome`, before costs.
        outcome: currency, the value of what happened, before costs.
        cost: currency, of the action.
        decision_id: unique; the file's name and the row if left out.
        at: instant of the decision, UTC where it has no zone; without one the rows' order counts.
        outcome_at: instant of the outcome.
        customer: whose decisions belong together; each is one of its own if left out.
        group: `treatment`, `random` or `control`; all are `treatment` if left out.
        distribution: probabilities of all actions: a column of lists beside `actions`, or the
            column of each action.
        actions: a column with the list of each row's actions, or the ids for all rows; the
            distinct ids of `action` if left out.
        allowed: a column of lists, of ids or of booleans beside `actions`, or the boolean column
            of each action; all are allowed if left out.
        kept: probability with which the row was kept when the log was thinned.
        policy, snapshot: what decided.
        features: columns that were known of the customer; `*` is all that are not named here.

    Example:
        >>> Columns("offer", "p", reward="margin").named()
        {'action': 'offer', 'propensity': 'p', 'reward': 'margin'}
    """

    action: str
    propensity: str
    reward: str = ""
    outcome: str = ""
    cost: str = ""
    decision_id: str = ""
    at: str = ""
    outcome_at: str = ""
    customer: str = ""
    group: str = ""
    distribution: str | Mapping[str, str] = ""
    actions: str | tuple[str, ...] = ""
    allowed: str | Mapping[str, str] = ""
    kept: str = ""
    policy: str = ""
    snapshot: str = ""
    features: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.reward and not self.outcome:
            raise LogError("expected the column of the `reward`, or of the `outcome` value")
        if self.reward and self.outcome and self.cost:
            raise LogError("expected `reward` or `outcome` with `cost`, got all three; leave one")
        if isinstance(self.distribution, str) and self.distribution and not self.actions:
            raise LogError("a `distribution` of lists needs `actions`: a column, or the ids")
        if isinstance(self.distribution, Mapping) and self.actions:
            raise LogError("`distribution` by column names the actions; leave out `actions`")
        self._check_allowed()
        self._check_roles()

    def _check_allowed(self) -> None:
        if not isinstance(self.allowed, Mapping):
            return
        if not self.fixed:
            raise LogError("`allowed` by column needs the ids as `actions` or `distribution`")
        for name in self.allowed:
            if name not in self.fixed:
                raise LogError(f"allowed: {name!r} is no action; {did_you_mean(name, self.fixed)}")

    def _check_roles(self) -> None:
        """Refuse a column that would be two things at once, or tell what is to be predicted."""
        apart = [x for x in (self.action, self.propensity, self.reward, self.outcome) if x]
        for name in apart:
            if apart.count(name) > 1:
                raise LogError(f"column {name!r}: expected one meaning, got two of them")
        known_later = {*apart, self.cost, self.outcome_at}
        for name in self.features:
            if name in known_later:
                raise LogError(
                    f"features: {name!r} is the draw or what came of it, and was not known before"
                )

    @property
    def fixed(self) -> tuple[str, ...]:
        """The ids of all rows' actions, if they are the same and named here."""
        if isinstance(self.distribution, Mapping):
            return tuple(self.distribution)
        return self.actions if isinstance(self.actions, tuple) else ()

    @property
    def whole(self) -> bool:
        """Whether the table holds all probabilities."""
        return bool(self.distribution)

    def named(self) -> dict[str, str]:
        """Return the columns that are named by themselves, by what they mean."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if isinstance(value, str) and value}

    def used(self) -> set[str]:
        """Return every column that is named, features left out."""
        several = (x for x in (self.distribution, self.allowed) if isinstance(x, Mapping))
        return {*self.named().values(), *(column for each in several for column in each.values())}


def read_columns(file: Path) -> Columns:
    """Read a mapping of columns from YAML; its keys are the fields of `Columns`.

    Raises:
        LogError: the file cannot be read, or lacks a column that is needed.
        DocumentError: a key is unknown or has a value of another kind; names line and column.
    """
    try:
        source = read_yaml(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise LogError(f"{file} cannot be read: {why}; expected a YAML file of columns") from None
    known = {each.name for each in fields(Columns)}
    values: dict[str, Any] = {}
    for name, value in source.value.items():
        if name not in known:
            raise source.error((name,), f"unknown key {name!r}; {did_you_mean(name, known)}")
        problem = _problem(name, value)
        if problem:
            raise source.error((name,), problem)
        values[name] = tuple(value) if isinstance(value, list) else value
    if values.get("features") == ALL:
        values["features"] = (ALL,)
    for name in ("action", "propensity"):
        if name not in values:
            raise DocumentError(f"expected {name!r}", file=file.name, line=1, column=1)
    try:
        return Columns(**values)
    except LogError as error:
        raise LogError(f"{file.name}: {error}") from None


def _problem(name: str, value: object) -> str:
    """Say what is wrong with the value of a key; empty if nothing is."""
    if isinstance(value, str) and value:
        return "" if name not in _SEVERAL or value == ALL else "expected a list of columns, or '*'"
    if name in _NAMED and isinstance(value, Mapping):
        return "" if _texts(value.values()) else "expected the name of a column for each action"
    if name in (*_SEVERAL, "actions") and isinstance(value, list):
        return "" if _texts(value) else "expected a list of text"
    return f"expected the name of a column, got {value!r}"


def _texts(values: Collection[object]) -> bool:
    return bool(values) and all(isinstance(each, str) and each for each in values)
