"""How much a request may bring: what a learner does with it grows with the square of its features.

A learner of pairs looks at every pair of the features that an action and the moment have together,
for each action anew. So the bound is on that number, whatever the size of the request in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from agents.errors import ContextError

MOST_FEATURES = 500
"""Of the moment, the slot and one action together."""

_NAMES = 3  # features by which content names an action: `_tag`, `constant`, `id`


def check_size(content: bytes, moment: Sequence[object], actions: Mapping[str, object]) -> None:
    """Refuse more features than a learner can look at while others wait.

    Args:
        content: all of it as compact JSON, as `agents.supplied.supply` writes it.
        moment: what is known beside the actions.
        actions: the features of each, by id.

    Raises:
        ContextError: the moment and one action have more than 500 features together.

    Example:
        >>> check_size(b"," * 600, [[{"a": [1] * 600}]], {"b": []})
        Traceback (most recent call last):
            ...
        agents.errors.ContextError: features: expected at most 500 of the moment and one action...
    """
    if surely_few(content, len(actions)):
        return
    got = _together(moment, actions.values())
    if got > MOST_FEATURES:
        raise ContextError(
            f"features: expected at most {MOST_FEATURES} of the moment and one action together,"
            f" got {got:,}; leave out what cannot matter, or give long lists as one text"
        )


def is_small(content: bytes) -> bool:
    """Say whether content of any origin has no more features than `check_size` lets pass.

    Raises:
        ValueError: it is not JSON of supplied actions; likewise LookupError and TypeError.

    Example:
        >>> is_small(b'{"FromUrl":[{"n":1}],"_multi":[{"j":[{"a":1}]}]}')
        True
    """
    if content.count(b",") < MOST_FEATURES:
        return True
    read = orjson.loads(content)
    actions = read.pop("_multi")
    return _together(read.values(), actions) <= MOST_FEATURES + _NAMES


def _together(moment: Iterable[object], actions: Iterable[object]) -> int:
    return sum(map(count_features, moment)) + max(map(count_features, actions))


def count_features(value: object) -> int:
    """Count the values that are no object and no list, at any depth.

    Example:
        >>> count_features([{"a": 1, "b": {"c": [2, 3], "d": None}}, {}])
        4
    """
    count, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)
        else:
            count += 1
    return count


def surely_few(content: bytes, count: int) -> bool:
    """Say whether lengths alone, or commas, show that there are few; a doubt counts as no.

    A feature takes two bytes at least, and commas stand between features.
    """
    moment, *texts = content.split(b'{"_tag":')
    if len(texts) != count:
        return False
    if len(moment) + len(max(texts, key=len)) < 2 * MOST_FEATURES:
        return True
    return moment.count(b",") + max(text.count(b",") for text in texts) < MOST_FEATURES
