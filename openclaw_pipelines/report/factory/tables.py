"""Tables of a cycle's report: its rows as cells of text. The template only lays them out."""

import re
from collections.abc import Iterable

from openclaw_pipelines.contracts.factory import CycleState, Listing, Variant
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import GateResultRow, ShortlistRow
from openclaw_pipelines.kernel.strategy.family import Value
from openclaw_pipelines.report.factory.data import HASH_DIGITS, Candidate, CycleData, words
from openclaw_pipelines.report.factory.sweep import Neighbourhood, informative
from openclaw_pipelines.report.page import text
from openclaw_pipelines.report.page.tables import Table, columns
from openclaw_pipelines.report.page.text import Cell

_LONG = re.compile(r"-?\d+\.\d{5,}")
_VARIANTS = (Variant.TRAIN, Variant.HOLDOUT, Variant.STRESSED, Variant.FINER)


def number(value: float | None, *, signed: bool = False) -> Cell:
    r"""A measurement to four significant digits.

    >>> number(-0.00092841, signed=True).text, number(743.5123).text, number(1e-9).text
    ('\u22120.0009284', '743.5', '0.000000001')
    """
    if value is None:
        return Cell("undefined", "warn")
    if value == 0:
        return Cell("0")
    plain = f"{value:{'+' if signed else ''}.4g}"
    if "e" in plain:
        plain = f"{value:{'+' if signed else ''},.10f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{value:,.0f}"
    return Cell(text.minus(plain))


def rounded(sentence: str) -> str:
    """A stored sentence with its long decimals cut to six significant digits; the stored row keeps them all.

    >>> rounded("1107.52321787 against -567.25329869, off by 0.018")
    '1107.52 against -567.253, off by 0.018'
    """
    return _LONG.sub(lambda found: f"{float(found[0]):.6g}", sentence)


def verdict_table(data: CycleData) -> Table:
    """How the cycle ended, in one row per fact."""
    cycle = data.cycle
    state = str(cycle["state"])
    tones = {CycleState.BLOCKED: "loss", CycleState.DEPLOYED: "gain", CycleState.VALIDATED: "gain"}
    tone = tones.get(CycleState(state), "warn")
    skipped = 0 if data.trials.is_empty() else int(data.trials["skipped"].sum())
    trials = 0 if data.trials.is_empty() else int(data.trials["trials"].sum())
    rows = (
        ("State", Cell(state.replace("_", " ").upper(), tone)),
        ("Blocked by", Cell(cycle["blocked_by"] or text.NONE, "loss" if cycle["blocked_by"] else "muted")),
        ("Reason", Cell(rounded(cycle["reason"] or text.NONE))),
        ("Deployed on paper", Cell(", ".join(_deployed(data)) or "nothing")),
        ("Candidates", text.count(len(data.candidates))),
        ("Trials of this cycle", Cell(f"{trials:,}; {skipped:,} contradictory combinations were skipped, not run")),
        ("Trials of these families ever", text.count(data.trials_ever)),
    )
    return Table("How it ended", columns("Fact", "*Value"), tuple((Cell(name), cell) for name, cell in rows), "")


def _deployed(data: CycleData) -> list[str]:
    return [] if data.deployments.is_empty() else list(dict.fromkeys(data.deployments["strategy_config_id"].to_list()))


def shortlist_table(data: CycleData) -> Table:
    """Every line of the shortlist, the incumbent first in each channel."""
    numbers = {own.params_hash: str(own.number) for own in data.candidates}
    rows = rows_as(ShortlistRow, data.shortlist)
    return Table(
        "Shortlist",
        columns("Channel", "#Rank", "No.", "Status", "Family", "#Score", "*Why", "Parameters"),
        tuple(
            (
                Cell(words(row["channel"])), Cell(str(row["rank"])), Cell(numbers.get(row["params_hash"], text.NONE)),
                _status(row["status"]), Cell(row["family"]), number(row["score"], signed=True) if row["score"]
                is not None else Cell(text.NONE, "muted"), Cell(rounded(row["reason"])), _hash(row["params_hash"]),
            )
            for row in rows
        ),
        "No shortlist has been made.",
    )  # fmt: skip


def parameters_table(data: CycleData) -> Table:
    """The candidates' searched parameters side by side."""
    names = sorted({name for own in data.candidates for name in own.values})
    differing = [name for name in names if len({str(own.values.get(name)) for own in data.candidates}) > 1]
    searched = {name for sweep in data.sweeps.values() for name in sweep.names}
    return Table(
        "Searched parameters of the candidates",
        columns("Parameter", *(f"#{own.label}" for own in data.candidates)),
        tuple(
            (Cell(words(name)), *(_value(own.values.get(name)) for own in data.candidates))
            for name in names
            if name in searched or name in differing
        ),
        "There is no candidate.",
    )


