"""The demo's folder: an earlier run makes way when asked, nothing else ever does."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.errors import StateError
from experiments.demo.run import Demo, run_demo


def plan(folder: Path, customers: int = 100) -> Demo:
    return Demo(folder, customers, 1, 1, 1)


def never(_: object) -> None:
    raise AssertionError("expected no step to be taken")


def test_a_run_that_failed_early_is_replaced(tmp_path: Path) -> None:
    demo = plan(tmp_path / "run")
    demo.workspace.mkdir(parents=True)
    demo.journal.write_text("")
    with pytest.raises(StateError, match="holds an earlier run; add --replace"):
        run_demo(demo, never, never)
    demo.remove()
    assert not demo.folder.exists()
    demo.remove()  # nothing there is nothing to refuse


def test_a_folder_of_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "mine" / "workspace").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name in ("mine", "file"):
        with pytest.raises(StateError, match="holds no earlier run of the demo; nothing removed"):
            plan(tmp_path / name).remove()
        assert (tmp_path / name).exists()


def test_a_market_that_cannot_be_leaves_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at most 10,000,000 decisions"):
        run_demo(plan(tmp_path / "run", 10**9), never, never)
    assert not (tmp_path / "run").exists()
