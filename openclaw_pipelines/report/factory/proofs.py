"""Tables of what a cycle's result rests on: parity, windows and looks at them, the steps, hashes and contract."""

import json

from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.contracts.rows import rows_as
from openclaw_pipelines.contracts.rows.factory import HoldoutLookRow, ParityReportRow
from openclaw_pipelines.domain.lifecycle.hand_over import parity_class
from openclaw_pipelines.report.factory.data import HASH_DIGITS, CycleData, words
from openclaw_pipelines.report.page import text
from openclaw_pipelines.report.page.tables import Table, columns
from openclaw_pipelines.report.page.text import Cell


def parity_table(data: CycleData) -> Table:
    """Comparisons that are not equal, each with its first differing trade, then those that are."""
    rows = sorted(rows_as(ParityReportRow, data.parity), key=lambda row: parity_class(row) is ParityClass.EQUAL)
    numbers = {own.params_hash: own.label for own in data.candidates}
    return Table(
        "Comparisons",
        columns("Result", "Comparison", "Parameters", "Class", "*First difference", "*Contract or totals that differ",
                "*Symbols not equal"),
        tuple(_parity(row, numbers.get(row["params_hash"], f"random {row['params_hash'][:HASH_DIGITS]}"))
              for row in rows),
        "Nothing was compared.",
    )  # fmt: skip


def _parity(row: ParityReportRow, name: str) -> tuple[Cell, ...]:
    equal = parity_class(row) is ParityClass.EQUAL
    symbols = [f"{symbol}: {kind}" for symbol, kind in json.loads(row["symbols"]).items() if kind != ParityClass.EQUAL]
    differing = list(json.loads(row["differing"]))
    if row["left_contract"] != row["right_contract"]:
        differing.append(f"contract {row['left_contract'][:HASH_DIGITS]} against {row['right_contract'][:HASH_DIGITS]}")
    return (
        Cell("\u2713 Equal", "gain") if equal else Cell("\u2717 Not equal", "loss"),
        Cell(words(row["comparison"])),
        Cell(name),
        Cell(row["verdict"]),
        Cell(first_difference(row) or text.NONE),
        Cell(", ".join(differing) or text.NONE),
        Cell("; ".join(symbols) or text.NONE),
    )


def first_difference(row: ParityReportRow) -> str | None:
    """The first differing trade of a parity report as a sentence: symbol, time, field and both values."""
    if not row["first_difference"]:
        return None
    own = json.loads(row["first_difference"])
    sides = [{"cpu": "the CPU", "gpu": "the GPU"}.get(side, side) for side in row["comparison"].split("_", 1)]
    return (
        f"{own['symbol']} at {own['at']}: {own['field']} is {own['left']} in {sides[0]}, {own['right']} in {sides[1]}"
    )


def windows_table(data: CycleData) -> Table:
    """Which days were searched, left out, and judged."""
    cycle = data.cycle
    parts = (
        ("Train", "searched: every trial ran on these days", cycle["train_start"], cycle["train_end"]),
        ("Gap", "left out: the longest holding time and the warm-up", cycle["train_end"], cycle["holdout_start"]),
        ("Holdout", "judged: no trial was chosen on these days", cycle["holdout_start"], cycle["holdout_end"]),
    )
    return Table(
        "Windows, UTC, the end exclusive",
        columns("Window", "From", "To", "#Days", "*What it is for"),
        tuple(
            (Cell(name), text.stamp(start), text.stamp(end), text.count((end - start).days), Cell(what))
            for name, what, start, end in parts
        ),
        "",
    )


def looks_table(data: CycleData) -> Table:
    """Every look at days of this holdout."""
    rows = rows_as(HoldoutLookRow, data.looks)
    return Table(
        "Looks at days of this holdout",
        columns("At", "Family", "Purpose", "From", "To", "Cycle"),
        tuple(
            (
                text.stamp(row["recorded_at"]), Cell(row["family"]), Cell(row["purpose"]),
                text.stamp(row["window_start"]), text.stamp(row["window_end"]), Cell(row["cycle_id"]),
            )
            for row in rows
        ),
        "Nobody has looked at it.",
    )  # fmt: skip


def timeline_table(data: CycleData) -> Table:
    """When each step ended and what it left."""
    return Table(
        "Timeline",
        columns("Step", "Ended (UTC)", "#Took (s)", "Left", "Result"),
        tuple(
            (
                Cell(step.name),
                Cell(f"{step.ended:%Y-%m-%d %H:%M:%S}") if step.ended else Cell("not reached", "muted"),
                Cell(f"{(step.ended - step.began).total_seconds():,.1f}" if step.ended and step.began else ""),
                Cell(step.wrote if step.ended else "", "muted"),
                Cell("\u2717 Blocked here", "loss") if step.blocked else Cell(""),
            )
            for step in data.steps
        ),
        "",
    )


def provenance_table(data: CycleData) -> Table:
    """Hashes of everything that the page rests on."""
    cycle = data.cycle
    evidence = {own.label: gates[0]["evidence_hash"] for own in data.candidates
                if (gates := data.gates_of(own.params_hash))}  # fmt: skip
    rows = (
        ("Cycle", cycle["cycle_id"]), ("Contract", cycle["contract_hash"]), ("Kernel sources", cycle["code_version"]),
        ("Bars", cycle["bars_hash"]), ("Search space", data.contract["space_hash"]),
        ("Limits", data.contract["limits_hash"]), ("Incumbent", data.contract["incumbent"]),
        ("Sweep, all shards", data.sweep_hash or "none"),
        *((f"Parameters of {own.label}", own.params_hash) for own in data.candidates),
        *((f"Evidence of {name}", digest) for name, digest in evidence.items()),
    )  # fmt: skip
    return Table("Hashes (SHA-256)", columns("What", "Hash"), tuple((Cell(n), Cell(str(h))) for n, h in rows), "")


def contract_table(data: CycleData) -> Table:
    """The contract: everything that decides the cycle's rows."""
    flat = {name: value for name, value in data.contract.items() if not name.endswith("_hash")}
    return Table(
        "Contract",
        columns("Field", "*Value"),
        tuple((Cell(words(name)), Cell(_plain(value))) for name, value in sorted(flat.items())),
        "",
    )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(own)}" for name, own in sorted(value.items()))
    if isinstance(value, list):
        return ", ".join(_plain(own) for own in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "default" if value is None else str(value)
