"""Expressions in CEL (Common Expression Language), behind the one module that knows the library.

An expression is compiled once, against the declared customer schema, so an unknown field or a
wrong type is an error at load. It may speak of the customer's fields and of `now`, the instant of
the decision; where actions come with the request, of the features of one of them and of the
moment, whatever these are. At decision time only exactly `true` counts (or exactly `false`, for
what suppresses): an error, a missing field or anything else is a reason to bar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from cel_expr_python import cel

from agents.cel_tree import read_tree
from agents.errors import did_you_mean
from agents.open_shortcuts import ACTION, ACTION_ID, CONTEXT, open_shortcut
from agents.shortcuts import DoubtError, Shortcut, shortcut
from agents.spec import CustomerField

_TYPES = {
    "integer": cel.Type.INT,
    "number": cel.Type.DOUBLE,
    "boolean": cel.Type.BOOL,
    "category": cel.Type.STRING,
    "zone": cel.Type.STRING,
    "text": cel.Type.STRING,
    "set": cel.Type.List(cel.Type.STRING),
    "instant": cel.Type.TIMESTAMP,
}
_NOW = "now"
_OBJECT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_SUPPLIED = {
    ACTION: ("action", _OBJECT),
    ACTION_ID: ("action_id", cel.Type.STRING),
    CONTEXT: ("context", _OBJECT),
}
# The library finds out that such a text is none only when it evaluates it: the rule would then bar
# everything for ever.
_LITERAL = re.compile(r"""\b(duration|timestamp)\(\s*("[^"\\]*"|'[^'\\]*')\s*\)""")
_EXPECTED = {
    "duration": "hours, minutes and seconds, as in duration('168h') for a week",
    "timestamp": "an instant, as in timestamp('2026-03-31T00:00:00Z')",
}
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_NO_KEY = re.compile(r'Key not found in map : "(.*)"')
_HINTS = (
    (("double, int", "int, double"), "write whole numbers beside a 'number' field with a point,"
     " as in 3.0"),
    (("Timestamp, string", "string, google.protobuf.Timestamp"), "write an instant as"
     " timestamp('2026-03-31T00:00:00Z')"),
    (("Duration, string", "Duration, int", "string, google.protobuf.Duration"), "write a span of"
     " time as duration('168h')"),
    (("list(string), string", "string, list(string)"), "ask whether a set holds a value as in"
     " 'sports' in customer.interests"),
)  # fmt: skip


class Bound:
    """A customer's features and the instant, bound for CEL when first it must be asked.

    Args:
        features: as of the context.
        now: the instant of the decision (UTC).
        activate: binds both.
    """

    __slots__ = ("_activate", "_activation", "_now", "features")

    def __init__(
        self,
        features: Mapping[str, object],
        now: datetime,
        activate: Callable[[Mapping[str, object], datetime], Any],
    ) -> None:
        self.features, self._now, self._activate = features, now, activate
        self._activation: Any = None

    @property
    def activation(self) -> Any:
        """What CEL evaluates expressions on."""
        if self._activation is None:
            self._activation = self._activate(self.features, self._now)
        return self._activation


