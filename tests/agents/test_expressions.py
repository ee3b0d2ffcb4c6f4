from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter

import pytest

from agents.context import FeatureValue, check_features
from agents.expressions import Language
from agents.revision import Revision
from agents.spec import CustomerField

SCHEMA = {
    "age": CustomerField(type="integer"),
    "bill": CustomerField(type="number"),
    "plan": CustomerField(type="category", values=("basic", "plus")),
    "complaint": CustomerField(type="boolean"),
    "time_zone": CustomerField(type="zone"),
    "city": CustomerField(type="text"),
    "interests": CustomerField(type="set", values=("sports", "films", "news")),
    "moved": CustomerField(type="instant"),
}
LANGUAGE = Language(SCHEMA)
NOW = datetime(2026, 1, 14, 12, tzinfo=UTC)
KNOWN: dict[str, FeatureValue] = {
    "age": 30,
    "bill": 20.5,
    "plan": "basic",
    "complaint": False,
    "time_zone": "UTC",
    "city": "Graz",
    "interests": ("sports", "news"),
    "moved": datetime(2026, 1, 7, 12, tzinfo=UTC),
}


def refusal(source: str, features: dict[str, FeatureValue]) -> str | None:
    return LANGUAGE.compile(source).refusal(LANGUAGE.bind(features, NOW))


def denial(source: str, features: dict[str, FeatureValue]) -> str | None:
    return LANGUAGE.compile(source).denial(LANGUAGE.bind(features, NOW))


@pytest.mark.parametrize(
    "source",
    [
        "customer.age >= 18",
        "customer.bill > 20.0 && customer.plan == 'basic'",
        "!customer.complaint",
        "customer.plan in ['basic', 'plus']",
        "customer.time_zone.startsWith('U')",
        "customer.age > 99 ? false : true",
        "true",
        "customer.city == 'Graz'",
        "'sports' in customer.interests && !('films' in customer.interests)",
        "size(customer.interests) == 2",
        "customer.interests.exists(i, i.startsWith('n'))",
        "customer.moved < now",
        "now - customer.moved == duration('168h')",
        "customer.moved == timestamp('2026-01-07T12:00:00Z')",
        "now.getHours('Europe/Berlin') == 13 && now.getDayOfWeek() == 3",
    ],
)
def test_exactly_true_is_no_refusal(source: str) -> None:
    assert refusal(source, KNOWN) is None
    assert denial(source, KNOWN) == f"{source} is true"
    assert denial(f"!({source})", KNOWN) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("customer.age > 30", "customer.age > 30 is false"),
        ("customer.complaint", "customer.complaint is false"),
        (
            "customer.age / 0 > 1",
            "customer.age / 0 > 1 is unknown: INVALID_ARGUMENT: divide by zero",
        ),
        ("'films' in customer.interests", "'films' in customer.interests is false"),
        (
            "now.getHours('Mars/Base') == 1",
            "now.getHours('Mars/Base') == 1 is unknown: INVALID_ARGUMENT: Invalid timezone",
        ),
    ],
)
def test_false_and_errors_are_refusals(source: str, reason: str) -> None:
    assert refusal(source, KNOWN) == reason


@pytest.mark.parametrize(
    "source", ["customer.complaint", "!customer.complaint", "!!customer.complaint"]
)
def test_a_missing_field_never_lets_anything_through(source: str) -> None:
    assert refusal(source, {}) == f"{source} is unknown: no value for customer.complaint"
    assert denial(source, {}) == f"{source} is unknown: no value for customer.complaint"


@pytest.mark.parametrize(
    ("source", "answers"),
    [
        ("customer.complaint", (None, "true")),
        ("!customer.complaint", ("false", None)),
        ("customer.age / 0 > 1", ("unknown", "unknown")),
        ("customer.city == 'Graz'", ("unknown", "unknown")),
    ],
)
def test_neither_true_nor_false_is_both_refused_and_denied(
    source: str, answers: tuple[str | None, str | None]
) -> None:
    features: dict[str, FeatureValue] = {"complaint": True, "age": 1}
    for answer, expected in zip(
        (refusal(source, features), denial(source, features)), answers, strict=True
    ):
        if expected is None:
            assert answer is None
        else:
            assert str(answer).startswith(f"{source} is {expected}")


@pytest.mark.parametrize("name", SCHEMA)
def test_every_type_of_field_can_be_bound(name: str) -> None:
    source = f"customer.{name} == customer.{name}"
    assert refusal(source, KNOWN) is None
    assert refusal(source, {}) == f"{source} is unknown: no value for customer.{name}"


def test_checked_features_bind_as_they_were_sent() -> None:
    sent = {"interests": ["news", "sports"], "moved": "2026-01-07T13:00:00+01:00"}
    features = check_features(SCHEMA, sent)
    assert refusal("customer.interests == ['sports', 'news']", features) is None
    assert refusal("customer.moved == timestamp('2026-01-07T12:00:00Z')", features) is None


def test_an_empty_set_is_known() -> None:
    assert refusal("size(customer.interests) == 0", {"interests": ()}) is None


