"""Markets of the acceptance tests. ACCEPTANCE_DAYS sets how long each scene lives."""

import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1] / "resources" / "market" / "ccxt"))

from markets import PERPS, SPOT, busy, storm_scene
from scenes import Scene, scene


@pytest.fixture
def make_scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str, str, int], Scene]]:
    """Scenes by market.

    `simulated`; `storm`, a small one; `minute`, one strategy of 1m bars on it; `perps`; `halt`, when Binance spot stood
    still; and `depeg`, 1m bars of Kraken's BTC/USDC with the minutes in which nothing traded absent.
    """

    made: list[Scene] = []

    def make(market: str, name: str, days: int) -> Scene:
        made.append(fresh(market, name, days))
        return made[-1]

    def fresh(market: str, name: str, days: int) -> Scene:
        if market == "simulated":
            start = date(2025, 5, 10)
            return scene(tmp_path, name, busy({}, start), {}, start, days)
        if market == "storm":
            return storm_scene(tmp_path, name)
        if market == "minute":
            start = date(2025, 5, 10)
            config = busy({"symbols": PERPS[:3]}, start)
            config["strategies"] = {"minute": {**config["strategies"]["breakout_15m"], "interval": "1m"}}
            return scene(tmp_path, name, config, {}, start, days)
        shared = request.getfixturevalue("shared_data")
        if market == "depeg":
            start = date(2023, 3, 16)
            days_before = {"source": "archive", "symbols": ["BTC/USDC"], "first_day": date(2023, 3, 1)}
            config = busy(days_before, start)
            config["strategies"] = {"minute": {**config["strategies"]["breakout_15m"], "interval": "1m"}}
            # as careless as the settings allow, so that only the candle rules keep orders out of the holes
            config |= {"universe": {"min_coverage_bps": 0}, "quality": {"gap_mask_bars": 8}}
            config["strategies"]["minute"]["risk"] = {"max_position_pct_equity_bps": 5000}
            return scene(tmp_path, name, config, {"OPENCLAW_ARCHIVE_DIR": str(shared / "kraken_spot")}, start, days)
        start, folder, symbols = {
            "perps": (date(2025, 5, 16), "binance_usdm", PERPS),
            "halt": (date(2023, 3, 24 if days == 1 else 20), "binance_spot", SPOT),
        }[market]
        intervals = ["5m"] if market == "halt" else ["1m"]
        first = date(2023, 3, 1) if market == "halt" else date(2025, 5, 4)
        config = busy({"source": "archive", "symbols": symbols, "intervals": intervals, "first_day": first}, start)
        environ = {"OPENCLAW_ARCHIVE_DIR": str(shared / folder)}
        return scene(tmp_path, name, config, environ, start, days)

    yield make
    for subject in made:
        subject.stop()
