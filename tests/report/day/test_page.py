"""The page as a reader and a browser see it."""

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest

from openclaw_pipelines.report.day.data import ReportData, StrategyReport
from openclaw_pipelines.report.day.page import render_daily_report

HOSTILE = '<script>alert("x")</script><img src=http://evil.example/a onerror=alert(1)>'
VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Elements, ids, links, table cells and text of a page; unbalanced tags are kept as errors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.requests: list[str] = []
        self.labels: list[str] = []
        self.unbalanced: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
        if self._open and self._open[-1] in ("td", "th") and self.rows:
            self.rows[-1][-1] += data

    def _note(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tags.append(tag)
        self.ids += [attrs["id"] or ""] if "id" in attrs else []
        self.links += [attrs["href"] or ""] if tag == "a" else []
        self.labels += [attrs.get("aria-label") or ""] if tag == "svg" else []
        outside = ("src", "srcset", "data", "poster", "action", "xlink:href", "href")
        self.requests += [
            value for name in outside if (value := attrs.get(name)) and not value.startswith(("#", "data:"))
        ]
        self.requests += [name for name in attrs if name.startswith("on")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")


@pytest.fixture(scope="module")
def html(full_day: ReportData) -> str:
    return render_daily_report(full_day)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def row(page: Page, head: str) -> list[str]:
    (found,) = [cells for cells in page.rows if cells and cells[0] == head and len(cells) == 3]
    return [cell.replace("\u00a0", " ").replace("\u2212", "-") for cell in found[1:]]


@pytest.mark.parametrize(
    ("head", "cells"),
    [
        pytest.param("Decisions", ["20", "20"], id="decisions"),
        pytest.param("Approved", ["5", "5"], id="approved"),
        pytest.param("Rejected", ["15", "15"], id="rejected"),
        pytest.param("Fills", ["10", "10"], id="fills"),
        pytest.param("Trades closed", ["5", "5"], id="trades"),
        pytest.param("Open positions", ["1", "1"], id="positions"),
        pytest.param("Funding received", ["-1.25", "-1.25"], id="funding"),
    ],
)
def test_the_day_in_numbers(page: Page, head: str, cells: list[str]) -> None:
    assert row(page, head) == cells


def test_return_and_pnl_agree_with_the_balances(page: Page) -> None:
    for start, end, pnl, share in zip(
        *(row(page, head) for head in ("Equity at the start", "Equity at the end", "PnL", "Return")), strict=True
    ):
        first, last = (float(cell.replace(",", "")) for cell in (start, end))
        assert float(pnl) == pytest.approx(last - first, abs=0.011)
        assert float(share.removesuffix(" %")) == pytest.approx((last / first - 1) * 100, abs=0.0051)


def test_the_page_is_well_formed_and_ids_are_unique(page: Page) -> None:
    assert page.unbalanced == []
    assert sorted(page.ids) == sorted(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_nothing_is_requested_from_anywhere(html: str, page: Page) -> None:
    assert page.requests == []
    assert "script" not in page.tags
    assert not re.search(r"@import|url\((?!#)", html)


def test_every_plot_has_a_text_alternative_and_every_table_heads(page: Page) -> None:
    assert len(page.labels) == 16
    assert all(label.strip() for label in page.labels)
    assert page.tags.count("figcaption") == page.tags.count("figure") == 16
    assert page.tags.count("caption") == page.tags.count("thead") == page.tags.count("table")


def test_references_inside_svg_point_to_their_own_plot(html: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', html))
    used = re.findall(r'(?:url\(#|xlink:href="#)([^)"]+)', html)
    assert used
    assert set(used) <= ids


def test_equal_data_give_equal_bytes(html: str, full_day: ReportData) -> None:
    assert render_daily_report(full_day) == html


def test_another_moment_changes_only_the_line_that_says_so(html: str, full_day: ReportData) -> None:
    later = render_daily_report(dataclasses.replace(full_day, generated_at=full_day.as_of.replace(hour=9)))
    changed = [new for old, new in zip(html.splitlines(), later.splitlines(), strict=True) if old != new]
    assert len(changed) == 1
    assert "Made 2025-05-13 09:00 UTC" in changed[0]


def hostile_frames(data: ReportData) -> dict[str, Any]:
    first = data.strategies[0]
    symbol = pl.lit(f"{HOSTILE}$x_1$-->").alias("symbol")
    return {
        "name": HOSTILE,
        "decisions": first.decisions.with_columns(symbol, reason=pl.lit(HOSTILE), rationale=pl.lit(HOSTILE)),
        "fills": first.fills.filter(pl.col("bar_at") < data.start.replace(hour=3)).with_columns(
            symbol, reason=pl.lit(HOSTILE)
        ),
        "outcomes": first.outcomes.with_columns(symbol, reason=pl.lit(HOSTILE)),
        "positions": first.positions.with_columns(symbol),
        "ticks": first.ticks.with_columns(reason=pl.lit(HOSTILE)),
        "reconcile_events": first.reconcile_events.with_columns(message=pl.lit(HOSTILE)),
    }  # fmt: skip


def test_markup_in_data_is_text(full_day: ReportData, change: Callable[..., ReportData]) -> None:
    hostile = change(full_day, **hostile_frames(full_day))
    checks = full_day.checks.with_columns(message=pl.lit(HOSTILE), name=pl.lit(HOSTILE))
    candles = full_day.candles.with_columns(symbol=pl.lit(f"{HOSTILE}$x_1$-->"))
    html = render_daily_report(
        dataclasses.replace(hostile, checks=checks, candles=candles, account=HOSTILE, market=HOSTILE, version=HOSTILE)
    )
    page = Page(html)
    assert "<script" not in html
    assert "img" not in page.tags
    assert page.requests == []
    assert page.unbalanced == []
    assert page.text.count(HOSTILE) > 60


def nothing(name: str, reason: str | None) -> StrategyReport:
    frames = ("decisions", "orders", "fills", "equity", "positions", "outcomes", "metrics", "ticks", "reconcile_events")
    return StrategyReport(name=name, interval="1h", no_data_reason=reason, **dict.fromkeys(frames, pl.DataFrame()))


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        pytest.param("it starts on 2025-06-01.", "it starts on 2025-06-01.", id="with a reason"),
        pytest.param(None, "no tick of this day has been recorded; materialize its partition first.", id="without"),
    ],
)
def test_a_day_without_data_says_so(full_day: ReportData, reason: str | None, said: str) -> None:
    empty = dataclasses.replace(
        full_day, strategies=(nothing("idle", reason),), candles=pl.DataFrame(), checks=pl.DataFrame()
    )
    page = Page(render_daily_report(empty))
    assert f"There is nothing to show for 2025-05-12: {said}" in page.text
    assert "No strategy has anything recorded for this day." in page.text
    assert "svg" not in page.tags
    assert page.unbalanced == []


def test_an_account_without_strategies_is_a_page_too(full_day: ReportData) -> None:
    page = Page(render_daily_report(dataclasses.replace(full_day, strategies=(), checks=pl.DataFrame())))
    assert "No exceptions. No result of an asset check was given to this report," in page.text
    assert "0 strategies" in page.text


def test_exceptions_stand_before_the_numbers(html: str) -> None:
    assert html.index("Reconciliation: cash does not agree") < html.index('id="overview"')
