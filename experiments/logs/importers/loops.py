"""The loop of a workspace to which imported decisions belong: whose they are, as it would know."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agents.context import check_features
from agents.decisions import features_record
from agents.errors import ContextError, LogError, UnknownNameError, did_you_mean
from agents.load import load_workspace
from agents.log import hash_customer
from agents.revision import Revision
from agents.spec import SuppliedSpec

_MOMENT = "FromUrl"  # what Personalizer calls the features of the moment


class Told(NamedTuple):
    """What a line tells of its customer: the keyed hash, empty if none; and declared fields."""

    customer: str = ""
    features: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Loop:
    """A loop that imported decisions belong to.

    Args:
        revision: of its agent.
        key: secret of the customers' hash; a fresh one is used and forgotten.
    """

    revision: Revision
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def spec(self) -> SuppliedSpec:
        """What its document says of supplied actions."""
        found = self.revision.agent.supplied
        assert found is not None, "a loop's actions are supplied"
        return found

    def told(self, content: dict[str, Any]) -> Told:
        """Find the customer in the features of a moment, as when the loop is asked.

        The customer's id is taken out of the features, as it is there: nothing is learned of it.
        A field whose value the workspace does not accept is unknown.

        Args:
            content: of a line; changed in place.
        """
        root = content.get(_MOMENT, content)
        features: dict[str, Any] = {}
        for name, path in self.spec.fields.items():
            holder, last = _holder(root, path.split("."))
            features |= {} if holder is None else self._known(name, holder[last])
        if self.spec.customer is None:
            return Told("", features)
        holder, last = _holder(root, self.spec.customer.split("."))
        customer = None if holder is None else holder.pop(last)
        hashed = "" if customer is None else hash_customer(self.key, str(customer))
        return Told(hashed, features)

    def _known(self, name: str, value: object) -> dict[str, Any]:
        schema = self.revision.workspace.customer
        try:
            return features_record(check_features({name: schema[name]}, {name: value}))
        except ContextError:
            return {}


def find_loop(workspace: Path, agent: str) -> Loop:
    """Find a loop in a workspace.

    Raises:
        UnknownNameError: it has no such agent.
        LogError: the agent declares its offers.
        DocumentError: a file of the workspace is wrong.
    """
    loaded = load_workspace(workspace)
    if agent not in loaded.revisions:
        hint = did_you_mean(agent, loaded.revisions)
        raise UnknownNameError(f"{workspace} has no agent {agent!r}; {hint}")
    revision = loaded.revisions[agent]
    if revision.agent.supplied is None:
        raise LogError(
            f"{agent}: expected a loop, an agent with 'supplied' actions, got one with 'offers'"
        )
    return Loop(revision)


def _holder(node: object, path: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    """Find the first object at which a path ends, and the last part; lists are gone through."""
    if isinstance(node, list):
        for each in node:
            found = _holder(each, path)
            if found[0] is not None:
                return found
        return None, path[-1]
    if not isinstance(node, dict) or path[0] not in node:
        return None, path[-1]
    return (node, path[0]) if len(path) == 1 else _holder(node[path[0]], path[1:])
