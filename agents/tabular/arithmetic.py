"""Values of CEL over columns, and its comparisons and arithmetic, which may overflow."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agents.tabular.columns import Word

Array = NDArray[np.bool_] | NDArray[np.int64] | NDArray[np.float64]
Errors = NDArray[np.int64]
Kind = Literal["bool", "int", "double", "time", "span", "word"]

_LEAST = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Value:
    """What a part of an expression is for each customer.

    Args:
        kind: CEL's type; a word is a text or a list of texts.
        data: (N,) or () for a constant; microseconds for instants and spans of time, positions
            among `words` for words.
        errors: (N,) 0 where there is a value, else which error; () if there can be none.
        words: distinct texts or lists.
    """

    kind: Kind
    data: Array
    errors: Errors
    words: tuple[Word | tuple[int | float | bool, ...], ...] = ()


Arithmetic = Callable[[list[Value], Errors, int], Value]

COMPARE: dict[str, Callable[..., NDArray[np.bool_]]] = {
    "_==_": operator.eq, "_!=_": operator.ne, "_<_": operator.lt, "_<=_": operator.le,
    "_>_": operator.gt, "_>=_": operator.ge,
}  # fmt: skip


def _failing(kind: Kind, data: Array, errors: Errors, code: int, fails: NDArray[np.bool_]) -> Value:
    return Value(kind, data, np.where((errors == 0) & fails, code, errors))


def _whole(word: str) -> Arithmetic:
    """64-bit arithmetic that fails where the result does not fit."""

    def apply(args: list[Value], errors: Errors, code: int) -> Value:
        a, b = (np.asarray(arg.data, dtype=np.int64) for arg in args)
        with np.errstate(over="ignore"):
            if word == "*":
                data = a * b
                rough = a.astype(np.float64) * b.astype(np.float64)
                fails = np.abs(rough - data.astype(np.float64)) > 2.0**62
                fails |= (np.abs(rough) == 2.0**63) & (data == _LEAST) & ((a < 0) == (b < 0))
            elif word == "+":
                data = a + b
                fails = ((a ^ data) & (b ^ data)) < 0
            else:
                data = a - b
                fails = ((a ^ b) & (a ^ data)) < 0
        return _failing("int", data, errors, code, fails)

    return apply


def _divide(args: list[Value], errors: Errors, code: int) -> Value:
    """Whole division towards zero; by zero and past 64 bits it fails."""
    a, b = (np.asarray(arg.data, dtype=np.int64) for arg in args)
    over = (a == _LEAST) & (b == -1)
    safe = np.where((b == 0) | over, 1, b)
    rest = np.fmod(a, safe)
    result = _failing("int", (a - rest) // safe, errors, code, b == 0)
    return _failing("int", result.data, result.errors, code + 1, over)


def _remainder(args: list[Value], errors: Errors, code: int) -> Value:
    a, b = (np.asarray(arg.data, dtype=np.int64) for arg in args)
    over = (a == _LEAST) & (b == -1)
    result = _failing("int", np.fmod(a, np.where((b == 0) | over, 1, b)), errors, code, b == 0)
    return _failing("int", result.data, result.errors, code + 1, over)


def _negate(args: list[Value], errors: Errors, code: int) -> Value:
    a = np.asarray(args[0].data, dtype=np.int64)
    safe = np.where(a == _LEAST, 0, a)
    return _failing("int", -safe, errors, code, a == _LEAST)


def _plain(kind: Kind, function: Callable[..., Array]) -> Arithmetic:
    """Arithmetic that cannot fail: doubles by IEEE 754, times within bounds."""

    def apply(args: list[Value], errors: Errors, _code: int) -> Value:
        with np.errstate(all="ignore"):
            return Value(kind, function(*[arg.data for arg in args]), errors)

    return apply


ARITHMETIC: dict[tuple[str, ...], Arithmetic] = {
    ("_+_", "int", "int"): _whole("+"),
    ("_-_", "int", "int"): _whole("-"),
    ("_*_", "int", "int"): _whole("*"),
    ("_/_", "int", "int"): _divide,
    ("_%_", "int", "int"): _remainder,
    ("-_", "int"): _negate,
    ("_+_", "double", "double"): _plain("double", operator.add),
    ("_-_", "double", "double"): _plain("double", operator.sub),
    ("_*_", "double", "double"): _plain("double", operator.mul),
    ("_/_", "double", "double"): _plain("double", np.true_divide),
    ("-_", "double"): _plain("double", operator.neg),
    ("_-_", "time", "time"): _plain("span", operator.sub),
    ("_-_", "time", "span"): _plain("time", operator.sub),
    ("_+_", "time", "span"): _plain("time", operator.add),
    ("_+_", "span", "time"): _plain("time", operator.add),
}
