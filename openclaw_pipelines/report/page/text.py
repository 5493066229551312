"""How numbers and times are written for people. Values stay exact in the ledger; this only rounds for reading."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

NONE = "\u2013"
_MINUS = "\u2212"
_ABBREVIATIONS = {"pnl": "PnL", "cagr": "CAGR"}
_PLAIN_RATIOS = frozenset({"sharpe", "sortino", "calmar", "profit_factor", "leverage_max"})


@dataclass(frozen=True)
class Cell:
    """Text of a table cell or figure with its tone: `gain`, `loss`, `warn`, `muted` or empty."""

    text: str
    tone: str = ""


def money(value: Decimal | float | None, *, signed: bool = False) -> Cell:
    """Amount in quote currency to two decimals.

    >>> money(Decimal("1234.567"), signed=True)
    Cell(text='+1,234.57', tone='gain')
    """
    return _number(value, "{:+,.2f}" if signed else "{:,.2f}", toned=signed)


def percent(share: Decimal | float | None, *, signed: bool = False, decimals: int = 2) -> Cell:
    """Share of one as per cent, with a space that does not break.

    >>> percent(0.0123, signed=True).text.split()
    ['+1.23', '%']
    """
    scaled = None if share is None else share * 100
    sign = "+" if signed else ""
    return _number(scaled, f"{{:{sign},.{decimals}f}}\u00a0%", toned=signed)


def bps(value: float | None, *, signed: bool = True, toned: bool = True) -> Cell:
    """Basis points to one decimal."""
    return _number(value, "{:+,.1f}" if signed else "{:,.1f}", toned=toned)


def exact(value: Decimal | float | None) -> Cell:
    """Price or quantity with the digits it has.

    >>> exact(Decimal("0.001500000000000000")).text, exact(Decimal("64000.000")).text
    ('0.0015', '64,000')
    """
    if value is None:
        return Cell(NONE, "muted")
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,.10g}"
    return Cell((text.rstrip("0").rstrip(".") if "." in text else text).replace("-", _MINUS))


def count(value: float | None) -> Cell:
    """Whole number."""
    return _number(value, "{:,.0f}", toned=False)


def clock(value: datetime | None) -> Cell:
    """Time of day in UTC."""
    return Cell(NONE, "muted") if value is None else Cell(f"{value.astimezone(UTC):%H:%M}")


def day_and_clock(value: datetime | None) -> Cell:
    """Month, day and time in UTC, where the year is plain."""
    return Cell(NONE, "muted") if value is None else Cell(f"{value.astimezone(UTC):%m-%d\u00a0%H:%M}")


def stamp(value: datetime | None) -> Cell:
    """Date and time in UTC."""
    return Cell(NONE, "muted") if value is None else Cell(f"{value.astimezone(UTC):%Y-%m-%d %H:%M}")


def duration(seconds: float | None) -> Cell:
    """Length of time, without breaks inside.

    >>> [duration(seconds).text.split() for seconds in (5400, 3600, 180_000, 0)]
    [['1', 'h', '30', 'min'], ['1', 'h'], ['2', 'd', '2', 'h'], ['0', 'min']]
    """
    if seconds is None:
        return Cell(NONE, "muted")
    minutes = int(seconds) // 60
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (0 if minutes >= 1440 else minutes % 60, "min"))
    return Cell("\u00a0".join(f"{n}\u00a0{unit}" for n, unit in parts if n) or "0\u00a0min")


def metric(name: str, value: float | None, unit: str, reason: str | None) -> Cell:
    """Value of a metric in its unit, or why it has none.

    >>> metric("sharpe", None, "ratio", "needs at least two returns").text
    'undefined: needs at least two returns'
    """
    if value is None:
        return Cell(f"undefined: {reason}", "muted")
    if unit == "ratio":
        return _number(value, "{:,.2f}", toned=False) if name in _PLAIN_RATIOS else percent(value)
    writers = {"quote": money, "count": count, "seconds": duration}
    return writers[unit](value) if unit in writers else Cell(f"{bps(value, signed=False, toned=False).text}\u00a0bps")


def words(name: str) -> str:
    """Name of a metric or column as words.

    >>> words("max_drawdown"), words("rejects.MAX_LEVERAGE"), words("outcome_total_pnl")
    ('Max drawdown', 'Rejects: MAX_LEVERAGE', 'Outcome total PnL')
    """
    if "." in name:
        family, member = name.split(".", 1)
        return f"{words(family)}: {member}"
    text = " ".join(_ABBREVIATIONS.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def minus(text: str) -> str:
    """Text with the sign for minus in place of every hyphen, for numbers in plots."""
    return text.replace("-", _MINUS)


def _number(value: Decimal | float | None, pattern: str, *, toned: bool) -> Cell:
    if value is None:
        return Cell(NONE, "muted")
    written = pattern.format(value)
    if not any(digit in written for digit in "123456789"):
        return Cell(written.lstrip("+-"))  # rounds to nothing, so it has no sign either
    tone = ("gain" if value > 0 else "loss") if toned else ""
    return Cell(written.replace("-", _MINUS), tone)
