"""Scores what was decided: reads ledger and candles, calls the domain's rules, writes outcomes, metrics and the report.

The rules are in `domain.evaluation.outcomes` and `domain.evaluation.metrics.compute`, the page is made in `report`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import polars as pl

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.enums import ProposalState
from openclaw_pipelines.contracts.program import program_version
from openclaw_pipelines.contracts.tables import TABLES
from openclaw_pipelines.contracts.time import DAY, day_start, floor_to, interval_length
from openclaw_pipelines.domain.evaluation.metrics.compute import compute_metrics
from openclaw_pipelines.domain.evaluation.metrics.definitions import METRICS
from openclaw_pipelines.domain.evaluation.outcomes import due_outcomes, score_outcomes
from openclaw_pipelines.domain.evaluation.trades import USED
from openclaw_pipelines.domain.governance.audit import proposal_moved
from openclaw_pipelines.domain.market.parts import measured
from openclaw_pipelines.domain.market.quality.window import CheckResult
from openclaw_pipelines.report.day.data import ReportData, StrategyReport
from openclaw_pipelines.resources.clock import Clock
from openclaw_pipelines.resources.files import replace_file
from openclaw_pipelines.resources.store import market_tables
from openclaw_pipelines.resources.store.coverage import coverage
from openclaw_pipelines.resources.store.store import Store, insert, insert_new
from openclaw_pipelines.resources.store.strategy_ledger import StrategyLedger
from openclaw_pipelines.resources.world import World
from openclaw_pipelines.services.governance.account import changes_of
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock
from openclaw_pipelines.settings import Settings

Examined = tuple[str, str, CheckResult]
MOMENT, HOUR = timedelta(microseconds=1), timedelta(hours=1)
HOURLY_CURVE = 60 * DAY
"""Up to this age the curve to date is drawn by the hour, later by the day."""
CHECK_COLUMNS = {
    "name": pl.String,
    "asset": pl.String,
    "partition": pl.String,
    "passed": pl.Boolean,
    "severity": pl.String,
    "message": pl.String,
}


class Evaluator:
    """Evaluates one account. Arguments as for `runner.Runner`."""

    def __init__(self, store: Store, clock: Clock, settings: Callable[[], Settings], source: str) -> None:
        self.store, self.clock, self.settings, self.source = store, clock, settings, source

    @classmethod
    def of(cls, world: World) -> Self:
        """Over the world's parts."""
        return cls(world.store, world.clock, world.settings, world.source)

    def ledger(self, strategy: str) -> StrategyLedger:
        """The strategy's rows."""
        return StrategyLedger(self.store, self.settings().config.account, strategy)

    # ---- outcomes

    def outcomes(self, strategy: str, day: str) -> pl.DataFrame:
        """Write the outcomes of a day's decisions that have matured; returns all outcomes of the day.

        None is added to a day that is sealed, as a horizon that is configured later would.
        """
        settings, ledger = self.settings(), self.ledger(strategy)
        start, end = day_start(day), day_start(day) + DAY
        with strategy_lock(settings, strategy):
            decisions = ledger.rows("autopilot_decisions", start, end)
            scored = ledger.rows("autopilot_outcomes", start, end, time="decided_at")
            known_until = self._candles_known_until(settings, day)
            horizons = settings.config.outcome_horizons_seconds
            due = due_outcomes(decisions, scored["outcome_key"].to_list(), horizons, known_until)
            due = due.filter(pl.col("matured_at") > sealed_until(ledger))
            candles = self.closes(start, end + timedelta(seconds=max(horizons)) + DAY)
            outcomes = score_outcomes(due, candles, known_until, settings.intervals)
            self._write_outcomes(ledger, outcomes, scored, decisions)
        return ledger.rows("autopilot_outcomes", start, end, time="decided_at")

    def unscored(self, strategy: str, day: str) -> list[str]:
        """Days whose decisions have outcomes that mature by the end of `day`, are not written and not before a seal."""
        ledger, end = self.ledger(strategy), day_start(day) + DAY
        since = max(sealed_until(ledger), ledger.first_tick() or end)
        decided = since - DAY  # no horizon is longer
        decisions = ledger.rows("autopilot_decisions", decided, end)
        scored = ledger.rows("autopilot_outcomes", decided, end, time="decided_at")["outcome_key"].to_list()
        due = due_outcomes(decisions, scored, self.settings().config.outcome_horizons_seconds, end)
        late = due.filter(pl.col("matured_at") > since).join(decisions, on="decision_key")
        return sorted({f"{at - MOMENT:%Y-%m-%d}" for at in late["tick_at"]})

    def _candles_known_until(self, settings: Settings, day: str) -> datetime:
        """Until when every symbol's finest candles were asked for, over the day and the one after it."""
        start, finest = day_start(day), settings.intervals[0]
        known = start
        for date in (day, f"{start + DAY:%Y-%m-%d}"):
            covered = coverage(self.store, self.source, [date])
            untils = [covered.get((symbol, finest, date)) for symbol in settings.market.symbols]
            if any(until is None for until in untils):
                break
            known = min(until for until in untils if until is not None)
            if known < day_start(date) + DAY:
                break
        return min(known, self.clock.now())

    def closes(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Candles that end where their interval does; one built of too few parts may close earlier, so it is none."""
        settings = self.settings()
        args = (self.store, self.source, settings.market.symbols)
        bars = pl.concat([market_tables.candles(*args, interval, start, end) for interval in settings.intervals])
        return measured(bars, settings.config.quality.min_parts_bps)

    def _write_outcomes(
        self, ledger: StrategyLedger, outcomes: pl.DataFrame, scored: pl.DataFrame, decisions: pl.DataFrame
    ) -> None:
        fingerprints = decisions.select("decision_key", "run_fingerprint")
        now = self.clock.now()
        rows = outcomes.join(fingerprints, on="decision_key").with_columns(recorded_at=pl.lit(now))
        columns = ["decision_key", "horizon_seconds"]
        moves = self._evaluated(ledger, pl.concat([scored.select(columns), outcomes.select(columns)]))
        if rows.is_empty() and not moves:
            return
        chain = ledger.chain()
        audit = [
            {**row, "recorded_at": now, "run_fingerprint": run_fingerprint(self.settings())}
            for row in chain.append(moves)
        ]
        with self.store.write("ledger") as con:
            insert_new(con, "autopilot_outcomes", rows)
            if audit:
                insert(con, "admin_actions", TABLES["admin_actions"].unchecked(audit))

    def _evaluated(self, ledger: StrategyLedger, outcomes: pl.DataFrame) -> list:  # type: ignore[type-arg]
        """Moves of executed proposals whose longest horizon is scored.

        An outcome may be scored before the tick that fills its order is recorded, so earlier ones are looked at again.
        """
        longest = max(self.settings().config.outcome_horizons_seconds)
        done = set(outcomes.filter(pl.col("horizon_seconds") == longest)["decision_key"].to_list())
        states = (ProposalState.RECONCILED, ProposalState.OUTCOME_EVALUATED)
        of_these = "to_state IN (?, ?) AND list_contains(?, subject)"
        moved = ledger.query("SELECT subject, to_state FROM admin_actions", of_these, [*states, sorted(done)])
        reconciled, evaluated = (set(moved.filter(pl.col("to_state") == state)["subject"]) for state in states)
        return [proposal_moved(key, *states, None) for key in sorted(done & reconciled - evaluated)]

    # ---- metrics

    def metrics(self, strategy: str, day: str) -> pl.DataFrame:
        """Compute the metrics of a day and replace the stored ones; returns them."""
        settings, frame = self.settings(), self.computed_metrics(strategy, day)
        stamped = frame.with_columns(
            recorded_at=pl.lit(self.clock.now()), run_fingerprint=pl.lit(run_fingerprint(settings))
        )
        with self.store.write("ledger") as con:
            con.execute(
                "DELETE FROM autopilot_metrics WHERE account_id = ? AND strategy_config_id = ? AND day = ?",
                [settings.config.account, strategy, day],
            )
            insert(con, "autopilot_metrics", stamped)
        return frame

    def computed_metrics(self, strategy: str, day: str) -> pl.DataFrame:
        """The metrics of a day as its rows are now; nothing is stored."""
        settings, ledger = self.settings(), self.ledger(strategy)
        rows = _day_rows(ledger, day, DAY)
        own = settings.strategy(strategy)
        return compute_metrics(
            account=settings.config.account,
            strategy=strategy,
            day=day,
            decisions=rows["autopilot_decisions"],
            fills=rows["autopilot_fills"],
            equity=rows["autopilot_equity"],
            outcomes=rows["autopilot_outcomes"],
            benchmark=self._benchmark(rows["autopilot_equity"], own.symbols, own.own.interval, day),
            minimum_sample=settings.config.minimum_sample,
            positions=rows["autopilot_positions"],
            reconcile_events=rows["reconcile_events"],
            funding=rows["autopilot_funding_payments"],
            max_leverage_bps=own.account_limits.max_leverage_bps,
        )

    def _benchmark(self, equity: pl.DataFrame, symbols: tuple[str, ...], interval: str, day: str) -> pl.DataFrame:
        """Closes of the day before inception, before the day and of the day, which buy-and-hold is measured between.

        A symbol without one in the day stays at its newest since inception.
        """
        start, length, args = day_start(day), interval_length(interval), (self.store, self.source)
        inceptions = equity.filter(pl.col("deployment_id") == pl.col("deployment_id").last())["tick_at"]
        first = inceptions.min() if inceptions.len() else None
        since = floor_to(first, DAY) if isinstance(first, datetime) else start
        ends = sorted({since, start, start + DAY})
        parts = [market_tables.candles(*args, symbols, interval, at - DAY - length, at) for at in ends]
        gone = sorted(set(symbols) - set(parts[-1]["symbol"]))
        parts.append(market_tables.newest_before(*args, gone, [interval], start - length, since))
        return pl.concat(parts).unique().select("symbol", closed_at=pl.col("ts") + length, close="close")

    # ---- report

    def report(self, day: str, checks: Sequence[Examined] = ()) -> tuple[Path, str]:
        """Render the report of a day into the data folder; returns its path and text.

        checks: what was examined for the day, as asset, partition and result.
        """
        from openclaw_pipelines.report.day.page import render_daily_report

        settings = self.settings()
        start, end = day_start(day), day_start(day) + DAY
        interval = min((s.own.interval for s in settings.strategies.values()), key=interval_length)
        candles = market_tables.candles(
            self.store, self.source, settings.market.symbols, interval, start, end
        ).select("symbol", closed_at=pl.col("ts") + interval_length(interval), close="close")  # fmt: skip
        data = ReportData(
            day=day,
            account=settings.config.account,
            market=", ".join(self._sources(settings)) or self.source,
            as_of=min(end, self.clock.now()),
            generated_at=self.clock.now(),
            version=program_version(),
            strategies=tuple(self._strategy_report(settings, name, day) for name in settings.strategies),
            candles=candles,
            checks=_checks_frame(checks),
            changes=tuple(changes_of(self.store, settings.config.account, start, end)),
        )
        html = render_daily_report(data)
        return replace_file(settings.data_dir / "reports" / f"{day}.html", html), html

    def _sources(self, settings: Settings) -> list[str]:
        """Market sources that the strategies' newest ticks were recorded on."""
        heads = (self.ledger(name).head() for name in settings.strategies)
        return sorted({head.deployment.source for head in heads if head and head.deployment.source})

    def _strategy_report(self, settings: Settings, name: str, day: str) -> StrategyReport:
        own = settings.strategy(name).own
        lived = day_start(day) - day_start(own.start_day.isoformat())
        rows = _day_rows(self.ledger(name), day, HOUR if lived < HOURLY_CURVE else DAY)
        return StrategyReport(
            name=name,
            interval=own.interval,
            decisions=rows["autopilot_decisions"],
            orders=rows["autopilot_orders"],
            fills=rows["autopilot_fills"],
            equity=rows["autopilot_equity"],
            positions=rows["autopilot_positions"],
            outcomes=rows["autopilot_outcomes"],
            metrics=rows["autopilot_metrics"],
            ticks=rows["autopilot_ticks"],
            reconcile_events=rows["reconcile_events"],
            funding=rows["autopilot_funding_payments"],
            starts_at=day_start(own.start_day.isoformat()),
            enabled=own.enabled,
        )


def _day_rows(ledger: StrategyLedger, day: str, every: timedelta) -> dict[str, pl.DataFrame]:
    """Rows of a day; of before, what trades are made of, and the equity of a curve with a point in `every` length."""
    start, end = day_start(day), day_start(day) + DAY
    of_day = ("autopilot_decisions", "autopilot_orders", "autopilot_positions", "autopilot_ticks", "reconcile_events")
    with ledger.reading():
        rows = {table: ledger.rows(table, start, end) for table in of_day}
        rows["autopilot_equity"] = ledger.equity_to_date(start, end, every)
        rows["autopilot_fills"] = ledger.fills_to_date(start, end, USED)
        rows["autopilot_funding_payments"] = ledger.query(
            "SELECT entry_decision_key, sum(amount) AS amount FROM autopilot_funding_payments",
            "tick_at <= ?",
            [end],
            "entry_decision_key",
        )
        rows["autopilot_outcomes"] = ledger.rows("autopilot_outcomes", start, end, time="decided_at")
        rows["autopilot_metrics"] = ledger.query("SELECT * FROM autopilot_metrics", "day = ?", [day])
    return rows


def run_fingerprint(settings: Settings) -> str:
    """Of rows that were computed under these settings, with the metrics as they are defined here."""
    return sha256_of([__version__, settings.config_fingerprint, [vars(own) for own in METRICS.values()]])


def sealed_until(ledger: StrategyLedger) -> datetime:
    """End of the newest day of a strategy that is sealed."""
    newest = ledger.query("SELECT max(day) AS day FROM seals")["day"][0]
    return day_start(newest) + DAY if newest else day_start("1970-01-01")


def _checks_frame(checks: Sequence[Examined]) -> pl.DataFrame:
    rows = [
        (result.name, asset, partition, result.passed, result.severity, result.sentence)
        for asset, partition, result in checks
    ]
    return pl.DataFrame(rows, schema=CHECK_COLUMNS, orient="row")
