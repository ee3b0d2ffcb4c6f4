"""Expressions in CEL (Common Expression Language), behind the one module that knows the library.

An expression is compiled once, against the declared customer schema, so an unknown field or a
wrong type is an error at load. At decision time only exactly `true` counts: an error, a missing
field or anything else is a reason to bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from agents.context import FeatureValue
from agents.errors import did_you_mean
from agents.spec import CustomerField

_TYPES = {
    "integer": cel.Type.INT,
    "number": cel.Type.DOUBLE,
    "boolean": cel.Type.BOOL,
    "category": cel.Type.STRING,
    "zone": cel.Type.STRING,
}


class Language:
    """The expressions that one customer schema allows.

    Example:
        >>> language = Language({"age": CustomerField(type="integer")})
        >>> adult = language.compile("customer.age >= 18")
        >>> adult.refusal(language.bind({"age": 17}))
        'customer.age >= 18 is false'
        >>> adult.refusal(language.bind({"age": 18})) is None
        True
        >>> adult.refusal(language.bind({}))
        'customer.age >= 18 is unknown: no value for customer.age'
    """

    def __init__(self, schema: Mapping[str, CustomerField]) -> None:
        self._fields = tuple(f"customer.{name}" for name in schema)
        self._env = cel.NewEnv(
            variables={f"customer.{name}": _TYPES[field.type] for name, field in schema.items()}
        )

    def compile(self, source: str) -> Condition:
        """Compile a boolean expression.

        Raises:
            ValueError: it does not parse, names an unknown field, mixes types, nests deeper than
                32 levels, or is not boolean.
        """
        try:
            compiled = self._env.compile(source)
        except RuntimeError as error:
            raise ValueError(self._explain(str(error))) from None
        returned = compiled.return_type()
        if returned != cel.Type.BOOL:
            raise ValueError(f"expected an expression that is true or false, got {returned.name()}")
        return Condition(source, compiled)

    def bind(self, features: Mapping[str, FeatureValue]) -> Any:
        """Bind a customer's features once, for all expressions of one decision."""
        return self._env.Activation({f"customer.{k}": v for k, v in features.items()})

    def _explain(self, message: str) -> str:
        text = message.splitlines()[0].removeprefix("INVALID_ARGUMENT: ")
        text = text.removeprefix("ERROR: <input>:").replace(" (in container '')", "")
        if "undeclared reference to" in text:
            unknown = text.split("'")[1]
            if (field := f"customer.{unknown}") in self._fields:
                return f"{text}; did you mean {field!r}?"
            return f"{text}; {did_you_mean(unknown, self._fields)}"
        if "double, int" in text or "int, double" in text:
            return f"{text}; write whole numbers beside a 'number' field with a point, as in 3.0"
        return text


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled boolean expression."""

    source: str
    _compiled: Any

    def refusal(self, bound: Any) -> str | None:
        """Return None if the expression is exactly true, else why it is not."""
        value = self._compiled.eval(bound)
        if value.type() == cel.Type.BOOL:
            return None if value.value() is True else f"{self.source} is false"
        text = str(value.value())
        if 'No value with name "' in text:
            text = f"no value for {text.split(chr(34))[1]}"
        return f"{self.source} is unknown: {text}"
