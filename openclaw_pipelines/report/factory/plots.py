"""Plots of a factory cycle: its candidates on train and holdout, luck, gates, parity and the steps it took.

Drawn by the means of `report.page.plots`; those of the sweep are in `sweep_plots`. Nothing is told by colour alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from openclaw_pipelines.contracts.factory import Variant
from openclaw_pipelines.contracts.rows.factory import GateResultRow
from openclaw_pipelines.report.factory.data import Candidate, CycleData, Step, words
from openclaw_pipelines.report.page.plots import (
    AMBER,
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    RED,
    Draw,
    nothing,
    spaced,
    time_axis,
)
from openclaw_pipelines.report.page.text import minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = (BLUE, GREEN, AMBER, "#7a4fa3", RED, "#3b8ea5")
_DASHES: tuple[object, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 3)), (0, (9, 2)))
_BINS = 40


@dataclass(frozen=True)
class Curve:
    """Return in per cent of what a window began with, from its start on. None of its points lies after its end."""

    label: str
    at: tuple[datetime, ...]
    percent: tuple[float, ...]


def curves(data: CycleData, window: Variant) -> list[Curve]:
    """Curves of the candidates, of the incumbent where it was run, and of buying and holding, on train or holdout."""
    start, _ = data.window(window)
    found = []
    for own in data.candidates:
        row = data.replay(own.params_hash, window)
        if row is not None:
            found.append(_curve(str(own.number), start, row["day_equity"], data.capital_atoms))
    held = data.hold if data.hold.is_empty() else data.hold.filter(pl.col("window") == window.value).sort("at")
    if not held.is_empty():
        percent = [0.0, *(100.0 * (value - 1.0) for value in held["value"].to_list())]
        found.append(Curve("hold", (start, *held["at"].to_list()), tuple(percent)))
    return found


def _curve(label: str, start: datetime, blob: bytes, capital: int) -> Curve:
    from datetime import timedelta

    ends = np.frombuffer(blob, "<i8")
    at = (start, *(start + timedelta(days=day) for day in range(1, ends.size + 1)))
    return Curve(label, at, (0.0, *(100.0 * (float(end) / capital - 1.0) for end in ends)))


def equity(data: CycleData) -> Draw:
    """Return of the candidates and of buying and holding, each window from zero, with the border between them."""
    drawn = {window: curves(data, window) for window in (Variant.TRAIN, Variant.HOLDOUT)}
    if not any(drawn.values()):
        return nothing("No candidate was replayed")
    cycle = data.cycle

    def draw(figure: "Figure") -> None:
        axes: Any = figure.subplots()  # its types know no times
        for window, own in drawn.items():
            for curve in own:
                _draw_curve(axes, curve, data, named=window is Variant.TRAIN)
            _name_ends(axes, own)
        axes.axvspan(cycle["train_end"], cycle["holdout_start"], color=GRID, zorder=0)
        for border in (cycle["train_end"], cycle["holdout_start"]):
            axes.axvline(border, color=INK, linewidth=1.2)
        _say(axes, cycle["train_start"], cycle["train_end"], "TRAIN: chosen on these days")
        _say(axes, cycle["train_end"], cycle["holdout_start"], "not used")
        _say(axes, cycle["holdout_start"], cycle["holdout_end"], "HOLDOUT: judged on these days")
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        axes.set_ylabel("Return since the window's start (%)")
        time_axis(axes)
        axes.margins(x=0.03)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, handlelength=3.2)

    return draw


def _draw_curve(axes: Any, curve: Curve, data: CycleData, *, named: bool) -> None:
    if curve.label == "hold":
        label = "Buying and holding, equal parts" if named else None
        axes.plot(curve.at, curve.percent, color=MUTED, linewidth=2.4, alpha=0.55, label=label)
        return
    own = int(curve.label) - 1
    label = data.candidates[own].label if named else None
    dashes = _DASHES[own % len(_DASHES)]
    axes.plot(
        curve.at, curve.percent, color=_LINES[own % len(_LINES)], linewidth=1.6, linestyle=dashes, label=label
    )  # fmt: skip


def _name_ends(axes: Any, own: Sequence[Curve]) -> None:
    """Numbers at the ends of the curves, moved apart where they would lie on each other."""
    low, high = axes.get_ylim()
    spread = spaced([curve.percent[-1] for curve in own], (high - low) * 0.055)
    for curve, height in zip(own, spread, strict=True):
        axes.annotate(
            curve.label, (curve.at[-1], height), xytext=(4, 0), textcoords="offset points", fontsize=8,
            va="center", color=MUTED if curve.label == "hold" else INK, fontweight="bold",
        )  # fmt: skip


def _say(axes: Any, start: datetime, end: datetime, text: str) -> None:
    axes.text(
        start + (end - start) / 2, 1.015, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
        fontsize=8, color=MUTED,
    )  # fmt: skip


def daily_bps(data: CycleData) -> tuple[list[float], list[tuple[Candidate, float, float | None]]]:
    """Mean return a day in bps of the capital: of every trial on train, and of the candidates on train and holdout."""
    days, held = max(data.train_days, 1), max(data.holdout_days, 1)
    if data.tried.is_empty():
        return [], []
    trials = {row["row_index"]: 10_000 * row["return_total"] / days
              for row in data.tried.select("row_index", "return_total").to_dicts()}  # fmt: skip
    capital = float(data.contract["capital"])
    chosen = []
    for own in data.candidates:
        row = data.replay(own.params_hash, Variant.HOLDOUT)
        there = None if row is None else 10_000 * float(row["net"]) / capital / held
        chosen.append((own, trials[own.row_index], there))
    return list(trials.values()), chosen


def luck(data: CycleData) -> Draw:
    """All trials' train returns, and where the chosen ones went on the holdout."""
    trials, chosen = daily_bps(data)
    if not trials:
        return nothing("No trial is stored")

    def draw(figure: "Figure") -> None:
        if not chosen:
            _histogram(figure.subplots(), trials)
            return
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 0.5 + 0.22 * len(chosen)))
        _histogram(top, trials)
        for own, train, holdout in chosen:
            _fate(bottom, own, train, holdout)
        bottom.set_yticks([own.number for own, _, _ in chosen], [own.label for own, _, _ in chosen])
        bottom.invert_yaxis()
        bottom.margins(y=0.2)
        bottom.set_xlabel("Mean return a day (bps of the capital)")
        bottom.axvline(0.0, color=RED, linewidth=1.0, linestyle="--")
        top.set_xlabel("")
        bottom.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)

    return draw


