"""One look for all plots: colours that the colour-blind tell apart, ink that follows a page.

Figures are objects of their own (`matplotlib.figure.Figure`), never pyplot's global ones.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#bf7a00", "#009e73", "#c26fa0", "#3d9bd6", "#d55e00", "#958a00")
"""Okabe and Ito's palette, made to stand out 3 to 1 from white and from a page by night."""

GREY = "#8a8a8a"
INK = "#010203"  # no other part has this colour: in SVG it becomes the page's own text colour
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_WIDTH = 5.6  # inches: the letters are read on a telephone, and are no larger than a page's
_LONGEST = 60  # letters of a name
_LINE, _KEY = 84, 8  # letters of a line of the legend, and how many a key takes
_INSTANTS = 5
_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_REST = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)


def new_plot(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure and its axes.

    Args:
        height: in inches.
    """
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(INK)
    axes.tick_params(which="both", colors=INK)
    for part in (axes.xaxis.label, axes.yaxis.label, axes.title):
        part.set_color(INK)
    return figure, axes


def number(value: float, _place: float = 0.0) -> str:
    """Write a number on an axis; matplotlib also tells which tick it is.

    Example:
        >>> number(12_000.0), number(0.1)
        ('12,000', '0.1')
    """
    return f"{value:,.10g}"


def plain(name: str) -> str:
    r"""Return a name as matplotlib writes it letter by letter, and not too long for a plot.

    No dollar begins a formula; a legend leaves out what begins with `_`, so a space comes first.

    Example:
        >>> print(plain("$5 off or $9"))
        \$5 off or \$9
    """
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    return (" " * shown.startswith("_") + shown).replace("$", r"\$")


def add_legend(figure: Figure, axes: Axes) -> None:
    """Put the legend above the plot, where it hides nothing and leaves the plot its width."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0) + _KEY
    figure.legend(
        handles, labels, loc="outside upper left", frameon=False, labelcolor=INK, fontsize=9,
        ncols=max(1, min(len(labels), _LINE // longest)), borderaxespad=0.0,
    )  # fmt: skip


def follow_time(axes: Axes) -> None:
    """Let few enough instants stand below a plot that they need not be turned."""
    from matplotlib.dates import AutoDateFormatter, AutoDateLocator

    locator = AutoDateLocator(minticks=2, maxticks=_INSTANTS)  # type: ignore[no-untyped-call]  # matplotlib
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(AutoDateFormatter(locator))  # type: ignore[no-untyped-call]  # same


def to_svg(figure: Figure, name: str, told: str) -> str:
    """Write a figure as an `<svg>` element for the middle of a page; the same figure, same bytes.

    Text stays text and takes the page's colour, so that dark pages and copying work.

    Args:
        figure: to write.
        name: unique on the page, of letters: identifiers in the element begin with it.
        told: what it shows, for who cannot see it.
    """
    from matplotlib import rc_context

    out = io.StringIO()
    with _any_letter(), rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = _PROLOG.sub("", out.getvalue(), count=1)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    label = html.escape(told, quote=True)
    rest = _REST.sub("", rest)  # a style would be one of the whole page
    rest = rest.replace(' id="', f' id="{name}-').replace("url(#", f"url(#{name}-")
    rest = rest.replace('href="#', f'href="#{name}-').replace(INK, "currentColor")
    return f'{head} role="img" aria-label="{label}">{rest}'


def to_png(figure: Figure) -> bytes:
    """Write a figure as PNG, on white."""
    out = io.BytesIO()
    with _any_letter():
        figure.savefig(out, format="png", dpi=200, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _any_letter() -> Iterator[None]:
    """Let names have letters that matplotlib's own font has not; a page's reader may have them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield
