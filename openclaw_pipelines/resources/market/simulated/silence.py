"""When the simulated market is silent: minutes without a trade and minutes that were never published."""

import numpy as np
import numpy.typing as npt

from openclaw_pipelines.resources.market.simulated.path import Ints, Stream
from openclaw_pipelines.resources.market.simulated.profiles import Profile

Mask = npt.NDArray[np.bool_]
_OUTAGE_PER_DAY = 0.025
_DAY_MINUTES = 1_440


def quiet_minutes(seed: int, symbol: str, profile: Profile, minute: Ints) -> tuple[Mask, Ints]:
    """Whether each minute has no trade, and the place of the minute whose opening price then rests.

    minute: consecutive since the epoch, from a full hour. Runs last 1 to 6 minutes, every tenth 10 to 14; an hour has
    at most one and holds it whole.
    """
    hour = minute // 60
    draws = Stream(seed, f"bars/{symbol}/quiet")
    some = draws.uniform(hour * 4) < profile.quiet
    long = draws.uniform(hour * 4 + 1) < 0.1
    share = draws.uniform(hour * 4 + 2)
    length = np.where(long, 10 + (share * 5.0).astype(np.int64), 1 + (share * 6.0).astype(np.int64))
    start = hour * 60 + (draws.uniform(hour * 4 + 3) * (60 - length)).astype(np.int64)
    quiet = some & (minute >= start) & (minute < start + length)
    return quiet, np.where(quiet, start - int(minute[0]), 0)


def absent_minutes(seed: int, symbol: str, profile: Profile, minute: Ints) -> Mask:
    """Which minutes were never published: holes of the pair and outages of the whole venue.

    A hole lasts 1 to 4 or 5 to 40 minutes, an outage 5 to 40; each ends with its day at the latest.
    """
    day, within = minute // _DAY_MINUTES, minute % _DAY_MINUTES
    own = (Stream(seed, f"hole/{symbol}"), profile.outages, 0.4)
    venue = (Stream(seed, "outage"), _OUTAGE_PER_DAY, 1.0)
    absent = np.zeros(minute.size, dtype=np.bool_)
    for stream, chance, long_share in (own, venue):
        some = stream.uniform(day * 4) < chance
        long = stream.uniform(day * 4 + 1) < long_share
        share = stream.uniform(day * 4 + 2)
        length = np.where(long, 5 + (share * 36.0).astype(np.int64), 1 + (share * 4.0).astype(np.int64))
        start = (stream.uniform(day * 4 + 3) * float(_DAY_MINUTES)).astype(np.int64)
        absent |= some & (within >= start) & (within < start + length)
    return absent
