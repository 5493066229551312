"""The contract of a cycle and of a run: everything that decides what comes out, and so what may be compared with what.

A cycle's identifier is made from its contract, so that the same contract is the same cycle, resumed and never repeated.
Two runs are comparable only under one run contract; a difference makes a comparison invalid, neither passed nor failed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.errors import ContractError
from openclaw_pipelines.domain.selection.windows import Split, Window
from openclaw_pipelines.kernel.base.layout import Records
from openclaw_pipelines.kernel.run.replay import Costs
from openclaw_pipelines.kernel.strategy.params import params_hash, params_record


class ParamsChangedError(ContractError):
    """Parameters that are not those that were found."""

    template = (
        "{where}: the parameters of {family} have hash {found}, the candidate's is {expected}. "
        "Parameters travel unchanged; run the cycle again from its sweep."
    )
    where: str
    family: str
    expected: str
    found: str


class CycleContractError(ContractError):
    """What a cycle was made from is no longer so."""

    template = (
        "cycle {cycle_id} was made under another contract: {differing} changed since. "
        "Put it back, or run a new cycle of the recipe."
    )
    cycle_id: str
    differing: str


@dataclass(frozen=True)
class RunContract:
    """What besides its parameters decides a run. `window` names its days, `bars_hash` covers them with the warm-up.

    universe: the lists, masks and daily universe that refuse entries; the bars hold what came of them.
    start: row of the bars at which trading begins. limits_hash: of LIMITS[S], ACCOUNT_LIMITS[1] and INSTRUMENT[S].
    """

    code_version: str
    bars_hash: str
    window: str
    start: int
    interval: str
    symbols: tuple[str, ...]
    universe: Mapping[str, object]
    profile: str
    capital: str
    costs: Mapping[str, object]
    limits_hash: str

    @property
    def json(self) -> str:
        """Canonical JSON."""
        return canonical_json(asdict(self))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return sha256_of(asdict(self))


def differing(left: str, right: str) -> tuple[str, ...]:
    """Names of the fields in which two contracts, as canonical JSON, differ.

    >>> differing('{"a":1,"b":2}', '{"a":1,"b":3,"c":4}')
    ('b', 'c')
    """
    mine, other = json.loads(left), json.loads(right)
    return tuple(name for name in sorted({*mine, *other}) if mine.get(name, ...) != other.get(name, ...))


def costs_payload(costs: Costs) -> dict[str, object]:
    """A cost model as plain values for canonical JSON."""
    return asdict(costs)


def limits_hash(limits: Records, account_limits: Records, instruments: Records) -> str:
    """SHA-256 of limits and instruments; the account's slippage is the cost model's and left out."""
    own = account_limits.copy()
    own.slippage_rate = 0
    digest = hashlib.sha256(np.ascontiguousarray(limits).tobytes())
    digest.update(np.ascontiguousarray(own).tobytes())
    digest.update(np.ascontiguousarray(instruments).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class CycleContract:
    """What decides the rows of a cycle. incumbent: parameters hash of the deployed strategy, compared as row 0."""

    recipe: str
    account_id: str
    strategy_config_id: str
    source: str
    split: Split
    space_hash: str
    incumbent: str
    run: RunContract
    listing: Mapping[str, object]
    gates: Mapping[str, object]

    @property
    def payload(self) -> dict[str, object]:
        """Plain values for canonical JSON, flat, so that a difference has a name."""
        windows = {"train": str(self.split.train), "holdout": str(self.split.holdout)}
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("split", "run")}
        return {**asdict(self.run), **own, **windows}

    @property
    def json(self) -> str:
        """Canonical JSON."""
        return canonical_json(self.payload)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return sha256_of(self.payload)

    @property
    def cycle_id(self) -> str:
        """Recipe, last day and the beginning of the contract's hash: a partition key."""
        return f"{self.recipe}-{window_end(self.split.holdout):%Y%m%d}-{self.hash[:12]}"


def window_end(window: Window) -> datetime:
    """Last day of a window."""
    from openclaw_pipelines.contracts.time import DAY

    return window.end - DAY


def unchanged(where: str, family: str, values: Mapping[str, object], interval_seconds: int, expected: str) -> Any:
    """The record of parameters that were handed over, if they are those of `expected`.

    Raises:
        ParamsChangedError: their hash is another.
    """
    record = params_record(family, values, interval_seconds)
    found = params_hash(record)
    if found != expected:
        raise ParamsChangedError(where, family, expected[:12], found[:12])
    return record


def values_json(values: Mapping[str, object]) -> str:
    """Parameters as JSON that gives every float back to the bit."""
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":"), allow_nan=False)


def stressed(costs: Costs, slippage_bps: Decimal) -> Costs:
    """The cost model with another slippage."""
    from dataclasses import replace

    return replace(costs, slippage_bps=slippage_bps)
