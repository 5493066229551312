"""`openclaw status`: where every strategy stands, what is wrong, and who holds the brakes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from openclaw_pipelines.commands.shared import console, json_option, minute, money, print_json, table
from openclaw_pipelines.contracts.enums import KillSwitch

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from openclaw_pipelines.resources.world import World

ALERTS_SHOWN = 10


@dataclass(frozen=True)
class StrategyStatus:
    """One strategy. Money is in quote currency.

    lag_ticks: ticks that have closed and are not recorded. lag_seconds: since the oldest of them closed.
    day_pnl: change of equity since 00:00Z of the last tick's day; total_pnl: since inception, from the capital that
    the deployment started with. source: market source that the deployment trades on.
    """

    strategy: str
    interval: str
    enabled: bool
    paused: bool
    mode: str
    shadow: bool
    start_day: str
    deployment_id: str | None
    source: str | None
    last_tick: datetime | None
    last_tick_status: str | None
    lag_ticks: int
    lag_seconds: int
    equity: Decimal | None
    day_pnl: Decimal | None
    total_pnl: Decimal | None
    awaiting_approval: list[str]
    positions: list[dict[str, Any]]


@dataclass(frozen=True)
class Status:
    """The whole answer. conditions: what deserves an alert now; alerts: the newest ones that were raised.

    clock_ahead_seconds: of the local clock over the source's, negative where it is behind; None if it told none.
    """

    at: datetime
    account: str
    kill_switch: str
    kill_switch_reason: str
    market_source: str
    clock_ahead_seconds: int | None
    newest_candle: datetime | None
    strategies: list[StrategyStatus]
    conditions: list[dict[str, Any]]
    alerts: list[dict[str, Any]]


def collect(world: "World", now: datetime) -> Status:
    """The status as of `now`, from configuration and ledger; nothing is written."""
    from openclaw_pipelines.resources.store import market_tables
    from openclaw_pipelines.resources.store.coverage import source_clock
    from openclaw_pipelines.services.trading.timetable import alerts_now
    from openclaw_pipelines.settings import effective_kill_switch

    settings = world.settings()
    switch, reason = effective_kill_switch(settings)
    newest = market_tables.newest_candle(world.store, world.source, settings.intervals[0])
    reading = source_clock(world.store, world.source)
    return Status(
        at=now,
        account=settings.config.account,
        kill_switch=switch.value,
        kill_switch_reason=reason,
        market_source=world.source,
        clock_ahead_seconds=reading.ahead_seconds if reading else None,
        newest_candle=max(newest.values(), default=None),
        strategies=[_strategy(world, name, now) for name in settings.strategies],
        conditions=[asdict(alert) for alert in alerts_now(world, now)],
        alerts=_alerts(world),
    )


def _strategy(world: "World", name: str, now: datetime) -> StrategyStatus:
    from openclaw_pipelines.services.trading.timetable import due_of

    own = world.settings().strategy(name).own
    due = due_of(world, name, now)
    ledger = world.ledger(name)
    with ledger.reading():
        head = ledger.head()
        at = head.tick_at if head else None
        tick = _row(ledger.query("SELECT * FROM autopilot_ticks", "tick_at = ?", [at]))
        equity = _row(ledger.query("SELECT * FROM autopilot_equity", "tick_at = ?", [at]))
        positions = ledger.query("SELECT * FROM autopilot_positions", "tick_at = ?", [at])
        waiting = ledger.waiting_keys()
    shown = ("symbol", "side", "qty", "entry_price", "mark_price", "unrealized_pnl", "stale", "bars_held")
    return StrategyStatus(
        strategy=name,
        interval=own.interval,
        enabled=own.enabled,
        paused=own.paused,
        mode=own.mode.value,
        shadow=own.shadow,
        start_day=own.start_day.isoformat(),
        deployment_id=tick.get("deployment_id"),
        source=head.deployment.source if head else None,
        last_tick=at,
        last_tick_status=tick.get("status"),
        lag_ticks=due.count if due else 0,
        lag_seconds=int((now - due.first) / timedelta(seconds=1)) if due else 0,
        equity=equity.get("equity"),
        day_pnl=equity["equity"] - equity["day_open_equity"] if equity else None,
        total_pnl=equity["equity"] - head.deployment.capital if equity and head else None,
        awaiting_approval=waiting,
        positions=[{column: row[column] for column in shown} for row in positions.sort("symbol").to_dicts()],
    )


def _row(frame: "pl.DataFrame") -> Mapping[str, Any]:
    return frame.row(0, named=True) if frame.height else {}


def _alerts(world: "World") -> list[dict[str, Any]]:
    columns = "raised_at, severity, kind, subject, message, dispatched"
    rows = world.store.query(
        "ledger",
        f"SELECT {columns} FROM notifications_outbox WHERE account_id = ? ORDER BY raised_at DESC, notification_key "
        f"LIMIT {ALERTS_SHOWN}",
        [world.settings().config.account],
    )
    return rows.to_dicts()


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """Strategies, last tick, lag, equity, open positions, kill switch and alerts."""
    from openclaw_pipelines.resources.world import open_world

    world = open_world()
    answer = collect(world, world.clock.now())
    if as_json:
        print_json(asdict(answer))
    else:
        show(answer, console())


def show(answer: Status, out: "Console") -> None:
    """Print the status for a person."""
    out.print(f"[bold]{answer.account}[/] at {minute(answer.at)}", soft_wrap=True)
    colour = "green" if answer.kill_switch == KillSwitch.OFF else "bold red"
    out.print(f"kill switch: [{colour}]{answer.kill_switch}[/] ({answer.kill_switch_reason})", soft_wrap=True)
    out.print(f"market: {answer.market_source}, newest candle {minute(answer.newest_candle)}", soft_wrap=True)
    if answer.clock_ahead_seconds:
        out.print(f"local clock: {answer.clock_ahead_seconds:+,} s from that of {answer.market_source}", soft_wrap=True)
    _show_strategies(answer, out)
    _show_positions(answer, out)
    _show_alerts(answer, out)


def _show_strategies(answer: Status, out: "Console") -> None:
    numbers = ("lag", "equity", "day PnL", "total PnL", "open")
    columns = (
        "strategy",
        "bars",
        "mode",
        "last tick",
        "lag",
        "equity",
        "day PnL",
        "total PnL",
        "open",
        "deployment",
        "source",
    )
    made = table("Strategies", *columns, right=numbers)
    for own in answer.strategies:
        made.add_row(
            own.strategy,
            own.interval,
            _mode(own),
            minute(own.last_tick),
            _lag(own),
            money(own.equity),
            money(own.day_pnl),
            money(own.total_pnl),
            str(len(own.positions)),
            own.deployment_id or f"starts {own.start_day}",
            own.source or "-",
        )
    out.print(made)
    for own in answer.strategies:
        for key in own.awaiting_approval:
            out.print(f"awaits approval: {key}", soft_wrap=True)


def _mode(own: StrategyStatus) -> str:
    extra = [name for name, on in (("shadow", own.shadow), ("paused", own.paused), ("off", not own.enabled)) if on]
    return ", ".join([own.mode, *extra])


def _lag(own: StrategyStatus) -> str:
    if not own.lag_ticks:
        return "0"
    return f"{own.lag_ticks} ticks, {timedelta(seconds=own.lag_seconds)}"


def _show_positions(answer: Status, out: "Console") -> None:
    columns = ("strategy", "symbol", "side", "quantity", "entry", "mark", "unrealized", "bars held")
    made = table("Open positions", *columns, right=columns[3:])
    for own in answer.strategies:
        for row in own.positions:
            mark = f"{row['mark_price'].normalize():f}" + (" (stale)" if row["stale"] else "")
            quantities = (f"{row['qty'].normalize():f}", f"{row['entry_price'].normalize():f}", mark)
            values = (*quantities, money(row["unrealized_pnl"]), str(row["bars_held"]))
            made.add_row(own.strategy, row["symbol"], row["side"], *values)
    out.print(made if made.row_count else "no open positions")


def _show_alerts(answer: Status, out: "Console") -> None:
    from rich.markup import escape

    for alert in answer.conditions:
        out.print(f"[red]now, {alert['severity']}[/]: {escape(alert['message'])}", soft_wrap=True)
    for alert in answer.alerts:
        unsent = "" if alert["dispatched"] else ", not sent yet"
        line = f"{minute(alert['raised_at'])}, {alert['severity']}{unsent}: {escape(alert['message'])}"
        out.print(line, soft_wrap=True)
    if not answer.alerts and not answer.conditions:
        out.print("no alerts")