def _histogram(axes: "Axes", trials: Sequence[float]) -> None:
    axes.hist(trials, bins=_BINS, color="#9fb3c8", edgecolor="white", linewidth=0.4)
    median = float(np.median(trials))
    axes.axvline(median, color=INK, linewidth=1.2)
    axes.annotate(
        minus(f"median {median:+.1f}"), (median, 1.0), xycoords=("data", "axes fraction"), xytext=(4, -2),
        textcoords="offset points", fontsize=8, va="top", ha="left",
    )  # fmt: skip
    axes.axvline(0.0, color=RED, linewidth=1.0, linestyle="--")
    axes.set_ylim(0.0, axes.get_ylim()[1] * 1.16)
    axes.set_ylabel("Trials (train)")
    axes.set_xlabel("Mean return a day (bps of the capital)")


def _fate(axes: "Axes", own: Candidate, train: float, holdout: float | None) -> None:
    first = own.number == 1
    axes.plot([train], [own.number], "o", color="white", markeredgecolor=BLUE, markeredgewidth=1.6, markersize=7,
              zorder=3, label="On train, where it was chosen" if first else None)  # fmt: skip
    if holdout is None:
        return
    axes.annotate("", (holdout, own.number), (train, own.number),
                  arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 1.2})  # fmt: skip
    axes.plot([holdout], [own.number], "D", color=INK, markersize=6, zorder=3,
              label="On holdout, where it is judged" if first else None)  # fmt: skip


