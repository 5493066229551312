"""From a validated candidate of a cycle to a strategy on paper, with every hand-over checked again."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple, TypeVar

from openclaw_pipelines.contracts.factory import CycleState, Listing, ParityClass
from openclaw_pipelines.contracts.lifecycle import Stage, Trigger
from openclaw_pipelines.contracts.rows import RowT, rows_as
from openclaw_pipelines.contracts.rows.factory import (
    FactoryCycleRow,
    GateResultRow,
    ParityReportRow,
    ReplayRow,
    ShortlistRow,
)
from openclaw_pipelines.contracts.time import DAY, floor_to, interval_length
from openclaw_pipelines.domain.lifecycle.document import section_of
from openclaw_pipelines.domain.lifecycle.hand_over import (
    Evidence,
    EvidenceAbsentError,
    EvidenceFailedError,
    EvidenceKind,
    ParametersChangedError,
    Today,
    check_gates,
    check_parity,
    parity_class,
    same_parameters,
)
from openclaw_pipelines.domain.lifecycle.log import Origin, Position, Step, strategy_name
from openclaw_pipelines.domain.lifecycle.states import TRADING
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.kernel.strategy.params import params_hash, params_record, params_values
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.research_tables import of_cycle
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.lifecycle.book import DeploymentBook, Rows
from openclaw_pipelines.settings import StrategySettings

REFUSED = (CycleState.BLOCKED, CycleState.INCUMBENT_HOLDS)
"""States of a cycle that are no selection, whatever its rows say."""


@dataclass(frozen=True)
class CycleEvidence:
    """Rows that a cycle left, without any verdict on them."""

    cycle: FactoryCycleRow
    candidates: Sequence[ShortlistRow]
    parity: Sequence[ParityReportRow]
    gates: Sequence[GateResultRow]
    replays: Sequence[ReplayRow]

    @property
    def cycle_id(self) -> str:
        """The cycle's identifier."""
        return self.cycle["cycle_id"]


AboutT = TypeVar("AboutT", ParityReportRow, GateResultRow, ReplayRow)


def of(rows: Sequence[AboutT], params: str) -> list[AboutT]:
    """Rows about one candidate."""
    return [row for row in rows if row["params_hash"] == params]


@dataclass(frozen=True)
class Proof:
    """How a cycle's rows are proven to be what they must be, by whoever knows how they came about.

    prove: raises where they are not; returns what goes into `deployments.metrics`, and is asked only where something
    would be deployed. beside: writes what belongs to the rows in their transaction.
    """

    prove: Callable[[], Mapping[str, object]]
    beside: Callable[[Connection, Rows], object]


def deploy_cycle(world: World, cycle_id: str, today: Today, proof: Proof, *, as_of: datetime) -> list[Position]:
    """Put the first candidate of each channel that holds on paper; returns what this call deployed.

    A candidate whose gates fail makes room for the next of its channel; everything else that is wrong stops the cycle.
    A candidate that is on paper or promoted already is left alone, so that doing it twice is doing it once.

    Raises:
        HandOverError: evidence is absent, stale, invalid, failed or forged, or the parameters changed; nothing is
            deployed.
    """
    book, evidence = DeploymentBook(world), read_evidence(world, cycle_id)
    # proven before the lock is taken, since it takes as long as a part of the cycle
    proven = proof.prove() if _planned(world, book, evidence, today).steps else None
    with book.changing():
        plan = _planned(world, book, evidence, today)
        if plan.steps and proven is None:  # another operation stopped what was running
            proven = proof.prove()
        steps = [replace(step, metrics=proven or {}) for step in plan.steps]
        at = _known_at(evidence, plan.fresh, plan.known, as_of)
        book.commit(steps, trigger=Trigger.CYCLE, actor="factory", at=at, beside=proof.beside)
    _refuse_another_deployment(world, plan.fresh)
    return [book.position(own.strategy) for own in plan.fresh]


class _Plan(NamedTuple):
    """What a cycle would deploy now: candidates that are not running, where strategies stand, and the moves."""

    fresh: list[Origin]
    known: dict[str, Position]
    steps: list[Step]


def _planned(world: World, book: DeploymentBook, evidence: CycleEvidence, today: Today) -> _Plan:
    settings = world.settings()
    slot = settings.strategy(evidence.cycle["strategy_config_id"])
    origins, known = list(_chosen(evidence, today, slot)), book.positions()
    running = {(own.origin.slot, own.origin.params_hash) for own in known.values() if own.stage in TRADING}
    fresh = [own for own in origins if (own.slot, own.params_hash) not in running]
    first_ramp = min(settings.config.lifecycle.ramps_bps)
    return _Plan(fresh, known, [step for own in fresh for step in _steps(own, known, first_ramp)])


def read_evidence(world: World, cycle_id: str) -> CycleEvidence:
    """Everything a cycle left about its candidates.

    Raises:
        EvidenceAbsentError: it left nothing.
        EvidenceFailedError: it is no selection, or a row of its random sample was not equal.
    """

    def rows(kind: type[RowT], table: str) -> list[RowT]:
        return rows_as(kind, of_cycle(world.store, table, cycle_id))

    cycles = rows(FactoryCycleRow, "factory_cycles")
    if not cycles:
        raise EvidenceAbsentError(cycle_id, "every candidate", Evidence(EvidenceKind.CYCLE))
    if cycles[0]["state"] in REFUSED:
        why = f"{cycles[0]['blocked_by'] or cycles[0]['state']}: {cycles[0]['reason'] or 'no selection'}"
        raise EvidenceFailedError(cycle_id, "every candidate", Evidence(EvidenceKind.CYCLE), why)
    listed = [row for row in rows(ShortlistRow, "shortlist") if row["status"] == Listing.CANDIDATE]
    if not listed:
        raise EvidenceAbsentError(cycle_id, "every candidate", Evidence(EvidenceKind.CANDIDATE))
    parity, candidates = rows(ParityReportRow, "parity_reports"), {row["params_hash"] for row in listed}
    for row in parity:  # those of the candidates are looked at before any is chosen
        if row["params_hash"] not in candidates and parity_class(row) is not ParityClass.EQUAL:
            which = f"{row['comparison']} of the random row {row['params_hash'][:12]}"
            what = Evidence(EvidenceKind.PARITY, which)
            raise EvidenceFailedError(cycle_id, "every candidate", what, parity_class(row).value)
    gates, replays = rows(GateResultRow, "gate_results"), rows(ReplayRow, "replays")
    return CycleEvidence(cycles[0], listed, parity, gates, replays)


