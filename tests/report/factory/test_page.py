"""The report of a factory cycle: what stands first, what the tables say, and what hostile text cannot do."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl
import pytest
from factory_cycle import (
    BEGUN,
    GATES,
    HASHES,
    HOLDOUT,
    TRAIN,
    cycle,
    cycle_data,
    gates,
    listed,
    replay,
    report,
    sharpe,
    sweep,
    values,
)

from openclaw_pipelines.contracts.factory import Variant
from openclaw_pipelines.report.factory import plots as drawn
from openclaw_pipelines.report.factory import proofs, tables
from openclaw_pipelines.report.factory import sweep_plots as swept
from openclaw_pipelines.report.factory.data import CycleData
from openclaw_pipelines.report.factory.page import cycle_findings, cycle_plots, heat_caption, render_cycle_report
from openclaw_pipelines.report.page.plots import svg
from openclaw_pipelines.report.page.tables import Table

HOSTILE = '</td><script>alert("x")</script><img src=x onerror=alert(1)>&amp;'
DIFFERENCE = {"symbol": "A/USDT:USDT", "at": "2025-05-03T04:00:00Z", "field": "exit_price", "left": "101.5",
              "right": "101.6"}  # fmt: skip


class Text(HTMLParser):
    """The visible text of a page and the names of its elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


@pytest.fixture(scope="module")
def data() -> CycleData:
    return cycle_data()


@pytest.fixture(scope="module")
def html(data: CycleData) -> str:
    return render_cycle_report(data)


def column(table: Table, title: str) -> list[str]:
    place = [own.title for own in table.columns].index(title)
    return [row[place].text for row in table.rows]


# ---- what stands first


def test_a_blocked_cycle_names_the_gate_first_with_measured_and_required(data: CycleData, html: str) -> None:
    first = cycle_findings(data)[0]
    assert (first.severity, first.where, first.what) == ("error", "1: breakout 01010101", "Blocked by holdout_interval")
    assert first.detail == (
        "measured \u22120.0009216, required > 0.0: 99% interval, blocks of 1.25 days. Nothing was deployed."
    )
    said = "".join(Text(html).said)
    assert said.index("Blocked by holdout_interval") < said.index("gates failed") < said.index("How it ended")


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        pytest.param({"blocked_by": "shortlist", "reason": "no row earned"}, "Blocked by shortlist", id="no candidate"),
        pytest.param({"blocked_by": "parity: STATE_MACHINE", "reason": "x"}, "Blocked by parity: STATE_MACHINE",
                     id="parity"),
        pytest.param({"state": "incumbent_holds", "blocked_by": None}, "The incumbent holds: nothing was deployed",
                     id="incumbent holds"),
    ],
)  # fmt: skip
def test_why_nothing_was_selected_stands_first(changed: dict[str, Any], first: str) -> None:
    assert cycle_findings(cycle_data(cycle=cycle(**changed)))[0].what == first


def test_a_clean_deployed_cycle_has_no_exceptions() -> None:
    passed = pl.DataFrame([gate for n in (1, 2, 30) for gate in gates(n)]).with_columns(passed=pl.lit(True))
    clean = cycle_data(cycle=cycle(state="deployed", blocked_by=None, reason=None), gates=passed)
    assert cycle_findings(clean) == []
    assert "No exceptions." in render_cycle_report(clean)


def test_an_unfinished_sweep_and_a_lonely_optimum_are_exceptions() -> None:
    low = sweep().with_columns(sharpe_day=pl.when(pl.col("row_index") == 1).then(0.9).otherwise(-0.2))
    found = cycle_findings(cycle_data(sweep=low, shards=cycle_data().shards.head(3)))
    assert [own.what for own in found if own.where == "sweep"] == ["The sweep has not ended"]
    alone = [own for own in found if own.what == "It stands alone"]
    assert alone[0].where == "1: breakout 01010101"
    assert alone[0].detail.startswith("0\u00a0% of its 10 nearest rows")


# ---- tables against the rows they come from


def test_candidates_are_numbered_once_in_the_order_of_deployment(data: CycleData) -> None:
    assert [(own.number, own.row_index, own.channels) for own in data.candidates] == [
        (1, 1, ("efficient 1",)),
        (2, 2, ("efficient 2", "growth 1")),
        (3, 30, ("conservative 1",)),
    ]


def test_gate_table_says_measured_required_and_which_failed_first(data: CycleData) -> None:
    table = tables.gates_table(data, data.candidates[0])
    assert column(table, "Measured") == ["48", "\u22120.0009216", "undefined"]
    assert column(table, "Required") == [gate[2] for gate in GATES]
    assert column(table, "Result") == ["\u2713 Passed", "\u2717 Failed first: blocks", "\u2717 Failed"]
    assert column(table, "What was measured")[2] == "the closed trades made -92.7073 in all"


