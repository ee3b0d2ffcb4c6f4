"""A learner by name, with settings, under the revisions of a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from agents.errors import UnknownNameError
from agents.revision import Revision
from agents.spec import PolicySpec
from agents.yamlsource import read_yaml
from policies.base import Policy
from policies.registry import STATELESS, create_policy, policy_class

_OF_AGENT = ("floor", "floor_over")  # settings of an agent's policy, not of its learner
_POINT = re.compile(r"^\.(?=\d)")  # YAML wants a digit before it
_COMMA = re.compile(r",(?![^\[{]*[\]}])")  # none inside brackets


@dataclass(frozen=True)
class Learner:
    """Which learner, and what differs from the agent's own settings.

    Args:
        name: of the registry; empty for the agent's own, or its incumbent where it has one.
        settings: by name; `floor` and `floor_over` are those of the agent's policy. What is not
            said is as in the agent where it has the same learner, else the learner's default.
    """

    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    _known: dict[str, Revision] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parsed(cls, text: str) -> Learner:
        """Read `NAME` or `NAME:SETTING=VALUE,...`.

        Raises:
            UnknownNameError: there is no such learner.
            ValueError: settings that are no `NAME=VALUE`.

        Example:
            >>> Learner.parsed("hybrid_thompson:tau=0.3,floor=.05").settings
            {'tau': 0.3, 'floor': 0.05}
        """
        name, _, rest = text.partition(":")
        policy_class(name, "--policy")
        pairs = [pair.partition("=") for pair in _COMMA.split(rest)] if rest else []
        for key, equals, value in pairs:
            if not (key.strip() and equals and value.strip()):
                got = f"{key}{equals}{value}"
                raise ValueError(f"--policy {text}: expected settings as NAME=VALUE, got {got!r}")
        if not pairs:
            return cls(name)
        lines = "\n".join(
            f"{key.strip()}: {_POINT.sub('0.', value.strip())}" for key, _, value in pairs
        )
        return cls(name, dict(read_yaml(lines, f"--policy {text}").value))

    def learns(self, revision: Revision) -> bool:
        """Whether it has to be taught."""
        return self.adapted(revision).agent.policy.learner not in STATELESS

    def adapted(self, revision: Revision) -> Revision:
        """Return the revision with this learner in place of its agent's own.

        Raises:
            ValueError: a setting of the wrong kind.
        """
        if revision.id not in self._known:
            adapted = Revision(
                revision.workspace,
                revision.agent.model_copy(update={"policy": self._spec(revision.agent.policy)}),
            )
            self._known.update({revision.id: adapted, adapted.id: adapted})
        return self._known[revision.id]

    def create(self, revision: Revision) -> Policy:
        """Build the untaught learner under a revision.

        Raises:
            UnknownNameError: a setting that it does not have.
            ValueError: a setting outside its range.
        """
        return create_policy(self.adapted(revision))

    def _spec(self, own: PolicySpec) -> PolicySpec:
        incumbent = own.incumbent
        name = self.name or (own.learner if incumbent is None else incumbent.learner)
        before = incumbent.settings if incumbent is not None and not self.name else own.settings
        kept = before if name == own.learner or not self.name else {}
        given = {key: value for key, value in self.settings.items() if key not in _OF_AGENT}
        floor = own.floor if self.name else own.deciding_floor
        fields = {"floor": floor, "floor_over": own.floor_over} | {
            key: value for key, value in self.settings.items() if key in _OF_AGENT
        }
        try:
            return PolicySpec.model_validate(
                {**fields, "learner": name, "settings": {**kept, **given}}
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"--policy {name}: {where}: {first['msg']}") from None


def check_settings(learner: Learner, revision: Revision) -> None:
    """Refuse settings that the learner does not have, before a log is gone through.

    Raises:
        UnknownNameError: the nearest name is in the message.
        ValueError: a value outside its range.
    """
    try:
        learner.create(revision)
    except UnknownNameError as error:
        raise UnknownNameError(f"--policy {learner.name}: {error}") from None
