"""Labels: which segment a context belongs to, by a customer field or an expression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from agents.decisions import read_context
from agents.errors import LogError, did_you_mean
from agents.expressions import Condition, Language
from agents.spec import CustomerField

UNKNOWN = "unknown"
_MOST = 50
_FIELD = re.compile(r"(customer\.)?[A-Za-z][A-Za-z0-9_]*")
_REST: Mapping[str, object] = {
    "contacts": [], "events": [], "usage": {}, "placement": "", "channels": [],
}  # fmt: skip


def label(
    by: str,
    contexts: Sequence[Mapping[str, object]],
    at: NDArray[np.datetime64],
    schema: Mapping[str, CustomerField],
) -> NDArray[np.object_]:
    """Say of each context which segment it is in; (N,) text, `unknown` where it cannot be said.

    Args:
        by: a field that is a category or a boolean, or an expression that is true or false.
        contexts: N mappings with the key `features`, as the log has them.
        at: (N,) instants, which expressions know as `now`.
        schema: the workspace's customer fields, for expressions; empty if they are not known.

    Raises:
        LogError: an unknown field, one that is no category, or more than 50 different values.
        ValueError: an expression that is none, or no schema to read it by.
    """
    field = _FIELD.fullmatch(by)
    if field is None:
        return _by_expression(by, contexts, at, schema)
    return _by_field(by.removeprefix("customer."), contexts, schema)


def _by_field(
    name: str, contexts: Sequence[Mapping[str, object]], schema: Mapping[str, CustomerField]
) -> NDArray[np.object_]:
    values = [_features(context).get(name) for context in contexts]
    if name not in schema and all(value is None for value in values):
        known = {*schema, *(key for context in contexts for key in _features(context))}
        raise LogError(f"--by: no customer has a field {name!r}; {did_you_mean(name, known)}")
    found = np.array([_word(name, value) for value in values], dtype=np.object_)
    levels = len(set(found.tolist()))
    if levels > _MOST:
        raise LogError(
            f"--by: expected at most {_MOST} values of {name!r}, got {levels:,}; use an expression"
        )
    return found


def _features(context: Mapping[str, object]) -> Mapping[str, object]:
    features = context["features"]
    return features if isinstance(features, Mapping) else {}


def _word(name: str, value: object) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    raise LogError(
        f"--by: expected {name!r} to be a category or a boolean, got {type(value).__name__};"
        f" use an expression such as 'customer.{name} >= 3'"
    )


def _by_expression(
    source: str,
    contexts: Sequence[Mapping[str, object]],
    at: NDArray[np.datetime64],
    schema: Mapping[str, CustomerField],
) -> NDArray[np.object_]:
    if not schema:
        raise ValueError(
            "--by: expected revisions/ID.json beside the log to read an expression by, got none;"
            " name a field instead"
        )
    language = Language(schema)
    try:
        condition = language.compile(source)
    except ValueError as error:
        raise ValueError(f"--by: {error}") from None
    moments = zip(contexts, at.astype("datetime64[us]").tolist(), strict=True)
    found = [_answer(language, condition, c, now.replace(tzinfo=UTC)) for c, now in moments]
    return np.array(found, dtype=np.object_)


def _answer(
    language: Language, condition: Condition, context: Mapping[str, object], now: datetime
) -> str:
    read = read_context({**_REST, "features": context["features"]}, customer="", at=now)
    answer = condition.value(language.bind(read.features, now))
    return UNKNOWN if isinstance(answer, str) else str(answer).lower()
