"""When a deployed strategy gets more size, and when it is taken out again."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from openclaw_pipelines.contracts.config.values import Cost, Factor, Section, Share


class Lifecycle(Section):
    """When a strategy that the factory deployed gets more size, and when it is taken out again."""

    ramps_bps: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(
        [2_500, 5_000, 10_000],
        min_length=2,
        description="sizes: the first on paper, the second when promoted, each later one when the gates hold again",
    )
    paper_days: int = Field(1, ge=1, description="recorded days at a size that are enough evidence")
    paper_trades: int = Field(20, ge=1, description="closed trades at a size that are enough evidence instead")
    least_profit_factor: Factor = Field(Decimal("1.2"), description="profit factor that a gate requires")
    largest_drawdown_bps: Share = Field(
        1_000, description="drawdown of the marked equity that a gate requires to be less"
    )
    stressed_slippage_bps: Cost = Field(
        Decimal(20), description="slippage at which the recorded ticks, replayed, must still have earned"
    )
    rotation_trades: int = Field(30, ge=1, description="last trades over which the profit factor is watched")
    rotation_profit_factor: Factor = Field(Decimal(1), description="profit factor below which a strategy is paused")
    rotation_drawdown_bps: Share = Field(1_500, description="drawdown since inception beyond which it is paused")
    rotation_age_days: int = Field(14, ge=1, description="days since inception after which it is paused")
    gpu_trust_cycles: int = Field(
        3, ge=1, description="cycles in a row in which a GPU agreed with the CPU, before it may sweep in its place"
    )
