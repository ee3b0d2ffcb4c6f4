"""Supplied actions as the text that Vowpal Wabbit reads: none of its syntax from strangers.

In VW's JSON a key that begins with `_` is an instruction: `_label_cost` would be a label, `_multi`
more actions, `_inc` a list of what to read. Such keys in a caller's features are read as features,
under a name that begins with a dot. VW refuses lists of texts, of booleans and of lists; they are
read as sets, as numbers, and as one list. A number beyond 1e9 counts as 1e9: VW computes in 32 bits
and takes products of pairs, whose squares would overflow and ruin what has been learned for ever. A
group of features, an object or a list, is filed by the first byte of its name, and one beyond ASCII
is filed outside VW's table, which ends the process: such a name has a dot put before it, too.

Most requests have none of that. They are recognised by counting, which costs a tenth of reading
them, and go to VW as they came.
"""

from __future__ import annotations

import re

import orjson

from agents.errors import StateError

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

MOST = 1e9  # of a number, either sign

_DEEP = 32  # levels that are read
_SHORT = 65_536  # bytes; a nesting that fills more would overflow the stack of VW's parser
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_TEN = b"0" * 10
_LONG = tuple(before + _TEN for before in (b":", b",", b"["))
_EXPONENT = re.compile(rb"e\+?0+[,}\]]")
_GROUP = re.compile(rb'"[\x80-\xff](?:[^"\\]|\\.)*":[\[{]', re.DOTALL)  # named beyond ASCII


def is_plain(content: bytes, count: int) -> bool:
    """Say whether VW may be shown content of so many actions as it is; a doubt counts as no.

    Example:
        >>> is_plain(b'{"FromUrl":[{"age":41}],"_multi":[{"_tag":"a","j":[]}]}', 1)
        True
        >>> is_plain(b'{"FromUrl":[{"_inc":[1]}],"_multi":[{"_tag":"a","j":[]}]}', 1)
        False
    """
    if len(content) > _SHORT or b"\\u" in content:
        return False
    if not content.count(b'"_') - 1 == content.count(b'"_tag":"') == count:
        return False  # another `_tag` is a caller's
    if b",[" in content or b"[[" in content:  # a list in a list is filed by the last key before it
        return False
    if not content.isascii() and _GROUP.search(content):
        return False
    digits = content.translate(_DIGITS)
    if _TEN not in digits and b"0e" not in digits:
        return True  # most of all; to leave out a character takes five times as long
    digits = digits.replace(b"-", b"")
    return not any(long in digits for long in _LONG) and _EXPONENT.search(digits) is None


def dsjson(content: bytes, count: int) -> str:
    """Write content of so many actions as VW's parser takes it.

    Raises:
        StateError: the content is not JSON of supplied actions.
    """
    if not is_plain(content, count):
        return tamed(content)
    try:
        return f'{{"c":{content.decode()}}}'
    except UnicodeDecodeError:
        raise _malformed() from None


def tamed(content: bytes) -> str:
    """Write content with all that VW would take for syntax, refuse, or overflow at, rewritten.

    Raises:
        StateError: the content is not JSON of supplied actions.

    Example:
        >>> tamed(b'{"FromUrl":[{"_id":1e20,"likes":["tea"]}],"_multi":[{"_tag":"a"}]}')
        '{"c":{"FromUrl":[{"._id":1000000000.0,"likes":[{"tea":true}]}],"_multi":[{"_tag":"a"}]}}'
    """
    try:
        read = orjson.loads(content)
        actions = read.pop("_multi")
        shared = _object(read, _DEEP)
        written = [_action(each) for each in actions]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _malformed() from None
    return orjson.dumps({"c": {**shared, "_multi": written}}).decode()


def _malformed() -> StateError:
    return StateError(
        "expected the content of supplied actions, a JSON object with '_multi', got something else;"
        " make it with agents.supplied.supply"
    )


def _action(action: dict[str, Json]) -> dict[str, Json]:
    """Return one entry of `_multi`; its `_tag` is ours."""
    known = dict(action)
    tag = known.pop("_tag", None)
    features = _object(known, _DEEP)
    return {"_tag": tag, **features} if isinstance(tag, str) else features


def _object(features: dict[str, Json], depth: int) -> dict[str, Json]:
    named = {_name(key, value): _value(value, depth - 1) for key, value in features.items()}
    return {key: value for key, value in named.items() if value is not None}


def _name(key: str, value: Json) -> str:
    """Return a name that is no instruction; a single feature beyond ASCII keeps its own."""
    group = isinstance(value, (dict, list))
    return f".{key}" if key.startswith("_") or (group and not key[:1].isascii()) else key


def _value(value: Json, depth: int) -> Json:
    if isinstance(value, list):
        return _list(value, depth) if depth else None
    if isinstance(value, dict):
        return _object(value, depth) if depth else None
    return _number(value) if isinstance(value, (int, float)) else value


def _number(value: float) -> float:
    """Return a number, or a boolean, within what VW can square."""
    return value if -MOST <= value <= MOST else MOST if value > 0 else -MOST


def _list(values: list[Json], depth: int) -> list[Json]:
    """Return numbers and objects as they come, and all texts of the list as one object."""
    flat: list[Json] = []
    words: dict[str, Json] = {}
    for value in values:
        if isinstance(value, str):
            words[_name(value, True)] = True
        elif isinstance(value, list):
            flat += _list(value, depth - 1) if depth > 1 else []
        else:
            flat.append(int(value) if isinstance(value, bool) else _value(value, depth))
    return [*flat, words] if words else flat
