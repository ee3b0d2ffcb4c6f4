"""The example workspaces that come with nextbest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from agents.errors import StateError, UnknownNameError, did_you_mean
from agents.reference.schema import FOLDER as SCHEMA_FOLDER
from agents.reference.schema import editor_comment, schema_texts

_COPIED = (".yaml", ".txt", ".md")


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

    Editors find the schemas of both kinds of file in its `.schema`, named in each file's first
    line.

    Raises:
        UnknownNameError: there is no such example.
        StateError: the folder holds something already, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StateError(f"{target} exists and is not an empty folder; name another one")
    written = []
    with example_folder(name) as source:
        for path in sorted(source.rglob("*")):
            if path.is_file() and path.suffix in _COPIED:
                copy = target / path.relative_to(source)
                _write(copy, _with_comment(path, copy, target))
                written.append(copy)
    for kind, text in schema_texts().items():
        copy = target / SCHEMA_FOLDER / f"{kind}.json"
        _write(copy, text)
        written.append(copy)
    return written


def write_schemas(folder: Path) -> list[Path]:
    """Write the JSON Schema of both kinds of file into a folder; return the files written.

    Raises:
        StateError: the folder cannot be written.
    """
    paths = []
    for kind, text in schema_texts().items():
        paths.append(folder / f"{kind}.json")
        _write(paths[-1], text)
    return paths


def _with_comment(path: Path, copy: Path, target: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".yaml":
        return text
    return f"{editor_comment(copy, target)}\n{text}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}") from error
