"""Data-quality rules on bars and the lower bars they stand for: is each there, and do they say the same."""

from itertools import combinations

import polars as pl

from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.market.agreement import differing_bars
from openclaw_pipelines.domain.market.parts import enough_parts, incomplete
from openclaw_pipelines.domain.market.quality.window import BAR, SERIES, Finding, Window, said


def incomplete_bars(window: Window) -> Finding:
    """Bars that were built here and lack a part."""
    enough = enough_parts(window.quality.min_parts_bps)
    cases = (
        window.candles.filter(incomplete())
        .select(*BAR, "parts", "parts_expected", "has_open", enough.alias("counts"))
        .sort(*SERIES, "ts")
    )
    absent, unopened = int((~cases["counts"]).sum()), int((~cases["has_open"]).sum())
    finding = (
        f"bar(s) were built without all of their parts. {absent:,} have less than {window.quality.min_parts_bps:,} bps "
        f"of them and count as absent, {unopened:,} lack the first, so that nothing fills at their open. A silent "
        "venue gives the same picture; if the lower bars are at fault, mend them and materialize the day again"
    )
    facts = {"incomplete_bars": cases.height, "count_as_absent": absent, "without_open": unopened}
    return Finding(cases, said(cases.height, finding, "Every built bar has all of its parts."), dict(facts))


def intervals_agree(window: Window) -> Finding:
    """Published bars that are not what the stored lower bars make."""
    found = [
        part
        for lower, higher in combinations(sorted(window.intervals, key=interval_length), 2)
        if interval_length(higher) % interval_length(lower) == interval_length(lower) * 0
        for part in _differing(window, lower, higher)
    ]
    cases = pl.concat(found).sort(*SERIES, "ts") if found else pl.DataFrame()
    finding = "published bar(s) are not what their stored lower bars make; ask the source which are right"
    ordinary = "Published bars are what their lower bars make."
    return Finding(cases, said(cases.height, finding, ordinary), {"differing_bars": cases.height})


def _differing(window: Window, lower: str, higher: str) -> list[pl.DataFrame]:
    bars = window.candles.filter(~pl.col("is_synthetic"))
    published = bars.filter((pl.col("interval") == higher) & pl.col("parts").is_null())
    return [
        differing_bars(
            own.select(BAR),
            bars.filter((pl.col("interval") == lower) & (pl.col("symbol") == symbol)).select(BAR),
            higher,
            lower,
        ).with_columns(lower=pl.lit(lower))
        for (symbol,), own in published.group_by("symbol", maintain_order=True)
    ]
