"""A world whose document is a file of one's own, such as one that was fitted to a log."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from agents.errors import StateError
from simulators.market.load import read_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

_ENDINGS = (".yaml", ".yml")


def is_file_name(world: str) -> bool:
    """Say whether a world is named by its file: the name of one ends in `.yaml` or `.yml`."""
    return world.endswith(_ENDINGS)


def world_from_file(path: Path) -> type[Market]:
    """Read a market's document; the class it returns is used as that of any world.

    Raises:
        StateError: the file cannot be read.
        DocumentError: it is no world's document; with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StateError(f"the world's file {path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise StateError(
            f"the world's file {path} cannot be read: {error.strerror}; expected YAML such as"
            " `nextbest calibrate` writes"
        ) from error
    return world_of(read_world(text, path.name))


def world_of(document: WorldSpec, kind: type[Market] = Market) -> type[Market]:
    """Make the class of a market from its document, of the same kind as another one."""
    return cast("type[Market]", type("Described", (kind,), {"spec": document}))
