"""The example workspaces that come with nextbest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from agents.errors import StateError, UnknownNameError, did_you_mean


def example_names() -> list[str]:
    """List the example workspaces that come with nextbest."""
    folder = files("agents").joinpath("examples")
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


@contextmanager
def example_folder(name: str) -> Iterator[Path]:
    """Give the folder of a packaged example workspace.

    Raises:
        UnknownNameError: there is no such example.
    """
    if name not in example_names():
        raise UnknownNameError(
            f"there is no example {name!r}; {did_you_mean(name, example_names())}"
        )
    with as_file(files("agents").joinpath("examples", name)) as folder:
        yield folder


def write_example(name: str, target: Path) -> list[Path]:
    """Copy an example workspace into a new or empty folder; return the files written.

    Raises:
        UnknownNameError: there is no such example.
        StateError: the folder holds something already, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StateError(f"{target} exists and is not an empty folder; name another one")
    written = []
    with example_folder(name) as source:
        for path in sorted(source.rglob("*.yaml")):
            copy = target / path.relative_to(source)
            try:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
            except OSError as error:
                raise StateError(f"{copy} cannot be written: {error.strerror}") from error
            written.append(copy)
    return written
