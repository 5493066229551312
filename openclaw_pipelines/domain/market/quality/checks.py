"""Data-quality checks over the candles of a window. Each is named once, in `CHECKS`, and asset checks come from there.

A check describes and lists; it never mends. Gaps are never filled. What a single tick may trade on is decided in
`masks`; the column rules themselves are `contracts.tables.market.Candles`.
"""

from openclaw_pipelines.domain.market.quality.coverage import coverage, freshness, refused_answers
from openclaw_pipelines.domain.market.quality.parts import incomplete_bars, intervals_agree
from openclaw_pipelines.domain.market.quality.rows import (
    duplicates,
    off_grid,
    off_unit,
    ohlc,
    revisions,
    schema,
    unclosed,
)
from openclaw_pipelines.domain.market.quality.series import gaps, outliers, scale_jumps, stale, zero_volume
from openclaw_pipelines.domain.market.quality.window import Check, CheckResult, Window

CHECKS: tuple[Check, ...] = (
    Check("schema", "Columns, types and ranges of the table.", schema, "error", structural=True),
    Check("duplicates", "Each bar is stored once.", duplicates, "error"),
    Check("off_grid", "Bars open on multiples of their interval.", off_grid, "error"),
    Check("unclosed", "Only closed bars are stored.", unclosed, "error"),
    Check("ohlc", "High is highest, low is lowest, all are finite and positive.", ohlc, "error"),
    Check(
        "off_unit",
        "Prices are multiples of the instrument's price unit. Bars that are not count as missing.",
        off_unit,
        "warning",
        blocking=False,
    ),
    Check(
        "scale_jumps",
        "Bars go on in the scale of those before them. Entries near a jump are refused.",
        scale_jumps,
        "error",
        blocking=False,
    ),
    Check("coverage", "Every configured symbol has bars.", coverage, "error"),
    Check("freshness", "The newest bar is recent.", freshness, "warning"),
    Check("gaps", "No bar is absent. Gaps are listed and never filled.", gaps, "warning", blocking=False),
    Check("incomplete_bars", "Built bars have all of their parts.", incomplete_bars, "warning", blocking=False),
    Check("intervals_agree", "Published bars are what lower ones make.", intervals_agree, "warning", blocking=False),
    Check("stale_flat_runs", "No run of bars stands still at one price.", stale, "warning", blocking=False),
    Check("zero_volume", "Share of bars without trades.", zero_volume, "warning", blocking=False),
    Check("outlier_moves", "No move stands out from the window's own.", outliers, "warning", blocking=False),
    Check("refused_answers", "No answer of the source was refused.", refused_answers, "warning", blocking=False),
    Check("revisions", "No stored bar was contradicted later.", revisions, "warning", blocking=False),
)
"""Every check, in the order in which people read them. The names are asset check names."""


def run_all(window: Window) -> list[CheckResult]:
    """Every check of `CHECKS`, in order."""
    return [check.run(window) for check in CHECKS]
