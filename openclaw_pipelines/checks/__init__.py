"""Asset checks: data quality, risk, parity, freshness. The rules are in `domain`."""