def gates_overview(data: CycleData) -> Table:
    """Every gate by candidate: measured, and passed or failed as a word."""
    judged = [(own, gates) for own in data.candidates if (gates := data.gates_of(own.params_hash))]
    first = judged[0][1] if judged else []
    return Table(
        "All gates of all candidates",
        columns("Gate", "*Required", *(f"#{own.number}: {own.params_hash[:HASH_DIGITS]}" for own, _ in judged)),
        tuple(
            (
                Cell(words(gate["gate"])), Cell(gate["required"]),
                *(_measured(gates[place]) for _, gates in judged),
            )
            for place, gate in enumerate(first)
        ),
        "No candidate was judged.",
    )  # fmt: skip


def gates_table(data: CycleData, own: Candidate) -> Table:
    """One candidate's gates in the order of evaluation, with what was measured and what is required."""
    gates = data.gates_of(own.params_hash)
    blocking = next((gate["gate"] for gate in gates if not gate["passed"]), None)
    return Table(
        f"Gates of {own.label}",
        columns("Gate", "Result", "#Measured", "Required", "#Observations", "*What was measured"),
        tuple(
            (
                Cell(words(gate["gate"])), _passed(passed=gate["passed"], blocking=gate["gate"] == blocking),
                number(gate["measured"]), Cell(gate["required"]), text.count(gate["sample_size"]),
                Cell(rounded(gate["reason"])),
            )
            for gate in gates
        ),
        f"{own.label} was not judged.",
    )  # fmt: skip


def neighbours_table(found: Iterable[tuple[Candidate, Neighbourhood]]) -> Table:
    """How each candidate's objective stands against its nearest rows."""
    return Table(
        "Robustness of each candidate's neighbourhood",
        columns("Candidate", "#Own Sharpe", "#Neighbours (k)", "#Their median", "#Median over own", "#Lowest",
                "#Above zero", "#Reach"),
        tuple(
            (
                Cell(own.label), number(around.own, signed=True), text.count(around.k),
                number(around.median, signed=True), text.percent(_kept(around), decimals=0),
                number(min(around.objectives, default=None), signed=True), text.percent(around.positive, decimals=0),
                number(around.reach),
            )
            for own, around in found
        ),
        "No candidate has neighbours.",
    )  # fmt: skip


def _kept(around: Neighbourhood) -> float | None:
    return None if around.median is None or around.own == 0 else around.median / around.own


def informative_table(data: CycleData) -> Table:
    """How much of the objective's variance each searched parameter tells by itself."""
    told = [(family, *pair) for family, sweep in data.sweeps.items() for pair in informative(sweep)]
    return Table(
        "What matters",
        columns("Family", "Parameter", "#Share of variance told"),
        tuple((Cell(family), Cell(words(name)), text.percent(share, decimals=1)) for family, name, share in told),
        "No parameter was searched.",
    )


def costs_table(data: CycleData) -> Table:
    """Every replay of every candidate: what it made and what trading cost."""
    rows = [(own, row) for own in data.candidates for kind in _VARIANTS if (row := data.replay(own.params_hash, kind))]
    return Table(
        "Replays and what trading cost (quote currency)",
        columns("Candidate", "Replay", "Settled on", "#Slippage (bps)", "#Net", "#Return", "#Fees", "#Funding",
                "#Trades", "#Max drawdown"),
        tuple(
            (
                Cell(own.label), Cell(words(row["variant"])), Cell(row["interval"]), text.exact(row["slippage_bps"]),
                text.money(row["net"], signed=True),
                text.percent(float(row["net"]) / float(data.contract["capital"]), signed=True),
                text.money(row["fees"]), text.money(row["funding"], signed=True), text.count(row["trades"]),
                text.percent(row["max_drawdown"]),
            )
            for own, row in rows
        ),
        "No candidate was replayed.",
    )  # fmt: skip


def _measured(gate: GateResultRow) -> Cell:
    shown = number(gate["measured"]).text
    return Cell(f"\u2713 {shown}", "gain") if gate["passed"] else Cell(f"\u2717 {shown}", "loss failed")


def _passed(*, passed: bool, blocking: bool) -> Cell:
    if passed:
        return Cell("\u2713 Passed", "gain")
    return Cell("\u2717 Failed first: blocks" if blocking else "\u2717 Failed", "loss failed")


def _status(status: str) -> Cell:
    tones = {Listing.CANDIDATE: "gain", Listing.BELOW_FLOOR: "loss", Listing.INCUMBENT_HOLDS: "warn"}
    return Cell(words(status), tones.get(Listing(status), "muted"))


def _value(value: Value | None) -> Cell:
    if value is None:
        return Cell(text.NONE, "muted")
    return Cell(("yes" if value else "no") if isinstance(value, bool) else f"{value:g}")


def _hash(value: str) -> Cell:
    return Cell(value[:HASH_DIGITS], "muted")
