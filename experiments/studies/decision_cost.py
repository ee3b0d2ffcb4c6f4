"""What one decision costs inside the process, part by part, beside what it is measured against.

Every line is the median over rounds in which all parts are timed in turn, so a change in the
machine's speed meets both sides of a ratio alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import PolicySpec
from policies.base import Policy
from policies.decide import decide
from policies.registry import create_policy
from policies.samples import sample_contexts, sample_lessons

_ROUNDS = 15
_CALLS = 40
_LESSONS = 600

Part = Callable[[int], object]


def _revision(learner: str) -> Revision:
    with example_folder("telecom") as folder:
        loaded = load_workspace(folder)
    agent = loaded.revisions["retention"].agent
    taught = agent.model_copy(update={"policy": PolicySpec(learner=learner, floor=0.05)})
    return Revision(loaded.workspace, taught)


def _taught(learner: str) -> tuple[Revision, Policy]:
    revision = _revision(learner)
    policy = create_policy(revision)
    policy.update(sample_lessons(revision, _LESSONS, np.random.default_rng(1)))
    return revision, policy


def _parts() -> dict[str, Part]:
    revision, hybrid = _taught("hybrid_thompson")
    _, vowpal = _taught("vw_squarecb")
    contexts = sample_contexts(revision, _CALLS, np.random.default_rng(2))
    masks = [revision.mask(context) for context in contexts]
    free = Mask((None,) * len(revision.actions))
    rng = np.random.default_rng(3)
    means, sds = rng.normal(size=25), rng.uniform(0.1, 1.0, size=25)  # (A,)
    return {
        "numpy: draw 25 normal scores, argmax": lambda _: int(np.argmax(rng.normal(means, sds))),
        "mask: 25 actions, 10 guardrails": lambda i: revision.mask(contexts[i]),
        "hybrid_thompson: exact distribution": lambda i: hybrid.distribution(contexts[i], masks[i]),
        "hybrid_thompson: all 25 allowed": lambda i: hybrid.distribution(contexts[i], free),
        "vw_squarecb: distribution": lambda i: vowpal.distribution(contexts[i], masks[i]),
        "whole decision, hybrid_thompson": lambda i: decide(
            revision, hybrid, contexts[i], decision_id=str(i), secret=b"bench"
        ),
    }


def measure(parts: dict[str, Part]) -> dict[str, float]:
    """Return the median microseconds of one call of each part."""
    seen: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(_ROUNDS):
        for name, part in parts.items():
            start = time.perf_counter()
            for i in range(_CALLS):
                part(i)
            seen[name].append((time.perf_counter() - start) / _CALLS * 1e6)
    return {name: statistics.median(times) for name, times in seen.items()}


def run() -> None:
    """Measure and print."""
    found = measure(_parts())
    yardstick = next(iter(found.values()))
    out = sys.stdout.write
    out(f"One decision in the process, median of {_ROUNDS} rounds\n")
    for name, micros in found.items():
        out(f"  {name:<40} {micros:8.1f} us   {micros / yardstick:6.1f} x\n")
