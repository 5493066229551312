"""Plots: what they count, their bytes, their size."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import polars as pl
import pytest

from openclaw_pipelines.report.day import plots
from openclaw_pipelines.report.day.data import Day, ReportData
from openclaw_pipelines.report.page.plots import MAX_POINTS, svg, thinned

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def day(full_day: ReportData) -> Day:
    return Day(full_day, full_day.strategies[0])


def test_reject_counts_most_frequent_first(day: Day) -> None:
    assert plots.reject_counts(day.decisions) == [
        ("MAX_LEVERAGE", 6),
        ("GAP", 3),
        ("COOLDOWN", 2),
        ("MAX_DAILY_LOSS", 2),
        ("MAX_OPEN_POSITIONS", 2),
    ]


def test_outcome_cells_are_means_in_bps_without_empty_wins() -> None:
    rows = [("B", 300, 0.01, True), ("B", 300, -0.02, False), ("B", 300, 0.5, None), ("E", 900, 0.003, True)]
    frame = pl.DataFrame(rows, schema=["symbol", "horizon_seconds", "return_signed", "win"], orient="row")
    cells = plots.outcome_cells(frame.with_columns(outcome_key=pl.lit("k")))
    assert cells == {("B", 300): (pytest.approx(-50.0), 2), ("E", 900): (pytest.approx(30.0), 1)}


@pytest.mark.parametrize("kind", ["equity", "price", "outcomes"])
def test_png_is_small_and_the_same_each_time(day: Day, kind: str) -> None:
    def draw() -> bytes:
        closes = day.data.candles.filter(pl.col("symbol") == "BTC/USDT:USDT")
        fills = day.filled.filter(pl.col("symbol") == "BTC/USDT:USDT")
        return {
            "equity": lambda: plots.equity_png(day.equity),
            "price": lambda: plots.price_png(closes, fills),
            "outcomes": lambda: plots.outcomes_png(day.outcomes),
        }[kind]()

    image = draw()
    assert image.startswith(PNG)
    assert 2_000 < len(image) < 80_000
    assert draw() == image


def test_empty_frames_say_that_there_is_nothing() -> None:
    empty = pl.DataFrame()
    texts = {
        "No equity was recorded": plots.equity_plot(empty),
        "No candles are stored": plots.price_plot(empty, empty),
        "No decision was refused": plots.rejects_plot(empty),
        "No outcome is scored": plots.outcomes_plot(empty),
    }
    for text, draw in texts.items():
        assert f">{text}<" in svg(draw, prefix="p", label="empty")


def test_svg_is_xml_with_its_own_ids_an_escaped_label_and_no_dates(day: Day) -> None:
    drawn = svg(plots.equity_plot(day.equity), prefix="abc", label='a "b" <c>')
    root = ET.fromstring(drawn)
    assert root.attrib["aria-label"] == 'a "b" <c>'
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert ids
    assert all(name.startswith("abc-") for name in ids)
    assert not re.search(r"<metadata|<dc:|<!--", drawn)


def test_a_change_of_one_value_changes_the_plot(day: Day) -> None:
    first = svg(plots.equity_plot(day.equity), prefix="p", label="l")
    moved = day.equity.with_columns(
        equity=pl.when(pl.int_range(pl.len()) == 50).then(pl.col("equity") * 2).otherwise("equity")
    )
    assert svg(plots.equity_plot(moved), prefix="p", label="l") != first


def test_thinning_keeps_the_newest_close() -> None:
    frame = pl.DataFrame({"close": list(range(1441))})
    kept = thinned(frame)["close"].to_list()
    assert len(kept) <= MAX_POINTS
    assert kept[-1] == 1440


def test_importing_the_report_does_not_import_matplotlib() -> None:
    heavy = "[name for name in ('matplotlib', 'jinja2') if name in sys.modules]"
    code = f"import sys, openclaw_pipelines.report.day.page; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
