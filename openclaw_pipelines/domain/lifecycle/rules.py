"""Gates that lead from paper on to more size, and rules that take a strategy out again.

Each is one row: measured against required. A gate whose measure is undefined fails and says why; a rule fires only on
what it measured. Thresholds come from the `lifecycle` section of the configuration.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from openclaw_pipelines.contracts.config.lifecycle import Lifecycle
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.domain.evaluation.statistics import Statistic, max_drawdown, profit_factor
from openclaw_pipelines.domain.lifecycle.evidence import PaperEvidence


@dataclass(frozen=True)
class Rule:
    """One gate or rotation rule of one strategy.

    measured: None where undefined. holds: of a gate, whether it is passed; of a rotation rule, whether it fires.
    """

    name: str
    measured: float | None
    required: str
    holds: bool
    reason: str
    sample_size: int


def paper_gates(evidence: PaperEvidence, limits: Lifecycle) -> tuple[Rule, ...]:
    """What must hold before a strategy gets more size, in order."""
    return (
        enough_paper(evidence, limits),
        least_profit_factor(evidence, limits),
        shallow_drawdown(evidence, limits),
        stressed_net(evidence, limits),
        no_kill_switch(evidence),
        replay_parity(evidence),
    )


def first_blocking(gates: Iterable[Rule]) -> Rule | None:
    """The first gate that does not hold."""
    return next((gate for gate in gates if not gate.holds), None)


def rotation(evidence: PaperEvidence, limits: Lifecycle) -> tuple[Rule, ...]:
    """What takes a strategy out, in order: first what makes its results doubtful, then the results, then age."""
    return (
        kill_switch_pulled(evidence),
        parity_red(evidence),
        losing(evidence, limits),
        deep_drawdown(evidence, limits),
        too_old(evidence, limits),
    )


def first_firing(rules: Iterable[Rule]) -> Rule | None:
    """The first rotation rule that fires."""
    return next((rule for rule in rules if rule.holds), None)


def enough_paper(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Time on paper, or as many trades."""
    days, trades = evidence.recorded_days, len(evidence.results)
    required = f">= {limits.paper_days} days or {limits.paper_trades} trades"
    holds = days >= limits.paper_days or trades >= limits.paper_trades
    return Rule("paper_sample", days, required, holds, f"{days:.2f} days and {trades} closed trades", trades)


def least_profit_factor(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Wins over losses. Wins without any loss are beyond every bound; no trade at all is no evidence."""
    results = evidence.results
    found = profit_factor(results)
    required = f">= {limits.least_profit_factor}"
    if found.value is None:
        holds = any(result > 0 for result in results)
        return Rule("profit_factor", None, required, holds, _said(found, "no closed trades"), len(results))
    holds = found.value >= float(limits.least_profit_factor)
    return Rule("profit_factor", found.value, required, holds, f"of {len(results)} closed trades", len(results))


def shallow_drawdown(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Deepest fall of the marked equity, in bps of the peak."""
    required = f"< {limits.largest_drawdown_bps} bps"
    found = max_drawdown(evidence.curve)
    if found.value is None:
        return Rule("drawdown", None, required, holds=False, reason=_said(found, "undefined"), sample_size=0)
    depth = -found.value * 10_000
    holds = depth < limits.largest_drawdown_bps
    return Rule("drawdown", depth, required, holds, f"over {found.sample_size} ticks", found.sample_size)


def stressed_net(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Result of the recorded ticks replayed with more slippage."""
    name, required = f"net_at_{limits.stressed_slippage_bps}_bps_slippage", "> 0"
    if evidence.stressed_net is None:
        return Rule(name, None, required, holds=False, reason="no tick was replayed", sample_size=0)
    net = evidence.stressed_net
    reason = f"recorded ticks replayed with {limits.stressed_slippage_bps} bps slippage made {net:f}"
    return Rule(name, float(net), required, net > 0, reason, len(evidence.results))


def no_kill_switch(evidence: PaperEvidence) -> Rule:
    """Nothing gets more size while somebody has pulled the switch."""
    pulled = evidence.kill_switch is not KillSwitch.OFF
    reason = f"{evidence.kill_switch.value}: {evidence.kill_switch_reason}" if pulled else "no kill switch is set"
    return Rule("no_kill_switch", float(pulled), "0 kill switches", not pulled, reason, 1)


def replay_parity(evidence: PaperEvidence) -> Rule:
    """Every recorded day of the evidence replays to what was recorded, by a report that is not stale."""
    name, required = "paper_replay_parity", "0 days without a fresh passing report"
    if not evidence.parity:
        return Rule(name, None, required, holds=False, reason="no recorded day has ended", sample_size=0)
    bad = [state for state in evidence.parity if not state.passed]
    reason = f"{bad[0].day}: {bad[0].reason}" if bad else f"{len(evidence.parity)} days replay to what was recorded"
    return Rule(name, float(len(bad)), required, not bad, reason, len(evidence.parity))


def kill_switch_pulled(evidence: PaperEvidence) -> Rule:
    """A kill switch in force."""
    gate = no_kill_switch(evidence)
    return Rule("kill_switch", gate.measured, gate.required, not gate.holds, gate.reason, gate.sample_size)


def parity_red(evidence: PaperEvidence) -> Rule:
    """Days whose replay gave something else than what was recorded."""
    red = [state for state in evidence.parity if state.red]
    reason = f"{red[0].day}: {red[0].reason}" if red else "no recorded day differs from its replay"
    return Rule("parity_red", float(len(red)), "0 days that differ", bool(red), reason, len(evidence.parity))


def losing(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Profit factor of the last trades, whatever size they had."""
    count = limits.rotation_trades
    last = evidence.last_results(count)
    found, required = profit_factor(last), f">= {limits.rotation_profit_factor} over {count} trades"
    name = "rotation_profit_factor"
    if len(last) < count or found.value is None:
        reason = f"{len(last)} of {count} trades are closed" if len(last) < count else _said(found, "undefined")
        return Rule(name, found.value, required, holds=False, reason=reason, sample_size=len(last))
    fires = found.value < float(limits.rotation_profit_factor)
    return Rule(name, found.value, required, fires, f"of the last {count} closed trades", len(last))


def deep_drawdown(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Deepest fall of the marked equity since inception, in bps of the peak."""
    name, required = "rotation_drawdown", f"<= {limits.rotation_drawdown_bps} bps"
    found = max_drawdown(evidence.curve_from(evidence.inception))
    if found.value is None:
        return Rule(name, None, required, holds=False, reason=_said(found, "undefined"), sample_size=0)
    depth = -found.value * 10_000
    fires = depth > limits.rotation_drawdown_bps
    return Rule(name, depth, required, fires, f"over {found.sample_size} ticks", found.sample_size)


def too_old(evidence: PaperEvidence, limits: Lifecycle) -> Rule:
    """Parameters are found on the past; after some time another cycle has to find them again."""
    age, most = evidence.age_days, limits.rotation_age_days
    return Rule("rotation_age", age, f"<= {most} days", age > most, f"{age:.2f} days since inception", 1)


def _said(found: Statistic, otherwise: str) -> str:
    return found.reason or otherwise
