"""The best rows of a sweep per channel, in an order that never depends on chance.

Each channel orders the eligible rows by its score, then by its tie-breakers, then by the parameters' hash. A candidate
must beat the incumbent, measured on the same days, by a written floor; where none does, the incumbent holds. Judging
candidates on days they were not chosen on is for `domain.selection.gates`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from openclaw_pipelines.contracts.canonical import decimal_text
from openclaw_pipelines.contracts.factory import Channel, Listing


@dataclass(frozen=True)
class Row:
    """What channels look at, of one row of a sweep on the train days. net: quote currency."""

    row_index: int
    family: str
    params_hash: str
    net: Decimal
    return_total: float
    max_drawdown: float
    sharpe_day: float | None
    trades: int
    liquidations: int
    longest_hold_seconds: int
    events_digest: int


@dataclass(frozen=True)
class Floors:
    """How much better than the incumbent a candidate must be, in the units of the channels' scores.

    longest_hold_seconds: what is left out between train and holdout; a candidate that held longer would reach across.
    """

    efficient: float
    growth: float
    conservative: float
    least_trades: int
    per_channel: int
    longest_hold_seconds: int

    def of(self, channel: Channel) -> float:
        """Floor of a channel."""
        return float(getattr(self, channel.value))


@dataclass(frozen=True)
class Entry:
    """One line of a shortlist. rank 0 is the incumbent."""

    channel: Channel
    rank: int
    row: Row
    score: float | None
    status: Listing
    reason: str


def _drawdown(row: Row) -> float:
    return -row.max_drawdown


SCORES: Mapping[Channel, tuple[str, Callable[[Row], float]]] = {
    Channel.EFFICIENT: ("daily Sharpe ratio", lambda row: row.sharpe_day or 0.0),
    Channel.GROWTH: ("return on capital", lambda row: row.return_total),
    Channel.CONSERVATIVE: ("maximum drawdown, negative", _drawdown),
}
"""Channel -> what it orders by, greater first. Rows that did not earn are in none."""


def eligible(row: Row, floors: Floors) -> str | None:
    """Why a row cannot be a candidate; None where it can."""
    if row.trades < floors.least_trades:
        return f"{row.trades} closed trades are fewer than {floors.least_trades}"
    if row.net <= 0:
        return f"it made {decimal_text(row.net)}"
    if row.liquidations:
        return f"{row.liquidations} of its positions were liquidated"
    return None if row.sharpe_day is not None else "its daily returns have no deviation"


def shortlist(rows: Iterable[Row], incumbent: Row, floors: Floors) -> list[Entry]:
    """Incumbent and best candidates of every channel, in the order of channels and ranks.

    Rows whose events are the same to the last one are one candidate, the one whose hash comes first.
    """
    fit = [
        row
        for row in rows
        if row.params_hash != incumbent.params_hash
        and row.longest_hold_seconds <= floors.longest_hold_seconds
        and eligible(row, floors) is None
    ]
    entries = []
    for channel in Channel:
        entries += _channel(channel, _ordered(fit, channel), incumbent, floors)
    return entries


def candidates(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that go on, each set of parameters once, in the order in which they may be deployed."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.status is Listing.CANDIDATE:
            found.setdefault(entry.row.params_hash, entry)
    return list(found.values())


def _ordered(rows: list[Row], channel: Channel) -> list[Row]:
    score = SCORES[channel][1]
    order = sorted(
        rows, key=lambda row: (-score(row), -(row.sharpe_day or 0.0), -row.net, row.max_drawdown, row.params_hash)
    )
    distinct: dict[int, Row] = {}
    for row in order:
        distinct.setdefault(row.events_digest, row)
    return list(distinct.values())


def _channel(channel: Channel, ordered: list[Row], incumbent: Row, floors: Floors) -> list[Entry]:
    name, score = SCORES[channel]
    why_not = eligible(incumbent, floors)
    bar = None if why_not else score(incumbent) + floors.of(channel)
    listed = []
    for rank, row in enumerate(ordered[: floors.per_channel], start=1):
        passed = bar is None or score(row) >= bar
        asked = "the incumbent is no measure" if bar is None else f"{bar:.6g} is asked"
        reason = f"{name} {score(row):.6g}, {asked}"
        status = Listing.CANDIDATE if passed else Listing.BELOW_FLOOR
        listed.append(Entry(channel, rank, row, score(row), status, reason))
    held = why_not is None and not any(entry.status is Listing.CANDIDATE for entry in listed)
    reason = why_not or f"{name} {score(incumbent):.6g}, floor {floors.of(channel):.6g} above it"
    own = Listing.INCUMBENT_HOLDS if held else Listing.INCUMBENT
    first = Entry(channel, 0, incumbent, None if why_not else score(incumbent), own, reason)
    return [first, *listed]
