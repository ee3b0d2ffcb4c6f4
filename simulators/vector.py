"""A whole population as one vector environment: every customer at once, without a loop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from agents.errors import StateError
from agents.revision import Revision
from agents.tabular.masks import Reasons
from simulators.cohort import Cohort
from simulators.market.market import Market
from simulators.observations import Layout
from simulators.setting import setting
from simulators.usage import Usage

Observations = NDArray[np.float32]
Infos = dict[str, Any]  # as Gymnasium has them


class PopulationEnv(VectorEnv[Observations, NDArray[np.int64], NDArray[Any]]):
    """N customers of one market, each an episode of its own; the same as N times `CustomerEnv`.

    **Actions.** `MultiDiscrete`, N positions of the revision's actions, 0 is `none`. What is
    barred does not happen: `none` is done in its place. Budgets of the organisation are used by
    all customers: the mask shows what is left when a round begins, and who comes too late in it
    is barred then.

    **Observation.** (N, D) float32: `Layout`, whose entries `layout.names` lists.

    **Reward.** (N,) currency, as of `CustomerEnv`.

    **Episode end.** All episodes terminate together after `rounds` decisions, and the next step
    ignores its actions and begins with N new customers (Gymnasium's `NEXT_STEP` autoreset).

    **Infos.** `action_mask` (N, A) int8, 1 where allowed; `barred` (N,) texts, why the last action
    was not done, empty where it was; with `truth`, `expected_rewards` (N, A) currency, the exact
    truth of this moment.

    **Version history.**
        v0: first.

    Args:
        num_envs: N.
        world: name of a market.
        revision: the agent; None takes the one that the world was made for.
        rounds: decisions an episode; None: as the world has it.
        every: time between two decisions; None: as the world has it.
        hour: of the day (UTC) at which everybody is met, on the first day of each round; None:
            each customer at a time of their own, which is slower for small populations.
        guardrails: whether they bar anything.
        truth: whether infos show it.

    Raises:
        ValueError: the world is no `Market`, an argument is outside its range, or there is nothing
            to observe.

    Example:
        >>> env = PopulationEnv(100, hour=12)
        >>> observations, infos = env.reset(seed=1)
        >>> actions = env.action_space.sample()
        >>> observations, rewards, terminations, truncations, infos = env.step(actions)
        >>> observations.shape == (100, len(env.layout.names)), infos["action_mask"].shape
        (True, (100, 25))
    """

    def __init__(
        self,
        num_envs: int = 1,
        world: str = "telecom",
        revision: Revision | None = None,
        *,
        rounds: int | None = None,
        every: timedelta | None = None,
        hour: int | None = None,
        guardrails: bool = True,
        truth: bool = False,
    ) -> None:
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self._setting = setting(world, revision, rounds=rounds, every=every, hour=hour)
        self._guardrails, self._truth = guardrails, truth
        self.layout = Layout(self._setting.revision, self._setting.rounds)
        self._actions = len(self._setting.revision.actions)
        self.single_observation_space = self.layout.space
        self.single_action_space = spaces.Discrete(self._actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._reasons = Reasons()
        self._names: list[str] = []
        self._round = -1  # nothing may be done before the first reset
        self._market: Market
        self._cohorts: tuple[Cohort, ...]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Begin with N new customers.

        Args:
            seed: fixes these customers and those of later resets.
            options: none is known; a dictionary that is not empty is refused.

        Raises:
            ValueError: an option, or a world that is no `Market`.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"expected no options, got {', '.join(sorted(options))}")
        world = self._setting.create(self.num_envs, int(self.np_random.integers(2**32)))
        if not isinstance(world, Market):
            raise ValueError(
                f"the world {self._setting.world!r} is no market of arrays; use CustomerEnv, or"
                " gymnasium.make_vec with vectorization_mode='sync'"
            )
        self._market, self._round = world, 0
        self._names = self._names or [world.customer_id(i) for i in range(self.num_envs)]
        reasons = self._reasons if self._guardrails else None
        usage = Usage(world.revision, world.words, frozenset(world.reports))
        self._cohorts = tuple(
            Cohort(world, rows, [self._names[row] for row in rows.tolist()], reasons, usage)
            for rows in self._setting.groups(world)
        )
        return self._look(), self._infos(np.zeros(self.num_envs, dtype=np.int32))

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observations, NDArray[Any], NDArray[Any], NDArray[Any], Infos]:
        """Do one action for each customer, or `none` where it is barred, and go on a round.

        Raises:
            StateError: no episode has begun.
            ValueError: other than N positions of actions.
        """
        if self._round < 0:
            raise StateError("expected reset() before step(): no episode is under way")
        chosen = self._checked(actions)
        rewards, barred = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=np.int32)
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self._round == self._setting.rounds:
            observations, infos = self.reset()
            return observations, rewards, never, never.copy(), infos
        for cohort in self._cohorts:
            rewards[cohort.rows], barred[cohort.rows] = cohort.act(chosen[cohort.rows])
        self._round += 1
        over = np.full(self.num_envs, self._round == self._setting.rounds)
        return self._look(), rewards, over, never, self._infos(barred)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, (N, A)."""
        found = np.empty((self.num_envs, self._actions), dtype=np.bool_)
        for cohort in self._cohorts:
            found[cohort.rows] = cohort.codes == 0
        return found

    def reasons(self) -> NDArray[np.object_]:
        """Return why each action is barred now, (N, A) texts, empty where it is allowed."""
        words = np.array(["", *self._reasons.numbers], dtype=object)
        found = np.empty((self.num_envs, self._actions), dtype=object)
        for cohort in self._cohorts:
            found[cohort.rows] = words[cohort.codes]
        return found

    def _checked(self, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        chosen = np.asarray(actions)
        whole = np.issubdtype(chosen.dtype, np.integer)
        if not whole or chosen.shape != (self.num_envs,):
            raise ValueError(
                f"actions: expected {self.num_envs} whole numbers, got {chosen.dtype} of shape"
                f" {chosen.shape}"
            )
        low, high = int(chosen.min()), int(chosen.max())
        if low < 0 or high >= self._actions:
            raise ValueError(f"actions: expected 0 to {self._actions - 1}, got {low} to {high}")
        return chosen.astype(np.int64, copy=False)

    def _look(self) -> Observations:
        found = np.empty((self.num_envs, len(self.layout.names)), dtype=np.float32)
        for cohort in self._cohorts:
            at = self._setting.meeting(self._market, int(cohort.rows[0]), self._round)
            found[cohort.rows] = self.layout.matrix(cohort.meet(at, self._round))
        return found

    def _infos(self, barred: NDArray[np.int32]) -> Infos:
        words = np.array(["", *self._reasons.numbers], dtype=object)
        infos = {"action_mask": self.action_masks().view(np.int8), "barred": words[barred]}
        if self._truth:
            infos["expected_rewards"] = self._expected()
        there = np.ones(self.num_envs, dtype=np.bool_)
        return infos | {f"_{name}": there for name in infos}

    def _expected(self) -> NDArray[np.float64]:
        """Return the exact expected reward of every action now, (N, A)."""
        market, found = self._market, np.empty((self.num_envs, self._actions))
        for cohort in self._cohorts:
            at = self._setting.meeting(market, int(cohort.rows[0]), self._round)
            rates = market.probabilities(cohort.rows, at)  # (n, A, O)
            found[cohort.rows] = rates @ market.values - market.costs
        return found
