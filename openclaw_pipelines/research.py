"""The engine for notebooks and scripts, under names that stay where they are. README has a notebook that uses them.

The code is the one that takes live ticks, backfills and replays. Bars come from any frame of candles, results are plain
objects with polars frames.
"""

from openclaw_pipelines.domain.market.quality.frame import check_candles
from openclaw_pipelines.kernel.base.layout import SIGNAL, WHOLE
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.run.finer import replay_on_finer
from openclaw_pipelines.kernel.run.planned import plan_of, replay_planned
from openclaw_pipelines.kernel.run.replay import Costs, replay
from openclaw_pipelines.kernel.run.simulate import simulate_signals
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.sweep.given_signals import score_planned, score_signals
from openclaw_pipelines.kernel.sweep.sweep import sweep

__all__ = [
    "SIGNAL",
    "WHOLE",
    "Bars",
    "Costs",
    "check_candles",
    "params_record",
    "plan_of",
    "replay",
    "replay_on_finer",
    "replay_planned",
    "score_planned",
    "score_signals",
    "simulate_signals",
    "stack_params",
    "sweep",
]
