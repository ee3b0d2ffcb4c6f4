"""An import from its source to a checked log in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.errors import LogError
from agents.revision import Revision
from experiments.logs.importers.base import (
    ACTIONS_FILE,
    FILE,
    Features,
    Piece,
    log_file,
    write_json,
)
from experiments.logs.inspecting import Inspector
from experiments.logs.quality import Quality

REVISIONS = "revisions"


@dataclass(frozen=True)
class Plan:
    """What is imported, and where to.

    Args:
        pieces: reads the source; called once.
        whole: whether the source has all probabilities.
        actions: what is known of the actions themselves, once everything is read.
        counts: what the source's own lines were, once everything is read; may be empty.
        to: the folder; None to look only.
        force: write in spite of errors.
        replace: replace a log that is there.
        revision: under which all of it counts as decided, if it is known; kept beside the log.
    """

    pieces: Callable[[], Iterator[Piece]]
    whole: bool
    actions: Callable[[], Mapping[str, Features]]
    counts: Callable[[], Mapping[str, int]]
    to: Path | None
    force: bool = False
    replace: bool = False
    revision: Revision | None = None

    def run(self) -> Imported:
        """Read, check, and write if a folder is given and nothing is wrong, or in spite of it.

        Raises:
            LogError: the source is malformed, or a log is there already.
        """
        inspector = Inspector(whole=self.whole)
        if self.to is None:
            for piece in self.pieces():
                inspector.add(piece)
            return Imported(inspector.result(), written=False)
        if (self.to / FILE).exists() and not self.replace:
            raise LogError(
                f"{self.to / FILE} is there already; add --replace, or name another --to"
            )
        others = sorted(file.name for file in self.to.glob("*.parquet") if file.name != FILE)
        if others:
            raise LogError(
                f"{self.to} holds {others[0]}, which would be read as part of the log; name a"
                " folder of its own"
            )
        try:
            return self._written(self.to, inspector)
        except OSError as error:
            raise LogError(f"--to: {self.to} cannot be written: {error.strerror}") from None

    def _written(self, to: Path, inspector: Inspector) -> Imported:
        with log_file(to / FILE, whole=self.whole) as part:
            for piece in self.pieces():
                inspector.add(piece)
                part.write(piece.table)
            quality = inspector.result()
            if quality.refused and not self.force:
                part.discard()
                return Imported(quality, written=False)
        self._keep_beside(to)
        return Imported(quality, written=True)

    def _keep_beside(self, to: Path) -> None:
        """Keep what is known of the actions, and who decided; nothing of an older import stays."""
        (to / ACTIONS_FILE).unlink(missing_ok=True)
        if actions := self.actions():
            write_json(to / ACTIONS_FILE, actions)
        if self.revision is not None:
            (to / REVISIONS).mkdir(exist_ok=True)
            (to / REVISIONS / f"{self.revision.id}.json").write_bytes(self.revision.source)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a plan came to: what was found, and whether the log was written."""

    quality: Quality
    written: bool
