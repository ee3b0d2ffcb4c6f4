from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.errors import StateError
from serving.running import vitality
from serving.running.vitality import check_vitality
from serving.runtime import Runtime, run
from serving.settings import Settings


def checked(
    workspace: Path, data: Path, before: Callable[[Runtime], Any] = lambda runtime: None
) -> None:
    """Start a replica's parts, do something to them, and ask whether they can do their work."""

    async def ask() -> None:
        async with run(Settings(workspace, data, clock="driven")) as runtime:
            before(runtime)
            await check_vitality(runtime)

    asyncio.run(ask())


def test_a_replica_that_works_is_well(workspace: Path, tmp_path: Path) -> None:
    checked(workspace, tmp_path / "data")


def test_a_writer_that_has_stopped_is_found(workspace: Path, tmp_path: Path) -> None:
    async def ask() -> None:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            await runtime.writer.close()
            await check_vitality(runtime)

    with pytest.raises(StateError, match="has stopped"):
        asyncio.run(ask())


def test_a_ledger_that_does_not_answer_is_found(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitality, "_PATIENCE_S", 0.05)

    async def ask() -> None:
        async with run(Settings(workspace, tmp_path / "data", clock="driven")) as runtime:
            forever = asyncio.get_running_loop().create_future()
            monkeypatch.setattr(runtime.writer, "submit", lambda work: forever)
            try:
                await check_vitality(runtime)
            finally:
                monkeypatch.undo()

    with pytest.raises(StateError, match="has not answered within"):
        asyncio.run(ask())


def test_a_full_disk_is_found(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((*real[:3], 0, 0, *real[5:]))
    with pytest.raises(StateError, match="disk of .* is full: expected 16 MB free, got 0"):
        checked(
            workspace,
            tmp_path / "data",
            lambda runtime: monkeypatch.setattr(os, "statvfs", lambda _path: full),
        )
