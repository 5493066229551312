"""Words of approvals and of the account's own trail that ticks, tables and commands rely on."""

from enum import StrEnum

ACCOUNT_CHAIN = "@account"
"""Stands in `admin_actions` where a strategy's name does: the chain of the account. No strategy can have this name."""


class Answer(StrEnum):
    """What ends the wait of a proposal: an operator's word, or the wait itself."""

    APPROVE = "approve"
    DECLINE = "decline"
    EXPIRE = "expire"


class AccountAction(StrEnum):
    """What a row of the account's chain says happened."""

    KILL_SWITCH_CHANGED = "KILL_SWITCH_CHANGED"
    CONFIGURATION_CHANGED = "CONFIGURATION_CHANGED"
    STRATEGY_PAUSED = "STRATEGY_PAUSED"
    STRATEGY_RESUMED = "STRATEGY_RESUMED"
    APPROVAL_GIVEN = "APPROVAL_GIVEN"
    APPROVAL_DECLINED = "APPROVAL_DECLINED"
    DEPLOYMENT_CHANGED = "DEPLOYMENT_CHANGED"
    CANDLE_CORRECTED = "CANDLE_CORRECTED"