def _chosen(evidence: CycleEvidence, today: Today, slot: StrategySettings) -> Iterator[Origin]:
    """The first candidate of each channel whose gates hold, each once."""
    found: dict[str, Origin] = {}
    refused: EvidenceFailedError | None = None
    for own in evidence.candidates:
        params = own["params_hash"]
        check_parity(evidence.cycle_id, f"{own['family']} {params[:12]}", of(evidence.parity, params), today)
    for channel in dict.fromkeys(row["channel"] for row in evidence.candidates):
        for candidate in (row for row in evidence.candidates if row["channel"] == channel):
            try:
                origin = found.get(candidate["params_hash"]) or _origin(evidence, candidate, today, slot)
            except EvidenceFailedError as error:
                refused = refused or error
                if error.what.kind is not EvidenceKind.GATE:
                    raise
                continue
            found[origin.params_hash] = origin
            break
    if not found and refused is not None:
        raise refused
    yield from found.values()


def _origin(evidence: CycleEvidence, candidate: ShortlistRow, today: Today, slot: StrategySettings) -> Origin:
    """A candidate that was checked in full."""
    cycle, own = evidence.cycle_id, candidate["params_hash"]
    short = f"{candidate['family']} {own[:12]}"
    values = json.loads(candidate["params"])
    interval = evidence.cycle["interval"]
    parity, gates, replays = of(evidence.parity, own), of(evidence.gates, own), of(evidence.replays, own)
    if not replays:
        raise EvidenceAbsentError(cycle, short, Evidence(EvidenceKind.REPLAY))
    same_parameters(cycle, short, hash_of(candidate["family"], values, interval), [own])
    for row in replays:
        same_parameters(cycle, short, hash_of(row["family"], json.loads(row["params"]), interval), [own])
    parity_hash = check_parity(cycle, short, parity, today)
    gate_hash = check_gates(cycle, short, gates, today.gates)
    start = _first_day_after(evidence.cycle["holdout_end"])
    return Origin(
        strategy=strategy_name(slot.name, own, start.date()),
        slot=slot.name,
        cycle_id=cycle,
        family=candidate["family"],
        params=candidate["params"],
        params_hash=own,
        interval=interval,
        symbols=slot.symbols,
        capital=Decimal(slot.own.capital),
        section=section_of(slot.own.model_dump()),
        start_day=start.date(),
        gate_hash=gate_hash,
        parity_hash=parity_hash,
    )


def hash_of(family: str, values: Mapping[str, Value], interval: str) -> str:
    """Hash of parameters as the kernel would take them."""
    return params_hash(params_record(family, values, int(interval_length(interval).total_seconds())))


def _first_day_after(holdout_end: datetime) -> datetime:
    """00:00Z at which paper begins: no bar of it was part of the cycle."""
    return floor_to(holdout_end - timedelta(microseconds=1), DAY) + DAY


def _known_at(
    evidence: CycleEvidence, origins: Sequence[Origin], known: dict[str, Position], as_of: datetime
) -> datetime:
    """The end of the holdout, since the choice rests on nothing later; a second deployment of the same is of now."""
    holdout_end = evidence.cycle["holdout_end"]
    again = any(own.strategy in known for own in origins)
    return as_of if again else min(as_of, holdout_end)


def _steps(origin: Origin, known: dict[str, Position], ramp_bps: int) -> list[Step]:
    """Candidate, validated, paper, from where the strategy stands; one that was paused or retired stays so."""
    at = known[origin.strategy].stage if origin.strategy in known else Stage.CANDIDATE
    hashes = {"gate_hash": origin.gate_hash, "parity_hash": origin.parity_hash}
    validated = Step(
        origin, Stage.CANDIDATE, Stage.VALIDATED, 0, 0, f"parity and every gate of {origin.cycle_id} hold", hashes
    )
    paper = Step(origin, Stage.VALIDATED, Stage.PAPER, 0, ramp_bps, f"first ramp from {origin.start_day}", hashes)
    return {Stage.CANDIDATE: [validated, paper], Stage.VALIDATED: [paper]}.get(at, [])


def _refuse_another_deployment(world: World, origins: Sequence[Origin]) -> None:
    """Read the configuration back: what will run must have the parameters that were judged."""
    settings = world.settings()
    for origin in origins:
        if origin.strategy not in settings.strategies:
            continue  # paused or rolled back meanwhile
        own = settings.strategy(origin.strategy)
        seconds = int(own.interval.total_seconds())
        found = params_hash(params_record(own.own.family, dict(own.params), seconds))
        expected = params_values(params_record(origin.family, json.loads(origin.params), seconds))
        if found != origin.params_hash or dict(own.params) != expected:
            raise ParametersChangedError(origin.cycle_id, origin.strategy, found, origin.params_hash)
