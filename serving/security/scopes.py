"""The one table of what a caller must hold to be let in to a route.

A route that is not here is not open by mistake: with keys it asks for `admin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["decide", "outcomes", "configure", "evaluate", "erase", "admin"]
Access = Literal["open", "docs"] | Scope
"""`open`: anybody. `docs`: anybody on loopback, elsewhere the holder of any key."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

SMALL = 64 * 1024
LARGE = 16 * 1024 * 1024
ACTIONS = 256 * 1024
"""Bytes of a body that may hold fifty actions with their features."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one route asks of its caller.

    Args:
        access: the scope that a key must have.
        most: bytes that a body may have.
    """

    access: Access
    most: int = SMALL


UNLISTED = Rule("admin")
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

EVALUATIONS = (
    ("GET", "/evaluations"), ("POST", "/evaluations"),
    ("GET", "/evaluations/{evaluation_id}"), ("DELETE", "/evaluations/{evaluation_id}"),
    ("POST", "/configurations/applyFromEvaluation"),
    ("GET", "/featureImportances"), ("POST", "/featureImportances"),
    ("GET", "/featureImportances/{evaluation_id}"),
    ("DELETE", "/featureImportances/{evaluation_id}"),
)  # fmt: skip
"""Routes of Personalizer whose work is done on exported logs here: they only say so."""

TABLE: Mapping[tuple[str, str], Rule] = {
    ("GET", "/healthz"): Rule("open"),
    ("GET", "/readyz"): Rule("open"),
    ("GET", "/docs"): Rule("docs"),
    ("GET", "/docs/oauth2-redirect"): Rule("docs"),
    ("GET", "/redoc"): Rule("docs"),
    ("GET", "/openapi.json"): Rule("docs"),
    ("GET", "/metrics"): Rule("evaluate"),
    ("POST", "/v1/decisions"): Rule("decide"),
    ("POST", "/v1/decisions/batch"): Rule("decide", LARGE),
    ("GET", "/v1/decisions/{decision_id}"): Rule("evaluate"),
    ("POST", "/v1/decisions/{decision_id}/delivery"): Rule("outcomes"),
    ("POST", "/v1/outcomes"): Rule("outcomes"),
    ("POST", "/v1/outcomes/batch"): Rule("outcomes", LARGE),
    ("POST", "/v1/contacts"): Rule("outcomes"),
    ("POST", "/v1/suppressions"): Rule("outcomes"),
    ("POST", "/v1/suppressions/lift"): Rule("erase"),
    ("GET", "/v1/agents"): Rule("evaluate"),
    ("GET", "/v1/agents/{name}"): Rule("evaluate"),
    ("PUT", "/v1/agents/{name}"): Rule("configure"),
    ("POST", "/v1/agents/{name}/activate"): Rule("configure"),
    ("POST", "/v1/agents/{name}/rollback"): Rule("configure"),
    ("POST", "/v1/agents/{name}/model"): Rule("admin"),
    ("GET", "/v1/agents/{name}/revisions"): Rule("evaluate"),
    ("GET", "/v1/agents/{name}/revisions/{revision_id}"): Rule("evaluate"),
    ("GET", "/v1/agents/{name}/diff"): Rule("evaluate"),
    ("GET", "/v1/agents/{name}/allocation"): Rule("evaluate"),
    ("GET", "/v1/agents/{name}/funnel"): Rule("evaluate"),
    ("GET", "/v1/customers/{customer:path}"): Rule("evaluate"),
    ("DELETE", "/v1/customers/{customer:path}"): Rule("erase"),
    ("POST", "/personalizer/v1.0/rank"): Rule("decide", ACTIONS),
    ("POST", "/personalizer/v1.0/events/{event_id}/reward"): Rule("outcomes"),
    ("POST", "/personalizer/v1.0/events/{event_id}/activate"): Rule("outcomes"),
    ("POST", "/loops/{agent}/personalizer/v1.0/rank"): Rule("decide", ACTIONS),
    ("POST", "/loops/{agent}/personalizer/v1.0/events/{event_id}/reward"): Rule("outcomes"),
    ("POST", "/loops/{agent}/personalizer/v1.0/events/{event_id}/activate"): Rule("outcomes"),
    ("POST", "/personalizer/{version}/rank"): Rule("decide", ACTIONS),
    ("POST", "/personalizer/{version}/events/{event_id}/reward"): Rule("outcomes"),
    ("POST", "/personalizer/{version}/events/{event_id}/activate"): Rule("outcomes"),
    ("POST", "/personalizer/{version}/multislot/rank"): Rule("decide", ACTIONS),
    ("POST", "/personalizer/{version}/multislot/events/{event_id}/reward"): Rule("outcomes"),
    ("POST", "/personalizer/{version}/multislot/events/{event_id}/activate"): Rule("outcomes"),
    ("GET", "/personalizer/{version}/configurations/service"): Rule("evaluate"),
    ("PUT", "/personalizer/{version}/configurations/service"): Rule("configure"),
    ("GET", "/personalizer/{version}/configurations/policy"): Rule("evaluate"),
    ("GET", "/personalizer/{version}/status"): Rule("decide"),
    ("GET", "/personalizer/{version}/logs/properties"): Rule("evaluate"),
    ("DELETE", "/personalizer/{version}/logs"): Rule("erase"),
    ("GET", "/personalizer/{version}/model"): Rule("evaluate"),
    ("DELETE", "/personalizer/{version}/model"): Rule("admin"),
    ("GET", "/personalizer/{version}/model/properties"): Rule("evaluate"),
    ("POST", "/loops/{agent}/personalizer/{version}/rank"): Rule("decide", ACTIONS),
    ("POST", "/loops/{agent}/personalizer/{version}/events/{event_id}/reward"): Rule("outcomes"),
    ("POST", "/loops/{agent}/personalizer/{version}/events/{event_id}/activate"): Rule("outcomes"),
    ("POST", "/loops/{agent}/personalizer/{version}/multislot/rank"): Rule("decide", ACTIONS),
    ("POST", "/loops/{agent}/personalizer/{version}/multislot/events/{event_id}/reward"): Rule(
        "outcomes"
    ),
    ("POST", "/loops/{agent}/personalizer/{version}/multislot/events/{event_id}/activate"): Rule(
        "outcomes"
    ),
    ("GET", "/loops/{agent}/personalizer/{version}/configurations/service"): Rule("evaluate"),
    ("PUT", "/loops/{agent}/personalizer/{version}/configurations/service"): Rule("configure"),
    ("GET", "/loops/{agent}/personalizer/{version}/configurations/policy"): Rule("evaluate"),
    ("GET", "/loops/{agent}/personalizer/{version}/status"): Rule("decide"),
    ("GET", "/loops/{agent}/personalizer/{version}/logs/properties"): Rule("evaluate"),
    ("DELETE", "/loops/{agent}/personalizer/{version}/logs"): Rule("erase"),
    ("GET", "/loops/{agent}/personalizer/{version}/model"): Rule("evaluate"),
    ("DELETE", "/loops/{agent}/personalizer/{version}/model"): Rule("admin"),
    ("GET", "/loops/{agent}/personalizer/{version}/model/properties"): Rule("evaluate"),
    ("POST", "/v1/exports"): Rule("evaluate"),
    ("GET", "/v1/exports"): Rule("evaluate"),
    ("POST", "/v1/keys"): Rule("admin"),
    ("GET", "/v1/keys"): Rule("admin"),
    ("POST", "/v1/keys/{key_id}/rotate"): Rule("admin"),
    ("DELETE", "/v1/keys/{key_id}"): Rule("admin"),
    ("GET", "/v1/audit"): Rule("admin"),
    **{
        (method, f"{start}/personalizer/{{version}}{path}"): Rule("evaluate")
        for start in ("", "/loops/{agent}")
        for method, path in EVALUATIONS
    },
}
"""By method and path as its router has it; the name of a part in braces does not matter."""


