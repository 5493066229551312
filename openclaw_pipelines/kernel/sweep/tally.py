"""What a sweep keeps of each parameter row: sums over its trades, the drawdown, and a digest of every event.

The same functions fold the events of a replay, so that both sides of a parity check count alike. Money is in atoms.
"""

from typing import Any

import numpy as np

from openclaw_pipelines.contracts.enums import ExitReason, Leg
from openclaw_pipelines.kernel.base.jit import compiled, inlined
from openclaw_pipelines.kernel.base.layout import EventKind, Records
from openclaw_pipelines.kernel.base.primitives import div, mul

TALLY = np.dtype((
    np.record,
    [(name, np.int64) for name in (
        "digest",  # of every event in order; equal digests mean equal trades
        "entries", "trades", "wins",  # a draw is no win
        "gross_profit", "gross_loss",  # sums of the winners' and the losers' net, the latter positive
        "liquidations", "refused", "expired",
        "turnover",  # cash value of every fill's fee base is not kept: quantity times price, in atoms
        "held_seconds", "longest_hold_seconds",
    )]
    + [(name, np.float64) for name in (
        "net_1", "net_2", "net_3", "net_4",  # sums of powers of the trades' net in quote currency
        "max_drawdown",  # share of the peak, over every tick
    )],
))  # fmt: skip
"""Per parameter row."""
SYMBOL_TALLY = np.dtype(
    (np.record, [(name, np.int64) for name in ("trades", "net", "open_fee", "open_funding", "entry_at")])
)
"""Per parameter row and symbol; the last three belong to the open position."""

_DIGEST_MASK = (1 << 40) - 1
_DIGEST_FACTOR = 4_194_301  # a prime below 2**22, so that a step stays within 63 bits
_FILL, _FUNDING = int(EventKind.FILL), int(EventKind.FUNDING)
_ENTRY_EXPIRED, _INSUFFICIENT = int(EventKind.ENTRY_EXPIRED), int(EventKind.INSUFFICIENT)
_LEG_ENTRY, _LIQUIDATION = int(Leg.ENTRY), int(ExitReason.LIQUIDATION)
_QUOTE = 100_000_000.0


@inlined
def mix(digest: int, value: int) -> int:
    """Fold one number into a 40-bit digest; order matters.

    >>> mix(mix(0, 1), 2) == mix(mix(0, 2), 1)
    False
    """
    return ((digest * _DIGEST_FACTOR) & _DIGEST_MASK) ^ ((value + (value >> 40)) & _DIGEST_MASK)


@compiled
def tally_events(tally: Any, symbols: Records, instruments: Records, events: Records, n: int) -> None:
    """Fold the first `n` events of a tick."""
    for i in range(n):
        event = events[i]
        tally.digest = _digest(tally.digest, event)
        symbol = symbols[event.symbol]
        if event.kind == _FUNDING:
            symbol.open_funding += event.cash_change
        elif event.kind == _FILL:
            tally.turnover += event.qty * event.price * instruments[event.symbol].mult
            if event.leg == _LEG_ENTRY:
                tally.entries += 1
                symbol.open_fee, symbol.open_funding, symbol.entry_at = event.fee, 0, event.at
            else:
                _tally_trade(tally, symbol, event)
        elif event.kind == _ENTRY_EXPIRED:
            tally.expired += 1
        elif event.kind == _INSUFFICIENT:
            tally.refused += 1


@compiled
def _digest(digest: int, event: Any) -> int:
    mixed = mix(mix(mix(digest, event.kind), event.symbol), event.leg)
    mixed = mix(mix(mix(mixed, event.side), event.qty), event.price)
    mixed = mix(mix(mix(mixed, event.fee), event.cash_change), event.realized)
    return mix(mix(mix(mixed, event.reason), event.at), event.decided_at)


@compiled
def _tally_trade(tally: Any, symbol: Any, event: Any) -> None:
    net = event.realized - event.fee - symbol.open_fee + symbol.open_funding
    symbol.trades += 1
    symbol.net += net
    symbol.open_fee = symbol.open_funding = 0
    tally.trades += 1
    if net > 0:
        tally.wins += 1
        tally.gross_profit += net
    else:
        tally.gross_loss -= net
    if event.reason == _LIQUIDATION:
        tally.liquidations += 1
    held = event.at - symbol.entry_at
    tally.held_seconds += held
    tally.longest_hold_seconds = max(tally.longest_hold_seconds, held)
    quote = net / _QUOTE
    square = mul(quote, quote)
    tally.net_1 += quote
    tally.net_2 += square
    tally.net_3 += mul(square, quote)
    tally.net_4 += mul(square, square)


@inlined
def note_drawdown(tally: Any, peak: int, lost: int) -> None:
    """Keep the greater of the drawdown so far and `lost` below `peak`."""
    share = div(float(lost), float(peak))
    if share > tally.max_drawdown:
        tally.max_drawdown = share


@compiled
def tally_run(tally: Any, symbols: Records, instruments: Records, events: Records, equity: Any, capital: int) -> None:
    """Fold a whole run from its kept events and the equity [T] at its ticks."""
    tally_events(tally, symbols, instruments, events, len(events))
    peak = capital
    for i in range(len(equity)):
        peak = max(peak, equity[i])
        note_drawdown(tally, peak, peak - equity[i])
