"""What lies in the snapshots folder and is not the learner's own is never loaded or run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.errors import SnapshotError
from serving.learning.snapshots import SnapshotFolder
from serving.settings import load_keys, prepare_data

NAME = "000000000001-0123456789ab"
# pickle's opcodes by hand: GLOBAL builtins exec, the text, REDUCE, STOP
RUNS = "import pathlib; pathlib.Path({!r}).touch()"


def pickled(code: str) -> bytes:
    return b"cbuiltins\nexec\n(V" + code.encode() + b"\ntR."


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    prepare_data(tmp_path / "data")
    return SnapshotFolder(tmp_path / "snapshots", load_keys(tmp_path / "data").snapshot)


def put(folder: SnapshotFolder, content: bytes) -> None:
    place = folder.folder / "sales"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{NAME}.snapshot").write_bytes(content)


def test_a_pickle_is_refused_and_not_run(folder: SnapshotFolder, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    put(folder, pickled(RUNS.format(str(ran))))
    with pytest.raises(SnapshotError):
        folder.read("sales", NAME)
    assert folder.newest("sales", lambda *_: None) is None
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04.", b"PK\x03\x04", bytes(4096)])
def test_other_content_is_refused(folder: SnapshotFolder, content: bytes) -> None:
    put(folder, content)
    with pytest.raises(SnapshotError):
        folder.read("sales", NAME)


def test_the_pickle_of_the_test_would_run(tmp_path: Path) -> None:
    """Otherwise the first test could not fail."""
    import pickle

    ran = tmp_path / "ran"
    loaded: Any = pickle.loads(pickled(RUNS.format(str(ran))))
    assert loaded is None
    assert ran.exists()
