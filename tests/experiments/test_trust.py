"""Every diagnostic has a verdict, and one that fails says what data would help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from experiments.diagnostics import Audit, Diagnostics
from experiments.estimators import Estimate
from experiments.evaluate import Evaluation, evaluate
from experiments.logs import LoggedDecisions
from experiments.targets import logged_target
from experiments.trust import checks, reasons

MakeLog = Callable[..., LoggedDecisions]

AUDIT = Audit(1.0, 0.0, 0.9, 3.0, 4, 0.8, 0, 0.0, 1.0)
GOOD = Diagnostics(1_000, 400.0, 60.0, 4.0, 0.1, 0.001, AUDIT)
SNIPS = Estimate("snips", 1.0, 0.2, 0.5, 1.5, 400.0, 60.0, 1_000, 0.95)
DR = replace(SNIPS, estimator="dr", value=1.1)


def judged(diagnostics: Diagnostics = GOOD, *rows: Estimate) -> dict[str, tuple[str, str]]:
    found = checks(Evaluation("a", rows or (SNIPS, DR), diagnostics, ()))
    return {check.name: (check.verdict, check.needed) for check in found}


def test_a_good_log_passes_and_needs_nothing() -> None:
    assert set(judged().values()) == {("pass", "")}
    assert len(judged()) == 6


@pytest.mark.parametrize(
    ("found", "name", "verdict", "needed"),
    [
        (replace(GOOD, audit=replace(AUDIT, p_draws=1e-9)), "Logged probabilities", "fail",
         "whose probabilities are those that the actions were drawn with"),
        (replace(GOOD, unsupported=0.2), "Support", "fail", "a canary"),
        (replace(GOOD, effective_conversions=4.0), "Conversions", "fail",
         "About 1,500 more decisions"),
        (replace(GOOD, effective_conversions=0.0), "Conversions", "fail", "something happened"),
        (replace(GOOD, ess=50.0), "Overlap", "warn", "resemble"),
        (replace(GOOD, top_share=0.7), "Few decisions that count for much", "warn", "no handful"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_would_help(
    found: Diagnostics, name: str, verdict: str, needed: str
) -> None:
    told = judged(found)
    assert told[name][0] == verdict
    assert needed in told[name][1]
    assert {value[0] for key, value in told.items() if key != name} == {"pass"}
    against = reasons(Evaluation("a", (SNIPS, DR), found, ()))
    assert [check.name for check in against] == ([name] if verdict == "fail" else [])


@pytest.mark.parametrize(("value", "verdict"), [(1.19, "pass"), (1.3, "warn"), (1.5, "fail")])
def test_methods_that_differ(value: float, verdict: str) -> None:
    assert judged(GOOD, SNIPS, replace(DR, value=value))["Agreement of methods"][0] == verdict
    assert "Agreement of methods" not in judged(GOOD, SNIPS)


def test_a_real_evaluation_is_judged(make_log: MakeLog) -> None:
    log = make_log(3_000, 5)
    assert reasons(evaluate(log, logged_target(log))) == ()
