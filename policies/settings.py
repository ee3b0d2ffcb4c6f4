"""Settings of a learner: declared names, ranges and choices; anything else is refused.

Numbers are read all at once by `read_settings`. What is no number has a reader of its own, which
checks every name against the revision. All say where the wrong word stands, as in
`policy.settings.levers.renewal: ...`, from which `check_policy` finds its line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from agents.errors import UnknownNameError, did_you_mean
from agents.expressions import Condition, Language
from agents.revision import Revision
from agents.spec import CustomerField, SettingValue


@dataclass(frozen=True, slots=True)
class Setting:
    """One number that a marketer may set under `policy.settings`.

    Args:
        default: used if the agent does not say.
        low, high: the range, both ends included.
        whole: whether only whole numbers are accepted.
    """

    default: float
    low: float
    high: float
    whole: bool = False

    @property
    def range(self) -> str:
        """Both bounds as YAML may have them: without exponents.

        Example:
            >>> Setting(0.02, 1e-06, 1e06).range
            '0.000001 to 1000000'
        """
        low, high = (np.format_float_positional(end, trim="-") for end in (self.low, self.high))
        return f"{low} to {high}"

    def read(self, where: str, value: object) -> float:
        """Return a value that is a number in range.

        Raises:
            ValueError: it is none; the message begins with `where`.
        """
        kind = "a whole number" if self.whole else "a number"
        expected = f"{where}: expected {kind} from {self.range}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{expected}, got {_shown(value)}")
        # Written so that NaN, which no comparison accepts, is refused too.
        if not self.low <= value <= self.high or (self.whole and value % 1):
            raise ValueError(f"{expected}, got {value:g}")
        return value


def read_settings(
    learner: str,
    declared: Mapping[str, Setting],
    given: Mapping[str, SettingValue],
    others: Collection[str] = (),
) -> dict[str, float]:
    """Merge an agent's numbers over the learner's defaults.

    Args:
        learner: its name, for messages.
        declared: its numbers.
        given: the agent's settings.
        others: its settings that are no numbers, which readers of their own read.

    Raises:
        UnknownNameError: a name that the learner does not declare.
        ValueError: a value that is no number, or outside its range.

    Example:
        >>> read_settings("demo", {"tau": Setting(0.6, 0.01, 5.0)}, {"tau": 1.0})
        {'tau': 1.0}
    """
    for name in given:
        if name not in declared and name not in others:
            raise UnknownNameError(
                f"policy.settings.{name}: {learner} has no setting {name!r};"
                f" {did_you_mean(name, [*declared, *others])}"
            )
    return {
        name: setting.read(f"policy.settings.{name}", given.get(name, setting.default))
        for name, setting in declared.items()
    }


def read_segments(revision: Revision, name: str) -> dict[str, CustomerField]:
    """Read a list of category or boolean customer fields that learners may see, in its order.

    Raises:
        UnknownNameError: a field that is not among them.
        ValueError: no list, or a field twice.
    """
    fields = {
        field: declared
        for field, declared in revision.workspace.customer.items()
        if declared.learnable and declared.type in ("category", "boolean")
    }
    return {
        word: fields[word]
        for word in _listed(revision, name, fields, "category or boolean customer field")
    }


def read_order(revision: Revision, name: str) -> list[int]:
    """Read a list of offers or action ids as positions of actions, each once, in its order.

    An offer stands for its actions as they are written.

    Raises:
        UnknownNameError: neither an offer nor an action of the agent.
        ValueError: no list, or a word twice.
    """
    meant: dict[str, list[int]] = {}
    for position, action in enumerate(revision.actions):
        meant[action.id] = [position]
        if not action.is_none:
            meant.setdefault(action.offer, []).append(position)
    words = _listed(revision, name, meant, "offer or action")
    return list(dict.fromkeys(position for word in words for position in meant[word]))


def read_weights(revision: Revision, name: str, range_: Setting) -> dict[str, float]:
    """Read numbers by offer; offers that are not named have the default.

    Raises:
        UnknownNameError: no offer of the agent.
        ValueError: no mapping, or a number out of range.
    """
    found = _by_offer(revision, name, "a number")
    read = {o: range_.read(f"policy.settings.{name}.{o}", value) for o, value in found.items()}
    return dict.fromkeys(revision.agent.offers, range_.default) | read


def read_scores(revision: Revision, name: str) -> dict[str, str]:
    """Read customer fields by offer, each a number declared to lie between 0 and 1.

    Raises:
        UnknownNameError: no offer of the agent, or no such field.
        ValueError: no mapping.
    """
    fields = [
        field
        for field, declared in revision.workspace.customer.items()
        if declared.type == "number"
        and declared.min is not None and declared.min >= 0.0
        and declared.max is not None and declared.max <= 1.0
    ]  # fmt: skip
    what, chosen = "customer field of numbers with min 0 and max 1", {}
    for offer, field in _by_offer(revision, name, f"a {what}").items():
        place = f"policy.settings.{name}.{offer}"
        chosen[offer] = _known(place, field, fields, what)
    return chosen


def read_conditions(revision: Revision, name: str, language: Language) -> dict[str, Condition]:
    """Read CEL expressions by offer, compiled against the customer schema.

    Raises:
        UnknownNameError: no offer of the agent.
        ValueError: no mapping, or an expression that does not compile.
    """
    conditions = {}
    for offer, source in _by_offer(revision, name, "a CEL expression").items():
        place = f"policy.settings.{name}.{offer}"
        if not isinstance(source, str):
            raise ValueError(f"{place}: expected a CEL expression, got {_shown(source)}")
        try:
            conditions[offer] = language.compile(source)
        except ValueError as error:
            raise ValueError(f"{place}: {error} (in {source[:80]!r})") from None
    return conditions


def _listed(revision: Revision, name: str, choices: Collection[str], what: str) -> tuple[str, ...]:
    """Return the words of a list of different names, none if the agent does not say."""
    value = revision.agent.policy.settings.get(name, ())
    where = f"policy.settings.{name}"
    if not isinstance(value, tuple):
        raise ValueError(f"{where}: expected a list, as in [one, two], got {_shown(value)}")
    for position, word in enumerate(value):
        _known(f"{where}.{position}", word, choices, what)
        if word in value[:position]:
            raise ValueError(f"{where}.{position}: expected each of them once, got {word!r} twice")
    return value


def _by_offer(revision: Revision, name: str, what: str) -> Mapping[str, float | str]:
    """Return a mapping whose keys are offers, empty if the agent does not say."""
    value = revision.agent.policy.settings.get(name, {})
    where = f"policy.settings.{name}"
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an offer: {what} each, got {_shown(value)}")
    for offer in value:
        _known(f"{where}.{offer}", offer, revision.agent.offers, "offer")
    return value


def _known(where: str, word: object, choices: Collection[str], what: str) -> str:
    if isinstance(word, str) and word in choices:
        return word
    hint = did_you_mean(str(word), choices)
    raise UnknownNameError(f"{where}: {_shown(word)} is no {what}; {hint}")


def _shown(value: object) -> str:
    """Write a setting as a YAML document has it, cut short."""
    if isinstance(value, (tuple, dict)):
        return "a list" if isinstance(value, tuple) else "keys and values"
    return f"{value:g}" if isinstance(value, float) else repr(value)[:60]
