"""The widest range of what a market can tell. What lies outside is no price, volume, rate or time of any market.

Stated once: the models of the tables hold stored rows to it, `domain.market.quality.bounds` every answer and file.
"""

from datetime import UTC, datetime

LEAST_PRICE, MOST_PRICE = 1e-12, 1e12
"""In quote currency. Beyond them no price unit fits a price and an order into the kernel's integers."""

MOST_VOLUME = 1e18
"""Of one bar, in base currency: more than any currency has units."""

MOST_FUNDING_RATE = 0.09
"""Of one funding, either way: the kernel's largest rate, `kernel.base.money.MAX_RATE`."""

FIRST_TIME = datetime(2009, 1, 3, tzinfo=UTC)
"""The first block; nothing was traded before."""

DAYS_AHEAD = 2
"""A stamp may lie in the day of now or the next: clocks and time zones are not further apart."""
