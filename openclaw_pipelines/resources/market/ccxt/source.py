"""The `ccxt` market source: any exchange that ccxt knows, over REST, closed candles only.

Retries are in `client`, paging in `pages`, facts of exchanges in `exchanges`, units in
`instruments`, what of an answer is believed in `answers`. Gaps and outliers are judged by the data-quality checks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.symbols import market_type
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import INTERVALS, floor_to, interval_length, utc
from openclaw_pipelines.resources.clock import RealClock
from openclaw_pipelines.resources.market.ccxt.answers import MILLISECOND, Belief, ms, names_in, time_of
from openclaw_pipelines.resources.market.ccxt.client import Answer, Backoff, CcxtClient, nearest
from openclaw_pipelines.resources.market.ccxt.errors import (
    EndlessAnswersError,
    FundingNotOfferedError,
    HistoryTooShortError,
    IntervalNotSupportedError,
    MalformedResponseError,
    MarketKindNotSupportedError,
    SymbolNotListedError,
    VolumeUnitUnknownError,
)
from openclaw_pipelines.resources.market.ccxt.exchanges import BASE_DEFAULTS, traits_of
from openclaw_pipelines.resources.market.ccxt.frames import candle_frame, funding_frame
from openclaw_pipelines.resources.market.ccxt.instruments import instrument_row
from openclaw_pipelines.resources.market.ccxt.pages import Fetch, Page, Walk, read_once, walk
from openclaw_pipelines.resources.market.errors import MissingSourceSettingError
from openclaw_pipelines.resources.market.resample import divides, parts_window, resample

HOUR = timedelta(hours=1)


class CcxtMarket:
    """Candles, funding and instruments of one exchange, read through ccxt.

    exchange: ccxt id, as `kraken`.
    options: configuration of the ccxt client (`hostname`, `rateLimit`, `httpsProxy`, `options` ...), no credentials.
    timeout_seconds: time-out of one request. max_retries: further attempts after the first.

    Every method raises the errors of `client.CcxtClient.call`, besides its own.
    """

    def __init__(
        self,
        exchange: str,
        *,
        options: Mapping[str, object] | None = None,
        timeout_seconds: float = 10,
        max_retries: int = 5,
        backoff: Backoff | None = None,
    ) -> None:
        import ccxt

        self.exchange = exchange
        self.name = f"ccxt:{exchange}"
        self._served_at: datetime | None = None
        self._traits = traits_of(exchange)
        self._client = CcxtClient(
            exchange,
            defaults=ccxt.Exchange.deep_extend(BASE_DEFAULTS, self._traits.defaults),
            options=options or {},
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
            backoff=backoff or Backoff(),
            envelope=self._traits.envelope,
        )

    def candles(self, symbol: str, interval: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Bars with `start <= ts < end` that are closed at `as_of`, ascending, in `CANDLE_COLUMNS`.

        A bar is closed when both `as_of` and the exchange's own clock are past its end. An interval that the exchange
        lacks is built from the longest one that divides it. Raises HistoryTooShortError where the exchange no longer
        serves `start`, SymbolNotListedError, IntervalNotSupportedError, MarketKindNotSupportedError, and an
        UntrueAnswerError where it answers what cannot be.
        """
        self._served_at = None
        length = interval_length(interval)
        part = self._part_of(interval)
        market = self._market(symbol)
        self._check_volume_unit(market)
        first, last = parts_window(interval, utc(start, "start"), utc(end, "end"))
        last = min(last, floor_to(utc(as_of, "as_of"), length))
        if first >= last:
            return candle_frame(self.name, symbol, interval, [])
        what = f"{symbol} {part} bars {first:%Y-%m-%dT%H:%MZ}..{last:%Y-%m-%dT%H:%MZ}"
        belief = self._belief(what, market, as_of)
        found = self._read_candles(belief, part, first, last)
        self._served_at = found.served_at
        closed_by = last if found.served_at is None else min(last, floor_to(found.served_at, length))
        rows = belief.distinct(row for row in found.rows if row[0] < ms(closed_by))
        self._check_reach(rows, found, first, part, as_of, what)
        frame = belief.believed_bars(candle_frame(self.name, symbol, part, rows), part)
        return frame if part == interval else resample(frame, interval, closed_by)

    def funding_rates(self, symbol: str, start: datetime, end: datetime, as_of: datetime) -> pl.DataFrame:
        """Funding with `start <= ts < end`, stamped at or before `as_of`, in `FUNDING_COLUMNS`; empty for spot.

        `ts` is the stamp floored to the hour, the grid on which every venue pays. Raises FundingNotOfferedError,
        HistoryTooShortError, and an UntrueAnswerError where the exchange answers what cannot be.
        """
        self._served_at = None
        market = self._market(symbol)
        first, last = parts_window("1h", utc(start, "start"), utc(end, "end"))
        last = min(last, utc(as_of, "as_of") + MILLISECOND)
        if market["spot"] or first >= last:
            return funding_frame(self.name, symbol, [])
        if self._client.api.has.get("fetchFundingRateHistory") is not True:
            raise FundingNotOfferedError(self.exchange, symbol)
        what = f"funding of {symbol} {first:%Y-%m-%dT%H:%MZ}..{last:%Y-%m-%dT%H:%MZ}"
        belief = self._belief(what, market, as_of)
        found = self._read_funding(belief, first, last)
        self._served_at = found.served_at
        hour = ms(HOUR)
        stamps = {stamp // hour * hour: stamp for stamp, _ in sorted(found.rows, reverse=True)}
        rates = belief.distinct((stamp // hour * hour, rate) for stamp, rate in found.rows)
        self._check_funding_reach(rates, found, first, as_of, what)
        return belief.believed_rates(funding_frame(self.name, symbol, [(ts, stamps[ts], rate) for ts, rate in rates]))

    def served_at(self) -> datetime | None:
        """The earliest clock among the answers of the last call; None where it asked nothing or was told none."""
        return self._served_at

    def instruments(self, symbols: Sequence[str], as_of: datetime) -> pl.DataFrame:
        """Rows of `contracts.tables.market.Instruments`, from a list of markets read anew.

        Raises SymbolNotListedError, MarketKindNotSupportedError, IncompleteInstrumentError.
        """
        self._load_markets(reload=True)
        markets = [self._market(symbol) for symbol in symbols]
        hours = self._funding_hours() if any(market["contract"] for market in markets) else {}
        rows = [
            instrument_row(
                market,
                exchange=self.exchange,
                precision_mode=self._client.api.precisionMode,
                traits=self._traits,
                as_of=utc(as_of, "as_of"),
                funding_hours=hours.get(market["symbol"]),
            )
            for market in markets
        ]
        return TABLES["instruments"].frame(rows)

    def _funding_hours(self) -> dict[str, int]:
        """Hours between fundings where the exchange lists them; Binance lists those that are not its usual."""
        if self._client.api.has.get("fetchFundingIntervals") is not True:
            return {}
        listed = self._client.call("its funding intervals", "fetch_funding_intervals").value
        hours = {symbol: str(one["interval"]).removesuffix("h") for symbol, one in listed.items()}
        return {symbol: int(number) for symbol, number in hours.items() if number.isdigit()}

    def _load_markets(self, *, reload: bool) -> dict[str, Any]:
        markets: dict[str, object] = self._client.call("its markets", "load_markets", reload).value
        if not markets:
            raise MalformedResponseError(self.exchange, "its markets", 1, "it lists none")
        return markets

    def _market(self, symbol: str) -> dict[str, Any]:
        markets = self._load_markets(reload=False)
        market: dict[str, object] | None = markets.get(symbol)
        if market is None:
            market_type(symbol)  # a form that is no symbol at all has its own error
            raise SymbolNotListedError(self.exchange, symbol, nearest(symbol, list(markets)))
        kind = _unsupported_kind(market)
        if kind:
            raise MarketKindNotSupportedError(self.exchange, symbol, kind)
        return market

    def _check_volume_unit(self, market: Mapping[str, object]) -> None:
        size = market["contractSize"]
        if market["contract"] and size not in (None, 1) and not self._traits.volume_in_base:
            raise VolumeUnitUnknownError(self.exchange, str(market["symbol"]), size)

    def _part_of(self, interval: str) -> str:
        """The interval itself where the exchange has it, else the longest that divides it."""
        api = self._client.api
        own = (
            [name for name in INTERVALS if name in (api.timeframes or {})] if api.has.get("fetchOHLCV") is True else []
        )
        fitting = [name for name in own if divides(name, interval)]
        if not fitting:
            raise IntervalNotSupportedError(self.exchange, interval, ", ".join(own) or "none")
        return max(fitting, key=lambda name: INTERVALS[name])

    def _belief(self, what: str, market: Mapping[str, Any], as_of: datetime) -> Belief:
        names = frozenset(str(market[name]) for name in ("id", "baseName") if market.get(name))
        return Belief(self.exchange, what, market["symbol"], names, max(utc(as_of, "as_of"), RealClock().now()))

    def _told(self, belief: Belief, method: str, *args: object) -> Answer:
        """The answer to a question about one symbol, which must be about that symbol."""
        answer = self._client.call(belief.what, method, belief.symbol, *args)
        belief.refuse_other_symbols(names_in(answer.body, self._traits.symbol_fields))
        if self._traits.keyed_by_symbol and isinstance(answer.body, dict):
            rows = answer.body.get(self._traits.envelope) or {}
            belief.refuse_other_symbols(name for name, own in rows.items() if isinstance(own, list))
        return answer

    def _read_candles(self, belief: Belief, interval: str, first: datetime, last: datetime) -> Walk:
        step = ms(INTERVALS[interval])
        page = self._traits.candle_page or self._client.api.feature_value(belief.symbol, "fetchOHLCV", "limit", 100)

        def fetch(low: int, high: int) -> Page:
            bounds = (page, {"until": high - 1}) if self._traits.honours_end else (None, {})
            answer = self._told(belief, "fetch_ohlcv", interval, low, *bounds)
            return Page(sorted(map(belief.bar, answer.value)), answer.served_at)

        if not self._traits.honours_end:
            return read_once(fetch, ms(first), ms(last))
        return self._walked(belief.what, fetch, ms(first), ms(last), step=step, grain=step, page=page, least=step)

    def _read_funding(self, belief: Belief, first: datetime, last: datetime) -> Walk:
        step = self._traits.funding_interval_hours * ms(HOUR)
        page = self._traits.funding_page

        def fetch(low: int, high: int) -> Page:
            # one ms more, since some venues take the end as included and some as excluded
            bounds = (page, {self._traits.funding_end: high})
            answer = self._told(belief, "fetch_funding_rate_history", low, *bounds)
            return Page(sorted(map(belief.rate, answer.value)), answer.served_at)

        hour = ms(HOUR)
        return self._walked(belief.what, fetch, ms(first), ms(last), step=step, grain=1, page=page, least=hour)

    def _walked(self, what: str, fetch: Fetch, start: int, end: int, **how: int) -> Walk:
        return walk(fetch, start, end, **how, endless=lambda n: EndlessAnswersError(self.exchange, what, n))

    def _check_reach(
        self,
        rows: Sequence[tuple[int, object]],
        found: Walk,
        first: datetime,
        interval: str,
        as_of: datetime,
        what: str,
    ) -> None:
        """Bars absent at the beginning are a hole or an unlisted symbol, unless the exchange no longer serves them."""
        bars = self._traits.candle_horizon_bars
        if bars is None or (rows and rows[0][0] == ms(first)):
            return
        if not self._traits.honours_end and found.largest_page < bars:
            return  # it gave all it has and that was less than it could give
        served_at = found.served_at or utc(as_of, "as_of")
        # the latest bar is the forming one
        reachable_from = floor_to(served_at, INTERVALS[interval]) - (bars - 1) * INTERVALS[interval]
        if first < reachable_from:
            horizon = f"the latest {bars:,} bars"
            raise HistoryTooShortError(self.exchange, what, first, horizon, _reached(rows, reachable_from))

    def _check_funding_reach(
        self, rates: Sequence[tuple[int, object]], found: Walk, first: datetime, as_of: datetime, what: str
    ) -> None:
        days = self._traits.funding_horizon_days
        usual = self._traits.funding_interval_hours * ms(HOUR)
        if days is None or (rates and rates[0][0] - ms(first) < usual):
            return
        reachable_from = (found.served_at or utc(as_of, "as_of")) - timedelta(days=days)
        if first < reachable_from:
            horizon = f"the latest {days} days"
            raise HistoryTooShortError(self.exchange, what, first, horizon, _reached(rates, reachable_from))


def build_ccxt_source(market: Market) -> CcxtMarket:
    """The source that the configuration asks for. Raises MissingSourceSettingError, UnknownExchangeError."""
    if not market.exchange:
        raise MissingSourceSettingError("ccxt", "market.exchange", "OPENCLAW_EXCHANGE")
    return CcxtMarket(
        market.exchange,
        options=market.exchange_options,
        timeout_seconds=market.timeout_seconds,
        max_retries=market.max_retries,
    )


def _unsupported_kind(market: Mapping[str, object]) -> str | None:
    kinds = (
        ("an option", market["option"]),
        ("a dated future", market["future"]),
        ("an inverse contract", market["inverse"]),
        ("settled in another currency than its quote", market["contract"] and market["settle"] != market["quote"]),
        (f"of type {market['type']!r}", not (market["spot"] or market["swap"])),
    )
    return next((name for name, applies in kinds if applies), None)


def _reached(rows: Sequence[tuple[int, object]], estimate: datetime) -> datetime:
    return time_of(rows[0][0]) if rows else estimate
