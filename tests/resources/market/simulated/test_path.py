import math

import numpy as np
import pytest

from openclaw_pipelines.resources.market.simulated.path import Stream, exponential, jumps, octave


def splitmix64(state: int) -> int:
    """Published C code of SplitMix64 (Vigna, 2015), in Python integers."""
    mask = 2**64 - 1
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
    return mixed ^ (mixed >> 31)


def test_words_are_splitmix64_of_a_counter():
    stream = Stream(7, "a")
    start = int(stream.words(np.array([0]))[0])
    words = [int(word) for word in stream.words(np.arange(-3, 1000))]
    inverse_found = next(state for state in [_unmix(start)] if splitmix64(state) == start)
    golden = 0x9E3779B97F4A7C15
    assert words == [splitmix64((inverse_found + index * golden) % 2**64) for index in range(-3, 1000)]


def _unmix(word: int) -> int:
    mask = 2**64 - 1
    word ^= (word >> 31) ^ (word >> 62)
    word = (word * pow(0x94D049BB133111EB, -1, 2**64)) & mask
    word ^= (word >> 27) ^ (word >> 54)
    word = (word * pow(0xBF58476D1CE4E5B9, -1, 2**64)) & mask
    return word ^ (word >> 30) ^ (word >> 60)


def test_known_first_words_of_splitmix64():
    """First outputs of the reference implementation for seed 1234567."""
    golden = 0x9E3779B97F4A7C15
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [splitmix64((1234567 + n * golden) % 2**64) for n in range(1, 5)] == published


def test_streams_differ_by_name_and_by_seed():
    index = np.arange(100)
    first = Stream(1, "a").words(index)
    assert not np.array_equal(first, Stream(1, "b").words(index))
    assert not np.array_equal(first, Stream(2, "a").words(index))


def test_uniform_and_normal_have_their_moments():
    index = np.arange(200_000)
    uniform, normal = Stream(3, "u").uniform(index), Stream(3, "n").normal(index)
    assert 0.0 <= uniform.min() < uniform.max() < 1.0
    assert uniform.mean() == pytest.approx(0.5, abs=0.003)
    assert normal.mean() == pytest.approx(0.0, abs=0.01)
    assert normal.std() == pytest.approx(1.0, abs=0.01)
    assert np.abs(normal).max() < 3.5


def test_exponential_agrees_with_math():
    values = np.linspace(-8.0, 8.0, 2_001)
    expected = np.array([math.exp(value) for value in values])
    assert np.max(np.abs(exponential(values) / expected - 1.0)) < 1e-12


def test_an_octave_is_straight_between_knots_and_independent_of_the_window():
    stream = Stream(5, "o")
    minute = np.arange(10_000, 10_400, dtype=np.int64)
    values = octave(stream, 64, minute)
    bends = np.abs(np.diff(values, 2)) > 1e-12
    assert 5 <= bends.sum() <= 7
    assert np.array_equal(values[100:150], octave(stream, 64, minute[100:150]))


def test_jumps_are_sudden_and_fade_out_in_three_days():
    stream = Stream(11, "j")
    minute = np.arange(0, 200 * 1440, dtype=np.int64)
    path = jumps(stream, minute, 0.05, 0.02)
    steps = np.diff(path)
    sudden = np.flatnonzero(np.abs(steps) > 0.005)
    assert 4 <= sudden.size <= 20
    assert np.abs(steps[sudden]).max() <= 0.04
    last = 199 * 1440
    assert np.array_equal(path[last:], jumps(stream, minute[last:], 0.05, 0.02))
    assert jumps(stream, minute[:1440], 0.0, 0.02).any() == False  # noqa: E712
