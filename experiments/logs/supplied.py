"""Rows whose actions came with the request: what is known of the moment, as features of the row.

The content of supplied actions is large, and stays JSON until a learner asks for it. Reward models,
segments and drift look at features of the moment, which are flattened on reading: those of a live
loop and those of an imported DSJSON log are named alike, by their path, as `FromUrl.user.age`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from experiments.logs.importers.nested import flatten

SUPPLIED = "supplied"
"""What the actions of a request are called in the JSON of a context, where they stand first."""

_BEGIN = f'{{"{SUPPLIED}":'
_ACTIONS = "_multi"


def read_record(text: str) -> Any:
    """Read a context's JSON; what its supplied content knows of the moment joins its features.

    Raises:
        orjson.JSONDecodeError: it is no JSON.

    Example:
        >>> read_record('{"supplied":{"content":{"FromUrl":[{"age":30}]}},"features":{"b":1}}')[
        ...     "features"]
        {'FromUrl.age': 30, 'b': 1}
    """
    record = orjson.loads(text)
    supplied = record.get(SUPPLIED) if isinstance(record, dict) else None
    if isinstance(supplied, dict) and isinstance(record.get("features"), dict):
        record["features"] = {**_moment(supplied.get("content")), **record["features"]}
    return record


def without_supplied(texts: pa.Array) -> pa.Array:
    """Return contexts' JSON, (N,), whose supplied actions are left out: features alone stay.

    Raises:
        orjson.JSONDecodeError: a text is no JSON.
        KeyError, TypeError: a text is no context.
    """
    if not pc.any(pc.starts_with(texts, _BEGIN)).as_py():
        return texts
    slim = []
    for text in texts.to_pylist():
        record = read_record(text)
        record.pop(SUPPLIED, None)
        slim.append(orjson.dumps(record).decode())
    return pa.array(slim, pa.string())


def _moment(content: object) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        return {}
    return flatten({name: value for name, value in content.items() if name != _ACTIONS}, cut=True)
