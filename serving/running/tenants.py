"""Several workspaces behind one address, each apart from the others in everything it keeps.

Each has its own data folder (`<data>/<name of the workspace>/`) with its own ledger, keys,
snapshots and learner; in PostgreSQL a schema of its own. A key belongs to one workspace and sees no
other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agents.errors import StateError
from agents.load import load_workspace
from serving.settings import Settings

_MARK = "keys/draw.key"
_LONGEST_SCHEMA = 63  # of a name in PostgreSQL


def tenants(settings: Settings) -> tuple[Settings, ...]:
    """Return the settings of each workspace that a server is to serve; one alone as they are.

    Raises:
        DocumentError: a workspace is wrong.
        StateError: two have the same name, no keys tell whose request it is, or the data folder
            was that of one workspace and is to be that of several, or the other way round; or a
            model registry is to serve several.
    """
    if not settings.more:
        several = next(settings.data.glob(f"*/{_MARK}"), None)
        if several is not None and not (settings.data / _MARK).exists():
            raise StateError(
                f"{settings.data} is the data folder of several workspaces; serve one of them with"
                f" --data {several.parents[1]}, or all of them again"
            )
        return (settings,)
    if settings.model_registry:
        raise StateError(
            "expected --model-registry with one workspace: models are named by their agent alone"
        )
    if settings.auth != "keys":
        raise StateError("expected --auth keys to tell several workspaces apart; add it")
    if (settings.data / _MARK).exists():
        raise StateError(
            f"{settings.data} is the data folder of one workspace; choose another with --data,"
            " and move what is in it to the folder there that has the workspace's name"
        )
    named = {_name(path): path for path in (settings.workspace, *settings.more)}
    if len(named) <= len(settings.more):
        raise StateError(f"expected workspaces of different names, got one of {list(named)} twice")
    return tuple(_alone(settings, name, path) for name, path in named.items())


def _name(path: Path) -> str:
    return load_workspace(path).workspace.workspace


def _alone(settings: Settings, name: str, path: Path) -> Settings:
    url = _own_schema(settings.ledger_url, name) if settings.ledger_url else ""
    export_to = None if settings.export_to is None else settings.export_to / name
    return replace(
        settings, workspace=path, more=(), data=settings.data / name, ledger_url=url,
        export_to=export_to,
    )  # fmt: skip


def _own_schema(url: str, name: str) -> str:
    """Return a connection string whose tables all lie in a schema of the workspace's own.

    Example:
        >>> _own_schema("postgresql://db.internal/decisions", "shop")
        "dbname=decisions host=db.internal options='-c search_path=nextbest_shop'"
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    schema = f"nextbest_{name}"
    if len(schema) > _LONGEST_SCHEMA:
        raise StateError(f"expected a workspace's name of at most 54 letters, got {name!r}")
    present = str(conninfo_to_dict(url).get("options") or "")
    return make_conninfo(url, options=f"{present} -c search_path={schema}".strip())