def gate_matrix(data: CycleData) -> Draw:
    """Every gate of every candidate: what was measured, and passed or failed as a word."""
    columns = [(own, gates) for own in data.candidates if (gates := data.gates_of(own.params_hash))]
    if not columns:
        return nothing("No candidate was judged")
    names = [(gate["gate"], gate["required"]) for gate in columns[0][1]]

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for x, (_, gates) in enumerate(columns):
            for y, gate in enumerate(gates):
                _gate_cell(axes, x, y, gate)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xticks(range(len(columns)), [_two_lines(own) for own, _ in columns])
        axes.set_yticks(range(len(names)), [f"{words(name)}   {required}" for name, required in names])
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    return draw


def _gate_cell(axes: "Axes", x: int, y: int, gate: GateResultRow) -> None:
    passed, measured = gate["passed"], gate["measured"]
    shown = "undefined" if measured is None else minus(f"{measured:.4g}")
    axes.barh(y, 0.96, left=x - 0.48, height=0.86, color="#d9efe6" if passed else "#f6d5d2")
    mark, weight, colour = ("\u2713", "normal", GREEN) if passed else ("\u2717", "bold", RED)
    axes.text(x, y, f"{mark} {shown}", ha="center", va="center", fontsize=8, color=colour, fontweight=weight)


def _two_lines(own: Candidate) -> str:
    number, rest = own.label.split(": ", 1)
    return f"{number}\n{rest}".replace(" ", "\n")


def parity(data: CycleData) -> Draw:
    """Comparisons by kind and sample, those that are equal to the last bit and those that are not."""
    counts = parity_counts(data)
    if not counts:
        return nothing("Nothing was compared")

    def draw(figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for row, (_, equal, other) in enumerate(counts):
            axes.barh(row, equal, height=0.6, color=GREEN, label=None if row else "Equal to the last bit")
            axes.barh(row, other, left=equal, height=0.6, color="white", edgecolor=RED, hatch="////",
                      label=None if row else "Not equal or not comparable")  # fmt: skip
            axes.annotate(f"{equal} equal, {other} not", (equal + other, row), xytext=(5, 0),
                          textcoords="offset points", va="center", fontsize=8)  # fmt: skip
        axes.set_yticks(range(len(counts)), [name for name, _, _ in counts])
        axes.invert_yaxis()
        axes.margins(x=0.18)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Comparisons")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)

    return draw


def timeline(steps: Sequence[Step]) -> Draw:
    """Steps of a cycle as bars over the minutes since it was begun, the one that blocked it named."""

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        begun = steps[0].ended
        for row, step in enumerate(steps):
            if step.ended is None or step.began is None or begun is None:
                axes.text(0.0, row, " not reached", va="center", fontsize=8, color=MUTED)
                continue
            left, right = ((at - begun).total_seconds() / 60.0 for at in (step.began, step.ended))
            axes.barh(row, right - left, left=left, height=0.55, color="white" if step.blocked else BLUE,
                      edgecolor=RED if step.blocked else BLUE, hatch="////" if step.blocked else None)  # fmt: skip
            text = f"{step.ended:%H:%M:%S}" + ("  \u2717 blocked here" if step.blocked else "")
            axes.annotate(text, (right, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
        axes.set_yticks(range(len(steps)), [step.name for step in steps])
        axes.margins(x=0.22)
        axes.set_xlim(left=0.0)
        axes.set_ylim(len(steps) - 0.4, -0.6)
        axes.set_xlabel("Minutes since the cycle was begun")

    return draw


def parity_counts(data: CycleData) -> list[tuple[str, int, int]]:
    """Kind and sample of comparisons, how many are equal, and how many are not."""
    total, unequal = (Counter((row["comparison"], row["sample"]) for row in rows)
                      for rows in (data.parity.to_dicts(), data.unequal))  # fmt: skip
    return [(f"{words(kind)}, {sample}", total[kind, sample] - unequal[kind, sample], unequal[kind, sample])
            for kind, sample in sorted(total)]  # fmt: skip
