"""What plots share: their look, and how a drawing becomes inline SVG for a page or a small PNG for asset metadata.

The same frames give the same bytes: nothing here reads a clock, and ids are derived from the caller's prefix.
matplotlib is imported only when a plot is drawn.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#5f6c7b", "#e4e8ed"
BLUE, GREEN, RED, AMBER = "#2b5f9e", "#15795a", "#b3372c", "#b7791f"
MAX_POINTS = 480  # more cannot be told apart at the width of the page
_WIDTH_INCHES = 9.6
_PNG_DPI = 80
_STYLE: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": "#aab4bf",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "timezone": "UTC",
    "svg.fonttype": "none",
    "path.simplify": True,
}

Draw = Callable[["Figure"], None]


def svg(draw: Draw, *, prefix: str, label: str, height_inches: float = 2.9) -> str:
    """The plot as one `<svg>` element that scales to its container.

    prefix: makes ids unique in a page that holds several plots.
    label: text alternative; escaped.
    """
    from markupsafe import escape
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with _figure(draw, height_inches, {"svg.hashsalt": prefix}) as figure:
        # straight to the canvas: savefig would lay out and draw everything twice
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    body = buffer.getvalue()
    body = body[body.index("<svg") :]
    opening, rest = body.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    rest = re.sub(r"<!--.*?-->\s*", "", rest, flags=re.DOTALL)
    rest = re.sub(r'\bid="', f'id="{prefix}-', rest)
    rest = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", rest)
    box = view_box.group(0) if view_box else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img"'
    return f'{head} aria-label="{escape(label)}">{rest}'


def png(draw: Draw, *, height_inches: float = 2.9) -> bytes:
    """The plot as a PNG of well under 80 KB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with _figure(draw, height_inches, {}) as figure:
        figure.set_dpi(_PNG_DPI)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def png_markdown(image: bytes, alt: str) -> str:
    """Markdown that shows `image` without a request, for Dagster's Markdown metadata.

    >>> png_markdown(b"png", "Equity [paper]")
    '![Equity (paper)](data:image/png;base64,cG5n)'
    """
    plain = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{plain}](data:image/png;base64,{base64.b64encode(image).decode()})"


def bars_height(rows: int, inches_per_row: float = 0.32) -> float:
    """Height of a plot with one bar or cell per row."""
    return 0.95 + inches_per_row * max(rows, 1)


@contextmanager
def _figure(draw: Draw, height_inches: float, style: dict[str, object]) -> Iterator["Figure"]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: Any = {**_STYLE, **style}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained")
        draw(figure)
        yield figure


def nothing(text: str) -> Draw:
    """A plot that says why there is none."""

    def draw(figure: "Figure") -> None:
        figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, fontsize=10)

    return draw


def bars(axes: "Axes", labels: Sequence[str], groups: Sequence[tuple[str, str, list[float]]], text: str) -> None:
    """Horizontal bars, one row per label. groups: name, colour and a value per label. text: format of the values."""
    thickness = 0.72 / len(groups)
    for place, (name, colour, values) in enumerate(groups):
        rows = [row + (place - (len(groups) - 1) / 2) * thickness for row in range(len(labels))]
        bars = axes.barh(rows, values, height=thickness * 0.9, color=colour, label=name)
        axes.bar_label(bars, [text.format(value).replace("-", "\u2212") for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    axes.axvline(0.0, color="#aab4bf", linewidth=0.8)


def series(frame: pl.DataFrame, time: str, value: str) -> tuple[list[Any], list[float]]:
    """Two columns as matplotlib takes them: times in UTC and floats."""
    return [at.astimezone(UTC) for at in frame[time].to_list()], [float(number) for number in frame[value].to_list()]


def thinned(frame: pl.DataFrame) -> pl.DataFrame:
    """Every n-th row counted from the last, so that the newest close always stays."""
    step = -(-frame.height // MAX_POINTS) or 1
    return frame.reverse().gather_every(step).reverse()


def time_axis(axes: "Axes") -> None:
    """Times in UTC along the bottom."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call] # matplotlib leaves it untyped
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call] # likewise
    axes.margins(x=0.01)
    axes.set_xlabel("Time (UTC)")


def thousands(axes: "Axes") -> None:
    """Values of the vertical axis with their thousands apart."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def legend_above(axes: "Axes") -> None:
    """The legend in one line above the plot."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=6, borderaxespad=0.2, handletextpad=0.4)


def spaced(values: Sequence[float], least: float) -> list[float]:
    """The values moved up as little as needed to be `least` apart, in their order.

    >>> spaced([1.0, 0.9, 3.0], 0.5)
    [1.4, 0.9, 3.0]
    """
    placed, last = list(values), float("-inf")
    for i in sorted(range(len(values)), key=lambda place: values[place]):
        placed[i] = last = max(values[i], last + least)
    return placed


def short(label: str, longest: int = 28) -> str:
    """A label of at most `longest` characters."""
    return label if len(label) <= longest else label[: longest - 1] + "\u2026"