API = ("/v1/", "/personalizer/", "/loops/")
"""How the paths of the API begin; the others are probes and documents."""


class Scopes:
    """Finds the rule of a request.

    Args:
        table: as `TABLE`.

    Example:
        >>> scopes = Scopes(TABLE)
        >>> scopes.rule("GET", "/v1/decisions/d-1").access
        'evaluate'
        >>> scopes.rule("PATCH", "/v1/decisions/d-1").access
        'admin'
    """

    def __init__(self, table: Mapping[tuple[str, str], Rule]) -> None:
        self._plain = {place: rule for place, rule in table.items() if "{" not in place[1]}
        self._parts: dict[tuple[str, int], list[tuple[tuple[str, ...], Rule]]] = {}
        self._rests: list[tuple[str, str, Rule]] = []
        for (method, path), rule in table.items():
            if path.endswith(_REST):
                self._rests.append((method, path[: path.rindex("{")], rule))
            elif "{" in path:
                parts = _parts(path)
                self._parts.setdefault((method, len(parts)), []).append((parts, rule))

    def rule(self, method: str, path: str) -> Rule:
        """Return what a request asks of its caller; `UNLISTED` if nobody has said."""
        if method == "HEAD":
            method = "GET"
        found = self._plain.get((method, path))
        return found if found is not None else self._by_parts(method, path.split("/"))

    def methods(self, path: str) -> list[str]:
        """Return the methods of a path, sorted.

        Example:
            >>> Scopes(TABLE).methods("/v1/exports")
            ['GET', 'POST']
        """
        own = [name for name in _METHODS if (name, path) in self._plain]
        return own or [name for name in _METHODS if self.rule(name, path) is not UNLISTED]

    def _by_parts(self, method: str, asked: list[str]) -> Rule:
        for parts, rule in self._parts.get((method, len(asked)), ()):
            if all(map(_fits, parts, asked)):
                return rule
        path = "/".join(asked)
        for its_method, start, rule in self._rests:
            if method == its_method and path.startswith(start):
                return rule
        return UNLISTED


_ANY = "{}"
_REST = ":path}"  # a last part that takes every slash that follows


def _parts(path: str) -> tuple[str, ...]:
    """Split a template; what stands in braces loses its name."""
    return tuple(_ANY if part.startswith("{") else part for part in path.split("/"))


def _fits(part: str, given: str) -> bool:
    return bool(given) if part is _ANY else part == given
