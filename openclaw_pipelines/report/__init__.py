"""What people read: the daily report and the plots that it shares with the pages of the assets.

Nothing is computed here that the ledger should hold: metrics are in `domain.evaluation.metrics.compute`.
"""
