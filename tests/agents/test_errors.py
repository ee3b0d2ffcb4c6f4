from __future__ import annotations

import pytest

from agents import errors
from agents.errors import DocumentError, NextbestError, did_you_mean


def test_every_error_is_a_nextbest_error_and_stands_in_the_drawn_tree() -> None:
    found = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    classes = [thing for thing in found if issubclass(thing, Exception)]
    assert len(classes) > 5
    for thing in classes:
        assert issubclass(thing, NextbestError)
        assert thing.__name__ in str(errors.__doc__)


def test_a_document_error_says_where() -> None:
    error = DocumentError("no", file="a.yaml", line=3, column=5, path=("offers", "x"))
    assert str(error) == "a.yaml:3:5: at offers.x: no"
    assert (error.file, error.line, error.column, error.path) == ("a.yaml", 3, 5, ("offers", "x"))
    assert str(DocumentError("no", file="a.yaml", line=1, column=1)) == "a.yaml:1:1: no"


@pytest.mark.parametrize(
    ("word", "choices", "hint"),
    [
        ("emial", ["sms", "email"], "did you mean 'email'?"),
        ("fax", ["sms", "email"], "use one of: email, sms"),
        ("fax", [], "none is declared"),
        ("", ["sms"], "use one of: sms"),
        ("x" * 100_000, ["sms"], "use one of: sms"),
    ],
)
def test_did_you_mean(word: str, choices: list[str], hint: str) -> None:
    assert did_you_mean(word, choices) == hint
    assert did_you_mean(word, dict.fromkeys(choices)) == hint


def test_of_very_many_choices_some_are_named() -> None:
    ids = [f"article_{n:04}" for n in range(2_000)]
    told = did_you_mean("fax", ids)
    assert told.startswith("use one of: article_0000, ")
    assert told.endswith(", article_0049, ... (2,000 in all)")
