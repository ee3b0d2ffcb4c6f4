"""Conditions over supplied actions in plain Python: as `agents.shortcuts`, without declared types.

What an action or the moment is, nobody declares, so a function asks of each value what it is. It
gives what CEL gives for texts, numbers and truth; for all else (a part that is missing, texts
beside numbers, lists of objects, `now`) it raises `DoubtError`, and CEL itself is asked.
"""

from __future__ import annotations

from typing import Any

from agents.cel_tree import Call, Listing, Literal, Name, Node, Select, Tree
from agents.shortcuts import COMPARE, JOINED, MOST, DoubtError, Features, Reader, Shortcut

ACTION, ACTION_ID, CONTEXT = "@action", "@action_id", "@context"
"""The features under which the supplied values are bound; no customer field is named so."""

_OWN = {"action": ACTION, "action_id": ACTION_ID, "context": CONTEXT}
_FIELD = "customer."
_ORDERED = (str, bool)


def open_shortcut(tree: Tree) -> Shortcut | None:
    """Return a condition as a function of the features, None where only CEL can tell.

    Args:
        tree: of a checked expression over `action`, `action_id`, `context` and customer fields.

    Example:
        >>> category = Select(Name("action"), "category", False)
        >>> drink = Call("_==_", (category, Literal("alcohol")))
        >>> condition = open_shortcut(Tree(drink, frozenset()))
        >>> condition and condition({ACTION: {"category": "food"}})
        False
    """
    try:
        return None if tree.root is None else _truth(tree.root)
    except DoubtError:
        return None


def _truth(node: Node) -> Shortcut:
    match node:
        case Call("_&&_" | "_||_" | "!_" as word, args):
            return JOINED[word](*map(_truth, args))
        case Call("@in", (item, Listing(items))):
            return _member(_reader(item), items)
        case Call("@in", (item, items)):
            return _held(_reader(item), _reader(items))
        case Call(word, (left, right)) if word in COMPARE:
            return _comparison(word, _reader(left), _reader(right))
        case Select(operand, part, True):
            return _has(_reader(operand), part)
        case _:
            return _bool(_reader(node))


def _bool(read: Reader) -> Shortcut:
    def holds(features: Features) -> bool:
        value = read(features)
        if type(value) is not bool:
            raise DoubtError
        return value

    return holds


def _has(read: Reader, part: str) -> Shortcut:
    def has(features: Features) -> bool:
        value = read(features)
        if type(value) is not dict:
            raise DoubtError
        return part in value

    return has


def _comparison(word: str, left: Reader, right: Reader) -> Shortcut:
    compare = COMPARE[word]

    def compared(features: Features) -> bool:
        one, other = left(features), right(features)
        alike = type(one) is type(other) and type(one) in _ORDERED
        if not alike and not (_is_number(one) and _is_number(other)):
            raise DoubtError
        return compare(one, other)

    return compared


def _is_number(value: object) -> bool:
    """Say whether a value is a number that Python and CEL compare alike."""
    return type(value) is float or (type(value) is int and -MOST <= value <= MOST)


def _member(read: Reader, items: tuple[Node, ...]) -> Shortcut:
    texts = frozenset(item.value for item in items if isinstance(item, Literal))
    if not all(isinstance(item, Literal) for item in items):
        raise DoubtError

    def within(features: Features) -> bool:
        value = read(features)
        if type(value) is not str:
            raise DoubtError
        return value in texts

    return within


def _held(read: Reader, read_all: Reader) -> Shortcut:
    """Ask whether a list that was supplied holds a text."""

    def held(features: Features) -> bool:
        value, values = read(features), read_all(features)
        if type(value) is not str or type(values) is not list:
            raise DoubtError
        return value in values

    return held


def _reader(node: Node) -> Reader:
    """Return what reads a constant, a customer field, or a part of what was supplied."""
    match node:
        case Literal(value):
            return lambda _features: value
        case Name(name) if name in _OWN:
            return _part(_whole, _OWN[name])
        case Name(name) if name.startswith(_FIELD):
            return _part(_whole, name.removeprefix(_FIELD))
        case Select(operand, part, False):
            return _part(_reader(operand), part)
        case Call("_[_]", (operand, Literal(str(part)))):
            return _part(_reader(operand), part)
        case _:
            raise DoubtError


def _whole(features: Features) -> Any:
    return features


def _part(read: Reader, part: str) -> Reader:
    def value(features: Features) -> Any:
        whole = read(features)
        if type(whole) is not dict or part not in whole:
            raise DoubtError
        return whole[part]

    return value
