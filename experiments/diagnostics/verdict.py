"""The verdict: whether the data support an answer, why not, and what data would be needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.diagnostics.limits import LIMITS, Limits
from experiments.diagnostics.overlap import Diagnostics
from experiments.estimators.base import Estimate

Grade = Literal["pass", "warn", "fail"]

STEADY_VALUE = "Same value throughout"
"""The check of a policy's value in the halves of the log, by name."""

STEADIER = "A log of a time in which little changed, or of its later part alone."
"""What is needed where the halves differ."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an estimate rests on.

    Args:
        name: short.
        verdict: `fail` if no figure should be believed for it, `warn` if with care only.
        words: what was found, for a reader without statistics.
        needed: what data would help; empty if it passed.
        total: decisions like these that would do, where more of them is all that is needed; or 0.
    """

    name: str
    verdict: Grade
    words: str
    needed: str = ""
    total: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is supported.

    Args:
        checks: all that was looked at.
    """

    checks: tuple[Check, ...]

    @property
    def supported(self) -> bool:
        """Whether no check failed; otherwise no number is told."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.verdict == "fail")

    @property
    def comparable(self) -> bool:
        """Whether the policy may be held against another on the same decisions.

        A value that moved between the halves of the log is no answer by itself, and its difference
        to another may have stayed: that is judged by `experiments.diagnostics.GapDrift`.
        """
        return all(check.name == STEADY_VALUE for check in self.reasons)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found by each check that did not pass, in words."""
        return tuple(check.words for check in self.checks if check.verdict != "pass")

    @property
    def needed(self) -> tuple[str, ...]:
        """What data would be needed, see `needs`."""
        return needs(self.reasons)


def needs(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return what data checks need, each once; of numbers of decisions the largest, which will do.

    Example:
        >>> few = Check("Conversions", "fail", "", "About 10 more.", total=20)
        >>> needs([few, Check("Overlap", "fail", "", "About 90 more.", total=100)])
        ('About 90 more.',)
    """
    most = max((check.total for check in checks), default=0)
    told = (check.needed for check in checks if check.total in (0, most))
    return tuple(dict.fromkeys(filter(None, told)))


def judge(
    found: Diagnostics, estimates: Sequence[Estimate] = (), limits: Limits = LIMITS
) -> Verdict:
    """Hold what was found against `LIMITS`.

    Args:
        found: the diagnostics of a target.
        estimates: its values, to see whether SNIPS and DR agree.
        limits: of effective decisions, and of what was never tried; a gate may ask for more.
    """
    return Verdict((
        _audit(found), *_mean_weight(found), _support(found, limits), _conversions(found),
        _size(found, limits),
        _tail(found), *_agreement(estimates), *_customers(found), *_drift(found),
    ))  # fmt: skip


def _audit(found: Diagnostics) -> Check:
    name, audit = "Logged probabilities", found.audit
    if not found.whole:
        return Check(
            name, "warn",
            "Only the probability of each drawn action was logged; whether it is true cannot be"
            " tested.",
            "A log with the probability of every action.",
        )  # fmt: skip
    if audit.thinned:
        return Check(
            name, "warn",
            "Decisions were dropped from the log with different probabilities; whether those left"
            " were drawn as logged cannot be tested.",
            "A log from which nothing was dropped.",
        )  # fmt: skip
    if audit.passed:
        words = "Actions were drawn as often as the log says they should have been"
        return Check(name, "pass", f"{words} (mean weight {audit.mean_weight:.3f}, 1 expected).")
    least = min(audit.p_mean, audit.p_draws, audit.p_rare)
    return Check(
        name, "fail",
        "Actions were not drawn with the probabilities that were logged"
        f" (mean weight {audit.mean_weight:.3f}, 1 expected; p = {least:.1g}).",
        "A log whose probabilities are those that the actions were drawn with.",
    )  # fmt: skip


def _mean_weight(found: Diagnostics) -> Iterator[Check]:
    names = ("", " in the first half of the log", " in the second half of the log")
    if not found.mean_weights:
        return
    where, worst = min(zip(names, found.mean_weights, strict=False), key=lambda pair: pair[1].p)
    name = "Mean weight of this policy"
    if worst.passed:
        whole = found.mean_weights[0]
        yield Check(name, "pass", f"{whole.value:.3f}, {whole.expected:.3f} expected.")
        return
    yield Check(
        name, "fail",
        f"The weights average {worst.value:.3f}{where}, {worst.expected:.3f} expected: the choices"
        " that this policy would make were not drawn as often as was logged.",
        "A log whose probabilities are those that the actions were drawn with.",
    )  # fmt: skip


def _support(found: Diagnostics, limits: Limits) -> Check:
    name, share = "Support", found.unsupported
    words = f"{share:.2%} of the policy's choices were barred or hardly ever tried in the log."
    if share <= limits.unsupported:
        return Check(name, "pass", words)
    return Check(
        name, "fail", words,
        "Decisions in which the policy's own choices are tried, with probabilities of at least"
        f" {LIMITS.thin:g}: a higher exploration floor, a larger random group, or a canary.",
    )  # fmt: skip