def test_gate_overview_has_one_column_per_candidate(data: CycleData) -> None:
    table = tables.gates_overview(data)
    assert column(table, "3: 1e1e1e1e") == ["\u2713 48", "\u2717 \u22120.0009216", "\u2717 undefined"]
    assert len(table.columns) == 5


def test_costs_are_those_of_the_replays(data: CycleData) -> None:
    table = tables.costs_table(data)
    assert column(table, "Replay")[:3] == ["Train", "Holdout", "Stressed"]
    assert column(table, "Net")[:3] == ["+840.00", "\u221250.00", "\u221290.50"]
    assert column(table, "Return")[:3] == ["+8.40\u00a0%", "\u22120.50\u00a0%", "\u22120.91\u00a0%"]
    assert column(table, "Slippage (bps)")[:3] == ["2", "2", "20"]
    assert column(table, "Fees")[0] == "12.50"


def test_verdict_counts_trials_and_skips(data: CycleData) -> None:
    facts = dict(zip(column(tables.verdict_table(data), "Fact"), column(tables.verdict_table(data), "Value"),
                     strict=True))  # fmt: skip
    assert facts["State"] == "BLOCKED"
    assert facts["Trials of this cycle"] == "56; 3 contradictory combinations were skipped, not run"
    assert facts["Trials of these families ever"] == "112"
    assert facts["Deployed on paper"] == "nothing"


def test_parameters_are_the_candidates_own(data: CycleData) -> None:
    table = tables.parameters_table(data)
    assert column(table, "Parameter") == ["Channel", "Stop ATR"]
    assert [column(table, own.label) for own in data.candidates] == [
        [f"{values(n)['channel']:g}", f"{values(n)['stop_atr']:g}"] for n in (1, 2, 30)
    ]


def test_neighbour_table_repeats_the_statistics(data: CycleData) -> None:
    found = swept.neighbourhoods(data)
    table = tables.neighbours_table(found)
    assert column(table, "Own Sharpe")[0] == f"+{sharpe(1):.4g}"
    assert column(table, "Neighbours (k)") == ["10"] * 3
    assert column(table, "Their median")[0] == f"+{np.median(found[0][1].objectives):.4g}"


def test_windows_have_their_days_and_the_gap(data: CycleData) -> None:
    assert column(proofs.windows_table(data), "Days") == ["10", "4", "10"]


def test_timeline_ends_where_it_was_blocked(data: CycleData) -> None:
    assert [(own.name, own.ended, own.blocked) for own in data.steps] == [
        ("Begun", BEGUN, False),
        ("Sweep", BEGUN + timedelta(seconds=7), False),
        ("Shortlist", BEGUN + timedelta(seconds=40), False),
        ("Replays", BEGUN + timedelta(seconds=70), False),
        ("Parity", BEGUN + timedelta(seconds=80), False),
        ("Gates", BEGUN + timedelta(seconds=95), True),
        ("Deployment", None, False),
    ]
    assert column(proofs.timeline_table(data), "Took (s)") == ["0.0", "7.0", "33.0", "30.0", "10.0", "15.0", ""]


# ---- parity


def test_parity_names_the_first_differing_trade_with_both_values() -> None:
    bad = report(2, "replay_stepping", verdict="STATE_MACHINE", first_difference=json.dumps(DIFFERENCE),
                 differing='["trades"]', symbols=json.dumps({"A/USDT:USDT": "STATE_MACHINE", "B": "EQUAL"}),
                 )  # fmt: skip
    own = cycle_data(parity=pl.DataFrame([report(1), bad]))
    table = proofs.parity_table(own)
    assert column(table, "Result") == ["\u2717 Not equal", "\u2713 Equal"]
    said = "A/USDT:USDT at 2025-05-03T04:00:00Z: exit_price is 101.5 in replay, 101.6 in stepping"
    assert column(table, "First difference") == [said, "\u2013"]
    assert column(table, "Class")[0] == "STATE_MACHINE"
    assert column(table, "Symbols not equal") == ["A/USDT:USDT: STATE_MACHINE", "\u2013"]
    finding = next(own for own in cycle_findings(own) if "STATE_MACHINE" in own.what)
    assert (finding.severity, finding.detail) == ("error", said)


def test_parity_names_contract_fields_and_is_one_exception_for_many_rows() -> None:
    bad = [report(n, sample="random", verdict="INVALID_COMPARISON", differing='["costs","bars_hash"]',
                  right_contract="f" * 64) for n in (3, 4, 5)]  # fmt: skip
    own = cycle_data(parity=pl.DataFrame(bad))
    shown = column(proofs.parity_table(own), "Contract or totals that differ")
    assert shown[0] == "costs, bars_hash, contract aaaaaaaa against ffffffff"
    findings = [own for own in cycle_findings(own) if "INVALID" in own.what]
    assert [(own.what, own.detail) for own in findings] == [
        ("Sweep replay is INVALID_COMPARISON for 3 rows", "costs, bars_hash differ")
    ]
    assert drawn.parity_counts(own) == [("Sweep replay, random", 0, 3)]


