"""One strategy with every override applied: limits per symbol, costs, universe rules and parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TypeVar

from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.config.governance import Risk
from openclaw_pipelines.contracts.config.trading import Costs, Strategy, Universe
from openclaw_pipelines.contracts.errors import ConfigError
from openclaw_pipelines.contracts.layers import DEFAULT, Layer
from openclaw_pipelines.contracts.time import interval_length
from openclaw_pipelines.settings.agreement import columns
from openclaw_pipelines.settings.documents import Document, Path, dotted
from openclaw_pipelines.settings.errors import SettingConflictError, SettingValueError, UnknownSettingError, nearest
from openclaw_pipelines.settings.layers import find_place, resolve
from openclaw_pipelines.settings.validation import Place, typed

Section = TypeVar("Section", Risk, Costs, Universe)


@dataclass(frozen=True)
class StrategySettings:
    """Everything that holds for one strategy.

    own: its section of the configuration. symbols: columns of the deployment, sorted. params: all parameters of the
    family, defaults included. costs, universe and account_limits: with the strategy's overrides. Limits of one order
    or position come from `limits(symbol)`, those of the whole sub-account are the same for every symbol.
    """

    name: str
    own: Strategy
    symbols: tuple[str, ...]
    params: Mapping[str, int | float | bool]
    account_limits: Risk
    costs: Costs
    universe: Universe
    enabled_symbols: frozenset[str]
    symbol_limits: Mapping[str, Risk]
    limit_layers: Mapping[str, Mapping[str, Layer]]

    @property
    def interval(self) -> timedelta:
        """Length of a bar."""
        return interval_length(self.own.interval)

    def limits(self, symbol: str) -> Risk:
        """Limits for one symbol of the strategy, all layers applied. Raises SettingValueError for another symbol."""
        self._refuse_unknown(symbol)
        return self.symbol_limits[symbol]

    def limit_source(self, symbol: str, key: str) -> Layer:
        """Layer that one limit of one symbol came from."""
        self._refuse_unknown(symbol)
        if key not in Risk.model_fields:
            raise UnknownSettingError("limit_source", f"risk.{key}", f"risk.{nearest(key, Risk.model_fields)}")
        return self.limit_layers[symbol].get(key, DEFAULT)

    def deployment_fingerprint(self, source: str | None) -> str:
        """SHA-256 of what a running deployment cannot change: market source, family, parameters, interval and symbols.

        source: name of the market source; None for the fingerprint of the first ledgers, which did not know theirs.
        """
        params = {key: _hex(value) for key, value in self.params.items()}
        known = {} if source is None else {"source": source}
        return sha256_of(
            {"family": self.own.family, "params": params, "interval": self.own.interval, "symbols": self.symbols}
            | known
        )

    def resolved(self) -> dict[str, object]:
        """What replaces the override sections in the configuration's fingerprint. Lists that are sets are sorted."""
        return {
            "symbols": self.symbols,
            "allow": sorted(self.own.allow),
            "deny": sorted(self.own.deny),
            "enabled_symbols": sorted(self.enabled_symbols),
            "params": {key: _hex(value) for key, value in self.params.items()},
            "risk": {symbol: limits.model_dump() for symbol, limits in self.symbol_limits.items()},
            "costs": self.costs.model_dump(),
            "universe": self.universe.model_dump(),
        }

    def _refuse_unknown(self, symbol: str) -> None:
        if symbol not in self.symbol_limits:
            problem = f"not a symbol of strategy {self.name}. Nearest known: {nearest(symbol, self.symbols)}"
            raise SettingValueError("limits", f"strategies.{self.name}.symbols", symbol, problem)


