"""Names of the Gymnasium environments, kept apart so that importing them costs little."""

from __future__ import annotations

import gymnasium

_ENVIRONMENTS = {"nextbest/Retention-v0": "retention", "nextbest/Generic-v0": "generic"}
"""World of each environment, by id."""


def register_environments() -> None:
    """Register every environment that is not registered yet.

    Example:
        >>> "nextbest/Retention-v0" in gymnasium.registry
        True
    """
    for name, world in _ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name, entry_point="simulators.env:CustomerEnv", kwargs={"world": world}
            )
