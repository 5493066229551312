"""What refuses a strategy's entries over a range of ticks: the lists, data masks and universe of the tick, as arrays.

A tick asks `governance.controls` and `universe` as it comes; a replay and a sweep are handed the same answers for every
bar beforehand. Nothing after a tick is read for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from openclaw_pipelines.contracts.config.market import Quality
from openclaw_pipelines.contracts.config.trading import Universe
from openclaw_pipelines.contracts.enums import KillSwitch, RejectCode
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.domain.governance.controls import Controls, control_codes
from openclaw_pipelines.domain.governance.policy import Policy
from openclaw_pipelines.domain.market.instruments import Instrument, listings, untradable
from openclaw_pipelines.domain.market.masks import MASKING, Codes, entry_masks, window_bars
from openclaw_pipelines.domain.market.parts import measured
from openclaw_pipelines.domain.trading.universe import Admission, rank_universe


class OwnOutcomesError(ConfigError):
    """A universe that depends on what the strategy itself earned, so that each parameter row would have another."""

    template = (
        "{strategy}: its universe takes {max_symbols} of {candidates} symbols by a score that weighs the strategy's "
        "own outcomes, so that every parameter row of a search would have a universe of its own. "
        "Set universe.weights.outcomes to 0 for it, or universe.max_symbols to {candidates}."
    )
    strategy: str
    max_symbols: int
    candidates: int


@dataclass(frozen=True)
class Entries:
    """The rules by which a strategy's entries are refused, as configured.

    instruments: in the order of columns. listings: rows of `contracts.tables.market.Instruments`.
    """

    strategy: str
    instruments: tuple[Instrument, ...]
    policy: Policy
    allow: frozenset[str]
    deny: frozenset[str]
    disabled: frozenset[str]
    universe: Universe
    quality: Quality
    listings: pl.DataFrame

    @property
    def symbols(self) -> list[str]:
        """Columns, in order."""
        return [item.symbol for item in self.instruments]

    def payload(self) -> dict[str, object]:
        """What of it decides, as plain values for a contract."""
        return {
            "allow": sorted(self.allow),
            "deny": sorted(self.deny),
            "disabled": sorted(self.disabled),
            "universe": self.universe.model_dump(mode="json"),
            "masks": self.quality.model_dump(mode="json", include=set(MASKING)),
        }

    def refuse_own_outcomes(self, day: datetime) -> None:
        """Raise `OwnOutcomesError` where the universe of a day follows from what the strategy traded before."""
        admission = Admission.of(day, sorted(self.allow), sorted(self.deny), self.listings)
        candidates = sum(not admission.refusal(symbol) for symbol in self.symbols)
        if candidates > self.universe.max_symbols and self.universe.weights.get("outcomes", 0.0) > 0:
            raise OwnOutcomesError(self.strategy, self.universe.max_symbols, candidates)


def refusing_codes(
    entries: Entries, candles: pl.DataFrame, first_tick: datetime, last_tick: datetime, interval: str
) -> Codes:
    """Codes of `RejectCode` that refuse entries, int8[tick, symbol], 0 for none: as `control_codes` tick by tick.

    candles: also the `window_bars` before the first tick.
    """
    masks = entry_masks(candles, entries.symbols, first_tick, last_tick, interval, entries.quality)
    length, known, codes = interval_length(interval), listings(entries.listings), np.zeros_like(masks)
    ends = {own.delisted_at for own in known.values() if own.delisted_at and first_tick < own.delisted_at <= last_tick}
    # what is tradable changes at the ends only
    for since, until in pairwise([first_tick, *sorted(ends), last_tick + length]):
        rows = slice(*(max(-((first_tick - at) // length), 0) for at in (since, until)))
        disabled = entries.disabled | untradable(known, entries.symbols, since)
        for mask in np.unique(masks[rows]).tolist():
            controls = Controls(
                KillSwitch.OFF, entries.allow, entries.deny, disabled,
                masks=dict.fromkeys(entries.symbols, RejectCode(mask)),
            )  # fmt: skip
            refused = control_codes(entries.instruments, entries.policy, controls)
            own_codes = np.array([refused[symbol] for symbol in entries.symbols], np.int8)
            codes[rows] = np.where(masks[rows] == mask, own_codes, codes[rows])
    return codes


def universes(
    entries: Entries, candles: pl.DataFrame, days: Iterable[datetime], interval: str
) -> Iterator[tuple[str, ...]]:
    """Selected symbols of each day in turn, the first with none before it, by candles alone.

    days: 00:00Z of days that follow one another. candles: from `look_back` before the first on, sorted by time.

    Raises:
        OwnOutcomesError: candles alone do not tell.
    """
    previous: tuple[str, ...] | None = None
    own = measured(candles, entries.quality.min_parts_bps).sort("ts")
    stamps = own["ts"]
    for day in days:
        entries.refuse_own_outcomes(day)
        rows = slice(*(int(stamps.search_sorted(at)) for at in (day - entries.universe.look_back, day)))
        previous = rank_universe(
            own[rows], entries.symbols, as_of=day, interval=interval, settings=entries.universe,
            allow=sorted(entries.allow), deny=sorted(entries.deny), previous=previous, instruments=entries.listings,
        ).selected  # fmt: skip
        yield previous


def flags_by_day(
    opens: Sequence[datetime], by_day: dict[datetime, tuple[str, ...]], symbols: Sequence[str]
) -> NDArray[np.bool_]:
    """Whether each symbol may be entered at the close of the bars that open then, bool[bar, symbol].

    A tick belongs to the day in which its bar opened. Days that `by_day` lacks are those of a warm-up: all may.
    """
    selected = {day: np.isin(symbols, chosen) for day, chosen in by_day.items()}
    everything = np.ones(len(symbols), np.bool_)
    days = (at.replace(hour=0, minute=0, second=0, microsecond=0) for at in opens)
    return np.array([selected.get(day, everything) for day in days])


def mask_window(quality: Quality, length: timedelta) -> timedelta:
    """How long before the first tick the masks read candles."""
    return window_bars(quality) * length
