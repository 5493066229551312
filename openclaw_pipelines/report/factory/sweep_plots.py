"""Plots of a factory cycle's sweep: heat maps, parallel coordinates, and how firm each optimum stands.

Drawn by the means of `report.day.plots`; statistics are in `report.factory.sweep`. Nothing is told by colour alone.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from openclaw_pipelines.report.factory.data import Candidate, CycleData, words
from openclaw_pipelines.report.factory.sweep import (
    FamilySweep,
    Grid,
    Neighbourhood,
    best_and_sample,
    median_grid,
    neighbourhood,
    written,
)
from openclaw_pipelines.report.page.plots import BLUE, GRID, INK, MUTED, RED, Draw, nothing, png, spaced
from openclaw_pipelines.report.page.text import minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OBJECTIVE = "Daily Sharpe ratio on the train days"
BEST, SAMPLED = 20, 150


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
        from matplotlib.collections import LineCollection
        from matplotlib.colors import Normalize

        axes = figure.subplots()
        shade = ScalarMappable(Normalize(float(sweep.objective.min()), float(sweep.objective.max())), "viridis_r")
        colours = shade.to_rgba(sweep.objective)
        listed = [i for i, row in enumerate(sweep.row_index.tolist()) if row in chosen]
        thick = {*best, *listed}
        drawn = [*reversed(rest), *sorted(thick, key=lambda own: float(sweep.objective[own]))]
        widths = [1.6 if i in thick else 0.6 for i in drawn]
        alphas = [0.95 if i in thick else 0.35 for i in drawn]
        along = np.arange(heights.shape[1], dtype=np.float64)
        lines = LineCollection([np.column_stack([along, heights[i]]) for i in drawn], linewidths=widths)
        lines.set_color([(*colours[i][:3], alpha) for i, alpha in zip(drawn, alphas, strict=True)])
        axes.add_collection(lines)
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
    axes.set_ylim(-0.04, 1.06)
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


def _badge(axes: "Axes", number: int, at: tuple[float, float]) -> None:
    circle = {"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": INK, "linewidth": 1.1}
    axes.text(at[0], at[1], str(number), ha="center", va="center", fontsize=7.5, color=INK, fontweight="bold",
              bbox=circle, zorder=5)  # fmt: skip
