from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context import check_customer, check_features
from agents.errors import ContextError
from agents.revision import Revision
from agents.spec import CustomerField

SCHEMA = {
    "age": CustomerField(type="integer", min=0, max=120),
    "points": CustomerField(type="integer"),
    "bill": CustomerField(type="number", min=0, max=1000),
    "plan": CustomerField(type="category", values=("basic", "plus")),
    "complaint": CustomerField(type="boolean"),
    "time_zone": CustomerField(type="zone"),
    "interests": CustomerField(type="set", values=("sport", "films", "news")),
    "renewal": CustomerField(type="instant"),
    "first_name": CustomerField(type="text"),
}


def test_a_fitting_context_is_kept_and_numbers_become_floats() -> None:
    given_features = {"age": 0, "bill": 20, "plan": "plus", "complaint": False, "time_zone": "UTC"}
    checked = check_features(SCHEMA, given_features)
    assert checked == given_features
    assert type(checked["bill"]) is float
    assert type(checked["age"]) is int


def test_null_and_absent_are_unknown_and_stay_absent() -> None:
    assert check_features(SCHEMA, {"age": None, "plan": "basic"}) == {"plan": "basic"}
    assert check_features(SCHEMA, {}) == {}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bill", math.nan, "expected a finite number, got nan"),
        ("bill", math.inf, "expected a finite number, got inf"),
        ("bill", -math.inf, "expected a finite number, got -inf"),
        ("bill", "20", "expected a finite number, got a text of length 2"),
        ("bill", True, "expected a finite number, got a boolean"),
        ("bill", -0.01, "expected a number from 0 to 1000, got one that is below"),
        ("bill", 1000.5, "expected a number from 0 to 1000, got one that is above"),
        ("bill", 10**400, "expected a number from 0 to 1000, got one that is above"),
        ("age", True, "expected a whole number, got a boolean"),
        ("age", 30.0, "expected a whole number, got a number"),
        ("age", math.nan, "expected a whole number, got nan"),
        ("age", "30", "expected a whole number, got a text of length 2"),
        ("age", [30], "expected a whole number, got a list"),
        ("age", -1, "expected a number from 0 to 120, got one that is below"),
        ("age", 121, "expected a number from 0 to 120, got one that is above"),
        ("age", 10**400, "expected a number from 0 to 120, got one that is above"),
        ("points", 10**16, "expected a number from -1e+15 to 1e+15, got one that is above"),
        ("complaint", 1, "expected true or false, got a whole number"),
        ("complaint", "true", "expected true or false, got a text of length 4"),
        ("plan", "plsu", "got none of its values; did you mean 'plus'?"),
        ("plan", "Basic", "got none of its values; did you mean 'basic'?"),
        ("plan", 1, "expected printable text of at most 256 characters, got a whole number"),
        ("plan", "x" * 257, "at most 256 characters, got a text of length 257"),
        ("plan", "a\0", r"at most 256 characters, got a text of length 2"),
        ("plan", "\ud800", r"at most 256 characters, got a text of length 1"),
        ("plan", {"a": 1}, "expected printable text of at most 256 characters, got a dict"),
        ("time_zone", "Europe/Berlim", "expected an IANA time zone such as 'Europe/Berlin'"),
        ("time_zone", "../../etc/passwd", "expected an IANA time zone such as 'Europe/Berlin'"),
        (
            "interests",
            "films",
            "expected a list of at most 3 different values, got a text of length 5",
        ),
        ("interests", {"films": 1}, "expected a list of at most 3 different values, got a dict"),
        ("interests", ["films"] * 4, "expected a list of at most 3 different values, got a list"),
        ("interests", ["films", "films"], "expected each value once, got one of them twice"),
        ("interests", ["film"], "got none of its values; did you mean 'films'?"),
        ("interests", [1], "expected printable text of at most 256 characters, got a whole number"),
        ("interests", [["films"]], "expected printable text of at most 256 characters, got a list"),
        ("interests", [None], "expected printable text of at most 256 characters, got None"),
        ("renewal", "2026-03-01", "expected an instant such as '2026-03-01T12:00:00Z', got"),
        ("renewal", "2026-03-01T12:00:00", "expected an instant such as '2026-03-01T12:00:00Z'"),
        ("renewal", "2026-02-29T12:00:00Z", "expected an instant such as '2026-03-01T12:00:00Z'"),
        ("renewal", "9999-12-31T23:59:59Z", "a year from 1900 to 2999"),
        ("renewal", 1_772_366_400, "expected an instant such as '2026-03-01T12:00:00Z', got"),
        ("renewal", True, "expected an instant such as '2026-03-01T12:00:00Z', got a boolean"),
        (
            "renewal",
            "x" * 5_000,
            "expected an instant such as '2026-03-01T12:00:00Z', got a text of length 5000",
        ),
        ("renewal", ["2026-03-01T12:00:00Z"], "got a list"),
        ("first_name", "x" * 257, "at most 256 characters, got a text of length 257"),
        ("first_name", "Ann\nBcc: eve", "expected printable text of at most 256 characters, got"),
        ("first_name", "\u202eAnn", "expected printable text of at most 256 characters, got"),
        ("first_name", 3, "expected printable text of at most 256 characters, got a whole number"),
        ("agee", 1, "is not declared in workspace.yaml; did you mean 'age'?"),
        (
            "colour",
            1,
            "is not declared in workspace.yaml; use one of: age, bill, complaint, ",
        ),
    ],
)
def test_a_context_that_does_not_fit_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ContextError) as caught:
        check_features(SCHEMA, {"plan": "basic", name: value})
    assert str(caught.value).startswith(f"customer.{name}")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_sets_instants_and_texts_are_kept_in_one_form() -> None:
    checked = check_features(
        SCHEMA,
        {
            "interests": ["films", "sport"],
            "renewal": "2026-03-01T01:30:00+05:45",
            "first_name": "Zoë 李",
        },
    )
    assert checked == {
        "interests": ("sport", "films"),  # in the order of the schema, whatever was sent
        "renewal": datetime(2026, 2, 28, 19, 45, tzinfo=UTC),
        "first_name": "Zoë 李",
    }
    assert isinstance(checked["renewal"], datetime)
    assert checked["renewal"].tzinfo is UTC
    assert check_features(SCHEMA, {"interests": []}) == {"interests": ()}
    assert check_features(SCHEMA, {"first_name": ""}) == {"first_name": ""}
    assert check_features(SCHEMA, {"first_name": "x" * 256}) == {"first_name": "x" * 256}


