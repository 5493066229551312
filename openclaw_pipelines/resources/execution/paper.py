"""The paper executor: fills orders inside the bars that follow, by the kernel's candle rules."""

from collections.abc import Sequence
from datetime import datetime

from openclaw_pipelines.domain.execution.port import PAPER, Acknowledgement, Closed, Intent, Report


class PaperExecutor:
    """Trades on paper. Pending orders live in the session's state, so a killed process forgets none of them."""

    name = PAPER

    def submit(self, intents: Sequence[Intent]) -> list[Acknowledgement]:
        """Take every order; it fills at the open of the next bar that can be traded, or expires."""
        return [Acknowledgement(intent.order_key, taken=True) for intent in intents]

    def reports(self, since: datetime, closed: Closed) -> Sequence[Report]:  # noqa: ARG002 - the bars say what is new
        """What the closed bars fill."""
        return closed.by_candle_rules()
