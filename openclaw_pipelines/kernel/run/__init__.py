"""Bars in, a result out: the step, the replay, given signals, finer candles, single steps."""
