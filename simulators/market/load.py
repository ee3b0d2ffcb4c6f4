"""Reads a world's document: YAML that is packaged beside its module, or any other."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from agents.loading.faults import raise_first, validate
from agents.yamlsource import read_yaml
from simulators.market.names import name_faults, require_names
from simulators.market.spec import WorldSpec


def load_world(name: str) -> WorldSpec:
    """Read a packaged world.

    Raises:
        DocumentError: its document is not a world's; with file, line and column.
    """
    file = files("simulators.worlds").joinpath(f"{name}.yaml")
    return read_world(file.read_text(encoding="utf-8"), file.name)


def read_world(text: str, file: str) -> WorldSpec:
    """Read a world's document.

    Args:
        text: YAML.
        file: the name used in messages.

    Raises:
        DocumentError: the first thing that is wrong, with file, line and column.
    """
    source = read_yaml(text, file)
    spec = validate(WorldSpec, source)
    raise_first(source, name_faults(spec))
    return spec


def read_spec(document: dict[str, Any]) -> WorldSpec:
    """Check a world's document that is plain values, as `read_world` does.

    Raises:
        ValueError: it is none; the message names every place and what was expected there.
    """
    spec = WorldSpec.model_validate(document)
    require_names(spec)
    return spec
