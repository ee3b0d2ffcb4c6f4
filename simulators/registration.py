"""Names of the Gymnasium environments, kept apart so that importing them costs little."""

from __future__ import annotations

import gymnasium

_CUSTOMER, _POPULATION = "simulators.env:CustomerEnv", "simulators.vector:PopulationEnv"
_NOON = 12

_ENVIRONMENTS = {"nextbest/Retention-v0": "retention", "nextbest/Generic-v0": "generic"}
"""World of each environment of one customer, by id."""

_MARKETS = {
    "nextbest/Telecom-v0": "telecom",
    "nextbest/Streaming-v0": "streaming",
    "nextbest/Retailer-v0": "retailer",
    "nextbest/HealthInsurer-v0": "health_insurer",
    "nextbest/Bank-v0": "bank",
    "nextbest/MerchantPayments-v0": "merchant_payments",
    "nextbest/Airline-v0": "airline",
    "nextbest/Replenishment-v0": "replenishment",
    "nextbest/ZeroUplift-v0": "zero_uplift",
    "nextbest/Misspecified-v0": "misspecified",
    "nextbest/HeavyDrift-v0": "heavy_drift",
    "nextbest/Confounded-v0": "confounded",
    "nextbest/TinyData-v0": "tiny_data",
    "nextbest/ManyActions-v0": "many_actions",
}
"""Market of each environment that is there for one customer and for many, by id."""


def register_environments() -> None:
    """Register every environment that is not registered yet.

    Those of markets meet everybody at noon (UTC): one customer with `gymnasium.make`, a population
    with `gymnasium.make_vec`.

    Example:
        >>> "nextbest/Retention-v0" in gymnasium.registry
        True
        >>> gymnasium.make_vec("nextbest/Telecom-v0", num_envs=3).observation_space.shape[0]
        3
    """
    for name, world in _ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=_CUSTOMER, kwargs={"world": world})
    for name, world in _MARKETS.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name, entry_point=_CUSTOMER, vector_entry_point=_POPULATION,
                kwargs={"world": world, "hour": _NOON},
            )  # fmt: skip
