"""Exclusion lists that stand in a file of their own, read into the document that names them."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from agents.context import check_customer
from agents.errors import ContextError, DocumentError
from agents.yamlsource import Path as KeyPath
from agents.yamlsource import Source

MAX_BYTES = 10_000_000
MAX_CUSTOMERS = 100_000

_SEVERAL = re.compile("[,;\t]")  # a table, of which each line would be taken for an id
_BY_HAND = (
    "a file is read only from a workspace's folder, never from a request;"
    " list the ids in 'customers'"
)


def resolve_exclusions(source: Source, folder: Path | None) -> None:
    """Replace each `file` of an exclusion list in a source by the `customers` that it lists.

    A file has one id a line; empty lines and comments (`#` and a blank) are left out. A revision
    then holds all it depends on, whatever becomes of the file.

    Args:
        source: a document as read, before it is checked; changed in place.
        folder: the workspace's folder, None if the document came without one.

    Raises:
        DocumentError: the file is outside the folder, cannot be read, is no UTF-8, is larger than
            `MAX_BYTES`, lists more than `MAX_CUSTOMERS`, or holds a line that is not one id.
    """
    rules = source.value.get("guardrails")
    for name, rule in rules.items() if isinstance(rules, dict) else ():
        if not _names_a_file(rule):
            continue
        path = ("guardrails", name, "file")
        if folder is None:
            raise source.error(path, _BY_HAND)
        file = _inside(source, path, folder, rule["file"])
        place = str(PurePosixPath(folder.name) / rule["file"])
        rule["customers"] = _read(source, path, file, place)
        del rule["file"]
        source.places["guardrails", name, "customers"] = source.places[path]


def _names_a_file(rule: Any) -> bool:
    return (
        isinstance(rule, dict)
        and rule.get("rule") == "exclusion_list"
        and isinstance(rule.get("file"), str)
        and "customers" not in rule
    )


def _inside(source: Source, path: KeyPath, folder: Path, name: str) -> Path:
    """Resolve a name within a folder; links are followed before it is judged."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\\" in name or not name.isprintable():
        message = (
            f"expected a file below the workspace's folder, as in 'lists/vip.txt', got {name!r}"
        )
        raise source.error(path, message)
    try:
        file = (folder / relative).resolve(strict=True)
        if not file.is_relative_to(folder.resolve()):
            raise source.error(path, f"{name!r} is a link that leads out of the workspace's folder")
        if not file.is_file():
            raise source.error(path, f"expected {name!r} to be a file, got something else")
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise source.error(path, f"{name!r} cannot be read: {reason}") from None
    return file


def _read(source: Source, path: KeyPath, file: Path, place: str) -> list[str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise source.error(path, f"expected a file of at most {MAX_BYTES:,} bytes")
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise source.error(path, f"{place} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        message = f"{place} is not UTF-8: {error.reason} at byte {error.start:,}"
        raise source.error(path, message) from None
    return _customers(source, path, place, lines)


def _customers(source: Source, path: KeyPath, place: str, lines: list[str]) -> list[str]:
    customers: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        customer = line.strip()
        if not customer or f"{customer} ".startswith("# "):
            continue
        if (sign := _SEVERAL.search(customer)) is not None:
            message = f"expected one customer id a line, got {customer[:40]!r}"
            hint = f"an id that holds {sign[0]!r} goes into 'customers'"
            raise DocumentError(f"{message}; {hint}", file=place, line=number, column=1)
        try:
            customers[check_customer(customer)] = None
        except ContextError as error:
            raise DocumentError(str(error), file=place, line=number, column=1) from None
    if not customers:
        raise source.error(path, f"expected one customer id a line in {place}, got none")
    if len(customers) > MAX_CUSTOMERS:
        message = f"expected at most {MAX_CUSTOMERS:,} customers, got {len(customers):,}"
        raise source.error(path, message)
    return list(customers)
