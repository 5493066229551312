"""Plots of a day, as inline SVG for the report and as small PNG for asset metadata.

The same frames give the same bytes: nothing here reads a clock, and ids are derived from the caller's prefix. What the
plots show is decided in `report.views` and `domain`; matplotlib is imported only when a plot is drawn.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from decimal import Decimal
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
_STYLE: dict[str, Any] = {
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


def equity_plot(equity: pl.DataFrame) -> Draw:
    """Equity after each tick and its drawdown from the peak before.

    equity: rows of `autopilot_equity` of one strategy.
    """
    if equity.is_empty():
        return nothing("No equity was recorded")
    at, values = _series(equity.sort("tick_at"), "tick_at", "equity")
    peaks = _running_peaks(values)
    falls = [100 * (value / peak - 1) if peak > 0 else 0.0 for value, peak in zip(values, peaks, strict=True)]

    def draw(figure: "Figure") -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        top.plot(at, values, color=BLUE, linewidth=1.5)
        top.set_ylabel("Equity (quote)")
        _thousands(top)
        bottom.fill_between(at, falls, 0.0, color=RED, alpha=0.28, linewidth=0)
        bottom.plot(at, falls, color=RED, linewidth=1.0)
        bottom.set_ylabel("Drawdown (%)")
        bottom.set_ylim(min(min(falls) * 1.15, -0.05), 0.0)
        time_axis(bottom)

    return draw


def price_plot(closes: pl.DataFrame, fills: pl.DataFrame) -> Draw:
    """Closes of one symbol with the fills on them.

    closes: `closed_at` and `close` of that symbol, in one interval.
    fills: its rows of `autopilot_fills`.
    """
    if closes.is_empty():
        return nothing("No candles are stored")
    at, values = _series(_thinned(closes.sort("closed_at")), "closed_at", "close")
    marks = [fill for fill in fills.sort("bar_at", "fill_key").to_dicts() if fill["qty"] > 0]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.plot(at, values, color=MUTED, linewidth=1.1, label="Close")
        for label, marker, colour, belongs in _MARKS:
            some = [fill for fill in marks if belongs(fill)]
            if some:
                axes.scatter(
                    [fill["bar_at"] for fill in some],
                    [float(fill["price"]) for fill in some],
                    marker=marker, color=colour, s=42, zorder=3, label=label, linewidths=0.6, edgecolors="white",
                )  # fmt: skip
        axes.set_ylabel("Price (quote)")
        axes.margins(y=0.12)
        _thousands(axes)
        time_axis(axes)
        _legend_above(axes)

    return draw


_MARKS: tuple[tuple[str, str, str, Callable[[dict[str, Any]], bool]], ...] = (
    ("Enter long", "^", GREEN, lambda fill: fill["leg"] == "entry" and fill["side"] == "buy"),
    ("Enter short", "v", RED, lambda fill: fill["leg"] == "entry" and fill["side"] == "sell"),
    ("Exit by signal", "o", BLUE, lambda fill: fill["leg"] == "exit"),
    ("Exit by stop", "X", AMBER, lambda fill: fill["leg"] == "stop"),
    ("Exit at target", "s", BLUE, lambda fill: fill["leg"] == "target"),
    ("Liquidation", "X", RED, lambda fill: fill["leg"] == "liquidation"),
)


def rejects_plot(decisions: pl.DataFrame) -> Draw:
    """Refused decisions by the first failing check, most frequent on top.

    decisions: rows of `autopilot_decisions`.
    """
    counts = reject_counts(decisions)
    if not counts:
        return nothing("No decision was refused")

    def draw(figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        _bars(axes, [code for code, _ in counts], [("Refused", AMBER, [float(n) for _, n in counts])], "{:.0f}")
        axes.set_xlabel("Refused decisions")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    return draw


def outcomes_plot(outcomes: pl.DataFrame) -> Draw:
    """Mean signed return in bps by symbol and horizon, with the number of decisions in each cell.

    outcomes: rows of `autopilot_outcomes`; those without a win (HOLD, missing bars) are left out.
    """
    cells = outcome_cells(outcomes)
    if not cells:
        return nothing("No outcome is scored")
    symbols = sorted({symbol for symbol, _ in cells})
    horizons = sorted({horizon for _, horizon in cells})
    grid = [[cells.get((symbol, horizon), (float("nan"), 0))[0] for horizon in horizons] for symbol in symbols]
    bound = max([abs(mean) for mean, _ in cells.values()] + [1.0])

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        image = axes.imshow(grid, cmap="RdBu", vmin=-bound, vmax=bound, aspect="auto", alpha=0.85)
        for (symbol, horizon), (mean, n) in sorted(cells.items()):
            dark = abs(mean) > 0.6 * bound
            text = f"{mean:+.1f} bps\nn = {n}".replace("-", "\u2212")
            axes.text(
                horizons.index(horizon), symbols.index(symbol), text,
                ha="center", va="center", fontsize=8, color="white" if dark else INK,
            )  # fmt: skip
        axes.set_xticks(range(len(horizons)), [f"after {horizon // 60} min" for horizon in horizons])
        axes.set_yticks(range(len(symbols)), [_short(symbol) for symbol in symbols])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, label="Mean signed return (bps)", pad=0.02).outline.set_visible(False)

    return draw


def costs_plot(costs: Sequence[tuple[str, Decimal, Decimal]]) -> Draw:
    """Fees and slippage in quote currency, one pair of bars per row of `costs`: label, fees, slippage."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        fees, slippage = [float(row[1]) for row in costs], [float(row[2]) for row in costs]
        _bars(axes, [row[0] for row in costs], [("Fees", BLUE, fees), ("Slippage", AMBER, slippage)], "{:,.2f}")
        axes.set_xlabel("Cost (quote); below zero is a gain")
        _legend_above(axes)

    return draw


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


