"""What a reader meets: contrast by day and by night, checks in words, tables of what was asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from experiments import html
from experiments.commands import app
from experiments.evaluate import evaluate
from experiments.html import Facts, render_html
from experiments.html.believing import belief_of
from experiments.html.headline import lift_headline, value_headline
from experiments.html.sheets import Cell, sheet_of
from experiments.lift import Difference, GroupResult, Lift
from experiments.logs import LoggedDecisions
from experiments.plots.style import COLOURS, GREY
from experiments.targets import logged_target, none_target

MakeLog = Callable[..., LoggedDecisions]

TEMPLATE = (Path(html.__file__).parent / "page.html.j2").read_text(encoding="utf-8")
DAY, NIGHT = "#ffffff", "#17181c"


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[dict[str, str]]:
    """The colours of the page by day, by night, and on paper, by name."""
    found = [
        {
            name: "#" + "".join(2 * letter for letter in value) if len(value) == 3 else f"#{value}"
            for name, value in re.findall(r"--(\w+): #(\w+);", rules)
        }
        for rules in re.findall(r":root \{(.*?)\}", TEMPLATE, re.DOTALL)
    ]
    assert len(found) == 3
    return found


@pytest.mark.parametrize("place", range(3))
def test_text_stands_out_from_the_page(place: int) -> None:
    colours = palettes()[place]
    for name in ("ink", "faint", "link", "pass", "warn", "fail"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name  # WCAG 1.4.3, AA
    assert contrast(colours["ink"], colours["soft"]) >= 4.5
    assert contrast(colours["mark"], colours["paper"]) >= 3.0


def test_plots_stand_out_by_day_and_by_night() -> None:
    assert [palette["paper"] for palette in palettes()] == [DAY, NIGHT, DAY]
    for colour in (*COLOURS, GREY):
        assert contrast(colour, DAY) >= 3.0, colour  # WCAG 1.4.11, AA
        assert contrast(colour, NIGHT) >= 3.0, colour
    assert len(set(COLOURS)) == len(COLOURS)


@pytest.fixture
def log(make_log: MakeLog) -> LoggedDecisions:
    return make_log(1_000, 5)


def test_it_can_be_trusted_or_not_in_one_sentence(log: LoggedDecisions) -> None:
    found = evaluate(log, logged_target(log), name="logged")
    belief = belief_of(found)
    count = len(found.verdict.checks)
    assert (belief.sentence, belief.doubtful) == (f"all {count} checks pass.", False)
    assert value_headline(found, "EUR").trust == belief.sentence
    few = evaluate(log.where(log.action == 0), none_target(log.where(log.action == 0)), name="none")
    names = {check.verdict for check in few.verdict.checks}
    told = belief_of(few)
    assert told.doubtful == (names != {"pass"})
    assert [check.verdict for check in told.checks] == sorted(
        (check.verdict for check in few.verdict.checks), key=["fail", "warn", "pass"].index
    )


def test_of_the_lift_only_declared_sizes_are_trusted() -> None:
    known = Lift(
        groups=(GroupResult("treatment", 600, 3_000, 7_788.8, 5_406.6, 10_171.1, 80.0),),
        differences=(Difference("treatment", "control", 5_237.8, 1_400.5, 9_075.1, True),),
        moved=0, ratio_p=0.4, level=0.9,
    )  # fmt: skip
    told = lift_headline(known, "EUR")
    unsure = lift_headline(replace(known, ratio_p=float("nan")), "EUR")
    assert told is not None
    assert unsure is not None
    assert (told.trust, unsure.trust) == ("the groups' sizes are as declared.", "")


def test_tables_are_those_of_the_terminal() -> None:
    table = Table("policy", title="Value")
    table.add_column("value", justify="right")
    table.add_row(Text("[bold]x"), "1,234")
    sheet = sheet_of(table)
    assert sheet.headers == (Cell("policy"), Cell("value", number=True))
    assert sheet.rows == ((Cell("[bold]x"), Cell("1,234", number=True)),)


def test_a_page_tells_all_of_several_policies(log: LoggedDecisions) -> None:
    many = [replace(evaluate(log, logged_target(log)), target=f"policy_{i}") for i in range(8)]
    text = render_html(many, log, Facts(currency="EUR"))
    assert text.count("checks pass.</summary>") == 8
    assert "<details open>" not in text  # nothing speaks against any of them
    assert "<details open>" in render_html(many[:1], log)
    assert text.count('role="region" tabindex="0"') == text.count("<table>")
    assert text.count("<caption>") == text.count("<table>")
    assert text.count('role="img" aria-label="') == text.count("<svg")
    assert text.count("<h1>") == 1
    assert "Value in EUR per 1,000 decisions" in text


def test_segments_and_parts_are_on_the_page(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    asked = ["evaluate", str(folder), "--policy", "uniform", "--policy", "none", "--force"]
    result = CliRunner().invoke(app, [*asked, "--by", "plan", "--parts", "--html", str(page)])
    assert result.exit_code in {0, 3}, result.output
    text = page.read_text(encoding="utf-8")
    assert "Looked at more closely" in text
    assert "per 1,000 decisions by plan</caption>" in text
    assert "By offer and channel" in text
    CliRunner().invoke(app, [*asked, "--html", str(page)])
    assert "per 1,000 decisions by plan" not in page.read_text(encoding="utf-8")
