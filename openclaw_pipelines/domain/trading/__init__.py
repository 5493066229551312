"""The tick: from a recorded input to ledger rows."""