def test_what_was_checked_is_accepted_again_unchanged() -> None:
    checked = check_features(
        SCHEMA, {"interests": ["news", "films"], "renewal": "2026-03-01T12:00Z", "bill": 3}
    )
    assert check_features(SCHEMA, checked) == checked


@pytest.mark.parametrize(
    "name", ["age", "bill", "plan", "complaint", "time_zone", "renewal", "first_name"]
)
@pytest.mark.parametrize("in_list", [False, True])
def test_a_number_too_long_to_print_is_refused_in_words(name: str, in_list: bool) -> None:
    number = -(10**5000)  # Python itself refuses to write more than 4,300 digits
    with pytest.raises(
        ContextError,
        match="got a list" if in_list else "(a number of 16610 bits|one that is below)",
    ):
        check_features(SCHEMA, {name: [number] if in_list else number})


def test_an_undeclared_field_is_refused_even_if_it_is_null() -> None:
    with pytest.raises(ContextError, match=r"customer\.colour is not declared"):
        check_features(SCHEMA, {"colour": None})


def test_a_name_of_any_kind_is_shown_short_and_printable() -> None:
    with pytest.raises(ContextError) as caught:
        check_features(SCHEMA, {"\ud800" + "x" * 50_000: 1})
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_missing_required_fields_are_named() -> None:
    schema = SCHEMA | {
        "plan": CustomerField(type="category", values=("basic",), required=True),
        "complaint": CustomerField(type="boolean", required=True),
    }
    assert check_features(schema, {"plan": "basic", "complaint": True})
    message = "expected the required customer fields plan, complaint; got none"
    with pytest.raises(ContextError, match=message):
        check_features(schema, {"plan": None})


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(st.dictionaries(st.sampled_from(sorted(SCHEMA)), anything))
def test_what_is_kept_is_always_of_the_declared_type_and_range(values: dict[str, object]) -> None:
    try:
        checked = check_features(SCHEMA, values)
    except ContextError:
        return
    kinds: dict[str, type] = {"age": int, "points": int, "bill": float, "complaint": bool}
    kinds |= {"interests": tuple, "renewal": datetime}
    for name, value in checked.items():
        assert type(value) is kinds.get(name, str)
        if isinstance(value, float):
            assert 0 <= value <= 1000
    assert set(checked) == {name for name, value in values.items() if value is not None}


@pytest.mark.parametrize("customer", ["", "x" * 257, "a\0b", "a\nb", "\ud800", "\u202e"])
def test_an_identifier_that_cannot_be_stored_or_shown_is_refused(
    build: Callable[..., Revision], noon: datetime, customer: str
) -> None:
    with pytest.raises(ContextError, match="customer: expected printable text of 1 to 256"):
        build().context(customer, noon, {})


def test_identifiers_are_compared_as_they_are_written() -> None:
    composed, combining = "caf\u00e9", "cafe\u0301"
    assert check_customer(composed) == composed
    assert check_customer(combining) == combining != composed


def test_the_instant_is_utc(build: Callable[..., Revision]) -> None:
    local = datetime(2026, 1, 14, 13, tzinfo=timezone(timedelta(hours=1)))
    assert build().context("ann", local, {}).at.tzinfo is UTC
    with pytest.raises(ValueError, match="expected an instant with a UTC offset"):
        build().context("ann", local.replace(tzinfo=None), {})
