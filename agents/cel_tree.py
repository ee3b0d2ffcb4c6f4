"""The syntax tree of a checked CEL expression, read from its serialised form.

`cel.Expression.serialize` gives a `cel.expr.CheckedExpr` inside a `google.protobuf.Any`. Only the
few fields that an evaluator needs are read here, straight from the protobuf wire format: four
message types do not pay for generated classes.

Source: https://github.com/google/cel-spec, proto/cel/expr/checked.proto and syntax.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types
_SIGN, _WORD = 1 << 63, 1 << 64


class UnsupportedError(Exception):
    """An expression uses more of CEL than columns can be evaluated by."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: truth, number or text."""

    value: bool | int | float | str


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, by its full name such as `customer.age`."""

    name: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list written out."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function; a method's object is its first argument."""

    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Select:
    """A part of an object by its name; `test` asks with `has` whether there is one."""

    operand: Node
    part: str
    test: bool


Node = Literal | Name | Listing | Call | Select


@dataclass(frozen=True, slots=True)
class Tree:
    """An expression: its root, None where columns cannot evaluate it, and the names it reads."""

    root: Node | None
    names: frozenset[str]


@lru_cache(maxsize=4_096)
def read_tree(serialised: bytes) -> Tree:
    """Read a checked expression.

    Example:
        >>> from agents.expressions import Language
        >>> from agents.spec import CustomerField
        >>> adult = Language({"age": CustomerField(type="integer")}).compile("customer.age >= 18")
        >>> read_tree(adult.compiled.serialize()).root
        Call(function='_>=_', args=(Name(name='customer.age'), Literal(value=18)))
    """
    checked = _message(_one(_message(serialised), 2))
    references = [_message(_bytes(_one(_message(_bytes(entry)), 2))) for entry in checked[2]]
    names = {_text(reference[1][0]) for reference in references if 1 in reference}
    try:
        return Tree(_node(_bytes(_one(checked, 4))), frozenset(names))
    except UnsupportedError:
        return Tree(None, frozenset(names))


Fields = dict[int, list[int | bytes]]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _pairs(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(tag & 7)
        if size is None:
            size, at = _varint(data, at)
        yield tag >> 3, data[at : at + size]
        at += size


def _message(data: int | bytes) -> Fields:
    fields: Fields = {2: []}
    for number, value in _pairs(_bytes(data)):
        fields.setdefault(number, []).append(value)
    return fields


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise UnsupportedError(f"expected a message in a checked expression, got the number {value}")


def _one(fields: Fields, number: int) -> int | bytes:
    return fields[number][0] if fields.get(number) else b""


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()


def _node(data: bytes) -> Node:
    fields = _message(data)
    if 3 in fields:
        return Literal(_constant(_bytes(fields[3][0])))
    if 4 in fields:
        return Name(_text(_one(_message(fields[4][0]), 1)))
    if 5 in fields:
        select = _message(fields[5][0])
        operand = _node(_bytes(_one(select, 1)))
        return Select(operand, _text(_one(select, 2)), bool(select.get(3)))
    if 6 in fields:
        call = _message(fields[6][0])
        args = [*call.get(1, []), *call.get(3, [])]
        return Call(_text(_one(call, 2)), tuple(_node(_bytes(arg)) for arg in args))
    if 7 in fields:
        listing = _message(fields[7][0])
        if listing.get(2):
            raise UnsupportedError("expected a list without optional items")
        return Listing(tuple(_node(_bytes(item)) for item in listing.get(1, [])))
    raise UnsupportedError(f"expected a constant, name, call or list, got fields {sorted(fields)}")


def _constant(data: bytes) -> bool | int | float | str:
    ((number, value),) = _pairs(data)
    match number, value:
        case 2, int():
            return bool(value)
        case 3, int():
            return value - _WORD if value >= _SIGN else value
        case 5, bytes():
            return float(struct.unpack("<d", value)[0])
        case 6, bytes():
            return value.decode()
        case _:
            raise UnsupportedError(f"expected a truth, int, double or text, got field {number}")
