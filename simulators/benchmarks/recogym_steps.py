"""RecoGym's steps per second, by a Python that has it: `PYTHON recogym_steps.py SECONDS`.

Only its environment is run; what its package imports besides (agents, PyTorch) is left out, since
it no longer imports under present versions of SciPy.
"""

from __future__ import annotations

import importlib
import sys
import time
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

_LEFT_OUT = tuple(
    f"recogym.{part}" for part in ("agents", "bench_agents", "competition", "evaluate_agent")
)
_PRODUCTS = 24


class _Nothing(types.ModuleType):
    """A module every part of which is a class that does nothing."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _LeftOut(MetaPathFinder, Loader):
    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name.startswith(_LEFT_OUT) else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        del module


def steps_per_second(seconds: float) -> float:
    """Return how many decisions RecoGym takes in a second of processor time, one core.

    Args:
        seconds: how long to play.
    """
    sys.meta_path.insert(0, _LeftOut())
    gym = importlib.import_module("gym")
    args = importlib.import_module("recogym").env_1_args
    env = gym.make("reco-gym-v1", disable_env_checker=True).unwrapped
    env.init_gym({**args, "num_products": _PRODUCTS, "random_seed": 1})
    env.reset()
    env.step(None)
    begin, steps = time.process_time(), 0
    while time.process_time() - begin < seconds:
        *_, done, _ = env.step(steps % _PRODUCTS)
        steps += 1
        if done:
            env.reset()
            env.step(None)
    return steps / (time.process_time() - begin)


if __name__ == "__main__":
    sys.stdout.write(f"{steps_per_second(float(sys.argv[1])):.0f}\n")
