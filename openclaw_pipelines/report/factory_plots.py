"""Plots of a factory cycle: what was searched, how firm an optimum stands, and what it earned where it was not chosen.

Drawn by the means of `report.plots`; statistics are in `report.factory_sweep`. Nothing is told by colour alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from openclaw_pipelines.report.factory_data import Candidate, CycleData, Step, words
from openclaw_pipelines.report.factory_sweep import (
    FamilySweep,
    Grid,
    Neighbourhood,
    best_and_sample,
    median_grid,
    neighbourhood,
    written,
)
from openclaw_pipelines.report.plots import AMBER, BLUE, GREEN, GRID, INK, MUTED, RED, Draw, nothing, png, time_axis
from openclaw_pipelines.report.text import minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBJECTIVE = "Daily Sharpe ratio on the train days"
BEST, SAMPLED = 20, 150
_LINES = (BLUE, GREEN, AMBER, "#7a4fa3", RED, "#3b8ea5")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 3)), (0, (9, 2)))
_BINS = 40


def heat_maps(data: CycleData, families: Sequence[str] | None = None) -> Draw:
    """Median objective over the two most informative parameters of each family, candidates marked by their numbers."""
    own = data.families if families is None else tuple(families)
    grids = [(name, grid) for name in own if (grid := median_grid(data.sweeps[name])) is not None]
    if not grids:
        return nothing("No two parameters of a family differ")

    def draw(figure: "Figure") -> None:
        for axes, (name, grid) in zip(np.ravel(figure.subplots(1, len(grids), squeeze=False)), grids, strict=True):
            _heat_map(axes, grid, [own for own in data.candidates if own.family == name])
            axes.set_title(name, fontsize=9, color=INK, loc="left")

    return draw


def _heat_map(axes: "Axes", grid: Grid, chosen: Sequence[Candidate]) -> None:
    bound = float(max(np.nanmax(np.abs(grid.median)), 1e-9))
    image = axes.imshow(grid.median, cmap="RdBu", vmin=-bound, vmax=bound, aspect="auto", origin="lower", alpha=0.85)
    for (row, column), n in np.ndenumerate(grid.count):
        if n:
            value = float(grid.median[row, column])
            colour = "white" if abs(value) > 0.6 * bound else INK
            axes.text(column, row, minus(f"{value:+.2f}\nn {n}"), ha="center", va="center", fontsize=7, color=colour)
    for number, place in enumerate(_spots(grid, chosen)):
        _badge(axes, chosen[number].number, place)
    axes.set_xticks(range(len(grid.x_labels)), grid.x_labels, fontsize=7.5)
    axes.set_yticks(range(len(grid.y_labels)), grid.y_labels, fontsize=7.5)
    axes.set_xlabel(words(grid.x_name))
    axes.set_ylabel(words(grid.y_name))
    axes.grid(visible=False)
    axes.set_facecolor(GRID)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure: Any = axes.figure
    figure.colorbar(image, ax=axes, label="Median daily Sharpe ratio (train)", pad=0.02).outline.set_visible(False)


def _spots(grid: Grid, chosen: Sequence[Candidate]) -> list[tuple[float, float]]:
    """A place for each candidate in the corner of its cell; those of one cell stand side by side."""
    taken: dict[tuple[int, int], int] = {}
    places = []
    for own in chosen:
        x, y = grid.cell[own.row_index]
        before = taken.setdefault((x, y), 0)
        taken[(x, y)] += 1
        places.append((x + 0.33 - 0.3 * before, y + 0.3))
    return places


def parallel_coordinates(data: CycleData, family: str) -> Draw:
    """Best rows and a sample of the rest, one line each across the searched parameters, coloured by objective."""
    sweep = data.sweeps[family]
    if not sweep.names:
        return nothing("No parameter of this family differs")
    best, rest = best_and_sample(sweep, BEST, SAMPLED)
    chosen = {own.row_index: own.number for own in data.candidates if own.family == family}
    span = float(np.ptp(sweep.objective)) or 1.0
    heights = np.column_stack([sweep.shares, (sweep.objective - sweep.objective.min()) / span])

    def draw(figure: "Figure") -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        axes = figure.subplots()
        shade = ScalarMappable(Normalize(float(sweep.objective.min()), float(sweep.objective.max())), "viridis_r")
        colours = shade.to_rgba(sweep.objective)
        listed = [i for i, row in enumerate(sweep.row_index.tolist()) if row in chosen]
        thick = {*best, *listed}
        for i in [*reversed(rest), *sorted(thick, key=lambda own: float(sweep.objective[own]))]:
            width, alpha = (1.6, 0.95) if i in thick else (0.6, 0.35)
            axes.plot(heights[i], color=colours[i], linewidth=width, alpha=alpha)
        places = spaced([-float(heights[i, -1]) for i in listed], 0.075)
        for i, below in zip(listed, places, strict=True):
            _badge(axes, chosen[int(sweep.row_index[i])], (heights.shape[1] - 0.86, -below))
        _coordinate_axes(axes, sweep)
        figure.colorbar(shade, ax=axes, label=OBJECTIVE, pad=0.02).outline.set_visible(False)

    return draw


def parallel_png(data: CycleData, family: str) -> bytes:
    """`parallel_coordinates` for asset metadata: thin lines take room, so its colours are fewer."""
    return palette(png(parallel_coordinates(data, family), height_inches=3.4))


def palette(image: bytes, colours: int = 64) -> bytes:
    """The same PNG with at most so many colours, a third of the size."""
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    with Image.open(BytesIO(image)) as opened:
        opened.convert("RGB").quantize(colours).save(out, "PNG", optimize=True)
    return out.getvalue()


def _coordinate_axes(axes: "Axes", sweep: FamilySweep) -> None:
    for p in range(len(sweep.names)):
        axes.axvline(p, color=MUTED, linewidth=0.8)
        distinct = np.unique(sweep.values[:, p])
        shown = distinct if distinct.size <= 5 else distinct[[0, distinct.size // 2, -1]]
        for value in shown:
            height = float(np.searchsorted(distinct, value)) / max(distinct.size - 1, 1)
            _tag(axes, (p, height), written(float(value)))
    axes.axvline(len(sweep.names), color=MUTED, linewidth=0.8)
    for height, objective in ((0.0, sweep.objective.min()), (1.0, sweep.objective.max())):
        _tag(axes, (len(sweep.names), height), minus(f"{float(objective):+.2f}"))
    axes.set_xticks(range(len(sweep.names) + 1), [*(words(name) for name in sweep.names), "Objective"])
    axes.set_yticks([])
    axes.set_xlim(-0.25, len(sweep.names) + 0.35)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _tag(axes: "Axes", at: tuple[float, float], text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0}
    axes.text(at[0] - 0.03, at[1], text, ha="right", va="center", fontsize=7.5, color=INK, bbox=box)


def neighbourhoods(data: CycleData) -> list[tuple[Candidate, Neighbourhood]]:
    """Every candidate with the neighbourhood of its row in the sweep."""
    found = []
    for own in data.candidates:
        around = neighbourhood(data.sweeps[own.family], own.row_index) if own.family in data.sweeps else None
        if around is not None:
            found.append((own, around))
    return found


def robustness(data: CycleData) -> Draw:
    """Objective of each candidate, of its nearest rows, and their median."""
    found = neighbourhoods(data)
    if not found:
        return nothing("No candidate has neighbours")

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for row, (_, around) in enumerate(found):
            axes.plot([around.own], [row], "D", color=BLUE, markersize=7, label=None if row else "The candidate")
            axes.plot(
                around.objectives,
                [row] * around.k,
                "o",
                color=MUTED,
                markersize=5,
                alpha=0.6,
                markeredgewidth=0,
                label=None if row else "A neighbour",
            )
            axes.plot(
                [np.median(around.objectives)], [row], "|", color=INK, markersize=20, markeredgewidth=2,
                label=None if row else "Median of the neighbours",
            )  # fmt: skip
        axes.axvline(0.0, color=RED, linewidth=1.0, linestyle="--")
        axes.set_yticks(range(len(found)), [own.label for own, _ in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlabel(OBJECTIVE)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handletextpad=0.2)

    return draw


@dataclass(frozen=True)
class Curve:
    """Return in per cent of what a window began with, from its start on. None of its points lies after its end."""

    label: str
    at: tuple[datetime, ...]
    percent: tuple[float, ...]


def curves(data: CycleData, window: str) -> list[Curve]:
    """Curves of the candidates, of the incumbent where it was run, and of buying and holding, on train or holdout."""
    start = data.cycle[f"{window}_start"]
    found = []
    for own in data.candidates:
        row = data.replay(own.params_hash, window)
        if row is not None:
            found.append(_curve(str(own.number), start, row["day_equity"], data.capital_atoms))
    held = data.hold if data.hold.is_empty() else data.hold.filter(pl.col("window") == window).sort("at")
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
    drawn = {window: curves(data, window) for window in ("train", "holdout")}
    if not any(drawn.values()):
        return nothing("No candidate was replayed")
    cycle = data.cycle

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for window, own in drawn.items():
            for curve in own:
                _draw_curve(axes, curve, data, named=window == "train")
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


def spaced(values: Sequence[float], least: float) -> list[float]:
    """The values moved up as little as needed to be `least` apart, in their order.

    >>> spaced([1.0, 0.9, 3.0], 0.5)
    [1.4, 0.9, 3.0]
    """
    placed, last = list(values), float("-inf")
    for i in sorted(range(len(values)), key=lambda place: values[place]):
        placed[i] = last = max(values[i], last + least)
    return placed


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
        row = data.replay(own.params_hash, "holdout")
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


def _gate_cell(axes: "Axes", x: int, y: int, gate: dict[str, Any]) -> None:
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
    counts = parity_counts(data.parity)
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


def parity_counts(reports: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Kind and sample of comparisons, how many are equal, and how many are not."""
    if reports.is_empty():
        return []
    keys = reports.select("comparison", "sample", equal=pl.col("verdict") == "EQUAL")
    groups = keys.group_by("comparison", "sample").agg(pl.col("equal").sum(), pl.len()).sort("comparison", "sample")
    return [(f"{words(kind)}, {sample}", equal, total - equal) for kind, sample, equal, total in groups.iter_rows()]


def _badge(axes: "Axes", number: int, at: tuple[float, float]) -> None:
    circle = {"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": INK, "linewidth": 1.1}
    axes.text(at[0], at[1], str(number), ha="center", va="center", fontsize=7.5, color=INK, fontweight="bold",
              bbox=circle, zorder=5)  # fmt: skip