def resolve_strategy(name: str, config: Configuration, documents: Sequence[Document]) -> StrategySettings:
    """Apply all layers. Raises a ConfigError that names the key whose value is wrong."""
    own = config.strategies[name]
    symbols = columns(own, config)
    limits: dict[str, Risk] = {}
    layers: dict[str, Mapping[str, Layer]] = {}
    for symbol in symbols:
        limits[symbol], layers[symbol] = _section(Risk, "risk", documents, name, symbol)
        _check_order_sizes(limits[symbol], documents, name, symbol)
    overrides = config.symbols
    return StrategySettings(
        name=name,
        own=own,
        symbols=symbols,
        params=MappingProxyType(_params(name, own, documents)),
        account_limits=_section(Risk, "risk", documents, name)[0],
        costs=_section(Costs, "costs", documents, name)[0],
        universe=_universe(documents, name),
        enabled_symbols=frozenset(s for s in symbols if s not in overrides or overrides[s].enabled),
        symbol_limits=MappingProxyType(limits),
        limit_layers=MappingProxyType(layers),
    )


def _section(
    model: type[Section], section: str, documents: Sequence[Document], strategy: str, symbol: str | None = None
) -> tuple[Section, Mapping[str, Layer]]:
    values, layers = resolve(section, documents, strategy, symbol)
    place = Place(documents, _placed(section, documents, strategy, symbol))
    return typed(model, values, place), MappingProxyType(layers)


def _placed(section: str, documents: Sequence[Document], strategy: str, symbol: str | None) -> Callable[[Path], Path]:
    return lambda key: find_place(section, key, documents, strategy, symbol)


def _universe(documents: Sequence[Document], strategy: str) -> Universe:
    universe, _ = _section(Universe, "universe", documents, strategy)
    place = Place(documents, _placed("universe", documents, strategy, None))
    if universe.min_symbols > universe.max_symbols:
        key = ("min_symbols",)
        problem = f"max_symbols is {universe.max_symbols}"
        raise SettingConflictError(place.where(key), dotted(place.path(key)), universe.min_symbols, problem)
    if not any(universe.weights.values()):
        key = ("weights",)
        raise SettingConflictError(place.where(key), dotted(place.path(key)), "all 0", "a score needs one above 0")
    return universe


def _check_order_sizes(limits: Risk, documents: Sequence[Document], strategy: str, symbol: str) -> None:
    if limits.min_order_notional > limits.max_order_notional:
        place = Place(documents, _placed("risk", documents, strategy, symbol))
        key = ("min_order_notional",)
        problem = f"max_order_notional is {limits.max_order_notional} for {symbol} of {strategy}"
        raise SettingConflictError(place.where(key), dotted(place.path(key)), str(limits.min_order_notional), problem)


def _params(name: str, own: Strategy, documents: Sequence[Document]) -> dict[str, int | float | bool]:
    from openclaw_pipelines.kernel.strategy.families import FAMILIES
    from openclaw_pipelines.kernel.strategy.params import (
        ParameterConflictError,
        ParameterRangeError,
        ParameterTypeError,
        params_record,
        params_values,
    )

    place = Place(documents, lambda key: ("strategies", name, *key))
    if own.family not in FAMILIES:
        problem = f"no such family. Nearest known: {nearest(own.family, FAMILIES)}"
        raise SettingValueError(place.where(("family",)), dotted(place.path(("family",))), own.family, problem)
    known = FAMILIES[own.family].names
    for param in own.params:
        if param not in known:
            similar = dotted(place.path(("params", nearest(param, known))))
            raise UnknownSettingError(place.where(("params", param)), dotted(place.path(("params", param))), similar)
    try:
        return params_values(params_record(own.family, own.params, int(interval_length(own.interval).total_seconds())))
    except (ParameterTypeError, ParameterRangeError) as error:
        raise _param_error(error, error.name, own, place) from error
    except ParameterConflictError as error:
        raise _param_error(error, error.lesser, own, place) from error


def _param_error(error: ConfigError, culprit: str, own: Strategy, place: Place) -> SettingValueError:
    """The kernel's error with the place of the parameter."""
    value = own.params.get(culprit, "its default")
    shown = str(value) if isinstance(value, Decimal) else value
    key = ("params", culprit)
    return SettingValueError(place.where(key), dotted(place.path(key)), shown, str(error).rstrip("."))


def _hex(value: float) -> str | int | bool:
    """Every bit of a float: two parameters that print alike may still decide differently."""
    return (value + 0.0).hex() if isinstance(value, float) else value
