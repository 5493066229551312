"""Plots of a day. What they show is decided in `tables` and `domain`."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from openclaw_pipelines.contracts.trading import DecisionStatus

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from openclaw_pipelines.report.page.plots import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    MUTED,
    RED,
    Draw,
    bars,
    bars_height,
    legend_above,
    nothing,
    png,
    series,
    short,
    thinned,
    thousands,
    time_axis,
)


def equity_plot(equity: pl.DataFrame) -> Draw:
    """Equity after each tick and its drawdown from the peak before.

    equity: rows of `autopilot_equity` of one strategy.
    """
    if equity.is_empty():
        return nothing("No equity was recorded")
    at, values = series(equity.sort("tick_at"), "tick_at", "equity")
    peaks = _running_peaks(values)
    falls = [100 * (value / peak - 1) if peak > 0 else 0.0 for value, peak in zip(values, peaks, strict=True)]

    def draw(figure: "Figure") -> None:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        top.plot(at, values, color=BLUE, linewidth=1.5)
        top.set_ylabel("Equity (quote)")
        thousands(top)
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
    at, values = series(thinned(closes.sort("closed_at")), "closed_at", "close")
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
        thousands(axes)
        time_axis(axes)
        legend_above(axes)

    return draw


_MARKS: tuple[tuple[str, str, str, Callable[[dict[str, object]], bool]], ...] = (
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
        bars(axes, [code for code, _ in counts], [("Refused", AMBER, [float(n) for _, n in counts])], "{:.0f}")
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
        axes.set_yticks(range(len(symbols)), [short(symbol) for symbol in symbols])
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
        bars(axes, [row[0] for row in costs], [("Fees", BLUE, fees), ("Slippage", AMBER, slippage)], "{:,.2f}")
        axes.set_xlabel("Cost (quote); below zero is a gain")
        legend_above(axes)

    return draw


def equity_png(equity: pl.DataFrame) -> bytes:
    """`equity_plot` for asset metadata."""
    return png(equity_plot(equity), height_inches=3.4)


def price_png(closes: pl.DataFrame, fills: pl.DataFrame) -> bytes:
    """`price_plot` for asset metadata."""
    return png(price_plot(closes, fills))


def outcomes_png(outcomes: pl.DataFrame) -> bytes:
    """`outcomes_plot` for asset metadata."""
    return png(outcomes_plot(outcomes), height_inches=bars_height(len({s for s, _ in outcome_cells(outcomes)}), 0.5))


def reject_counts(decisions: pl.DataFrame) -> list[tuple[str, int]]:
    """Reason codes of rejected decisions with their number, most frequent first, then by name."""
    if decisions.is_empty():
        return []
    counts = decisions.filter(pl.col("status") == DecisionStatus.REJECTED).group_by("reason_code").len()
    return sorted(counts.iter_rows(), key=lambda row: (-row[1], row[0]))


def outcome_cells(outcomes: pl.DataFrame) -> dict[tuple[str, int], tuple[float, int]]:
    """Mean signed return in bps and number of scored decisions, by symbol and horizon in seconds."""
    if outcomes.is_empty():
        return {}
    scored = outcomes.filter(pl.col("win").is_not_null()).sort("outcome_key")
    cells = scored.group_by("symbol", "horizon_seconds").agg(pl.col("return_signed").mean() * 10_000, pl.len())
    return {(symbol, horizon): (mean, n) for symbol, horizon, mean, n in cells.iter_rows()}


def _running_peaks(values: Sequence[float]) -> list[float]:
    peaks: list[float] = []
    for value in values:
        peaks.append(max(value, peaks[-1]) if peaks else value)
    return peaks