def equity_png(equity: pl.DataFrame) -> bytes:
    """`equity_plot` for asset metadata."""
    return png(equity_plot(equity), height_inches=3.4)


def price_png(closes: pl.DataFrame, fills: pl.DataFrame) -> bytes:
    """`price_plot` for asset metadata."""
    return png(price_plot(closes, fills))


def rejects_png(decisions: pl.DataFrame) -> bytes:
    """`rejects_plot` for asset metadata."""
    return png(rejects_plot(decisions), height_inches=bars_height(len(reject_counts(decisions))))


def outcomes_png(outcomes: pl.DataFrame) -> bytes:
    """`outcomes_plot` for asset metadata."""
    return png(outcomes_plot(outcomes), height_inches=bars_height(len({s for s, _ in outcome_cells(outcomes)}), 0.5))


def png_markdown(image: bytes, alt: str) -> str:
    """Markdown that shows `image` without a request, for Dagster's Markdown metadata.

    >>> png_markdown(b"png", "Equity [paper]")
    '![Equity (paper)](data:image/png;base64,cG5n)'
    """
    plain = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{plain}](data:image/png;base64,{base64.b64encode(image).decode()})"


def reject_counts(decisions: pl.DataFrame) -> list[tuple[str, int]]:
    """Reason codes of rejected decisions with their number, most frequent first, then by name."""
    if decisions.is_empty():
        return []
    counts = decisions.filter(pl.col("status") == "rejected").group_by("reason_code").len()
    return sorted(counts.iter_rows(), key=lambda row: (-row[1], row[0]))


def outcome_cells(outcomes: pl.DataFrame) -> dict[tuple[str, int], tuple[float, int]]:
    """Mean signed return in bps and number of scored decisions, by symbol and horizon in seconds."""
    if outcomes.is_empty():
        return {}
    scored = outcomes.filter(pl.col("win").is_not_null()).sort("outcome_key")
    cells = scored.group_by("symbol", "horizon_seconds").agg(pl.col("return_signed").mean() * 10_000, pl.len())
    return {(symbol, horizon): (mean, n) for symbol, horizon, mean, n in cells.iter_rows()}


def bars_height(rows: int, inches_per_row: float = 0.32) -> float:
    """Height of a plot with one bar or cell per row."""
    return 0.95 + inches_per_row * max(rows, 1)


@contextmanager
def _figure(draw: Draw, height_inches: float, style: dict[str, Any]) -> Iterator["Figure"]:
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


def _bars(axes: "Axes", labels: Sequence[str], groups: Sequence[tuple[str, str, list[float]]], text: str) -> None:
    thickness = 0.72 / len(groups)
    for place, (name, colour, values) in enumerate(groups):
        rows = [row + (place - (len(groups) - 1) / 2) * thickness for row in range(len(labels))]
        bars = axes.barh(rows, values, height=thickness * 0.9, color=colour, label=name)
        axes.bar_label(bars, [text.format(value).replace("-", "\u2212") for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    axes.axvline(0.0, color="#aab4bf", linewidth=0.8)


def _series(frame: pl.DataFrame, time: str, value: str) -> tuple[list[Any], list[float]]:
    return [at.astimezone(UTC) for at in frame[time].to_list()], [float(number) for number in frame[value].to_list()]


def _thinned(frame: pl.DataFrame) -> pl.DataFrame:
    """Every n-th row counted from the last, so that the newest close always stays."""
    step = -(-frame.height // MAX_POINTS) or 1
    return frame.reverse().gather_every(step).reverse()


def _running_peaks(values: Sequence[float]) -> list[float]:
    peaks: list[float] = []
    for value in values:
        peaks.append(max(value, peaks[-1]) if peaks else value)
    return peaks


def time_axis(axes: "Axes") -> None:
    """Times in UTC along the bottom."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call] # matplotlib leaves it untyped
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call] # likewise
    axes.margins(x=0.01)
    axes.set_xlabel("Time (UTC)")


def _thousands(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _legend_above(axes: "Axes") -> None:
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


def _short(label: str, longest: int = 28) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "\u2026"