class Language:
    """The expressions that one customer schema allows.

    An expression is compiled once, however often it is asked for.

    Args:
        schema: the declared customer fields.
        supplied: also speaks of `action`, `action_id` and `context`: the features and the id of
            an action that came with a request, and the features of the moment, as JSON values.
            They are bound as features by the names `ACTION`, `ACTION_ID` and `CONTEXT`.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> language = Language({"age": CustomerField(type="integer")})
        >>> adult = language.compile("customer.age >= 18")
        >>> adult.refusal(language.bind({"age": 17}, noon))
        'customer.age >= 18 is false'
        >>> adult.refusal(language.bind({"age": 18}, noon)) is None
        True
        >>> adult.refusal(language.bind({}, noon))
        'customer.age >= 18 is unknown: no value for customer.age'
        >>> language.compile("now.getHours('UTC') == 12").denial(language.bind({}, noon))
        "now.getHours('UTC') == 12 is true"
    """

    def __init__(self, schema: Mapping[str, CustomerField], *, supplied: bool = False) -> None:
        self._schema = schema
        self._names = {name: f"customer.{name}" for name in schema}
        self._supplied = _SUPPLIED if supplied else {}
        self._read: dict[str, str] = {}  # the names that some expression may read
        self._reads_now = False
        self._types = {name: field.type for name, field in schema.items()}
        self._env = cel.NewEnv(
            variables={_NOW: cel.Type.TIMESTAMP, **dict(self._supplied.values())}
            | {self._names[name]: _TYPES[field.type] for name, field in schema.items()}
        )
        self._compiled: dict[str, Condition] = {}

    @cached_property
    def over_actions(self) -> Language:
        """The same, of rules that speak of supplied actions too."""
        return Language(self._schema, supplied=True)

    def compile(self, source: str) -> Condition:
        """Compile a boolean expression.

        Raises:
            ValueError: it does not parse, names an unknown field, mixes types, nests deeper than
                32 levels, is not boolean, or has a duration or timestamp that is none.
        """
        known = self._compiled.get(source)
        if known is None:
            known = self._compiled[source] = self._compile(source)
        return known

    def _compile(self, source: str) -> Condition:
        try:
            compiled = self._env.compile(source)
        except RuntimeError as error:
            raise ValueError(self._explain(str(error))) from None
        returned = compiled.return_type()
        if returned != cel.Type.BOOL and not (self._supplied and returned == cel.Type.DYN):
            raise ValueError(f"expected an expression that is true or false, got {returned.name()}")
        self._check_literals(source)
        words = _WORD.findall(source)
        self._read.update((word, self._names[word]) for word in words if word in self._names)
        self._read.update((key, own) for key, (own, _) in self._supplied.items() if own in words)
        self._reads_now = self._reads_now or _NOW in words
        tree = read_tree(compiled.serialize())
        if self._supplied:
            return Condition(source, compiled, open_shortcut(tree))
        return Condition(source, compiled, shortcut(tree, self._types))

    def bind(self, features: Mapping[str, object], now: datetime) -> Bound:
        """Bind a customer's features and the instant once, for all expressions of one decision.

        Args:
            features: checked against the schema; what is missing stays unknown.
            now: the instant of the decision (UTC).
        """
        return Bound(features, now, self._activate)

    def _activate(self, features: Mapping[str, object], now: datetime) -> Any:
        """Bind what some compiled expression may read, and no more: binding costs by the field."""
        values: dict[str, object] = {_NOW: now} if self._reads_now else {}
        for name, full in self._read.items():
            value = features.get(name)
            if value is not None:
                values[full] = list(value) if type(value) is tuple else value
        return self._env.Activation(values)

    def _check_literals(self, source: str) -> None:
        for found in _LITERAL.finditer(source):
            value = self._env.compile(found[0]).eval(self._env.Activation({}))
            if value.type() == cel.Type.ERROR:
                raise ValueError(f"{found[0]}: expected {_EXPECTED[found[1]]}")

    def _explain(self, message: str) -> str:
        text = message.splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
        text = text.removeprefix("ERROR: <input>:").replace(" (in container '')", "")
        if "undeclared reference to" in text:
            return f"{text}; {self._instead(text.split(chr(39))[1])}"
        for signs, hint in _HINTS:
            if any(sign in text for sign in signs):
                return f"{text}; {hint}"
        return text

    def _instead(self, unknown: str) -> str:
        """Lead from a word that nobody declared to the right one."""
        if unknown in self._names:
            return f"did you mean {self._names[unknown]!r}?"
        own, first = [own for own, _ in self._supplied.values()], unknown.partition(".")[0]
        if not own and first in [name for name, _ in _SUPPLIED.values()]:
            return f"only an action_suppression speaks of {first!r}"
        word = first if own and first != "customer" else unknown
        return did_you_mean(word, (*self._names.values(), *own, _NOW))


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled boolean expression.

    Args:
        source: as written.
        compiled: by CEL.
        shortcut: gives what CEL gives, for many features; None if only CEL can tell.
    """

    source: str
    compiled: Any
    shortcut: Shortcut | None = None

    def refusal(self, bound: Bound) -> str | None:
        """Return None if the expression is exactly true, else why it is not."""
        found = self.value(bound)
        return None if found is True else self.told(found)

    def denial(self, bound: Bound) -> str | None:
        """Return None if the expression is exactly false, else why it is not."""
        found = self.value(bound)
        return None if found is False else self.told(found)

    def value(self, bound: Bound) -> bool | str:
        """Evaluate: true, false, or in words why neither."""
        if self.shortcut is not None:
            try:
                return self.shortcut(bound.features)
            except DoubtError:
                pass
        try:
            value = self.compiled.eval(bound.activation).value()
        except RuntimeError as error:  # for one, a loop that was cut off
            return str(error)
        return value if isinstance(value, bool) else str(value)

    def told(self, found: bool | str) -> str:
        """Say in words what was found."""
        if isinstance(found, bool):
            return f"{self.source} is {'true' if found else 'false'}"
        if 'No value with name "' in found:
            found = f"no value for {found.split(chr(34))[1]}"
        elif (key := _NO_KEY.search(found)) is not None:
            found = f"no value for {key[1]!r}"
        return f"{self.source} is unknown: {found}"
