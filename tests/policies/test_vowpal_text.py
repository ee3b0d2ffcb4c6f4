from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.actions import NONE
from agents.revision import Revision
from policies.vowpal.text import action_line, escape, shared_line


@given(st.text())
def test_escaped_names_hold_no_syntax_and_stay_apart(name: str) -> None:
    escaped = escape(name)
    assert not set(escaped) & set("|: \t\n\r")
    assert escaped.isascii()
    assert unquote(escaped) == name


def test_lone_surrogates_do_not_raise() -> None:
    assert escape("a\ud800") == "a%5Cud800"


def test_lines(revision: Revision) -> None:
    action = revision.actions[revision.index("bill_explained/plain@email#morning")]
    line = action_line(action)
    assert line == (
        "|o bill_explained |c email |h morning |i bill_explained%2Fplain%40email%23morning"
    )
    assert action_line(NONE) == "|o _ |c _ |h _ |i none"
    assert shared_line([], np.zeros(0)) == "shared |s"
    assert shared_line(["a", "b"], np.array([-1e-7, 5.0])) == "shared |s a:-1e-07 b:5"


def test_words_of_a_variant(revision: Revision) -> None:
    action = revision.actions[revision.index("bill_explained/plain@email#morning")]
    line = action_line(replace(action, text="Now {{ customer.name }}: now|o 0:1 Über"), words=True)
    (words,) = re.findall(r"\|t (.*?) \|i", line)
    assert words == "now:0.707107 o:0.353553 0:0.353553 1:0.353553 %C3%BCber:0.353553"
    assert "|t" not in action_line(replace(action, text="{{ customer.name }} -- !"), words=True)
    assert "|t" not in action_line(action)
