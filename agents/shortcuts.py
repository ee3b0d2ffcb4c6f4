"""Conditions in plain Python: what CEL answers, where that is beyond doubt, at a tenth of the cost.

Most conditions compare a field with a constant and join such comparisons. These become functions
of the features which give what CEL gives, true or false. For all else (a field that is missing or
of another type, arithmetic, text functions, `now`) there is none, or it raises `DoubtError`, and
CEL itself is asked. So there is one meaning, and one place where errors are worded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from agents.cel_tree import Call, Listing, Literal, Name, Node, Tree

Features = Mapping[str, object]
Shortcut = Callable[[Features], bool]
Reader = Callable[[Features], Any]

_FIELD = "customer."
_KINDS: dict[str, type] = {
    "integer": int, "number": float, "boolean": bool, "category": str, "text": str, "zone": str,
    "set": tuple,
}  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "_==_": operator.eq, "_!=_": operator.ne, "_<_": operator.lt, "_<=_": operator.le,
    "_>_": operator.gt, "_>=_": operator.ge,
}  # fmt: skip
_MIRRORED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_ORDERED = (int, float)
MOST = 2**53  # CEL's whole numbers end somewhere beyond


class DoubtError(Exception):
    """CEL must be asked."""


def shortcut(tree: Tree, types: Mapping[str, str]) -> Shortcut | None:
    """Return a condition as a function of the features, None where only CEL can tell.

    Args:
        tree: of a checked expression.
        types: the declared type of each customer field.

    Example:
        >>> is_adult = Call("_>=_", (Name("customer.age"), Literal(18)))
        >>> adult = shortcut(Tree(is_adult, frozenset()), {"age": "integer"})
        >>> adult and adult({"age": 17})
        False
    """
    try:
        return None if tree.root is None else _truth(tree.root, types)
    except DoubtError:
        return None


def _truth(node: Node, types: Mapping[str, str]) -> Shortcut:
    match node:
        case Name():
            return _reader(node, bool, types)
        case Call("_&&_" | "_||_" | "!_" as word, args):
            return JOINED[word](*(_truth(arg, types) for arg in args))
        case Call("@in", (item, items)):
            return _member(item, items, types)
        case Call(word, (Literal(value), Name() as name)) if word in COMPARE:
            return _comparison(_MIRRORED.get(word, word), name, value, types)
        case Call(word, (Name() as name, Literal(value))) if word in COMPARE:
            return _comparison(word, name, value, types)
        case _:
            raise DoubtError


def _both(left: Shortcut, right: Shortcut) -> Shortcut:
    return lambda features: left(features) and right(features)


def _either(left: Shortcut, right: Shortcut) -> Shortcut:
    return lambda features: left(features) or right(features)


def _not(inner: Shortcut) -> Shortcut:
    return lambda features: not inner(features)


JOINED: dict[str, Callable[..., Shortcut]] = {"_&&_": _both, "_||_": _either, "!_": _not}


def _comparison(word: str, name: Name, value: object, types: Mapping[str, str]) -> Shortcut:
    kind, compare = type(value), COMPARE[word]
    if word not in ("_==_", "_!=_") and kind not in _ORDERED:
        raise DoubtError
    read = _reader(name, kind, types)
    return lambda features: compare(read(features), value)


def _member(item: Node, items: Node, types: Mapping[str, str]) -> Shortcut:
    match item, items:
        case Name(), Listing(listed):
            values = frozenset(each.value for each in listed if isinstance(each, Literal))
            if len(values) < len(listed) or not all(type(value) is str for value in values):
                raise DoubtError
            read = _reader(item, str, types)
            return lambda features: read(features) in values
        case Literal(str(value)), Name():
            held = _reader(items, tuple, types)
            return lambda features: value in held(features)
        case _:
            raise DoubtError


def _reader(node: Name, kind: type, types: Mapping[str, str]) -> Reader:
    """Return what reads a field; it doubts what is missing or not exactly of the kind."""
    field = node.name.removeprefix(_FIELD)
    if not node.name.startswith(_FIELD) or _KINDS.get(types.get(field, "")) is not kind:
        raise DoubtError

    def read(features: Features) -> Any:
        value = features.get(field)
        if type(value) is not kind:
            raise DoubtError
        return value

    def read_bounded(features: Features) -> Any:
        value = features.get(field)
        if type(value) is not int or not -MOST <= value <= MOST:
            raise DoubtError
        return value

    return read_bounded if kind is int else read
