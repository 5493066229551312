"""Takes the README's pictures from a running product: lineage, materializations, checks, a daily and a cycle report.

    make demo && make factory && make up                        # in one terminal
    .venv/bin/python tools/screenshots.py       # in another; needs a Chromium

Pictures go to docs/images, 1,400 pixels wide. `--all` takes every page worth looking at, for a person to look at.
Playwright's own browser is used unless CHROMIUM names another one.
"""

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLong

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 1400
QUIET_MILLISECONDS = 2_500
"""How long a page is left alone before its picture: lists and plots come after the page."""
PATIENCE_MILLISECONDS = 120_000
COLOURS = 128
README = {
    "materialization": ("/assets/equity?view=partitions&partition={key}", 1000, "equity_and_drawdown"),
    "checks": ("/assets/candles?view=checks&checkDetail=stale_flat_runs", 900, "Latest execution"),
    "lineage": ("/asset-groups", 900, "evaluation"),
    "gates": ("/assets/gate_results?view=partitions&partition={cycle}", 1000, "gates"),
}
"""Path, height, and the words that tell that the page is there."""
OTHERS = {
    "sweep": ("/assets/sweep_results?view=partitions&partition={cycle}%7C{shard}", 1300, "heat_map"),
    "replays": ("/assets/replays?view=partitions&partition={cycle}", 1200, "equity_train_and_holdout"),
    "gate_checks": ("/assets/gate_results?view=checks&checkDetail=gates_passed", 900, "Latest execution"),
    "overview": ("/assets/equity?view=overview", 1300, "equity_at_open"),
    "candles_day": ("/assets/candles?view=partitions&partition={day}", 1400, "inserted"),
    "ledger_checks": ("/assets/equity?view=checks&checkDetail=recorded_ticks_replay", 1000, "Latest execution"),
    "checks_by_day": ("/assets/candles?view=checks&checkDetail=gaps&tab=partitions", 1000, "Checks ("),
    "decisions": ("/assets/decisions?view=partitions&partition={key}", 1400, "reject_codes"),
    "fills": ("/assets/fills?view=partitions&partition={key}", 1400, "trades_on_price"),
    "universe": ("/assets/universe_snapshots?view=partitions&partition={key}", 1200, "candidates"),
    "metrics": ("/assets/metrics?view=partitions&partition={key}", 1600, "partition_row_count"),
    "catalog": ("/assets", 900, "universe_snapshots"),
    "automation": ("/automation", 900, "strategy_ticks"),
    "runs": ("/runs", 900, "autopilot_cycle_job"),
}
OPENED = (
    "equity_and_drawdown", "trades_on_price", "candidates", "reject_codes", "heat_map", "equity_train_and_holdout",
    "gates",
)  # fmt: skip
"""Metadata whose table or plot is opened."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless one."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=flags)
        try:
            yield launched
        finally:
            launched.close()


def take(page: Page, address: str, height: int, target: Path, shows: str | None = None) -> None:
    """One picture; the files are made small by a palette, which pages of text and lines lose nothing by."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(address)
    if shows is not None:
        page.get_by_text(shows).first.wait_for(timeout=PATIENCE_MILLISECONDS)
    with suppress(TooLong):
        page.wait_for_load_state("networkidle", timeout=PATIENCE_MILLISECONDS / 6)
    page.wait_for_timeout(QUIET_MILLISECONDS)
    if shows in OPENED:
        page.locator("tr", has_text=shows).get_by_text("[Show Markdown]").first.click()
        page.wait_for_timeout(QUIET_MILLISECONDS)
    if "asset-groups" in address:
        expand(page)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    shrink(target)
    print(f"{target} {target.stat().st_size // 1024} KiB")


def expand(page: Page) -> None:
    """Open the groups of the lineage, and leave the page to them."""
    page.get_by_text("Hide navigation").click()
    page.locator("input[placeholder^='Jump to']").locator("xpath=following::button[1]").click()
    page.wait_for_timeout(QUIET_MILLISECONDS)
    page.keyboard.press("Alt+e")
    page.wait_for_timeout(4 * QUIET_MILLISECONDS)
    page.reload()  # it keeps what is expanded, and fits the graph to the page
    page.wait_for_timeout(4 * QUIET_MILLISECONDS)


def newest_cycle(reports: Path) -> str:
    """The cycle whose report was written last; their names end in a hash, those of days do not."""
    found = [path for path in reports.glob("*.html") if re.search(r"-[0-9a-f]{12}$", path.stem)]
    return max(found, key=lambda path: path.stat().st_mtime).stem if found else "none"


def shrink(target: Path) -> None:
    """Write the picture again with a palette."""
    from PIL import Image

    with Image.open(target) as image:
        image.convert("RGB").quantize(COLOURS).save(target, optimize=True)


def main() -> None:
    """Take them."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--url", default="http://127.0.0.1:3000")
    asked.add_argument("--day", default="2025-05-16")
    asked.add_argument("--strategy", default="momentum_1h")
    asked.add_argument("--cycle", help="factory cycle; the one whose report is the newest unless given")
    asked.add_argument("--shard", default="0-of-8", help="shard of its sweep")
    asked.add_argument("--reports", type=Path, default=ROOT / "data" / "local" / "reports")
    asked.add_argument("--to", type=Path, default=ROOT / "docs" / "images")
    asked.add_argument("--all", action="store_true", help="other pages too")
    asked.add_argument("--only", help="one of them by name")
    given = asked.parse_args()
    wanted = (OTHERS if given.all else {}) | README
    with browser() as own:
        page = own.new_page(reduced_motion="reduce")
        page.goto(given.url)
        key = f"{given.day}%7C{given.strategy}"
        cycle = given.cycle or newest_cycle(given.reports)
        for name, (path, height, shows) in wanted.items():
            if given.only in (None, name):
                address = given.url + path.format(day=given.day, key=key, cycle=cycle, shard=given.shard)
                take(page, address, height, given.to / f"{name}.png", shows)
        if given.only in (None, "report"):
            report = (given.reports / f"{given.day}.html").resolve()
            take(page, report.as_uri(), 1_800, given.to / "report.png")
        if given.only in (None, "factory"):
            report = (given.reports / f"{cycle}.html").resolve()
            take(page, f"{report.as_uri()}#sweep", 1_245, given.to / "factory.png")


if __name__ == "__main__":
    main()
