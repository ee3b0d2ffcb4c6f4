"""Plots say what they show, with units and n, and take no name for anything but text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

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

MakeLog = Callable[..., LoggedDecisions]
ROWS = (
    Interval("uniform", "snips", 1.0, -2.0, 3.0),
    Interval("uniform", "dr", 1.5, -1.0, 2.5),
    Interval("none", "snips", 9_000.0, 1.0, 12_000.0, believed=False),
)


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter() if "text" in node.tag]


def test_values_are_told_with_unit_level_and_n() -> None:
    figure = draw_values(
        ROWS, unit="EUR per 1,000 decisions", level=0.9, n=1_234, reference=("logged", 1.2)
    )
    said = texts(to_svg(figure, "value", "values"))
    assert {"EUR per 1,000 decisions, 90% intervals", "n = 1,234 decisions"} <= set(said)
    assert said.count("uniform") == 1  # once for its two rows
    assert {"snips", "dr", "logged", "none"} <= set(said)
    axes = figure.axes[0]
    drawn = [(line.get_xdata(), line.get_ydata()) for line in axes.lines]
    for place, row in enumerate(ROWS):
        assert ([row.value], [place]) in [
            (np.ravel(x).tolist(), np.ravel(y).tolist()) for x, y in drawn
        ]
    assert axes.get_ylim() == (2.5, -0.5)  # the first at the top
    with pytest.raises(ValueError, match="expected at least one value"):
        draw_values([], unit="EUR", level=0.9, n=1)


def test_names_are_text_and_nothing_else() -> None:
    evil = 'a$b$<script>alert(1)</script>"--> & \\frac $'
    rows = [Interval(evil, evil, 1.0, 0.0, 2.0)]
    svg = to_svg(draw_values(rows, unit=evil, level=0.9, n=1), "value", evil)
    assert "<script" not in svg
    assert texts(svg).count(evil) == 1  # in the legend
    assert {"a$b$<script>alert(1)</scri", 'pt>"--> & \\frac $'} <= set(texts(svg))  # its row
    assert ET.fromstring(svg).get("aria-label") == evil


def test_the_same_figure_gives_the_same_bytes_and_its_own_identifiers() -> None:
    def write(name: str) -> str:
        return to_svg(draw_values(ROWS, unit="EUR", level=0.9, n=1), name, "values")

    assert write("a") == write("a")
    ids = [node.get("id") for node in ET.fromstring(write("a")).iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    assert all(name is not None and name.startswith("a-") for name in ids)
    link = "{http://www.w3.org/1999/xlink}href"
    used = {node.get(link, "").removeprefix("#") for node in ET.fromstring(write("a")).iter()}
    assert used - {""} <= set(ids)
    for absent in ("<metadata", "<style", "#010203", "#000000"):
        assert absent not in write("a")
    assert "width" not in ET.fromstring(write("a")).attrib
    assert "currentColor" in write("a")


def test_allocation_counts_what_was_drawn(make_log: MakeLog) -> None:
    log = make_log(600, 3)
    found = allocation_of(log)
    assert found.days == 1
    assert (set(found.names), found.names[-1]) == ({"plan", "credit", "none"}, "none")
    assert found.counts.sum() == 600
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0)
    names = np.array([a.split("/")[0] for a in log.actions])[log.action]
    mean = (found.shares * found.counts[:, None]).sum(axis=0) / 600
    for name, share in zip(found.names, mean, strict=True):
        assert share == pytest.approx(np.mean(names == name))
    said = texts(to_svg(draw_allocation(found), "allocation", "shares"))
    assert "by day (UTC), n = 600 decisions" in said
    assert {"plan", "credit", "none", "% of decisions"} <= set(said)


def test_long_logs_are_by_week_and_rare_offers_together(make_log: MakeLog) -> None:
    log = make_log(100, 3)
    at = np.where(np.arange(100) < 50, log.at[0], log.at[0] + np.timedelta64(30, "D"))
    actions = ("none", *(f"offer{i}/a@email" for i in range(9)))
    spread = replace(log, at=at, actions=actions, action=np.arange(100) % 10)
    found = allocation_of(spread, most=4)
    assert found.days == 7
    assert len(found.starts) == 5
    assert found.names[-2:] == ("other offers", "none")
    assert len(found.names) == 5
    assert found.counts.tolist() == [50, 0, 0, 0, 50]
    np.testing.assert_allclose(found.shares[0], [0.1, 0.1, 0.1, 0.6, 0.1])
    assert np.isnan(found.shares[1:4]).all()
    assert to_png(draw_allocation(found)).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="expected decisions"):
        allocation_of(log.where(np.zeros(100, dtype=np.bool_)))


def test_only_nothing_was_ever_offered(make_log: MakeLog) -> None:
    log = make_log(10, 3)
    found = allocation_of(replace(log, action=np.zeros(10, dtype=np.int64)))
    assert (found.names, found.shares.tolist()) == (("none",), [[1.0]])


def test_lift_is_told_with_its_band() -> None:
    looks = np.arange(4)
    curve = LiftCurve(
        np.datetime64("2026-01-01") + looks * np.timedelta64(1, "D"), looks.astype(np.float64),
        np.array([-np.inf, -1.0, 0.0, 1.0]), np.array([np.inf, 3.0, 4.0, 5.0]), 100 * (looks + 1),
    )  # fmt: skip
    said = texts(to_svg(draw_lift(curve, unit="EUR per 1,000 customers", level=0.95), "l", "lift"))
    assert "95% at all looks together" in said
    assert "time of the look (UTC), n = 400 customers" in said
    assert "treatment over control" in said
    unknown = replace(curve, low=np.full(4, -np.inf), high=np.full(4, np.inf))
    said = texts(to_svg(draw_lift(unknown, unit="EUR", level=0.95), "l", "lift"))
    assert "no band yet: too few conversions" in said
    with pytest.raises(ValueError, match="expected arrays of one length"):
        draw_lift(replace(curve, value=np.zeros(3)), unit="EUR", level=0.95)


def test_every_weight_is_in_the_histogram() -> None:
    weights = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 40.0])
    figure = draw_weights(weights)
    (steps,) = figure.axes[0].patches
    assert steps.get_data().values.sum() == 4  # type: ignore[attr-defined]  # a StepPatch
    said = texts(to_svg(figure, "w", "weights"))
    assert any("n = 6, of which 2 weigh 0; effective size 1" in each for each in said)
    draw_weights(np.zeros(3))
    for wrong in ([], [-1.0], [np.nan]):
        with pytest.raises(ValueError, match="expected weights of at least 0"):
            draw_weights(np.array(wrong))