# ---- plots


def test_curves_start_at_zero_and_end_at_the_net_result(data: CycleData) -> None:
    first, *_, hold = drawn.curves(data, Variant.HOLDOUT)
    assert (first.label, first.percent[0], first.percent[-1]) == ("1", 0.0, pytest.approx(-0.5))
    assert (first.at[0], first.at[-1]) == (HOLDOUT, HOLDOUT + timedelta(days=10))
    assert (hold.label, hold.at[0], hold.percent[-1]) == ("hold", HOLDOUT, pytest.approx(-10.0))
    assert drawn.curves(data, Variant.TRAIN)[0].at[0] == TRAIN


def test_returns_a_day_are_bps_of_the_capital(data: CycleData) -> None:
    trials, chosen = drawn.daily_bps(data)
    assert len(trials) == 56
    own, train, holdout = chosen[0]
    assert own.row_index == 1
    assert train == pytest.approx(10_000 * 0.14 * sharpe(1) / 10)
    assert holdout == pytest.approx(-5.0)  # 50 of 10,000 lost in ten days


def test_heat_caption_says_what_is_marginalised() -> None:
    rich = sweep().with_columns(
        params=pl.Series([json.dumps({**values(n), "volume_ratio": n % 3}) for n in range(57)])
    )  # fmt: skip
    caption = heat_caption(cycle_data(sweep=rich).sweeps["breakout"])
    assert "Marginalised by the median: Volume ratio." in caption
    assert re.search(r"\(Stop ATR \d+\s%, Channel \d+\s%\)", caption)


@pytest.mark.parametrize("asset", ["sweep_results", "shortlist", "replays", "parity_reports", "gate_results"])
def test_pictures_of_assets_are_small(data: CycleData, asset: str) -> None:
    images = cycle_plots(data, asset)
    assert images
    for image in images.values():
        assert image.startswith("![")
        assert 2_000 < len(image) < 200_000  # base64 of 150 kB


def test_a_gate_is_drawn_with_a_mark_and_not_by_colour_alone(data: CycleData) -> None:
    picture = svg(drawn.gate_matrix(data), prefix="g", label="gates", height_inches=4)
    assert picture.count(">\u2713 48<") == 3
    assert picture.count(">\u2717 undefined<") == 3


def test_nothing_stored_is_said_and_not_drawn() -> None:
    empty = pl.DataFrame()
    bare = cycle_data(
        cycle=cycle(state="planned", blocked_by=None, reason=None), sweep=empty, shortlist=empty, replays=empty,
        parity=empty, gates=empty, hold=empty, shards=empty, trials=empty,
    )  # fmt: skip
    said = "".join(Text(render_cycle_report(bare)).said)
    assert "No shortlist has been made." in said
    assert "Nothing was compared." in said
    for draw, words in ((swept.heat_maps(bare), "No two parameters"), (drawn.luck(bare), "No trial is stored"),
                        (drawn.equity(bare), "No candidate was replayed")):  # fmt: skip
        assert words in svg(draw, prefix="p", label="l")


# ---- the page


def test_equal_data_gives_equal_bytes_and_nothing_is_requested(data: CycleData, html: str) -> None:
    assert render_cycle_report(cycle_data()) == html
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(http", html)
    assert "default-src 'none'" in html
    for name in ("verdict", "shortlist", "gates", "parity", "sweep", "windows", "costs", "provenance"):
        assert f'<h2 id="{name}">' in html


def test_hashes_are_whole_under_provenance(html: str) -> None:
    for digest in ("c" * 64, "d" * 64, "b" * 64, "9" * 64, HASHES[1], "e" * 64):
        assert digest in html


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    hostile = [
        {**gate, "reason": HOSTILE, "required": HOSTILE, "gate": f"{gate['gate']}{HOSTILE}"} for gate in gates(1)
    ]
    line = {**listed("efficient", 1, 1), "reason": HOSTILE, "family": f"breakout{HOSTILE}"}
    bad = report(1, verdict="STATE_MACHINE", first_difference=json.dumps({**DIFFERENCE, "left": HOSTILE}))
    page = render_cycle_report(
        cycle_data(
            cycle=cycle(cycle_id=HOSTILE, recipe=HOSTILE, reason=HOSTILE, blocked_by=HOSTILE),
            gates=pl.DataFrame(hostile), shortlist=pl.DataFrame([line]), parity=pl.DataFrame([bad]),
            replays=pl.DataFrame([replay(1, "train", "5"), replay(1, "holdout", "5")]),
            sweep=sweep().with_columns(family=pl.lit(f"breakout{HOSTILE}")),
        )
    )  # fmt: skip
    text = Text(page)
    assert "script" not in text.tags
    assert "img" not in text.tags
    assert 'alert("x")' in "".join(text.said)
