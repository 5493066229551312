"""How far a market source was asked: what is absent up to there does not exist, what lies beyond is only unknown."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.enums import MarketType
from openclaw_pipelines.contracts.symbols import market_type
from openclaw_pipelines.contracts.time import DAY, floor_to
from openclaw_pipelines.domain.market.clocks import ClockReading
from openclaw_pipelines.resources.store.store import Store

FUNDING_GRID = timedelta(hours=1)
"""Venues pay funding on whole hours; on which of them is up to them."""
FUNDING_LATE = timedelta(minutes=1)
"""Rates are stamped and published somewhat late; the shortest bar, with which they are due, leaves that long."""


def coverage(store: Store, source: str, days: Iterable[str]) -> dict[tuple[str, str, str], datetime]:
    """Until when a source was asked for candles, by symbol, interval and day."""
    rows = store.query(
        "market",
        "SELECT symbol, interval, day, covered_until FROM candle_coverage WHERE source = ? AND list_contains(?, day)",
        [source, list(days)],
    )
    return {(symbol, interval, day): until for symbol, interval, day, until in rows.iter_rows()}


def funding_coverage(store: Store, source: str, days: Iterable[str]) -> dict[tuple[str, str], datetime]:
    """Until when a source was asked for funding, by symbol and day."""
    rows = store.query(
        "market",
        "SELECT symbol, day, covered_until FROM funding_coverage WHERE source = ? AND list_contains(?, day)",
        [source, list(days)],
    )
    return {(symbol, day): until for symbol, day, until in rows.iter_rows()}


def source_clock(store: Store, source: str) -> ClockReading | None:
    """What the source's clock showed last; None for a source that never told it."""
    rows = store.query(
        "market", "SELECT source, served_at, read_at, ahead_seconds FROM source_clocks WHERE source = ?", [source]
    )
    return ClockReading(*rows.row(0)) if rows.height else None


def perpetuals(symbols: Iterable[str]) -> list[str]:
    """Those that pay funding."""
    return [symbol for symbol in symbols if market_type(symbol) is MarketType.LINEAR]


def funding_due(tick_at: datetime, length: timedelta) -> datetime | None:
    """The last time inside the bar that closes at `tick_at` at which funding may fall due; None if there is none.

    >>> at = datetime.fromisoformat("2025-05-10T08:15:00+00:00")
    >>> f"{funding_due(at, timedelta(minutes=15)):%H:%M}", funding_due(at, timedelta(minutes=5))
    ('08:00', None)
    """
    last = floor_to(tick_at - timedelta(microseconds=1), FUNDING_GRID)
    return last if last >= tick_at - length else None


def funding_asked(store: Store, source: str, symbols: Iterable[str], due: datetime) -> bool:
    """Whether the source was asked for the funding of every perpetual up to a time."""
    day, wanted = f"{due:%Y-%m-%d}", perpetuals(symbols)
    covered = funding_coverage(store, source, [day]) if wanted else {}
    return all(covered.get((symbol, day), due - DAY) >= due for symbol in wanted)
