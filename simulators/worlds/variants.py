"""Documents that say only in what a world differs from another one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from agents.yamlsource import read_yaml
from simulators.market.load import read_spec
from simulators.market.spec import WorldSpec


def load_variant(name: str, of: str) -> WorldSpec:
    """Read a packaged world whose document replaces some parts of another one's.

    A part is a key of the top level, such as `effects`: it is replaced whole.

    Args:
        name: of the world.
        of: the world that has the other parts.

    Raises:
        DocumentError: one of the two is not YAML.
        ValueError: together they are no world; the message names every place.

    Example:
        >>> tiny = load_variant("tiny_data", of="telecom")
        >>> tiny.world, tiny.customers, "renewed" in tiny.outcomes
        ('tiny_data', 200, True)
    """
    return read_spec(_document(of) | _document(name))


@cache
def _document(name: str) -> dict[str, Any]:
    file = files("simulators.worlds").joinpath(f"{name}.yaml")
    document: dict[str, Any] = read_yaml(file.read_text(encoding="utf-8"), file.name).value
    return document
