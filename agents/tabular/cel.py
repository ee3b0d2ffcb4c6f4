"""CEL over columns: one expression for N customers at once, with CEL's exact meaning.

Each value goes along with an error: a field that is unknown, a division by zero, an overflow.
`&&` and `||` absorb an error on one side if the other side settles the result; of two errors the
left one stands. What is not covered here (macros, rare functions) raises `UnsupportedError`, and
the caller asks the real evaluator once for each distinct combination of the fields read.

Source: https://github.com/google/cel-spec, doc/langdef.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from agents.cel_tree import Call, Listing, Literal, Name, Node, Select, UnsupportedError
from agents.tabular.arithmetic import ARITHMETIC, COMPARE, Errors, Kind, Value
from agents.tabular.columns import Column, microseconds
from agents.tabular.keys import Key
from agents.units import parse_instant

_INSTANT = re.compile(r"(19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SPAN = re.compile(r"([0-9]{1,9})(h|m|s)")
_SECONDS = {"h": 3_600, "m": 60, "s": 1}
_LONGEST = 200 * 366 * 86_400 * 10**6  # microseconds; instants of 1900 to 2999 stay in CEL's range
_TABLE = 1 << 22  # entries of a table over two lists of words


_FINE: Errors = np.array(0, dtype=np.int64)


def evaluate(root: Node, columns: Mapping[str, Column], now: int, count: int) -> Key:
    """Return which customers an expression is alike for: true, false, or the same error.

    Args:
        root: a boolean expression.
        columns: by field, without the `customer.` before it.
        now: the decision's instant in microseconds.
        count: number of customers N.

    Raises:
        UnsupportedError: the expression uses more of CEL than is covered here.
    """
    value = _Evaluation(columns, now).value(root)
    if value.kind != "bool":
        raise UnsupportedError(f"expected a boolean, got {value.kind}")
    codes = np.where(value.errors > 0, value.errors + 1, value.data.astype(np.int64))
    codes = np.broadcast_to(codes, (count,)).astype(np.int64)
    return Key(codes, int(codes.max(initial=0)) + 1)


class _Evaluation:
    def __init__(self, columns: Mapping[str, Column], now: int) -> None:
        self._columns, self._now = columns, now
        self._sources = 0

    def error(self) -> int:
        """Number one more source of errors; the two kinds that it may have share no number."""
        self._sources += 2
        return self._sources

    def value(self, node: Node) -> Value:
        """Evaluate a part of the expression."""
        match node:
            case Literal():
                return _constant(node.value)
            case Name():
                return self._name(node.name)
            case Listing():
                return _listing(node.items)
            case Call("timestamp" | "duration" as word, (Literal(str(text)),)):
                return _time(word, text)
            case Call():
                return self._call(node.function, [self.value(arg) for arg in node.args])
            case Select():
                raise UnsupportedError(f"expected no part of an object, got {node.part}")

    def _name(self, name: str) -> Value:
        if name == "now":
            return Value("time", np.array(self._now), _FINE)
        column = self._columns.get(name.removeprefix("customer."))
        if column is None:
            raise UnsupportedError(f"expected a field of the customer, got {name}")
        errors = np.where(column.known, 0, self.error())
        return Value(column.kind, column.data, errors, column.words)

    def _call(self, word: str, args: list[Value]) -> Value:
        if word in _LAZY:
            return _LAZY[word](*args)
        errors = _first_error(args)
        kinds = tuple(arg.kind for arg in args)
        if "word" in kinds:
            return _over_words(word, args, errors)
        if word == "!_" and kinds == ("bool",):
            return Value("bool", ~args[0].data.astype(bool), errors)
        if word in COMPARE and len(args) == 2 and kinds[0] == kinds[1]:
            return Value("bool", COMPARE[word](args[0].data, args[1].data), errors)
        arithmetic = ARITHMETIC.get((word, *kinds))
        if arithmetic is None:
            raise UnsupportedError(f"{word} over {kinds}")
        return arithmetic(args, errors, self.error())


def _constant(value: bool | float | str) -> Value:
    if isinstance(value, str):
        return Value("word", np.array(0), _FINE, (value,))
    kind: Kind = (
        "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "double"
    )
    return Value(kind, np.array(value), _FINE)


def _listing(items: tuple[Node, ...]) -> Value:
    values: list[Any] = [item.value for item in items if isinstance(item, Literal)]
    if len(values) < len(items) or len({type(value) for value in values}) > 1:
        raise UnsupportedError("expected a list of constants of one type")
    return Value("word", np.array(0), _FINE, (tuple(values),))


def _time(word: str, text: str) -> Value:
    if word == "timestamp" and _INSTANT.fullmatch(text):
        try:
            return Value("time", np.array(microseconds(parse_instant(text))), _FINE)
        except ValueError:
            raise UnsupportedError(text) from None
    match = _SPAN.fullmatch(text)
    if word == "timestamp" or match is None:
        raise UnsupportedError(f"{word}({text!r})")
    length = int(match[1]) * _SECONDS[match[2]] * 10**6
    if length > _LONGEST:
        raise UnsupportedError(f"{word}({text!r})")
    return Value("span", np.array(length), _FINE)


def _first_error(args: list[Value]) -> Errors:
    errors = _FINE
    for arg in args:
        errors = np.where(errors > 0, errors, arg.errors)
    return errors


def _settle(settles: bool, left: Value, right: Value) -> Value:
    """`||` is settled by true, `&&` by false, whatever the other side is."""
    sides = [(side.data == settles) & (side.errors == 0) for side in (left, right)]
    settled = sides[0] | sides[1]
    errors = np.where(settled, 0, _first_error([left, right]))
    return Value("bool", np.where(settled, settles, not settles), errors)


def _choose(condition: Value, yes: Value, no: Value) -> Value:
    if yes.kind != no.kind or yes.kind == "word":
        raise UnsupportedError("expected two branches of one type, not texts or lists")
    chosen = np.where(condition.data, yes.errors, no.errors)
    errors = np.where(condition.errors > 0, condition.errors, chosen)
    return Value(yes.kind, np.where(condition.data, yes.data, no.data), errors)


_LAZY: dict[str, Callable[..., Value]] = {
    "_&&_": partial(_settle, False), "_||_": partial(_settle, True), "_?_:_": _choose,
}  # fmt: skip


def _over_words(word: str, args: list[Value], errors: Errors) -> Value:
    """Apply a function once to each distinct value, or pair of values, and look rows up."""
    if word == "@in" and args[0].kind != "word":
        items = args[1].words[0] if args[1].data.ndim == 0 else None
        if not isinstance(items, tuple) or {type(i) for i in items} - {_PYTHON[args[0].kind]}:
            raise UnsupportedError("expected a list of constants of the type that is looked for")
        return Value("bool", np.isin(args[0].data, np.array(items, args[0].data.dtype)), errors)
    if word == "size" and len(args) == 1:
        sizes = np.array([len(w) for w in args[0].words], dtype=np.int64)
        return Value("int", sizes[args[0].data], errors)
    function = _WORDS.get(word)
    if function is None or [arg.kind for arg in args] != ["word", "word"]:
        raise UnsupportedError(word)
    left, right = args
    if len(left.words) * len(right.words) > _TABLE:
        raise UnsupportedError("expected fewer distinct texts")
    table = np.array([[function(a, b) for b in right.words] for a in left.words])  # (L, R)
    return Value("bool", table[left.data, right.data], errors)


_PYTHON: dict[Kind, type] = {"int": int, "double": float, "bool": bool}
_WORDS: dict[str, Callable[..., object]] = {
    **COMPARE,
    "@in": lambda item, items: item in items,
    "startsWith": lambda text, start: text.startswith(start),
    "endsWith": lambda text, end: text.endswith(end),
    "contains": lambda text, part: part in text,
}
