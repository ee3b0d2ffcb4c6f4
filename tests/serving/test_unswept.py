"""The collector of cycles rests while a batch works, and goes on afterwards."""

from __future__ import annotations

import gc
import threading

import pytest

from serving.deciding.unswept import unswept


def test_the_collector_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="odd"), unswept():
        assert not gc.isenabled()
        raise ValueError("odd")
    assert gc.isenabled()


def test_one_inside_another_does_not_end_it() -> None:
    with unswept():
        with unswept():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with unswept():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_goes_on_when_the_last_of_several_threads_is_done() -> None:
    inside, done = threading.Barrier(2, timeout=20), threading.Event()

    def work() -> None:
        with unswept():
            inside.wait()
            assert done.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    with unswept():
        inside.wait()
    assert not gc.isenabled()  # the other one is at work
    done.set()
    thread.join(20)
    assert gc.isenabled()


def test_whoever_comes_while_another_leaves_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look and the switch another thread may leave: then it would be off for good."""
    entered, leaving, left = threading.Event(), threading.Event(), threading.Event()

    def leave() -> None:
        with unswept():
            entered.set()
            assert leaving.wait(20)
        left.set()

    thread = threading.Thread(target=leave)
    enabled = gc.isenabled

    def looked() -> bool:
        found = enabled()
        leaving.set()
        assert left.wait(20)
        return found

    thread.start()
    assert entered.wait(20)
    monkeypatch.setattr(gc, "isenabled", looked)
    with unswept():
        leaving.set()
    thread.join(20)
    assert enabled()
