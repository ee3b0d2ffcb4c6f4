"""Gymnasium environments: one customer an episode, one decision a step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agents.context import Context
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.errors import StateError
from agents.groups import Group
from agents.mask import Mask
from agents.memory import Memory
from agents.revision import Revision
from agents.rewards import reward
from simulators.observations import SPANS, Layout, field_space, learnable, observe
from simulators.setting import setting
from simulators.world import World

Observation = dict[str, Any]  # as Gymnasium nests dictionaries of arrays and numbers


class CustomerEnv(gymnasium.Env[Observation, np.int64]):
    """One customer's way through a simulated market, inside the guardrails of an agent.

    **Actions.** `Discrete(A)`: positions of the revision's actions, 0 is `none`. An action that
    is barred now does not happen: `none` is done in its place and `info["barred"]` says why, so
    that agents which sample without the mask can run and never break a guardrail.

    **Observation.** A `Dict`:
        customer: one entry for each customer field that learners may see: `Box(1,)` for numbers,
            `Discrete` for categories (position in the declared values) and booleans,
            `MultiBinary` for sets (which of the declared values), and for instants `Box(1,)`, days
            since then, at most ten years either way. A number whose value is unknown shows its
            lowest one, all else 0.
        known: `MultiBinary`, which of those fields are known, by name in alphabetical order.
        contacts_7d, contacts_30d: messages sent to the customer in the days before.
        hour: `Box(1,)`, hours since midnight, UTC.
        round: decisions made so far.

    **Reward.** Currency: the sampled outcomes' values less the action's cost, all at once, since
    the outcomes that a decision will have are drawn with it.

    **Starting state.** A new customer, drawn by the seed; nothing was sent yet. With `customers`
    above 1, episodes take the customers of one market in turn, each as if alone in it, and then
    those of the next market.

    **Episode end.** Terminates after `rounds` decisions; never truncates.

    **Info.** `action_mask` (A,) int8, 1 where allowed; `expected_rewards` (A,) currency, the
    exact truth of this moment; `barred` why the last action was not done, empty if it was.

    **Version history.**
        v0: first.

    Attributes:
        layout: of the same observation as one vector, see `simulators.wrappers.FlattenMarket`.

    Args:
        world: name of a world.
        revision: the agent; None takes the one that the world was made for.
        rounds: decisions an episode; None: as the world has it.
        every: time between two decisions, whole days; None: as the world has it.
        hour: of the day (UTC) at which customers are met, on the first day of each round; None: at
            a time of their own.
        guardrails: whether they bar anything.
        customers: of a market that a seed brings.

    Raises:
        ValueError: the workspace hides every customer field, so there is nothing to observe; or an
            hour that no day has.

    Example:
        >>> import simulators
        >>> env = gymnasium.make("nextbest/Retention-v0")
        >>> observation, info = env.reset(seed=1)
        >>> action = env.action_space.sample(info["action_mask"])
        >>> observation, reward, terminated, truncated, info = env.step(action)
        >>> int(observation["round"]), info["barred"]
        (1, '')
    """

    def __init__(
        self,
        world: str = "retention",
        revision: Revision | None = None,
        *,
        rounds: int | None = None,
        every: timedelta | None = None,
        hour: int | None = None,
        guardrails: bool = True,
        customers: int = 1,
    ) -> None:
        self._setting = setting(world, revision, rounds=rounds, every=every, hour=hour)
        self._revision, self._rounds = self._setting.revision, self._setting.rounds
        self._guardrails, self._customers = guardrails, customers
        self._customer = customers - 1  # of the market; the next episode's is another market's
        self._round = self._rounds  # nothing may be done before the first reset
        self._fields = learnable(self._revision)
        self.layout = Layout(self._revision, self._rounds)
        self.action_space = spaces.Discrete(len(self._revision.actions))
        self.observation_space = self._space()
        self._world: World
        self._memory: Memory
        self._coming: list[tuple[datetime, OutcomeEvent]]  # drawn, but not heard yet
        self._context: Context
        self._mask: Mask

    def _space(self) -> spaces.Dict:
        fields = {name: field_space(field) for name, field in self._fields.items()}
        return spaces.Dict(
            {
                "customer": spaces.Dict(fields),
                "known": spaces.MultiBinary(len(fields)),
                **{name: spaces.Discrete(self._rounds + 1) for name in SPANS},
                "hour": spaces.Box(0.0, 24.0, (1,), np.float64),
                "round": spaces.Discrete(self._rounds + 1),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin with a new customer.

        Args:
            seed: fixes this customer and those of later resets.
            options: none is known; a dictionary that is not empty is refused.

        Raises:
            ValueError: an option.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"expected no options, got {', '.join(sorted(options))}")
        self._customer += 1
        if seed is not None or self._customer == self._customers:
            world_seed = int(self.np_random.integers(2**32))
            self._world = self._setting.create(self._customers, world_seed)
            self._customer = 0
        self._world.reset()
        self._round, self._memory, self._coming = 0, Memory(), []
        return self._look(), self._info("")

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Do one action, or `none` if it is barred, and go on to the next round.

        Raises:
            StateError: the episode is over, or has not begun.
        """
        if self._round >= self._rounds:
            raise StateError("expected reset() before step(): no episode is under way")
        barred = self._mask.reasons[int(action)]
        position = int(action) if barred is None else 0
        decision = self._decision(position)
        self._memory.keep(decision, self._revision)
        world, customer = self._world, self._customer
        happenings = world.respond(customer, self._round, position, decision.at, decision.send_at)
        events = [happening.event(decision.decision_id) for happening in happenings]
        chosen, agent = self._revision.actions[position], self._revision.agent
        earned = reward(agent, chosen, decision.at, events)
        reports = world.reported(customer, self._round, happenings)
        heard = [(known, h.event(decision.decision_id)) for known, h in reports]
        self._coming = sorted([*self._coming, *heard], key=lambda report: report[0])
        self._round += 1
        over = self._round == self._rounds
        return self._look(), float(earned), over, False, self._info(barred or "")

    def _decision(self, position: int) -> Decision:
        """Write down what the caller did, as a choice without any chance."""
        revision = self._revision
        certain = np.zeros(len(revision.actions))  # (A,)
        certain[position] = 1.0
        return Decision(
            decision_id=self._world.decision_key(self._customer, self._round),
            at=self._context.at,
            agent=revision.agent.agent,
            revision=revision.id,
            policy="",
            snapshot="",
            group=Group.TREATMENT,
            reason=Reason.POLICY,
            context=self._context,
            actions=revision.action_ids,
            mask=self._mask,
            distribution=certain,
            expected=np.full(len(certain), np.nan),
            action=position,
            floor=0.0,
            explored=False,
            send_at=revision.send_at(revision.actions[position], self._context),
        )

    def _look(self) -> Observation:
        world, customer = self._world, self._customer
        at = self._setting.meeting(world, customer, self._round)
        while self._coming and self._coming[0][0] <= at:
            self._memory.hear(self._coming.pop(0)[1])
        slot = world.placement(customer, self._round)
        self._context = world.context(customer, at, self._memory, placement=slot)
        self._mask = self._masked()
        features = self._context.features
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "customer": {n: observe(f, features.get(n), at) for n, f in self._fields.items()},
            "known": np.array([name in features for name in self._fields], dtype=np.int8),
            **{
                name: np.int64(sum(at - span < c.at <= at for c in self._context.contacts))
                for name, span in SPANS.items()
            },
            "hour": np.array([(at - midnight) / timedelta(hours=1)]),
            "round": np.int64(self._round),
        }

    def _masked(self) -> Mask:
        if self._guardrails:
            return self._revision.mask(self._context)
        return Mask((None,) * len(self._revision.actions))

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are allowed now, (A,); sb3-contrib looks for this method."""
        return self._mask.allowed

    def reasons(self) -> tuple[str, ...]:
        """Return why each action is barred now, A texts, empty where it is allowed."""
        return tuple(reason or "" for reason in self._mask.reasons)

    def _info(self, barred: str) -> dict[str, Any]:
        return {
            "action_mask": self._mask.allowed.astype(np.int8),  # (A,)
            "expected_rewards": self._world.expected_rewards(
                self._customer, self._context.at
            ),  # (A,)
            "barred": barred,
        }
