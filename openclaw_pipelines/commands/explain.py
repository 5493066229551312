"""`openclaw explain DECISION_KEY`: the chain from candles to outcomes of one decision, out of the ledger alone."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from openclaw_pipelines.commands.shared import (
    CommandError,
    console,
    digits,
    json_option,
    minute,
    print_json,
    table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
    from openclaw_pipelines.resources.world import World

BARS_SHOWN = 5
KEY_PARTS = 5
"""`autopilot:{account}:{strategy}:{symbol}:{tick}`; what follows names an order, a fill or an outcome of it."""


class UnknownDecisionError(CommandError):
    """No decision has this key."""

    template = "no decision {key}. Nearest recorded: {nearest}."
    key: str
    nearest: str


def collect(world: "World", key: str, bars: int = BARS_SHOWN) -> dict[str, object]:
    """Everything that led to a decision and came of it.

    Args:
        world: where to look.
        key: decision key, or the key of one of its orders, fills or outcomes.
        bars: how many of the last consumed bars to show.

    Raises:
        UnknownDecisionError: names the nearest keys.
    """
    from openclaw_pipelines.services.trading.changed import changed_before

    wanted = ":".join(key.split(":")[:KEY_PARTS])
    found = world.store.query("ledger", "SELECT * FROM autopilot_decisions WHERE decision_key = ?", [wanted])
    if found.is_empty():
        raise UnknownDecisionError(wanted, ", ".join(_nearest(world, wanted)) or "none, the ledger is empty")
    decision = found.row(0, named=True)
    ledger = world.ledger(decision["strategy_config_id"])
    changed = changed_before(world, ledger.strategy, decision["tick_at"], wanted)
    with ledger.reading():
        entry = _entry_key(ledger, decision)
        return {
            "decision": _without(decision, "base_limits", "effective_limits", "features"),
            "candles": _candles(ledger, decision, bars),
            "price_unit": _price_unit(ledger, decision),
            "source": ledger.deployment_at(decision["tick_at"]).source,
            "indicators": json.loads(decision["features"]),
            "limits": _limits(decision),
            "proposal": _first(ledger, "autopilot_proposals", "decision_key = ?", [wanted]),
            "orders": _rows(ledger, "autopilot_orders", "decision_key = ?", [wanted], "tick_at, order_key"),
            "fills": _rows(ledger, "autopilot_fills", "decision_key = ?", [wanted], "bar_at, fill_key"),
            "position": _position(ledger, entry) if entry else None,
            "outcomes": _rows(ledger, "autopilot_outcomes", "decision_key = ?", [wanted], "horizon_seconds"),
            "moves": _rows(ledger, "admin_actions", "subject = ?", [wanted], "sequence"),
            "changes": [own.shown() for own in changed.since],
            "in_force": [own.shown() for own in changed.in_force],
        }


def _nearest(world: "World", key: str) -> list[str]:
    sql = "SELECT decision_key FROM autopilot_decisions ORDER BY levenshtein(decision_key, ?), decision_key LIMIT 3"
    return world.store.query("ledger", sql, [key])["decision_key"].to_list()


def _rows(
    ledger: "StrategyLedger", table_name: str, where: str, params: Sequence[object], order: str
) -> list[dict[str, object]]:
    rows = ledger.query(f"SELECT * FROM {table_name}", where, params).sort(order.split(", "))
    return [_without(row) for row in rows.to_dicts()]


def _first(ledger: "StrategyLedger", table_name: str, where: str, params: Sequence[object]) -> dict[str, object] | None:
    rows = _rows(ledger, table_name, where, params, "tick_at")
    return _without(rows[0], "features") if rows else None


def _without(row: dict[str, object], *columns: str) -> dict[str, object]:
    left_out = {"account_id", "strategy_config_id", "recorded_at", *columns}
    return {name: value for name, value in row.items() if name not in left_out}


def _candles(ledger: "StrategyLedger", decision: dict[str, Any], count: int) -> list[dict[str, object]]:
    """The last bars of the symbol that the ticks up to the decision consumed, newest last, in quote currency."""
    from openclaw_pipelines.domain.trading.inputs import BAR_FIELDS, NO_BAR
    from openclaw_pipelines.kernel.base.layout import BarState

    at, symbol, unit = decision["tick_at"], decision["symbol"], _price_unit(ledger, decision)
    deployment = ledger.deployment_at(decision["tick_at"])
    since = at - count * timedelta(seconds=deployment.interval_seconds)
    shown = []
    for row in ledger.inputs(since, at):
        bar = dict(zip(BAR_FIELDS, json.loads(row["bars"]).get(symbol, NO_BAR), strict=False))
        prices = {name: bar[name] * unit for name in BAR_FIELDS[:4]} if bar["bar_state"] else {}
        state = BarState(bar["bar_state"]).name.lower()
        shown.append({"closed_at": row["tick_at"], "state": state, **prices, "volume": bar["volume"]})
    return shown


def _price_unit(ledger: "StrategyLedger", decision: dict[str, Any]) -> Decimal:
    """Quote currency per price unit, in which the kernel's indicators count."""
    deployment = ledger.deployment_at(decision["tick_at"])
    return deployment.instruments[deployment.symbols.index(decision["symbol"])].price_unit


def _limits(decision: dict[str, Any]) -> list[dict[str, object]]:
    """One row per limit: configured value and layer, applied value and what changed it."""
    base, effective = json.loads(decision["base_limits"]), json.loads(decision["effective_limits"])
    rows = []
    for name in sorted({*base, *effective}):
        own, applied = base.get(name), effective.get(name)
        rows.append({"limit": name, "base": _value(own), "from": _part(own, "from"), "effective": _value(applied)})
        rows[-1]["because"] = _part(applied, "because")
    return rows


