"""What an operator must see: what lasts once per subject and hour, what happened once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.domain.governance.account import Change
from openclaw_pipelines.domain.market.clocks import ClockReading


@dataclass(frozen=True)
class Alert:
    """Something an operator must see. Alerts of one key are raised once."""

    key: str
    kind: str
    severity: str
    subject: str
    message: str


def failed_run_alert(job: str, partition: str | None, message: str, now: datetime) -> Alert:
    """An alert for a failed run, once per job, partition and hour. partition: None for a job that has none."""
    subject = f"{job} for {partition}" if partition else job
    return Alert(f"failed_run:{subject}:{now:%Y%m%dT%H}", "failed_run", "error", subject, message)


def refused_answer_alert(source: str, symbol: str, series: str, problem: str, now: datetime) -> Alert:
    """An alert for what a source answered and cannot be, once per series and hour."""
    subject = f"{source} {symbol} {series}"
    return Alert(f"refused_answer:{subject}:{now:%Y%m%dT%H}", "refused_answer", "warning", subject, problem)


def clock_skew_alert(reading: ClockReading | None, most_seconds: int, now: datetime) -> Alert | None:
    """An alert for clocks that are too far apart, once per source and hour."""
    if reading is None or not reading.apart(most_seconds):
        return None
    message = (
        f"the local clock is {reading.skew}, more than market.max_clock_skew_seconds {most_seconds}. "
        "No live tick is taken. Set this machine's clock, as by NTP; ticks then go on by themselves."
    )
    return Alert(f"clock_skew:{reading.source}:{now:%Y%m%dT%H}", "clock_skew", "error", reading.source, message)


def off_unit_alert(strategy: str, words: str, now: datetime) -> Alert:
    """An alert for bars that a strategy goes without, once per strategy and hour."""
    message = f"{strategy} goes without bars off the price unit of its deployment; {words}."
    return Alert(f"off_unit:{strategy}:{now:%Y%m%dT%H}", "off_unit", "warning", strategy, message)


def stale_market_alert(source: str, newest: datetime | None, now: datetime, limit: timedelta) -> Alert | None:
    """An alert for market data that does not move, once per source and hour."""
    if newest is not None and now - newest <= limit:
        return None
    since = "holds no candle" if newest is None else f"holds nothing newer than {newest:%Y-%m-%d %H:%M}Z"
    message = f"{source} {since}. See the runs of market_live and the source itself."
    return Alert(f"stale_market:{source}:{now:%Y%m%dT%H}", "stale_market", "warning", source, message)


def kill_switch_alert(account: str, change: Change) -> Alert:
    """An alert for a kill switch that was pulled or released, once per row of the account's chain."""
    released = change.after == KillSwitch.OFF
    what = "was released" if released else f"is {change.after}"
    message = (
        f"kill switch of {account}, {change.subject}: {what}, before {change.before or 'not known'}, "
        f"by {change.actor}; {change.reason}."
    )
    severity = "info" if released else "error"
    return Alert(f"kill_switch:{account}:{change.sequence}", "kill_switch", severity, change.subject, message)


def mismatch_alert(account: str, strategy: str, tick_at: datetime, checks: str) -> Alert:
    """An alert for books that do not agree after a tick, once per strategy and tick. checks: what differs, in words."""
    message = (
        f"{strategy} does not reconcile after its tick at {tick_at:%Y-%m-%d %H:%M}Z: {checks}. No entries are made "
        "while books disagree. See reconcile_events and `openclaw verify`."
    )
    key = f"reconcile_mismatch:{account}:{strategy}:{tick_at:%Y%m%dT%H%MZ}"
    return Alert(key, "reconcile_mismatch", "error", strategy, message)


def red_check_alert(asset: str, check: str, partition: str, finding: str) -> Alert:
    """An alert for a check that found an error, once per check and partition."""
    subject = f"{asset} {check} {partition}"
    message = f"check {check} of {asset}, {partition}, is red: {finding}"
    return Alert(f"red_check:{asset}:{check}:{partition}", "red_check", "error", subject, message)


def blocked_cycle_alert(cycle_id: str, gate: str, reason: str) -> Alert:
    """An alert for a factory cycle that selected nothing, once per cycle and what blocks it."""
    message = f"cycle {cycle_id} is blocked by {gate}: {reason.rstrip('.')}. Nothing was deployed."
    return Alert(f"blocked_cycle:{cycle_id}:{gate}", "blocked_cycle", "warning", cycle_id, message)


def unsealed_alert(strategy: str, day: str, waits_for: str) -> Alert:
    """An alert for a day that is over for long and is not sealed, once per strategy and day."""
    message = f"{strategy}: {day} is not sealed, and no day after it: it waits for {waits_for}."
    return Alert(f"unsealed:{strategy}:{day}", "unsealed", "warning", strategy, message)
