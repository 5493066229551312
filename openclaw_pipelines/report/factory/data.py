"""What a cycle's report is made from: rows of the `research` tables of one factory cycle, and views of them.

Reading the store is in `services.factory.cycle_report`. An empty frame may lack its columns.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import polars as pl

from openclaw_pipelines.contracts.factory import INCUMBENT_ROW, CycleState, Listing, ParityClass, Variant
from openclaw_pipelines.contracts.rows import first_as, rows_as
from openclaw_pipelines.contracts.rows.factory import (
    FactoryCycleRow,
    GateResultRow,
    ParityReportRow,
    ReplayRow,
    ShortlistRow,
)
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.kernel.base.money import to_atoms
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.report.factory.sweep import FamilySweep, family_sweep
from openclaw_pipelines.report.page import text

HASH_DIGITS = 8
"""Digits of a hash in plots and tables; whole hashes stand under provenance."""


@dataclass(frozen=True)
class Candidate:
    """One set of parameters on the shortlist. number: from 1, in the order of channels and ranks."""

    number: int
    family: str
    params_hash: str
    row_index: int
    values: Mapping[str, Value]
    channels: tuple[str, ...]

    @property
    def label(self) -> str:
        """Number and the beginning of the hash, as plots and tables name it."""
        return f"{self.number}: {self.family} {self.params_hash[:HASH_DIGITS]}"


@dataclass(frozen=True)
class Step:
    """A step of a cycle: from the end of the one before to the newest row that it wrote; None where it wrote none."""

    name: str
    wrote: str
    began: datetime | None
    ended: datetime | None
    blocked: bool


@dataclass(frozen=True)
class CycleData:
    """One factory cycle as stored.

    cycle: the row of `factory_cycles`. The frames hold that cycle's rows of the tables of their names, in the order of
        `resources.store.research_tables`.
    hold: `window` (train or holdout), `at`, `value`: equal parts of every symbol bought at the window's first open, as
        a multiple of what was paid, at day ends, before costs.
    gpu: which part a GPU had, and how far it is trusted.
    sweep_hash: SHA-256 over all shards. trials_ever: trials of the cycle's families by any cycle.
    shards_expected: shards of a whole sweep.
    """

    cycle: FactoryCycleRow
    shards: pl.DataFrame
    trials: pl.DataFrame
    sweep: pl.DataFrame
    shortlist: pl.DataFrame
    replays: pl.DataFrame
    parity: pl.DataFrame
    gpu: str
    gates: pl.DataFrame
    looks: pl.DataFrame
    deployments: pl.DataFrame
    hold: pl.DataFrame
    trials_ever: int
    sweep_hash: str | None
    shards_expected: int
    generated_at: datetime
    version: str

    @property
    def cycle_id(self) -> str:
        """Identifier of the cycle."""
        return str(self.cycle["cycle_id"])

    @cached_property
    def contract(self) -> dict[str, Any]:
        """The contract that the cycle was begun under."""
        found: dict[str, object] = json.loads(self.cycle["contract"])
        return found

    @property
    def capital_atoms(self) -> int:
        """Capital that every run starts with, in atoms."""
        return to_atoms(Decimal(str(self.contract["capital"])))

    def window(self, name: Variant) -> tuple[datetime, datetime]:
        """Start and end of the train days, or of the holdout."""
        own = self.cycle
        if name is Variant.TRAIN:
            return own["train_start"], own["train_end"]
        return own["holdout_start"], own["holdout_end"]

    @property
    def train_days(self) -> int:
        """Days that were searched."""
        return int((self.cycle["train_end"] - self.cycle["train_start"]).days)

    @property
    def holdout_days(self) -> int:
        """Days that judge."""
        return int((self.cycle["holdout_end"] - self.cycle["holdout_start"]).days)

    @cached_property
    def tried(self) -> pl.DataFrame:
        """Rows of the search; the incumbent is none of them."""
        return self.sweep if self.sweep.is_empty() else self.sweep.filter(pl.col("row_index") != INCUMBENT_ROW)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Families that were searched, by name."""
        return () if self.tried.is_empty() else tuple(sorted(self.tried["family"].unique()))

    @cached_property
    def sweeps(self) -> dict[str, FamilySweep]:
        """Every family's rows that have an objective."""
        return {name: family_sweep(self.tried, name) for name in self.families}

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Candidates of the shortlist, each set of parameters once, numbered in the order of channels and ranks."""
        listed: dict[str, tuple[int, list[ShortlistRow]]] = {}
        for row in rows_as(ShortlistRow, self.shortlist):
            if row["status"] == Listing.CANDIDATE and row["row_index"] is not None:
                listed.setdefault(row["params_hash"], (row["row_index"], []))[1].append(row)
        return tuple(
            Candidate(
                number, rows[0]["family"], params, place, json.loads(rows[0]["params"]),
                tuple(f"{row['channel']} {row['rank']}" for row in rows),
            )
            for number, (params, (place, rows)) in enumerate(listed.items(), start=1)
        )  # fmt: skip

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The cycle's steps in order, as the times of its rows tell them, and the one that blocked it."""
        frames = (
            ("Sweep", self.shards, "shards"), ("Shortlist", self.shortlist, "entries"),
            ("Replays", self.replays, "replays"), ("Parity", self.parity, "comparisons"),
            ("Gates", self.gates, "gates"), ("Deployment", self.deployments, "transitions"),
        )  # fmt: skip
        begun: datetime = self.cycle["recorded_at"]
        steps = [Step("Begun", "its contract", begun, begun, blocked=False)]
        for name, frame, rows in frames:
            ended = None if frame.is_empty() else frame["recorded_at"].max()
            before = max(step.ended for step in steps if step.ended is not None)
            at = max(ended, before) if isinstance(ended, datetime) else None
            steps.append(Step(name, f"{frame.height:,} {rows}", None if at is None else before, at, blocked=False))
        if self.cycle["state"] == CycleState.BLOCKED:
            names = [step.name for step in steps]
            where = names.index(blocking_step(str(self.cycle["blocked_by"] or "")))
            steps[where] = replace(steps[where], blocked=True)
        return tuple(steps)

    def replay(self, params_hash: str, variant: Variant) -> ReplayRow | None:
        """A candidate's replay of that name; None where it was not run."""
        if self.replays.is_empty():
            return None
        return first_as(ReplayRow, self.replays.filter(params_hash=params_hash, variant=variant.value))

    def gates_of(self, params_hash: str) -> list[GateResultRow]:
        """A candidate's gates in the order of evaluation."""
        if self.gates.is_empty():
            return []
        return rows_as(GateResultRow, self.gates.filter(params_hash=params_hash).sort("position"))

    @cached_property
    def unequal(self) -> list[ParityReportRow]:
        """Comparisons that are not equal, or no comparisons."""
        return [row for row in rows_as(ParityReportRow, self.parity) if parity_class(row) is not ParityClass.EQUAL]


def blocking_step(blocked_by: str) -> str:
    """The step whose finding blocked a cycle, by the name stored with it.

    >>> blocking_step("parity: STATE_MACHINE"), blocking_step("shortlist"), blocking_step("holdout_trades")
    ('Parity', 'Shortlist', 'Gates')
    """
    return {"shortlist": "Shortlist", "parity": "Parity"}.get(blocked_by.split(":")[0], "Gates")


def words(name: str) -> str:
    """Name of a parameter, gate or comparison as words.

    >>> words("stop_atr"), words("deflated_sharpe_raw"), words("cpu_gpu")
    ('Stop ATR', 'Deflated Sharpe raw', 'CPU GPU')
    """
    shouted = {word: word.upper() for word in ("atr", "ema", "rsi", "adx", "cpu", "gpu")}
    spelled = {**shouted, "sharpe": "Sharpe"}
    said = " ".join(spelled.get(word.lower(), word) for word in text.words(name).split(" "))
    return said[:1].upper() + said[1:]