def _value(limit: object) -> object:
    return limit.get("value") if isinstance(limit, dict) else limit


def _part(limit: object, name: str) -> object:
    return limit.get(name) if isinstance(limit, dict) else None


def _entry_key(ledger: "StrategyLedger", decision: dict[str, Any]) -> str | None:
    """Decision that opened the position this decision opened or left."""
    key: str = decision["decision_key"]
    if decision["action"] == "enter":
        return key
    held = ledger.query(
        "SELECT entry_decision_key FROM autopilot_positions",
        "symbol = ? AND tick_at = ?",
        [decision["symbol"], decision["tick_at"]],
    )
    return held["entry_decision_key"][0] if held.height else None


def _position(ledger: "StrategyLedger", entry: str) -> dict[str, object] | None:
    """What became of the position: its round trip, or where it stands while it is open."""
    from openclaw_pipelines.domain.evaluation.trades import closed_trades

    opened = ledger.query("SELECT symbol, deployment_id FROM autopilot_fills", "decision_key = ? AND qty > 0", [entry])
    if opened.is_empty():
        return None
    of_symbol = ("symbol = ? AND deployment_id = ?", opened.row(0))
    fills = ledger.query("SELECT * FROM autopilot_fills", *of_symbol)
    funding = ledger.query("SELECT * FROM autopilot_funding_payments", *of_symbol)
    trades = closed_trades(fills, funding).to_dicts()
    closed = next((trade for trade in trades if trade["entry_decision_key"] == entry), None)
    if closed:
        return {"state": "closed", **_without(closed)}
    newest = ledger.query("SELECT * FROM autopilot_positions", "entry_decision_key = ?", [entry]).sort("tick_at")
    return {"state": "open", **_without(newest.row(newest.height - 1, named=True))} if newest.height else None


@click.command()
@click.argument("decision_key")
@click.option("--bars", type=click.IntRange(1, 500), default=BARS_SHOWN, show_default=True, help="Candles to show.")
@json_option
def explain(decision_key: str, bars: int, *, as_json: bool) -> None:
    """The chain candles -> indicators -> limits -> verdict -> order -> fills -> outcomes of a decision."""
    from openclaw_pipelines.resources.world import open_world

    chain = collect(open_world(), decision_key, bars)
    if as_json:
        print_json(chain)
    else:
        show(chain, console())


def show(chain: dict[str, Any], out: "Console") -> None:
    """Print the chain for a person, in the order in which it happened."""
    decision = chain["decision"]
    out.print(f"[bold]{decision['decision_key']}[/]", soft_wrap=True)
    source = chain["source"] or "a source that was not recorded"
    _show_rows(out, f"1. Candles of {decision['symbol']} from {source}, newest last", chain["candles"])
    _show_pairs(out, f"2. Indicators, prices in units of {digits(chain['price_unit'])}", chain["indicators"])
    _show_rows(out, "3. Limits", chain["limits"])
    _show_verdict(out, decision)
    order = ("order_key", "tick_at", "leg", "side", "qty", "intended_price", "reason")
    _show_rows(out, "5. Orders", chain["orders"], order)
    fill = (
        "fill_key",
        "bar_at",
        "leg",
        "side",
        "status",
        "qty",
        "price",
        "fee",
        "slippage_bps",
        "realized_pnl",
        "reason",
    )
    _show_rows(out, "6. Fills", chain["fills"], fill)
    _show_pairs(out, "7. Position", chain["position"] or {})
    columns = ("horizon_seconds", "matured_at", "horizon_price", "return_signed", "pnl_quote_est", "win", "reason")
    _show_rows(out, "8. Outcomes", chain["outcomes"], columns)
    moves = ("sequence", "tick_at", "from_state", "to_state", "actor", "details")
    _show_rows(out, "9. States of the proposal", chain["moves"], moves)
    changed = ("at", "action", "subject", "before", "after", "actor", "reason")
    _show_rows(out, "10. What people changed since the tick before, and answers", chain["changes"], changed)
    _show_rows(out, "11. Switches and pauses in force", chain["in_force"], changed)


def _show_verdict(out: "Console", decision: dict[str, Any]) -> None:
    asked = f"{decision['action']} {decision['side']} {digits(decision['proposed_qty'])}"
    out.print(f"4. Verdict: [bold]{decision['status']}[/] ({decision['reason_code']})", soft_wrap=True)
    out.print(f"   asked: {asked} at {digits(decision['intended_price'])}, {decision['rationale']}", soft_wrap=True)
    out.print(f"   approved: {digits(decision['approved_qty'])}; {decision['reason']}", soft_wrap=True)
    out.print(f"   policy {decision['policy_source']} {decision['policy_version_id'][:12]}", soft_wrap=True)
    out.print()


def _show_rows(
    out: "Console", title: str, rows: Sequence[dict[str, object]], columns: Sequence[str] | None = None
) -> None:
    if not rows:
        out.print(f"{title}: none\n", soft_wrap=True)
        return
    names = list(columns or max(rows, key=len))
    made = table(title, *names)
    for row in rows:
        made.add_row(*(_cell(row.get(name)) for name in names))
    out.print(made)


def _show_pairs(out: "Console", title: str, values: dict[str, object]) -> None:
    _show_rows(out, title, [{"name": name, "value": value} for name, value in values.items()])


def _cell(value: object) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, datetime):
        return minute(value)
    if isinstance(value, Decimal):
        return digits(value)
    return f"{value:.6g}" if isinstance(value, float) else escape(str(value))
