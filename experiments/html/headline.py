"""The first sentence of a report: is it worth it, and if that cannot be said, what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from experiments.diagnostics import needs
from experiments.evaluate import Evaluation
from experiments.html.believing import belief_of
from experiments.lift import Difference, Lift
from experiments.trust import reasons

Answer = Literal["yes", "no", "open", "unsupported"]

_PER = 1_000.0
_WHOLE = 100.0  # from here on nobody reads decimals


def amount(value: float) -> str:
    """Write an amount in whole units, or in three digits if it is small.

    Example:
        >>> amount(1234.5), amount(0.02345), amount(-7.0)
        ('1,234', '0.0234', '-7')
    """
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{'' if value < 0.0 else '+'}{amount(value)}"


@dataclass(frozen=True, slots=True)
class Headline:
    """A sentence that a marketer reads first.

    Args:
        answer: `yes` and `no` only if the whole interval is on one side of 0; `open` if the data
            are good and show neither; `unsupported` if they cannot tell.
        sentence: in words, with the interval.
        needed: what data would be needed; empty if nothing is missing.
        trust: what speaks for and against believing it; empty if the sentence says so.
    """

    answer: Answer
    sentence: str
    needed: tuple[str, ...] = ()
    trust: str = ""


_NO_CONTROL = Headline(
    "unsupported",
    "Whether it is worth it cannot be said: the log has no customers who were left alone.",
    ("A control group, drawn by chance, that is never contacted.",),
)


def lift_headline(lift: Lift, currency: str) -> Headline | None:
    """Say whether treatment was worth it, by the customers who were left alone.

    Returns:
        None if the log has no control group to compare with.
    """
    if not any(row.over == "control" and row.group == "treatment" for row in lift.differences):
        return None
    if lift.mismatch:
        return Headline(
            "unsupported",
            "Not supported: the groups' sizes contradict the declared shares, so that they cannot"
            " be compared.",
            ("A log in which every customer stays in the group that was declared.",),
        )
    found = lift.over("treatment", "control")
    if not found.enough:
        return Headline(
            "unsupported",
            "Not supported: too few customers of the treatment or the control group did anything"
            " that is worth something.",
            ("At least 10 effective conversions in either group: more time, or a larger control.",),
        )
    told = _told(found, lift.level, currency)
    if not math.isnan(lift.ratio_p):
        return replace(told, trust="the groups' sizes are as declared.")
    return Headline(
        "open" if told.answer == "yes" else told.answer,
        f"{told.sentence} But the groups' sizes were not checked against declared shares: were the"
        " groups not drawn by chance, this says nothing.",
        (*told.needed, "The log's revisions beside it, which declare the shares."),
    )


def _told(found: Difference, level: float, currency: str) -> Headline:
    span = (
        f"{100 * level:g}% interval {_signed(found.low)} to {_signed(found.high)} {currency}"
        " per 1,000 customers"
    )
    who = "than customers who were left alone"
    if found.low > 0.0:
        much = f"{amount(found.value)} {currency} per 1,000 customers more"
        return Headline("yes", f"Worth it: treated customers earned {much} {who} ({span}).")
    if found.high < 0.0:
        much = f"{amount(-found.value)} {currency} per 1,000 customers less"
        return Headline("no", f"Not worth it: treated customers earned {much} {who} ({span}).")
    return Headline(
        "open",
        f"Not shown either way: treated customers earned {_signed(found.value)} {currency}"
        " per 1,000 customers against those left alone, and no difference fits the data too"
        f" ({span}).",
        ("More customers or more time, until the interval leaves 0.",),
    )


def value_headline(evaluation: Evaluation, currency: str, compared: str = "") -> Headline:
    """Say what a policy would earn, or why that cannot be said.

    Args:
        evaluation: of the policy.
        currency: three letters.
        compared: how it does against what was logged, in a sentence; empty if that is not known.
    """
    against = reasons(evaluation)
    if against:
        why = " ".join(check.words for check in against)
        needed = needs(against)
        forced = " Its numbers are FORCED: do not rely on them." if evaluation.forced else ""
        words = f"{evaluation.target}: not supported. {why}{forced}"
        return Headline("unsupported", words, needed)
    row = evaluation.estimates[-1]
    low, high = _PER * row.low, _PER * row.high
    return Headline(
        "open",
        f"{evaluation.target} would earn about {amount(_PER * row.value)} {currency} per 1,000"
        f" decisions ({100 * row.level:g}% interval {amount(low)} to {amount(high)}, by"
        f" {row.estimator}).{compared and ' '}{compared}",
        trust=belief_of(evaluation).sentence,
    )


def difference_sentence(value: float, low: float, high: float, level: float, currency: str) -> str:
    """Say how a policy does against what was logged.

    Args:
        value: of the difference, currency per decision.
        low: end of its interval.
        high: the other end.
        level: nominal coverage.
        currency: three letters.
    """
    sure = "" if low > 0.0 or high < 0.0 else ", and no difference fits the data too"
    return (
        f"Against what was logged that is {_signed(_PER * value)} {currency} per 1,000 decisions"
        f" ({100 * level:g}% interval {_signed(_PER * low)} to {_signed(_PER * high)}){sure}."
    )


def headlines(
    evaluations: Sequence[Evaluation],
    lift: Lift | None,
    currency: str,
    *,
    worse: Sequence[str] = (),
    compared: Mapping[str, str] | None = None,
) -> tuple[Headline, ...]:
    """Return the answer about the treatment, if there is one, and one line a policy.

    Args:
        evaluations: of the policies.
        lift: of the groups; None if they were not compared.
        currency: three letters.
        worse: guardrail outcomes that got worse: who reads one sentence only must see them.
        compared: a sentence a policy, how it does against what was logged.
    """
    first = None if lift is None else lift_headline(lift, currency) or _NO_CONTROL
    if first is not None and worse:
        warned = f"{first.sentence} But it got worse in: {', '.join(worse)}."
        first = replace(first, answer="open" if first.answer == "yes" else first.answer,
                        sentence=warned)  # fmt: skip
    beside = compared or {}
    told = tuple(
        value_headline(each, currency, beside.get(each.target, "")) for each in evaluations
    )
    return told if first is None else (first, *told)
