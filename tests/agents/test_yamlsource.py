from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import DocumentError
from agents.yamlsource import MAX_BYTES, read_yaml

ANCHORS = "anchors and aliases are not accepted; write it out"
BANG = "put quotes around text that begins with '!'"
KEY = "expected a name as key; put quotes around text that begins with '{'"
NUMBER = "expected a plain decimal number such as 17 or 0.5, got {!r};"
NUMBER += " put quotes around it if it is text"
MAPPING = "expected keys and values, as in 'agent: name'"
DEEP = "expected at most 20 levels of nesting"
SECOND = "expected one document in a file, got a second '---'"

# Each doubles the one before it; walked without care, nine lines become hundreds of millions.
ALIAS_BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("start: 21:00", {"start": "21:00"}),
        ("country: NO", {"country": "NO"}),
        ("on: complaint", {"on": "complaint"}),
        ("a: [yes, off, y]", {"a": ["yes", "off", "y"]}),
        ("%YAML 1.1\n---\nstart: 21:00\ncountry: NO", {"start": "21:00", "country": "NO"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("1: x\ntrue: y", {"1": "x", "true": "y"}),
        ("a: true\nb: False\nc: FALSE", {"a": True, "b": False, "c": False}),
        ("a: null\nb: ~\nc:", {"a": None, "b": None, "c": None}),
        ("a: tRUE", {"a": "tRUE"}),
        ("a: 12\nb: -3\nc: +4\nd: 0", {"a": 12, "b": -3, "c": 4, "d": 0}),
        ("a: 0.5\nb: -1.25e3", {"a": 0.5, "b": -1250.0}),
        ("a: '12'\nb: \"true\"\nc: |\n  12\n", {"a": "12", "b": "true", "c": "12\n"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("\ufeffa: 1", {"a": 1}),
        ("# note\n---\na: {b: [1, {c: 2}]}\n...\n", {"a": {"b": [1, {"c": 2}]}}),
    ],
)
def test_values_are_plain_and_unsurprising(text: str, value: dict[str, object]) -> None:
    assert read_yaml(text, "f").value == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "3:1: the key 'a' stands here a second time"),
        ("a:\n  - {k: 1, k: 2}", "2:12: at a.0: the key 'k' stands here a second time"),
        ('a: 1\n"a": 2', "2:1: the key 'a' stands here a second time"),
        ("a: &x 1", f"1:4: at a: {ANCHORS}"),
        ("a: *x", f"1:4: at a: {ANCHORS}"),
        (ALIAS_BOMB, f"1:4: at a: {ANCHORS}"),
        ("a: !foo 1", f"1:4: at a: tags are not accepted, got !foo; {BANG}"),
        ("a: ! 1", f"1:4: at a: tags are not accepted, got !; {BANG}"),
        (
            "a: !!python/object/apply:os.system [echo]",
            "1:4: at a: tags are not accepted, got tag:yaml.org,2002:python/object/apply:os.system;"
            f" {BANG}",
        ),
        ("a: 017", f"1:4: at a: {NUMBER.format('017')}"),
        ("a: 0x1F", f"1:4: at a: {NUMBER.format('0x1F')}"),
        ("a: 0o17", f"1:4: at a: {NUMBER.format('0o17')}"),
        ("a: 1_000", f"1:4: at a: {NUMBER.format('1_000')}"),
        ("a: 1e5", f"1:4: at a: {NUMBER.format('1e5')}"),
        ("a: .nan", f"1:4: at a: {NUMBER.format('.nan')}"),
        ("a: .NaN", f"1:4: at a: {NUMBER.format('.NaN')}"),
        ("a: .inf", f"1:4: at a: {NUMBER.format('.inf')}"),
        ("a: -.Inf", f"1:4: at a: {NUMBER.format('-.Inf')}"),
        ("a: 1.0e400", f"1:4: at a: {NUMBER.format('1.0e400')}"),
        ("a: -1.0e999", f"1:4: at a: {NUMBER.format('-1.0e999')}"),
        (f"a: {'9' * 400}", f"1:4: at a: {NUMBER.format('9' * 40)}"),
        (f"a: -{'9' * 5000}", f"1:4: at a: {NUMBER.format('-' + '9' * 39)}"),
        ("", "1:1: the file is empty"),
        ("# only a comment\n", "1:1: the file is empty"),
        ("---\n", f"2:1: {MAPPING}"),
        ("- a\n- b", f"1:1: {MAPPING}"),
        ("just words", f"1:1: {MAPPING}"),
        ("a: 1\n---\nb: 2", f"3:1: {SECOND}"),
        ("a: 1\n...\nb: 2", f"3:1: {SECOND}"),
        (f"a: {'[' * 1000}{']' * 1000}", f"1:24: at a.0.0: {DEEP}"),
        ("[" * 100_000, f"1:1: {MAPPING}"),
        ("".join(f"{' ' * i}a:\n" for i in range(100)), f"22:22: at a.a.a: {DEEP}"),
        ("? [a, b]\n: 1", f"1:3: {KEY}"),
        ("{a: 1}: 2", f"1:1: {KEY}"),
        (
            "a: [1, 2\nb: 3",
            "2:2: this is not YAML: expected ',' or ']', but got ':'; put quotes around text that"
            " holds ': ', and close every bracket",
        ),
        (
            "a: 1\n b: 2",
            "2:3: this is not YAML: mapping values are not allowed here; check the indentation, and"
            " put quotes around text that holds ': '",
        ),
        (
            "a:\n\t- 1",
            "2:1: this is not YAML: found character '\\t' that cannot start any token; indent with"
            " spaces",
        ),
        (
            "a: @x",
            "1:4: this is not YAML: found character '@' that cannot start any token; put quotes"
            " around text that begins with it",
        ),
        ("a: 1\nb: \0", r"2:4: this is not YAML: the character '\x00' is not accepted"),
        ("a: 1\nbé: \ud800", r"2:5: this is not YAML: the character '\ud800' is not accepted"),
        ('a: "\\ud800"', r"1:4: at a: the character '\ud800' is not accepted"),
        ('a: "x\\0"', r"1:4: at a: the character '\x00' is not accepted"),
        ('"\\a": 1', r"1:1: the character '\x07' is not accepted"),
        (f"a: {'x' * MAX_BYTES}", "1:1: expected at most 1,000,000 bytes"),
        (f"a: {'é' * 600_000}", "1:1: expected at most 1,000,000 bytes"),
    ],
)
def test_a_refusal_names_file_line_and_column(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_yaml(text, "f.yaml")
    assert str(caught.value) == f"f.yaml:{message}"
    error = caught.value
    assert [str(error.line), str(error.column)] == message.split(":")[:2]


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.yamlsource.MAX_NODES", 100)
    assert len(read_yaml(f"a: [{'1,' * 97}]", "f").value["a"]) == 97
    with pytest.raises(DocumentError, match="expected at most 100 values in one file"):
        read_yaml(f"a: [{'1,' * 98}]", "f")


def test_places_are_of_keys_and_items() -> None:
    source = read_yaml("a:\n  b: [x,\n      y]\n", "f.yaml")
    assert source.places == {
        ("a",): (1, 1),
        ("a", "b"): (2, 3),
        ("a", "b", "0"): (2, 7),
        ("a", "b", "1"): (3, 7),
    }


def test_an_error_points_at_the_nearest_parent_with_a_place() -> None:
    source = read_yaml("a:\n  b: 1\n", "f.yaml")
    assert str(source.error(("a", "b"), "no")) == "f.yaml:2:3: at a.b: no"
    assert str(source.error(("a", "x", "y"), "no")) == "f.yaml:1:1: at a.x.y: no"
    assert str(source.error((), "no")) == "f.yaml:1:1: no"


@given(st.text(alphabet=st.characters(codec=None), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = read_yaml(text, "f").value
    except DocumentError:
        return
    assert all(isinstance(key, str) for key in value)


@given(st.text(alphabet=":-[]{}&*!|>'\"%@`#,? \t\nab1.\0\ud800", max_size=30))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    try:
        value = read_yaml(text, "f").value
    except DocumentError:
        return
    assert all(isinstance(key, str) for key in value)