def _conversions(found: Diagnostics) -> Check:
    name, seen = "Conversions", found.effective_conversions
    words = f"{seen:,.1f} effective conversions, at least {LIMITS.conversions:g} needed."
    if seen >= LIMITS.conversions:
        return Check(name, "pass", words)
    needed = more_conversions(found.n, seen, LIMITS.conversions)
    return Check(name, "fail", words, needed, _total(found.n, seen, LIMITS.conversions))


def _size(found: Diagnostics, limits: Limits) -> Check:
    name, share = "Overlap", found.ess / found.n
    words = (
        f"{found.n:,} decisions tell as much about this policy as {found.ess:,.0f} of its own"
        f" ({share:.0%})."
    )
    if found.ess < limits.ess:
        needed = _more(found.n, found.ess, limits.ess) if found.ess > 0.0 else _OWN
        total = _total(found.n, found.ess, limits.ess)
        return Check(name, "fail", f"{words} At least {limits.ess:,g} are needed.", needed, total)
    if share >= LIMITS.overlap_warning:
        return Check(name, "pass", words)
    return Check(name, "warn", words, _OWN)


def _tail(found: Diagnostics) -> Check:
    name = "Few decisions that count for much"
    words = (
        f"The ten weightiest decisions make up {found.top_share:.0%} of the estimate; the largest"
        f" weight is {found.max_weight:,.1f}."
    )
    if found.top_share < LIMITS.top_share_warning:
        return Check(name, "pass", words)
    grade: Grade = "fail" if found.top_share > LIMITS.top_share else "warn"
    return Check(name, grade, words, "More decisions, so that no handful of them decides.")


def _agreement(estimates: Sequence[Estimate]) -> Iterator[Check]:
    by_name = {row.estimator: row for row in estimates}
    if not {"snips", "dr"} <= by_name.keys():
        return
    snips, dr = by_name["snips"], by_name["dr"]
    apart, error = abs(snips.value - dr.value), max(snips.stderr, dr.stderr)
    name = "Agreement of methods"
    if apart <= LIMITS.apart_warning * error:
        yield Check(name, "pass", "SNIPS and DR agree to within a standard error.")
        return
    grade: Grade = "fail" if apart > LIMITS.apart * error else "warn"
    times = f"{apart / error:.1f} standard errors" if error > 0.0 else "without any noise"
    yield Check(
        name, grade, f"SNIPS and DR differ by {times}; trust neither alone.",
        "More decisions, or a reward model that fits better.",
    )  # fmt: skip


def _customers(found: Diagnostics) -> Iterator[Check]:
    if found.shift is None:
        return
    name, seen = "Same customers throughout", found.shift
    what = f"the mean of '{seen.feature}'" if seen.feature else "a feature's mean"
    words = (
        f"Between the halves of the log {what} moved by {seen.features:.2f} standard"
        f" deviations, and {seen.allocation:.0%} of the probability moved to other actions."
    )
    if not seen.seen:
        yield Check(name, "pass", words)
        return
    yield Check(name, "warn", words, "A log of the customers who will be decided about.")


def _drift(found: Diagnostics) -> Iterator[Check]:
    if found.drift is None:
        return
    name, seen = STEADY_VALUE, found.drift
    if not seen.seen:
        yield Check(name, "pass", "The policy's value is the same in both halves of the log.")
        return
    # No amounts: this is told also where no number is.
    words = f"The policy's value in one half of the log is {seen.share:.0%} below the other's"
    if seen.common:
        words += ", in step with all that was logged; it is that of the log's time as a whole."
        yield Check(name, "warn", words)
        return
    yield Check(
        name, "fail" if seen.great else "warn", f"{words}; their mean may hold for neither.",
        STEADIER,
    )  # fmt: skip


_OWN = "More decisions that resemble the policy's own choices."


def more_conversions(n: int, seen: float, wanted: float) -> str:
    """Say what data would bring `wanted` effective conversions, where `n` decisions have `seen`.

    Example:
        >>> more_conversions(1_000, 4.0, 10.0)
        'About 1,500 more decisions like these (2,500 in all).'
    """
    if seen <= 0.0:
        return "Decisions after which something happened that is worth something."
    return _more(n, seen, wanted)


def _more(n: int, seen: float, wanted: float) -> str:
    """Say how many more decisions are needed, as information grows in step with them.

    Example:
        >>> _more(1_000, 4.0, 10.0)
        'About 1,500 more decisions like these (2,500 in all).'
    """
    total = _total(n, seen, wanted)
    return f"About {max(1, total - n):,} more decisions like these ({total:,} in all)."


def _total(n: int, seen: float, wanted: float) -> int:
    """Return how many decisions would do, or 0 if no number of such decisions would."""
    return _rounded(n * wanted / seen) if seen > 0.0 else 0


def _rounded(count: float) -> int:
    """Round up to two digits.

    Example:
        >>> _rounded(4_181.0)
        4200
    """
    step: int = 10 ** max(0, int(math.log10(max(count, 1.0))) - 1)
    return math.ceil(count / step - 1e-9) * step
