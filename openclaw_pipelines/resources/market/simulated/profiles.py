"""What each simulated market is like. How a path is drawn from it is in `path`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Character of one simulated pair; perpetual and spot share it.

    price: long-run middle of the price, in quote currency.
    daily_volatility: rough standard deviation of a day's log return.
    beta: share of the common factor in its moves, 0..1.
    trend: strength of moves that go on for three to six days; above 1 it trends.
    ripple: strength of moves of one to seventeen hours, which come back; below 1 it trends, above it ranges.
    minute_notional: typical traded amount per minute, in quote currency.
    quiet: probability that an hour holds a run of minutes without a trade.
    outages: probability that a day holds a hole of its own.
    """

    price: float
    daily_volatility: float
    beta: float
    trend: float
    ripple: float
    minute_notional: float
    quiet: float
    outages: float


PROFILES: dict[str, Profile] = {
    "BTC": Profile(64_000.0, 0.022, 0.85, 2.0, 0.5, 9_000_000.0, 0.004, 0.10),
    "ETH": Profile(2_900.0, 0.028, 0.80, 1.9, 0.55, 6_000_000.0, 0.005, 0.10),
    "SOL": Profile(150.0, 0.038, 0.70, 2.2, 0.5, 2_500_000.0, 0.008, 0.12),
    "XRP": Profile(1.2, 0.034, 0.55, 0.9, 1.6, 1_200_000.0, 0.010, 0.12),
    "BNB": Profile(560.0, 0.022, 0.60, 0.7, 1.6, 700_000.0, 0.012, 0.12),
    "ALDER": Profile(4.2, 0.040, 0.50, 2.1, 0.5, 240_000.0, 0.02, 0.15),
    "BRISK": Profile(0.36, 0.045, 0.45, 1.3, 1.3, 180_000.0, 0.02, 0.15),
    "CINDR": Profile(18.0, 0.038, 0.60, 0.8, 1.7, 160_000.0, 0.03, 0.15),
    "DOVER": Profile(0.082, 0.050, 0.40, 2.2, 0.6, 150_000.0, 0.03, 0.15),
    "EMBER": Profile(7.7, 0.042, 0.55, 1.0, 1.0, 140_000.0, 0.03, 0.15),
    "FJORD": Profile(95.0, 0.035, 0.65, 2.0, 0.4, 130_000.0, 0.03, 0.15),
    "GLINT": Profile(1.45, 0.048, 0.50, 0.7, 1.7, 120_000.0, 0.03, 0.15),
    "HELIX": Profile(26.0, 0.044, 0.60, 1.4, 1.2, 110_000.0, 0.04, 0.15),
    "INDIG": Profile(0.62, 0.050, 0.45, 1.0, 1.5, 100_000.0, 0.04, 0.20),
    "JUNIP": Profile(3.3, 0.046, 0.50, 1.9, 0.5, 90_000.0, 0.04, 0.20),
    "KESTR": Profile(11.0, 0.040, 0.55, 0.9, 1.6, 85_000.0, 0.05, 0.20),
    "LUMEN": Profile(0.115, 0.052, 0.40, 2.1, 0.7, 80_000.0, 0.05, 0.20),
    "MERID": Profile(340.0, 0.036, 0.60, 1.2, 1.2, 75_000.0, 0.05, 0.20),
    "NIMBO": Profile(0.021, 0.055, 0.35, 1.5, 1.3, 70_000.0, 0.06, 0.20),
    "ORBIT": Profile(2.1, 0.047, 0.50, 0.8, 1.7, 65_000.0, 0.06, 0.20),
    "PYLON": Profile(52.0, 0.039, 0.55, 2.0, 0.6, 60_000.0, 0.06, 0.20),
    "QUARZ": Profile(0.74, 0.050, 0.45, 1.1, 1.4, 55_000.0, 0.08, 0.20),
    "RIDGE": Profile(6.4, 0.045, 0.50, 1.4, 0.9, 50_000.0, 0.08, 0.25),
    "SABLE": Profile(0.0043, 0.060, 0.30, 2.2, 0.8, 40_000.0, 0.10, 0.25),
    "TIDAL": Profile(140.0, 0.042, 0.60, 0.9, 1.7, 35_000.0, 0.12, 0.25),
}
