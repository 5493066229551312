"""Enumerations that users, dashboards and other programs rely on. Add freely; rename only with a migration."""

from enum import IntEnum, StrEnum


class RejectCode(IntEnum):
    """Why an order was refused. The order of the members is the order of the checks: the first failing one is the code.

    The kernel and the ledger share these numbers and names. `describe` says each one as a person would.
    """

    NONE = 0
    QTY_ZERO = 1
    INVALID_QTY = 2
    MIN_QTY = 3
    MIN_ORDER_NOTIONAL = 4
    MAX_ORDER_NOTIONAL = 5
    MAX_POSITION_QTY = 6
    MAX_POSITION_NOTIONAL = 7
    MAX_POSITION_PCT_EQUITY = 8
    MAX_OPEN_POSITIONS = 9
    MAX_SYMBOL_CONCENTRATION = 10
    INSUFFICIENT_BALANCE = 11
    MAX_LEVERAGE = 12
    MAX_DAILY_LOSS = 13
    MAX_DRAWDOWN = 14
    SHORT_NOT_ALLOWED = 15
    INSUFFICIENT_AT_FILL = 16
    RATE_LIMITED = 17
    ORDER_GAP = 18
    COOLDOWN = 19
    DUPLICATE = 20
    STALE_CANDLES = 21
    STALE_QUOTE = 22
    GAP = 23
    SPREAD_TOO_WIDE = 24
    NO_PRICE = 25
    SYMBOL_DISABLED = 26
    SYMBOL_NOT_ALLOWED = 27
    SYMBOL_DENIED = 28
    KILL_SWITCH = 29
    CLOSE_ONLY = 30
    PAUSED = 31
    MODE_FORBIDS = 32
    BUDGET_EXHAUSTED = 33
    POLICY_UNRESOLVED = 34
    STATE_UNCERTAIN = 35
    EXECUTOR_REFUSED = 36
    SCALE_JUMP = 37


class Leg(IntEnum):
    """What an order is for. Protective legs carry the decision key of the entry they protect."""

    ENTRY = 1
    EXIT = 2
    STOP = 3
    TARGET = 4
    LIQUIDATION = 5


class Side(IntEnum):
    """Direction of an order or a position."""

    SELL = -1
    FLAT = 0
    BUY = 1


class ExitReason(IntEnum):
    """Why a position was closed."""

    NONE = 0
    SIGNAL = 1
    STOP = 2
    TRAILING_STOP = 3
    TARGET = 4
    LIQUIDATION = 5
    TIME_STOP = 6
    FLATTEN = 7


class Action(IntEnum):
    """What a proposal asks for. HOLD is recorded when it changes something or refuses a signal."""

    HOLD = 0
    ENTER = 1
    EXIT = 2


class Regime(StrEnum):
    """Market regime of a symbol at a bar."""

    TREND_UP = "trend_up"
    TREND_DOWN = "trend_down"
    RANGE = "range"
    HIGH_VOLATILITY = "high_volatility"
    LOW_VOLATILITY = "low_volatility"
    THIN = "thin"
    UNKNOWN = "unknown"


class MarketType(StrEnum):
    """Kind of instrument. Inverse contracts are refused."""

    SPOT = "spot"
    LINEAR = "linear"


class InstrumentState(StrEnum):
    """Lifecycle of an instrument."""

    NEW = "new"
    TRADABLE = "tradable"
    WATCH_ONLY = "watch_only"
    DEPRECATED = "deprecated"


class Mode(StrEnum):
    """Autonomy of a strategy."""

    MANUAL = "manual"
    ASSIST = "assist"
    AUTO = "auto"


class KillSwitch(StrEnum):
    """Account-wide control; the strictest of configuration, environment and file wins."""

    OFF = "off"
    CLOSE_ONLY = "close_only"
    HALT_ALL = "halt_all"


class ProposalState(StrEnum):
    """States of a proposal; legal moves are in `domain.governance.proposal_states`."""

    PROPOSED = "proposed"
    PREVIEW_REJECTED = "preview_rejected"
    APPROVED = "approved"
    EXECUTED = "executed"
    EXECUTION_FAILED = "execution_failed"
    SHADOWED = "shadowed"
    AWAITING_APPROVAL = "awaiting_approval"
    EXPIRED = "expired"
    DECLINED = "declined"
    RECONCILED = "reconciled"
    OUTCOME_EVALUATED = "outcome_evaluated"
    ABSTAIN = "abstain"
    HELD = "held"


class TickStatus(StrEnum):
    """How a tick ended."""

    INCEPTION = "inception"
    DONE = "done"
    SETTLED_ONLY = "settled_only"


class SourceKind(StrEnum):
    """Where market data comes from."""

    SIMULATED = "simulated"
    ARCHIVE = "archive"
    CCXT = "ccxt"
