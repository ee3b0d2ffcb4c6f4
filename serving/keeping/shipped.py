"""The manifest of shipped logs: which blocks of the ledger are out, in which files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import orjson

from agents.errors import StateError
from agents.units import parse_instant
from serving.files import write_whole
from serving.keeping.export import SHARED

BLOCK = 5_000
"""Positions of the ledger in one file."""

_MANIFEST = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Block:
    """What was shipped of one stretch of the ledger.

    Args:
        number: from 0; it holds the positions from `number * BLOCK + 1` on.
        decisions: how many.
        closes: when the last open outcome window ends (ISO 8601), empty if none is open.
        files: SHA-256 by name.
    """

    number: int
    decisions: int
    closes: str
    files: Mapping[str, str]

    def closed(self, now: datetime) -> bool:
        """Whether a window that was open when it was written has ended since."""
        return bool(self.closes) and parse_instant(self.closes) <= now


@dataclass(frozen=True, slots=True)
class Shipped:
    """The manifest of a folder of shipped logs.

    Args:
        through: last position of the ledger that is taken into account.
        blocks: in order.
        writing: number of the block that is being written, to be done again after a crash.
    """

    through: int = 0
    blocks: tuple[Block, ...] = ()
    writing: int | None = None
    version: int = field(default=_VERSION, kw_only=True)

    @property
    def settled(self) -> int:
        """The position up to which nothing is open, so that nothing of it is needed again."""
        opened = [block.number * BLOCK for block in self.blocks if block.closes]
        return min([self.through, *opened])

    @property
    def decisions(self) -> int:
        """How many decisions were shipped."""
        return sum(block.decisions for block in self.blocks)

    def having(self, block: Block | None) -> Shipped:
        """Return it with what was just written in its place; None if nothing is left of it."""
        others = [each for each in self.blocks if each.number != self.writing]
        blocks = others if block is None else [*others, block]
        return replace(self, blocks=tuple(sorted(blocks, key=lambda each: each.number)))


def read_manifest(folder: Path) -> Shipped:
    """Return what was shipped to a folder; nothing, if there is no manifest.

    Raises:
        StateError: the manifest is damaged, or of another version.
    """
    try:
        record = orjson.loads((folder / _MANIFEST).read_bytes())
        if record["version"] != _VERSION:
            raise ValueError(f"version {record['version']}")
        return Shipped(**{**record, "blocks": tuple(Block(**each) for each in record["blocks"])})
    except FileNotFoundError:
        return Shipped()
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise StateError(
            f"expected a manifest of shipped logs at {folder / _MANIFEST}: {error}; ship to an"
            " empty folder"
        ) from error


def save_manifest(folder: Path, manifest: Shipped) -> None:
    """Write a manifest, replacing the last in one step.

    Raises:
        OSError: the disk does not take it.
    """
    write_whole(folder / _MANIFEST, orjson.dumps(asdict(manifest)), SHARED)


def block_of(position: int) -> int:
    """Return the number of the block that holds a position.

    Example:
        >>> block_of(1), block_of(BLOCK), block_of(BLOCK + 1)
        (0, 0, 1)
    """
    return (position - 1) // BLOCK


def file_name(table: str, number: int) -> str:
    """Return the name of the file that holds a table's rows of a block."""
    return f"{table}-{number * BLOCK + 1:012d}-{(number + 1) * BLOCK:012d}.parquet"
