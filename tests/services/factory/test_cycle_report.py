"""The report of a stored cycle: what is read of it, what holding would have made, where the page lies."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from openclaw_pipelines.contracts.factory import Variant
from openclaw_pipelines.contracts.time import DAY
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.report.factory.plots import curves
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.services.factory.cycle import UnknownCycleError
from openclaw_pipelines.services.factory.cycle_report import (
    cycle_data,
    cycle_report_path,
    newest_cycle,
    write_cycle_report,
)


@pytest.fixture(scope="module")
def data(edge_proven):
    return cycle_data(edge_proven.world, newest_cycle(edge_proven.world))


def test_rows_are_those_that_are_stored(edge_proven, data) -> None:
    swept = edge_proven.rows("sweep_results")
    assert data.sweep["bits_hash"].to_list() == swept.sort("row_index")["bits_hash"].to_list()
    assert data.tried.height == swept.height - 1  # the incumbent is no trial
    assert data.trials_ever == edge_proven.rows("trial_counts")["trials"].sum()
    listed = edge_proven.rows("shortlist").filter(pl.col("status") == "candidate")
    assert {own.params_hash for own in data.candidates} == set(listed["params_hash"])
    assert data.looks["family"].to_list() == ["momentum"]
    assert data.shards.height == data.shards_expected


@pytest.mark.parametrize("window", [Variant.TRAIN, Variant.HOLDOUT])
def test_curves_end_at_the_last_stored_equity_of_the_window(edge_proven, data, window) -> None:
    replays = {row["params_hash"]: row for row in edge_proven.rows("replays").to_dicts() if row["variant"] == window}
    drawn = [curve for curve in curves(data, window) if curve.label != "hold"]
    assert len(drawn) == len(data.candidates) > 0
    for own, curve in zip(data.candidates, drawn, strict=True):
        last = np.frombuffer(replays[own.params_hash]["day_equity"], "<i8")[-1]
        capital = to_atoms(edge_proven.world.settings().strategy("momentum_1h").own.capital)
        assert curve.percent[-1] == pytest.approx(100 * (last / capital - 1))
        assert curve.at[-1] == data.cycle[f"{window}_end"]


def test_holding_is_the_mean_of_what_each_symbol_made(edge_proven, data) -> None:
    start, end = data.cycle["holdout_start"], data.cycle["holdout_end"]
    symbols = data.contract["symbols"]
    candles = market_tables.candles(edge_proven.store, "simulated", symbols, "1h", start, end).to_dicts()
    opens = {row["symbol"]: float(row["open"]) for row in candles if row["ts"] == start}
    for place, day in ((0, 1), (-1, (end - start) // DAY)):
        closing = start + day * DAY - timedelta(hours=1)
        made = [float(row["close"]) / opens[row["symbol"]] for row in candles if row["ts"] == closing]
        held = data.hold.filter(pl.col("window") == "holdout")
        assert held["at"][place] == start + day * DAY
        assert held["value"][place] == pytest.approx(sum(made) / len(symbols))


def test_the_page_lies_beside_the_daily_reports_and_names_its_cycle(edge_proven, copy) -> None:
    scene = copy(edge_proven)
    own = newest_cycle(scene.world)
    path = write_cycle_report(scene.world, own)
    assert path == Path(scene.world.settings().data_dir) / "reports" / f"{own}.html"
    assert f"<title>Factory cycle {own}</title>" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_recipe_of_any_name_has_its_file_in_the_folder(edge_proven) -> None:
    folder = edge_proven.world.settings().data_dir / "reports"
    path = cycle_report_path(edge_proven.world, "../../a b/<c>-20250510-abc")
    assert path.parent == folder
    assert path.name == "-..-a-b--c--20250510-abc.html"


def test_an_unknown_cycle_is_refused_by_name(edge_proven) -> None:
    with pytest.raises(UnknownCycleError) as refused:
        cycle_data(edge_proven.world, "swing-20250101-000000000000")
    assert newest_cycle(edge_proven.world) in str(refused.value)


def test_no_cycle_no_newest(edge_market) -> None:
    assert newest_cycle(edge_market.world) is None
