"""What must agree with what: names with the lists they come from, and settings with each other."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.config.trading import Strategy
from openclaw_pipelines.contracts.enums import SourceKind
from openclaw_pipelines.contracts.errors import ContractError
from openclaw_pipelines.contracts.symbols import normalize
from openclaw_pipelines.contracts.time import INTERVALS
from openclaw_pipelines.settings.documents import Path, dotted
from openclaw_pipelines.settings.errors import MissingSettingError, SettingConflictError, SettingValueError, nearest
from openclaw_pipelines.settings.validation import Place


def check_agreement(config: Configuration, place: Place) -> None:
    """Raise SettingValueError, MissingSettingError or SettingConflictError for the first thing that does not agree."""
    _check_market(config, place)
    for symbol in config.symbols:
        _check_known(symbol, ("symbols", symbol), config.market.symbols, "market.symbols", place)
    for name, strategy in config.strategies.items():
        _check_strategy(name, strategy, config, place)
    _refuse_repeats(config.outcome_horizons_seconds, ("outcome_horizons_seconds",), place)


def columns(strategy: Strategy, config: Configuration) -> tuple[str, ...]:
    """Symbols of a deployment, sorted: their order is part of recorded states, the order in a file is not."""
    return tuple(sorted(strategy.symbols or config.market.symbols))


def _check_market(config: Configuration, place: Place) -> None:
    market = config.market
    for index, symbol in enumerate(market.symbols):
        path: Path = ("market", "symbols", str(index))
        try:
            normalize(symbol)
        except ContractError as error:
            raise SettingValueError(place.where(path), dotted(path), symbol, str(error)) from None
    _refuse_repeats(market.symbols, ("market", "symbols"), place)
    _refuse_repeats(market.intervals, ("market", "intervals"), place)
    for index, interval in enumerate(market.intervals):
        _check_known(interval, ("market", "intervals", str(index)), INTERVALS, "the known intervals", place)
    for source, key, value in (
        (SourceKind.ARCHIVE, "archive_dir", market.archive_dir),
        (SourceKind.CCXT, "exchange", market.exchange),
    ):
        if market.source is source and not value:
            path = ("market", key)
            meaning = f"{type(market).model_fields[key].description}; market.source is {source.value}"
            raise MissingSettingError(place.where(path), dotted(path), meaning)


def _check_strategy(name: str, strategy: Strategy, config: Configuration, place: Place) -> None:
    here: Path = ("strategies", name)
    if not name.isascii() or not name.replace("_", "").isalnum() or name != name.lower():
        problem = "a strategy's name is part of keys and may hold only a-z, 0-9 and _"
        raise SettingValueError(place.where(here), dotted(here), name, problem)
    _check_known(strategy.interval, ("strategies", name, "interval"), INTERVALS, "the known intervals", place)
    for index, symbol in enumerate(strategy.symbols or ()):
        _check_known(symbol, (*here, "symbols", str(index)), config.market.symbols, "market.symbols", place)
    for key, symbols in (("symbols", strategy.symbols or ()), ("allow", strategy.allow), ("deny", strategy.deny)):
        _refuse_repeats(symbols, (*here, key), place)
    for key, path, symbol in _listed(strategy, here):
        _check_known(symbol, path, columns(strategy, config), "the symbols of this strategy", place)
        if key == "deny" and symbol in strategy.allow:
            raise SettingConflictError(place.where(path), dotted(path), symbol, "allow names it too")
    _check_start(strategy, here, config, place)


def _listed(strategy: Strategy, here: Path) -> Iterator[tuple[str, Path, str]]:
    for key, symbols in (("allow", strategy.allow), ("deny", strategy.deny)):
        for index, symbol in enumerate(symbols):
            yield key, (*here, key, str(index)), symbol


def _check_start(strategy: Strategy, here: Path, config: Configuration, place: Place) -> None:
    first_day = config.market.first_day
    if strategy.start_day < first_day:
        path = (*here, "start_day")
        problem = f"market.first_day is {first_day}, and there are no candles before it"
        raise SettingConflictError(place.where(path), dotted(path), str(strategy.start_day), problem)
    if timedelta(seconds=strategy.jitter_seconds) >= INTERVALS[strategy.interval]:
        path = (*here, "jitter_seconds")
        problem = f"interval is {strategy.interval}: ticks would start after the next one is due"
        raise SettingConflictError(place.where(path), dotted(path), strategy.jitter_seconds, problem)


def _check_known(name: str, path: Path, known: Iterable[str], source: str, place: Place) -> None:
    names = list(known)
    if name not in names:
        problem = f"not among {source}. Nearest known: {nearest(name, names)}"
        raise SettingValueError(place.where(path), dotted(path), name, problem)


def _refuse_repeats(values: Iterable[object], path: Path, place: Place) -> None:
    seen: set[object] = set()
    for index, value in enumerate(values):
        here = (*path, str(index))
        if value in seen:
            raise SettingValueError(place.where(here), dotted(here), value, "it is listed twice")
        seen.add(value)
