"""Who a request comes from, as the gate has found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection

from serving.security.scopes import SCOPES, Scope

PLACE = "nextbest.principal"
"""Where the gate puts the principal in the ASGI scope."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Args:
        key_id: of the API key, empty where the server asks for none.
        workspace: the only one that the caller sees, by its name.
        scopes: what the caller may do.
    """

    key_id: str
    workspace: str
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """Who the audit log says it was."""
        return f"key:{self.key_id}" if self.key_id else "anyone"


STRANGER = Principal("", "", frozenset())
"""Who shows no key where only open routes need none."""


def anyone(workspace: str) -> Principal:
    """Return who asks where no keys are asked for: whoever reaches the server may do all."""
    return Principal("", workspace, frozenset(SCOPES))


def principal_of(request: HTTPConnection) -> Principal:
    """Return who a request comes from; an error of the server's if it passed no gate."""
    return cast("Principal", request.scope[PLACE])


def actor_of(request: HTTPConnection) -> str:
    """Return who a request comes from, as the audit log writes it."""
    return principal_of(request).actor
