"""A model of Vowpal Wabbit as it stands in a learner's state: checked before VW is shown it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from agents.errors import SnapshotError


def trusted_model(
    name: str, facts: Mapping[str, Any], arrays: Mapping[str, Any], arguments: Sequence[str]
) -> bytes:
    """Return the bytes of a model that are those that were written, under the same arguments.

    VW loads a model that was cut short, or learned otherwise, without a word.

    Args:
        name: of the learner.
        facts: with the model's `sha256` and the `arguments` that it was learned under.
        arrays: with the `model`, bytes.
        arguments: what VW is to be given.

    Raises:
        SnapshotError: it is another model.
        LookupError, TypeError, AttributeError: a part is missing.
    """
    model: bytes = arrays["model"].tobytes()
    if hashlib.sha256(model).hexdigest() != facts["sha256"]:
        raise SnapshotError(f"the model of {name} does not have the SHA-256 it claims")
    if tuple(facts["arguments"]) != tuple(arguments):
        raise SnapshotError(
            f"expected a model of {' '.join(arguments)}, got one of {' '.join(facts['arguments'])}"
        )
    return model
