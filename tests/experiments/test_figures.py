"""Printed studies go into their own blocks of a page, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import UnknownNameError
from experiments.studies.figures import blocks, fill, main

PAGE = """# Figures
<!-- figures: speed -->
<!-- end -->
between
<!-- figures: size -->
old
<!-- end -->
after
"""


def test_a_block_is_filled_again_and_again_and_nothing_else_is_touched() -> None:
    once = fill(PAGE, "size", r"  1 MB of C:\new" + "\n\n")
    assert once == PAGE.replace("old\n", "```text\n  1 MB of C:\\new\n```\n")
    assert fill(once, "size", r"  1 MB of C:\new") == once
    assert blocks(once) == ["speed", "size"]


def test_files_fill_the_blocks_of_their_names(tmp_path: Path) -> None:
    page, files = tmp_path / "page.md", [tmp_path / "speed.txt", tmp_path / "size.txt"]
    page.write_text(PAGE)
    for file in files:
        file.write_text(f"{file.stem} 1.0\n")
    main([str(file) for file in files], page)
    text = page.read_text()
    assert "<!-- figures: speed -->\n```text\nspeed 1.0\n```\n<!-- end -->\nbetween\n" in text
    assert "old" not in text


def test_a_file_without_a_block_changes_nothing(tmp_path: Path) -> None:
    page, good, wrong = tmp_path / "page.md", tmp_path / "size.txt", tmp_path / "spead.txt"
    page.write_text(PAGE)
    good.write_text("new")
    wrong.write_text("new")
    with pytest.raises(UnknownNameError, match="'spead'; did you mean 'speed'"):
        main([str(good), str(wrong)], page)
    assert page.read_text() == PAGE
