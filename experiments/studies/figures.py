"""Put printed studies into the page of figures: `python -m experiments.studies.figures FILE...`.

Each file holds what a study printed and is named after its block: `headroom.txt` goes between
`<!-- figures: headroom -->` and `<!-- end -->` of `docs/learners.md`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from agents.errors import UnknownNameError, did_you_mean

PAGE = Path(__file__).parents[2] / "docs" / "learners.md"
_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def blocks(page: str) -> list[str]:
    """Return the names of a page's blocks, in order."""
    return [match[2] for match in _BLOCK.finditer(page)]


def fill(page: str, name: str, printed: str) -> str:
    """Replace one block of a page by what a study printed.

    Raises:
        UnknownNameError: the page has no such block.

    Example:
        >>> page = "<!-- figures: cost -->" + chr(10) + "<!-- end -->"
        >>> fill(page, "cost", "K=25  9.0").splitlines()
        ['<!-- figures: cost -->', '```text', 'K=25  9.0', '```', '<!-- end -->']
    """
    known = blocks(page)
    if name not in known:
        raise UnknownNameError(
            f"no block of figures is named {name!r}; {did_you_mean(name, known)}"
        )
    text = f"```text\n{printed.rstrip()}\n```\n"
    return _BLOCK.sub(lambda match: match[1] + text if match[2] == name else match[0], page)


def main(files: Sequence[str], page: Path = PAGE) -> None:
    """Fill a page's blocks from files; nothing is written if one of them has no block."""
    text = page.read_text(encoding="utf-8")
    for file in map(Path, files):
        text = fill(text, file.stem, file.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
