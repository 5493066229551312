"""The report of a factory cycle: one HTML file that asks the network for nothing, what blocked it first.

Everything that comes from data is escaped by the template. Numbers are in `report.factory.tables`, plots in
`report.factory.plots`, statistics in `report.factory.sweep`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openclaw_pipelines.contracts.factory import CycleState
from openclaw_pipelines.report.factory import plots as drawn
from openclaw_pipelines.report.factory import proofs, tables
from openclaw_pipelines.report.factory import sweep_plots as swept
from openclaw_pipelines.report.factory.data import CycleData, words
from openclaw_pipelines.report.factory.sweep import NEIGHBOURS, FamilySweep, informative, median_grid
from openclaw_pipelines.report.page import text
from openclaw_pipelines.report.page.findings import Finding, worst_first
from openclaw_pipelines.report.page.plots import bars_height, png, png_markdown
from openclaw_pipelines.report.page.tables import Table
from openclaw_pipelines.report.page.template import Figure, figure, rendered

_FRAGILE = 0.5


@dataclass(frozen=True)
class Section:
    """A part of the page: a sentence, plots, then tables."""

    anchor: str
    title: str
    line: str
    plots: tuple[Figure, ...]
    tables: tuple[Table, ...]


def render_cycle_report(data: CycleData) -> str:
    """The page of a cycle as one self-contained HTML document; equal data gives equal bytes."""
    return rendered("factory.html.j2", data, cycle_findings(data), sections=tuple(_sections(data)))


def cycle_findings(data: CycleData) -> list[Finding]:
    """What must be known first: what blocked the cycle by its name, then what else did not hold."""
    rest = [*_parity(data), *_incomplete(data), *_failed(data), *_fragile(data)]
    return [*_blocked(data), *worst_first(rest)]


def _blocked(data: CycleData) -> Iterator[Finding]:
    cycle = data.cycle
    if cycle["state"] == CycleState.INCUMBENT_HOLDS:
        yield Finding("warning", "shortlist", "The incumbent holds: nothing was deployed", cycle["reason"] or "")
    if cycle["state"] != CycleState.BLOCKED:
        return
    name = str(cycle["blocked_by"] or "?")
    reason = cycle["reason"] or "no reason is stored"
    for own in data.candidates:
        for gate in data.gates_of(own.params_hash):
            if gate["gate"] == name and not gate["passed"] and reason.startswith(own.params_hash[:12]):
                measured = tables.number(gate["measured"]).text
                shown = f"measured {measured}, required {gate['required']}: {tables.rounded(gate['reason'])}"
                yield Finding("error", own.label, f"Blocked by {name}", f"{shown}. Nothing was deployed.")
                return
    yield Finding(
        "error", "cycle", f"Blocked by {name}", f"{tables.rounded(reason).rstrip('.')}. Nothing was deployed."
    )


def _parity(data: CycleData) -> Iterator[Finding]:
    """One line per comparison and class, with the first row that it befell."""
    bad = data.unequal
    for comparison, verdict in dict.fromkeys((row["comparison"], row["verdict"]) for row in bad):
        rows = [row for row in bad if (row["comparison"], row["verdict"]) == (comparison, verdict)]
        fields = ", ".join(json.loads(rows[0]["differing"]))
        where = proofs.first_difference(rows[0]) or f"{fields} differ"
        what = f"{words(comparison)} is {verdict} for {len(rows)} row{'' if len(rows) == 1 else 's'}"
        yield Finding("error", f"first {rows[0]['params_hash'][:12]}", what, where)


def _incomplete(data: CycleData) -> Iterator[Finding]:
    if data.shards.height < data.shards_expected:
        done = f"{data.shards.height} of {data.shards_expected} shards are stored; run the cycle again to go on"
        yield Finding("warning", "sweep", "The sweep has not ended", done)


def _failed(data: CycleData) -> Iterator[Finding]:
    for own in data.candidates:
        gates = data.gates_of(own.params_hash)
        failed = [gate["gate"] for gate in gates if not gate["passed"]]
        if failed:
            what = f"{len(failed)} of {len(gates)} gates failed"
            yield Finding("warning", own.label, what, ", ".join(failed))


def _fragile(data: CycleData) -> Iterator[Finding]:
    for own, around in swept.neighbourhoods(data):
        if around.positive is not None and around.positive < _FRAGILE:
            said = f"{text.percent(around.positive, decimals=0).text} of its {around.k} nearest rows are above zero"
            yield Finding("warning", own.label, "It stands alone", said)


def _sections(data: CycleData) -> Iterator[Section]:
    yield _verdict(data)
    yield _shortlist(data)
    yield _gates(data)
    yield _parity_section(data)
    yield _sweep(data)
    windows = (proofs.windows_table(data), proofs.looks_table(data))
    yield Section(
        "windows", "Windows", "A window that was looked at cannot promote the same family twice.", (), windows
    )
    line = "Stressed: the holdout again with more slippage. Finer: exits settled on finer candles."
    yield Section("costs", "Costs", line, (), (tables.costs_table(data),))
    line = "Parameters are checked against these hashes at every hand-over."
    rests_on = (proofs.provenance_table(data), proofs.contract_table(data))
    yield Section("provenance", "Provenance", line, (), rests_on)


def _verdict(data: CycleData) -> Section:
    steps = data.steps
    caption = "Each step from the end of the one before to the last row that it wrote; its end is written beside it."
    height = bars_height(len(steps))
    shown = figure("timeline", "How far the cycle came", caption, drawn.timeline(steps), height)
    return Section("verdict", "Verdict", "", (shown,), (tables.verdict_table(data), proofs.timeline_table(data)))


def _shortlist(data: CycleData) -> Section:
    figures = []
    if data.candidates:
        hold = (
            "Buying and holding puts equal parts of the capital into every symbol, before costs; candidates pay theirs."
        )
        caption = f"Every window begins at zero. The border is drawn where searching ends and judging begins. {hold}"
        figures.append(figure("equity", "Candidates on train and holdout", caption, drawn.equity(data), 4.4))
    if not data.tried.is_empty():
        caption = (
            f"Above, all {data.tried.height:,} trials on the train days: the best of many is lucky. Below, where the "
            "chosen ones went on days they were not chosen on. Other trials have no holdout, since running them there "
            "would be a look at it."
        )
        height = 2.6 + 0.24 * len(data.candidates)
        figures.append(figure("luck", "Luck made visible", caption, drawn.luck(data), height))
    found = swept.neighbourhoods(data)
    if found:
        figures.append(figure("robustness", "How firm each optimum stands", _NEAREST, swept.robustness(data),
                               bars_height(len(found), 0.36)))  # fmt: skip
    return Section(
        "shortlist", "Shortlist", "Rank 0 is the incumbent; candidates must beat it by a written floor.",
        tuple(figures),
        (tables.shortlist_table(data), tables.parameters_table(data), tables.neighbours_table(found)),
    )  # fmt: skip


_NEAREST = (
    f"The k = {NEIGHBOURS} nearest rows of the same family. Distance is Euclidean over each searched parameter's place "
    "among its tried values, from 0 to 1. An optimum whose neighbours are far below it is luck, not a rule."
)


def _gates(data: CycleData) -> Section:
    line = "Evaluated in this order; the first that failed blocks. \u2713 passed, \u2717 failed."
    own = tuple(tables.gates_table(data, candidate) for candidate in data.candidates if data.gates.height)
    return Section("gates", "Gates", line, (), (tables.gates_overview(data), *own))


def _parity_section(data: CycleData) -> Section:
    counts = drawn.parity_counts(data)
    rule = "The same parameters computed twice must agree to the last bit; a tolerance would be a defect."
    line = f"{rule} GPU: {data.gpu}."
    if not counts:
        return Section("parity", "Parity", line, (), (proofs.parity_table(data),))
    shown = figure("parity", "Comparisons", "By the two sides that were compared and why they were.",
                     drawn.parity(data), bars_height(len(counts)))  # fmt: skip
    return Section("parity", "Parity", line, (shown,), (proofs.parity_table(data),))


def _sweep(data: CycleData) -> Section:
    figures = []
    for place, (family, sweep) in enumerate(data.sweeps.items()):
        if median_grid(sweep) is not None:
            figures.append(figure(f"heat-{place}", f"Heat map of {family}", heat_caption(sweep),
                                   swept.heat_maps(data, [family]), 4.2))  # fmt: skip
        figures.append(figure(f"lines-{place}", f"Parallel coordinates of {family}", lines_caption(sweep),
                               swept.parallel_coordinates(data, family), 3.8))  # fmt: skip
    line = f"{data.tried.height:,} rows in {data.shards.height} shards; the objective is the daily Sharpe ratio."
    shown = (tables.informative_table(data),) if data.families else ()
    return Section("sweep", "Sweep", line, tuple(figures), shown)


def heat_caption(sweep: FamilySweep) -> str:
    """What a heat map shows and what it leaves out."""
    told = informative(sweep)
    shares = ", ".join(f"{words(name)} {text.percent(share, decimals=0).text}" for name, share in told[:2])
    others = ", ".join(words(name) for name, _ in told[2:]) or "none"
    return (
        f"Median daily Sharpe ratio on the train days and number of rows (n) over the two parameters that tell most of "
        f"its variance ({shares}). Marginalised by the median: {others}. Numbers in circles are candidates; blue is "
        f"above zero, red below.{_left_out(sweep)}"
    )


def lines_caption(sweep: FamilySweep) -> str:
    """What the lines are."""
    best, rest = min(swept.BEST, len(sweep.objective)), min(swept.SAMPLED, max(len(sweep.objective) - swept.BEST, 0))
    return (
        f"One line per row: the best {best} and the candidates thick, {rest} of the others thin, taken evenly by rank. "
        "Each parameter's axis shows places among its tried values; the last one is the objective."
        f"{_left_out(sweep)}"
    )


def _left_out(sweep: FamilySweep) -> str:
    return f" {sweep.unmeasured} rows without a defined Sharpe ratio are left out." if sweep.unmeasured else ""


def cycle_plots(data: CycleData, asset: str) -> dict[str, str]:
    """Plots of a cycle for the page of one of its assets, as Markdown by name."""
    images = dict(_images(data, asset))
    return {name: png_markdown(image, words(name)) for name, image in images.items()}


def _images(data: CycleData, asset: str) -> Iterator[tuple[str, bytes]]:
    def drawing(draw: Any, height: float) -> bytes:
        return png(draw, height_inches=height)

    if asset == "sweep_results" and data.families:
        yield "heat_map", drawing(swept.heat_maps(data), 3.6)
        for family in data.families:
            yield f"parallel_coordinates_{family}", swept.parallel_png(data, family)
    elif asset == "shortlist":
        yield "robustness", drawing(swept.robustness(data), bars_height(max(len(data.candidates), 1), 0.36))
    elif asset == "replays":
        yield "equity_train_and_holdout", drawing(drawn.equity(data), 4.2)
        yield "luck_made_visible", drawing(drawn.luck(data), 2.6 + 0.24 * len(data.candidates))
    elif asset == "parity_reports":
        yield "comparisons", drawing(drawn.parity(data), bars_height(len(drawn.parity_counts(data))))
    elif asset == "gate_results":
        yield "gates", drawing(drawn.gate_matrix(data), 4.8)
