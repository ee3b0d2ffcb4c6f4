"""Compile the markets' kernels once, so that no process that simulates waits for a compiler.

Run as `python -m simulators.precompile`; `make setup` does. What it makes is kept beside the code.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from agents.revision import Revision
from policies.registry import create_policy
from simulators.examples import example_revision
from simulators.offline.chains import FIRST_SIZE, Chains
from simulators.offline.play import play
from simulators.trail import Trail
from simulators.worlds.telecom import Telecom

_CUSTOMERS, _ROUNDS = 400, 3  # so many that some outcome changes somebody


def precompile(revision: Revision) -> None:
    """Let a few customers live through a market, as arrays and one by one.

    Args:
        revision: the agent that the market was made for.
    """
    market = Telecom(revision, customers=_CUSTOMERS, rounds=_ROUNDS, every=timedelta(days=1))
    for i in range(_ROUNDS):
        for at, rows in market.meetings(i):
            market.probabilities(rows, at)
            actions = (rows + i) % len(revision.actions)
            market.live(rows, np.full(rows.size, i), actions, at, None)
            market.columns(rows, at)
    play(market, create_policy(revision), truth=False)
    market.respond(0, _ROUNDS, 1, market.end)
    full = np.zeros(FIRST_SIZE, dtype=np.int64)
    chains = Chains(1)
    for _ in range(2):  # the second time it makes room
        chains.add(full, at=full, what=full, decision=full)
    Trail().add(*(np.zeros(1, dtype=np.int64) for _ in range(5)))


if __name__ == "__main__":
    precompile(example_revision())
