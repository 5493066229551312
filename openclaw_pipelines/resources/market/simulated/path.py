"""Numbers behind the simulated market: counted random draws and the price path made of them.

Every value is a function of seed, stream and minute, so any minute can be had without the ones before it. Only integer
operations and IEEE addition, multiplication, division and square root are used, in a fixed order per element, so the
results are equal to the last bit on every machine and with every numpy. Bars are made in `simulated`.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_MASK_16 = np.uint64(0xFFFF)
_OCTAVES = 18
"""Octaves of 1, 2, 4 ... 2**17 minutes (91 days); beyond them the price returns to its long-run middle."""


@dataclass(frozen=True)
class Stream:
    """One endless sequence of random words, addressed by index. `name` tells the sequences of a seed apart."""

    seed: int
    name: str

    def words(self, index: Ints) -> npt.NDArray[np.uint64]:
        """64 random bits per index (SplitMix64: Steele, Lea, Flood, OOPSLA 2014; its state is a counter)."""
        digest = blake2b(f"{self.seed}:{self.name}".encode(), digest_size=8).digest()
        mixed = index.astype(np.uint64) * _GOLDEN + np.uint64(int.from_bytes(digest, "little"))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
        return mixed ^ (mixed >> np.uint64(31))

    def uniform(self, index: Ints) -> Floats:
        """Uniform in [0, 1), in steps of 2**-53."""
        return (self.words(index) >> np.uint64(11)).astype(np.float64) / 9007199254740992.0

    def normal(self, index: Ints) -> Floats:
        """Mean 0, variance 1, within 3.5: the sum of the four 16-bit parts of a word."""
        words = self.words(index)
        total = words & _MASK_16
        for shift in (16, 32, 48):
            total = total + ((words >> np.uint64(shift)) & _MASK_16)
        # four uniforms on 0..65535 have mean 131070 and standard deviation 65536 / sqrt(3), within 1e-10
        return (total.astype(np.float64) - 131070.0) / 37837.22724821403


def exponential(values: Floats) -> Floats:
    """Natural exponential of `values`, within 1e-13 for -8..8, from multiplications only.

    >>> float(exponential(np.array([1.0]))[0]) - 2.718281828459045 < 1e-12
    True
    """
    scaled = values / 256.0
    power = np.ones_like(scaled)
    for divisor in (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        power = 1.0 + power * scaled / divisor
    for _ in range(8):
        power = power * power
    return power


def octave(stream: Stream, period: int, minute: Ints) -> Floats:
    """Straight lines between random knots that are `period` minutes apart. minute: consecutive, since the epoch."""
    offset = _offset(stream, period)
    first, last = (int(minute[0]) + offset) // period, (int(minute[-1]) + offset) // period
    knots = Stream(stream.seed, f"{stream.name}/{period}").normal(np.arange(first, last + 2))
    place = minute + offset
    left = place // period - first
    share = (place - (left + first) * period).astype(np.float64) / float(period)
    low = knots[left]
    return low + (knots[left + 1] - low) * share


@lru_cache(maxsize=8_192)
def _offset(stream: Stream, period: int) -> int:
    """Where the knots lie, so that not all octaves bend at midnight."""
    return int(Stream(stream.seed, f"{stream.name}/offset").words(np.array([period]))[0] % np.uint64(period))


def noise(stream: Stream, period: int, minute: Ints) -> Floats:
    """Slow noise with a standard deviation near 1: an octave and half of the one below it."""
    return octave(stream, period, minute) + 0.5 * octave(stream, period // 2, minute)


def log_path(stream: Stream, minute: Ints, trend: float, ripple: float) -> Floats:
    """Log price at the start of each minute, in units of the standard deviation of a minute's move.

    Octaves weighted by the square root of their period add up to a random walk that returns over months. Those of 3 and
    6 days are scaled by `trend`, those of 1 to 17 hours by `ripple`, both fading in and out over weeks, and all below a
    day by a volatility that clusters.
    """
    mood = noise(stream_of(stream, "mood"), 8_192, minute)
    trending = 1.0 + (trend - 1.0) * np.clip(0.8 + 0.5 * mood, 0.0, 1.6)
    rippling = 1.0 + (ripple - 1.0) * np.clip(0.8 - 0.5 * mood, 0.0, 1.6)
    turbulence = volatility(stream, minute)
    total = np.zeros(minute.size)
    for exponent in range(_OCTAVES):
        part = octave(stream, 1 << exponent, minute) * float(np.sqrt(float(1 << exponent)) / 2.2)
        if 12 <= exponent <= 13:
            part = part * trending
        elif 6 <= exponent <= 10:
            part = part * rippling
        total = total + (part * turbulence if exponent <= 10 else part)
    return total


def volatility(stream: Stream, minute: Ints) -> Floats:
    """Factor around 1 by which moves are larger or smaller: calm and wild days, busier in the afternoon UTC."""
    slow = noise(stream_of(stream, "volatility"), 4_096, minute)
    quick = noise(stream_of(stream, "volatility"), 256, minute)
    hour = (minute % 1_440).astype(np.float64) / 60.0
    distance = np.abs(hour - 15.0)
    session = 1.15 - 0.3 * np.minimum(distance, 24.0 - distance) / 12.0
    return exponential(np.clip(0.38 * slow + 0.18 * quick, -1.2, 1.2)) * session


def jumps(stream: Stream, minute: Ints, per_day: float, size: float) -> Floats:
    """Sudden steps of the log price that fade out over three days.

    per_day: probability of one in a day. size: typical size, as a log return.
    """
    total = np.zeros(minute.size)
    for day in range(int(minute[0]) // 1_440 - 3, int(minute[-1]) // 1_440 + 1):
        happens, when, tall = stream.uniform(np.arange(day * 4, day * 4 + 3))
        if happens < per_day:
            at = day * 1_440 + int(when * 1_440)
            since = (minute - at).astype(np.float64)
            fading = np.where(since >= 0, np.maximum(0.0, 1.0 - since / 4_320.0), 0.0)
            sign = 1.0 if tall >= 0.5 else -1.0
            total = total + sign * size * (0.5 + 1.5 * abs(tall - 0.5) * 2.0) * fading
    return total


def stream_of(stream: Stream, part: str) -> Stream:
    """Another sequence of the same seed."""
    return Stream(stream.seed, f"{stream.name}/{part}")
