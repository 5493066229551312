"""The paper executor: fills orders inside the bars that follow, by the kernel's candle rules."""

from openclaw_pipelines.domain.trading.session import Session
from openclaw_pipelines.kernel.base import layout
from openclaw_pipelines.kernel.run import step


class PaperExecutor:
    """Trades on paper. Pending orders live in the session's state, so a killed process forgets none of them."""

    def settle(self, session: Session, tick: layout.Tick, account_limits: layout.Records) -> layout.Records:
        """Fill what the closed bars fill and value the account; returns the events in order."""
        events = layout.records(layout.EVENT, layout.EVENTS_PER_SYMBOL * len(tick.symbols))
        n = step.settle(session.state, tick, account_limits, session.context, events, 0)
        return events[:n]

    def submit(
        self, session: Session, tick: layout.Tick, account_limits: layout.Records, proposals: layout.Records
    ) -> None:
        """Take approved proposals as orders that fill at the open of the next bar."""
        if len(proposals):
            step.order(session.state, tick, session.limits, account_limits, proposals, len(proposals))
