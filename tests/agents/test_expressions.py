from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import perf_counter

import pytest

from agents.expressions import Language
from agents.revision import Revision
from agents.spec import CustomerField

LANGUAGE = Language(
    {
        "age": CustomerField(type="integer"),
        "bill": CustomerField(type="number"),
        "plan": CustomerField(type="category", values=("basic", "plus")),
        "complaint": CustomerField(type="boolean"),
        "time_zone": CustomerField(type="zone"),
    }
)
KNOWN: dict[str, bool | int | float | str] = {
    "age": 30,
    "bill": 20.5,
    "plan": "basic",
    "complaint": False,
    "time_zone": "UTC",
}


def refusal(source: str, features: dict[str, bool | int | float | str]) -> str | None:
    return LANGUAGE.compile(source).refusal(LANGUAGE.bind(features))


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
    ],
)
def test_exactly_true_is_no_refusal(source: str) -> None:
    assert refusal(source, KNOWN) is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("customer.age > 30", "customer.age > 30 is false"),
        ("customer.complaint", "customer.complaint is false"),
        (
            "customer.age / 0 > 1",
            "customer.age / 0 > 1 is unknown: INVALID_ARGUMENT: divide by zero",
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
        ("customer.complaint &&", "1:22: Syntax error:"),
        ("customer.age > 9223372036854775808", "1:16: invalid int literal"),
        ("(" * 40 + "customer.complaint" + ")" * 40, "recursion limit exceeded. limit: 32"),
        ("(" * 900 + "customer.complaint" + ")" * 900, "recursion limit exceeded. limit: 32"),
        ("", "Syntax error"),
        ("customer.complaint\0", "1:19: Syntax error"),
    ],
)  # fmt: skip
def test_what_does_not_compile_is_a_value_error(source: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        LANGUAGE.compile(source)
    assert message in str(caught.value)


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
    assert str(mask.reasons[1]).startswith("audience: could not be checked (RuntimeError: ")
    assert "Iteration budget exceeded" in str(mask.reasons[1])
    assert perf_counter() - began < 2.0