def test_now_is_an_instant_however_it_is_written() -> None:
    condition = LANGUAGE.compile("now == timestamp('2026-01-14T12:00:00.000001Z')")
    later = NOW + timedelta(microseconds=1)
    assert condition.refusal(LANGUAGE.bind({}, later)) is None
    elsewhere = later.astimezone(timezone(timedelta(hours=9)))
    assert condition.refusal(LANGUAGE.bind({}, elsewhere)) is None
    assert condition.refusal(LANGUAGE.bind({}, NOW)) is not None


@pytest.mark.parametrize("year", [1900, 2999])
def test_the_first_and_last_year_that_instants_may_have_are_known(year: int) -> None:
    features: dict[str, FeatureValue] = {"moved": datetime(year, 12, 31, tzinfo=UTC)}
    assert refusal(f"customer.moved.getFullYear() == {year}", features) is None
    assert refusal("customer.moved != now", features) is None


def test_a_span_of_more_than_292_years_is_unknown() -> None:
    features: dict[str, FeatureValue] = {"moved": datetime(2999, 12, 31, tzinfo=UTC)}
    source = "customer.moved - now > duration('1h')"
    assert refusal(source, features) == f"{source} is unknown: OUT_OF_RANGE: integer overflow"


def test_one_missing_field_is_named_among_known_ones() -> None:
    source = "customer.age > 18 && customer.bill > 1.0"
    assert refusal(source, {"age": 30}) == f"{source} is unknown: no value for customer.bill"
    assert refusal(source, {"age": 3}) == f"{source} is false"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("customer.agee > 1", "1:9: undeclared reference to 'customer.agee';"
         " did you mean 'customer.age'?"),
        ("\n age > 1", "2:2: undeclared reference to 'age'; did you mean 'customer.age'?"),
        ("customer.colour == 'x'", "1:9: undeclared reference to 'customer.colour';"),
        ("customer", "1:1: undeclared reference to 'customer';"),
        ("no_such_function(1)", "undeclared reference to 'no_such_function';"),
        ("customer.age > 'x'", "1:14: found no matching overload for '_>_' applied to"
         " '(int, string)'"),
        ("customer.bill > 3", "'(double, int)'; write whole numbers beside a 'number' field with a"
         " point, as in 3.0"),
        ("customer.age", "expected an expression that is true or false, got INT"),
        ("customer.plan", "expected an expression that is true or false, got STRING"),
        ("null", "expected an expression that is true or false, got NULL"),
        ("dyn(customer.age)", "expected an expression that is true or false, got DYN"),
        ("customer.interests == 'news'", "'(list(string), string)'; ask whether a set holds a value"
         " as in 'sports' in customer.interests"),
        ("customer.moved > '2026-01-01'", "write an instant as timestamp('2026-03-31T00:00:00Z')"),
        ("now - customer.moved > '7d'", "write a span of time as duration('168h')"),
        ("now - customer.moved > 7", "write a span of time as duration('168h')"),
        ("now - customer.moved > duration('7d')", "duration('7d'): expected hours, minutes and"
         " seconds, as in duration('168h') for a week"),
        ('now > timestamp( "2026-01-01" )', 'timestamp( "2026-01-01" ): expected an instant, as in'
         " timestamp('2026-03-31T00:00:00Z')"),
        ("now > duration('1h') && now < customer.moved", "found no matching overload"),
        ("nwo > customer.moved", "1:1: undeclared reference to 'nwo'; did you mean 'now'?"),
        ("now", "expected an expression that is true or false, got TIMESTAMP"),
        ("customer.complaint &&", "1:22: Syntax error:"),
        ("customer.age > 9223372036854775808", "1:16: invalid int literal"),
        ("(" * 40 + "customer.complaint" + ")" * 40, "recursion limit exceeded. limit: 32"),
        ("(" * 900 + "customer.complaint" + ")" * 900, "recursion limit exceeded. limit: 32"),
        ("", "Syntax error"),
        ("customer.complaint\0", "1:19: Syntax error"),
    ],
)  # fmt: skip
def test_what_does_not_compile_is_a_value_error(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LANGUAGE.compile(source)


def test_a_pattern_that_backtracks_elsewhere_is_matched_in_linear_time() -> None:
    began = perf_counter()
    reason = refusal("customer.plan.matches('(a+)+$')", {"plan": "a" * 250 + "!"})
    assert reason == "customer.plan.matches('(a+)+$') is false"
    assert perf_counter() - began < 1.0


def test_a_loop_without_end_is_cut_off_and_bars(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    numbers = "[" + ",".join("1" * 150) + "]"
    loop = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, {numbers}.all(d, a + b > 0))))"
    revision = build(audience=f"'{loop}'")
    began = perf_counter()
    mask = revision.mask(revision.context("ann", noon, features))
    assert mask.all_barred
    assert str(mask.reasons[1]).startswith(f"audience: {loop} is unknown: ")
    assert "Iteration budget exceeded" in str(mask.reasons[1])
    assert perf_counter() - began < 2.0


def test_the_decision_s_instant_is_what_expressions_know_as_now(
    build: Callable[..., Revision], features: dict[str, object], noon: datetime
) -> None:
    revision = build(audience="now.getHours() < 12")
    assert revision.mask(revision.context("ann", noon, features)).all_barred
    morning = noon - timedelta(minutes=1)
    assert not revision.mask(revision.context("ann", morning, features)).all_barred
