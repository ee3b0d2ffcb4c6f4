"""Customer-steps per second of `PopulationEnv` on one core, beside RecoGym's steps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from agents.load import compile_agent
from agents.revision import Revision
from simulators.examples import example_revision
from simulators.players import random_player
from simulators.vector import PopulationEnv

CUSTOMERS = 100_000
LIMITS = {"no guardrails": 1_000_000, "twelve guardrails": 200_000}

_TURNS, _ROUNDS = 3, 13
_SECONDS = 5.0  # of RecoGym
_OTHER = "NEXTBEST_RECOGYM"  # a Python that has it
_FOLDER = Path(__file__).parent


class Speed(NamedTuple):
    """Customer-steps per second of processor time.

    Args:
        whole: over a whole episode, the best of some.
        slowest: of any step of that episode.
        fastest: likewise.
    """

    whole: float
    slowest: float
    fastest: float


def twelve_guardrails() -> Revision:
    """Return the telecom's agent with twelve guardrails declared."""
    text = (_FOLDER / "twelve.yaml").read_text(encoding="utf-8")
    return compile_agent(text, "twelve.yaml", example_revision().workspace)


def speed(env: PopulationEnv, turns: int = _TURNS) -> Speed:
    """Play whole episodes with random allowed actions; what choosing them costs is left out.

    Args:
        env: to be measured.
        turns: episodes, after one step that compiles what is not compiled yet.
    """
    env.step(random_player(0)(*env.reset(seed=0)))
    return max(_episode(env, seed) for seed in range(1, turns + 1))


def _episode(env: PopulationEnv, seed: int) -> Speed:
    play, spent, over = random_player(seed), [], False
    observations, infos = env.reset(seed=seed)
    while not over:
        actions = play(observations, infos)
        begin = time.process_time()
        observations, _, terminations, _, infos = env.step(actions)
        spent.append(time.process_time() - begin)
        over = bool(terminations.all())
    steps = env.num_envs / np.array(spent)
    return Speed(env.num_envs * len(spent) / sum(spent), float(steps.min()), float(steps.max()))


def recogym_steps() -> float | None:
    """Return RecoGym's steps per second with 24 products, None where it is not installed."""
    python = os.environ.get(_OTHER, sys.executable)
    command = [python, "-W", "ignore", str(_FOLDER / "recogym_steps.py"), str(_SECONDS)]
    done = subprocess.run(  # noqa: S603 - our own script
        command, capture_output=True, text=True, timeout=120, check=False
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def measure(console: Console) -> bool:
    """Print each figure beside its limit; say whether all limits are kept."""
    revisions = {"no guardrails": None, "twelve guardrails": twelve_guardrails()}
    other = recogym_steps()
    table = Table(title=f"Customer-steps per second and core, {CUSTOMERS:,} customers, 24 actions")
    for column in ("telecom", "episode", "slowest step", "fastest step", "at least", "x RecoGym"):
        table.add_column(column, justify="left" if column == "telecom" else "right")
    kept = True
    for name, revision in revisions.items():
        guarded = revision is not None
        env = PopulationEnv(
            CUSTOMERS, revision=revision, rounds=_ROUNDS, hour=12, guardrails=guarded
        )
        found = speed(env)
        kept &= found.whole >= LIMITS[name]
        ratio = "-" if other is None else f"{found.whole / other:,.0f}"
        figures = (*(f"{each:,.0f}" for each in found), f"{LIMITS[name]:,}", ratio)
        table.add_row(name, *figures)
    console.print(table)
    if other is None:
        console.print(
            "RecoGym is not installed here (it needs old packages); name a Python that has it"
            f" and Gym in {_OTHER} to compare"
        )
    else:
        console.print(f"RecoGym 0.1.3, 24 products: {other:,.0f} steps per second")
    return kept
