"""The page: what was found, why it can or cannot be trusted, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray

from agents.errors import StateError
from experiments.evaluate import Evaluation
from experiments.html.believing import belief_of
from experiments.html.headline import headlines
from experiments.html.records import evaluation_records, to_json, to_tsv
from experiments.html.sheets import Sheet, sheet_of
from experiments.lift import Lift
from experiments.lift.metrics import MetricResult
from experiments.logs import LoggedDecisions
from experiments.plots import (
    Interval,
    LiftCurve,
    allocation_of,
    draw_allocation,
    draw_lift,
    draw_values,
    draw_weights,
    to_png,
    to_svg,
)
from experiments.report import (
    diagnostics_table,
    groups_table,
    lift_table,
    lift_warnings,
    metrics_table,
    metrics_warnings,
    value_table,
)
from experiments.tracking.environment import environment
from experiments.trust import reasons
from experiments.weights import importance_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PER = 1_000.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page is made of, beside evaluations and log.

    Args:
        currency: three letters.
        lift: of the groups, if they were compared.
        metrics: of the agent's outcomes, if there are any.
        curve: the lift over time, if it was worked out.
        targets: (N, A) probabilities of the policies that were valued, by name, for the weights.
        fingerprint: SHA-256 of the log.
        command: that repeats the evaluation.
        title: of the page.
        compared: a sentence a policy, how it does against what was logged.
        closer: what else was asked for, such as differences, segments and parts.
    """

    currency: str = "currency"
    lift: Lift | None = None
    metrics: Sequence[MetricResult] = ()
    curve: LiftCurve | None = None
    targets: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    fingerprint: str = ""
    command: str = ""
    title: str = "Evaluation"
    compared: Mapping[str, str] = field(default_factory=dict)
    closer: Sequence[Sheet] = ()


@dataclass(frozen=True, slots=True)
class _Plot:
    """A plot of a page: a word for its identifiers, its heading and what it shows."""

    name: str
    heading: str
    told: str
    figure: Figure

    @property
    def svg(self) -> Markup:
        """The element; every name in it was escaped when it was written."""
        return Markup(to_svg(self.figure, self.name, self.told))  # noqa: S704 - as said above


def write_html(
    path: Path, evaluations: Sequence[Evaluation], log: LoggedDecisions, facts: Facts | None = None
) -> None:
    """Write a report as one HTML file that needs no network and no scripts.

    Args:
        path: of the file; replaced if it is there.
        evaluations: at least one, on the same log.
        log: the decisions that were valued.
        facts: what else is known.

    Raises:
        StateError: the file cannot be written.
        ValueError: no evaluations.
    """
    text = render_html(evaluations, log, facts)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StateError(f"the report {path} cannot be written: {error.strerror}") from error


def render_html(
    evaluations: Sequence[Evaluation], log: LoggedDecisions, facts: Facts | None = None
) -> str:
    """Return the text of the page, see `write_html`; the same arguments give the same text."""
    if not evaluations:
        raise ValueError("expected at least one evaluation to report, got none")
    facts = facts or Facts()
    record = evaluation_records(evaluations, fingerprint=facts.fingerprint, command=facts.command)
    warnings = [f"{each.target}: {words}" for each in evaluations for words in each.warnings]
    warnings += [] if facts.lift is None else lift_warnings(facts.lift)
    return _template().render(
        facts=facts,
        headlines=headlines(
            evaluations,
            facts.lift,
            facts.currency,
            worse=[each.outcome for each in facts.metrics if each.worse],
            compared=facts.compared,
        ),
        plots=_plots(evaluations, log, facts),
        beliefs=[belief_of(each) for each in evaluations],
        sections=_sections(evaluations, facts),
        warnings=warnings + metrics_warnings(facts.metrics),
        tsv=to_tsv(evaluations),
        json=to_json(record).decode(),
        environment=environment(),
        first=str(log.at.min())[:10],
        last=str(log.at.max())[:10],
        n=len(log),
    )


def evaluation_files(
    evaluations: Sequence[Evaluation], log: LoggedDecisions, facts: Facts | None = None
) -> dict[str, bytes]:
    """Return what is kept with a run: the page, its plots as PNG, and everything as JSON."""
    facts = facts or Facts()
    record = evaluation_records(evaluations, fingerprint=facts.fingerprint, command=facts.command)
    files = {
        "report.html": render_html(evaluations, log, facts).encode(),
        "evaluation.json": to_json(record),
    }
    plots = _plots(evaluations, log, facts)
    return files | {f"plots/{plot.name}.png": to_png(plot.figure) for plot in plots}


@cache
def _template() -> Template:
    loader = PackageLoader("experiments", "html")
    kept = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return kept.get_template("page.html.j2")


def _sections(evaluations: Sequence[Evaluation], facts: Facts) -> list[tuple[str, list[Sheet]]]:
    """Return the tables of the page under their headings."""
    values = [
        sheet_of(value_table(evaluations, facts.currency)),
        sheet_of(diagnostics_table(evaluations)),
    ]
    sections = [("The figures", values)]
    if facts.lift is not None:
        groups = [sheet_of(make(facts.lift, facts.currency)) for make in (groups_table, lift_table)]
        sections.append(("Treated customers beside others", groups))
    if facts.metrics:
        level = evaluations[0].level if facts.lift is None else facts.lift.level
        sections.append(("Outcomes to watch", [sheet_of(metrics_table(facts.metrics, level))]))
    if facts.closer:
        sections.append(("Looked at more closely", list(facts.closer)))
    filled = [(heading, [each for each in sheets if each.rows]) for heading, sheets in sections]
    return [(heading, sheets) for heading, sheets in filled if sheets]


def _plots(
    evaluations: Sequence[Evaluation], log: LoggedDecisions, facts: Facts
) -> tuple[_Plot, ...]:
    some = any(each.shown for each in evaluations)
    values = [_values(evaluations, log, facts.currency)] if some else []
    plots = [*values, _allocation(log)]
    if facts.curve is not None and facts.lift is not None:
        unit = f"{facts.currency} per 1,000 customers"
        figure = draw_lift(facts.curve, unit=unit, level=facts.lift.level)
        told = "treatment less control at each look, with a band that holds at all looks together"
        plots.append(_Plot("lift", "Lift as time went by", told, figure))
    for number, each in enumerate(evaluations):
        if each.target in facts.targets:
            weights = importance_weights(log, facts.targets[each.target])
            told = f"how many decisions have which importance weight for {each.target}"
            heading = f"How much each decision counts for {each.target}"
            plots.append(_Plot(f"weights{number}", heading, told, draw_weights(weights)))
    return tuple(plots)


def _values(evaluations: Sequence[Evaluation], log: LoggedDecisions, currency: str) -> _Plot:
    rows = [
        Interval(
            f"{each.target} (FORCED)" if each.forced and reasons(each) else each.target,
            row.estimator, _PER * row.value, _PER * row.low, _PER * row.high,
            not reasons(each),
        )
        for each in evaluations
        for row in each.shown
    ]  # fmt: skip
    figure = draw_values(
        rows, unit=f"{currency} per 1,000 decisions", level=evaluations[0].level,
        n=len(log), reference=("earned in the log", _PER * float(log.reward.mean())),
    )  # fmt: skip
    told = "value of each policy with its interval, beside what was earned in the log"
    return _Plot("value", "What each policy would earn", told, figure)


def _allocation(log: LoggedDecisions) -> _Plot:
    found = allocation_of(log)
    told = f"share of decisions of each offer and of nothing, by {found.period}"
    return _Plot("allocation", "What was offered as time went by", told, draw_allocation(found))
