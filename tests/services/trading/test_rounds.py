"""A round takes the ticks of all due strategies over one look at the market and in one transaction; nobody waits."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from openclaw_pipelines.contracts.time import day_start
from openclaw_pipelines.resources.store import strategy_ledger
from openclaw_pipelines.resources.store.comparison import HASHED_TABLES
from openclaw_pipelines.resources.store.remembering import RememberingStore
from openclaw_pipelines.resources.store.store import Store
from openclaw_pipelines.services.market.ingest import Ingest
from openclaw_pipelines.services.trading.errors import CapitalChangedError
from openclaw_pipelines.services.trading.rounds import handed_over, take_round
from openclaw_pipelines.services.trading.runner import DayReport, Runner
from openclaw_pipelines.services.trading.strategy_lock import strategy_lock
from openclaw_pipelines.services.trading.verification import verify_day

BREAKOUT, MOMENTUM, THIRD = "breakout_15m", "momentum_1h", "momentum_15m"
DAY_ONE = "2025-05-10"
ALL = [(name, DAY_ONE) for name in (BREAKOUT, MOMENTUM, THIRD)]
FOUR = day_start(DAY_ONE) + timedelta(hours=4)


def three(desk: Any, of: str = "history") -> Any:
    """A desk with a third strategy; two of them look at the same bars."""
    own = desk(of)
    own.strategy(THIRD, **{**own.tree["strategies"][MOMENTUM], "interval": "15m"})
    return own


def at(desk: Any, now: datetime) -> None:
    desk.clock.set(now)
    Ingest.of(desk.world).candles_since(DAY_ONE, now)
    Ingest.of(desk.world).funding_day(DAY_ONE, now)


def one_by_one(desk: Any) -> dict[str, DayReport]:
    return {name: Runner.of(desk.world).run_day(name, DAY_ONE, live=True) for name, _ in ALL}


def rows(desk: Any) -> dict[str, Any]:
    return {f"{table} of {name}": desk.rows(table, name).rows() for table in HASHED_TABLES for name, _ in ALL}


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Transactions that write, and questions to the market database."""
    seen: Counter[str] = Counter()
    write, query = Store.write, Store.query

    @contextmanager
    def counted_write(self: Store, database: str) -> Iterator[Any]:
        seen[f"write {database}"] += 1
        with write(self, database) as con:
            yield con

    def counted_query(self: Store, database: str, sql: str, params: Any = ()) -> Any:
        seen[f"{database}: {sql} {params!r}"] += 1
        return query(self, database, sql, params)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", counted_write)
        patch.setattr(Store, "query", counted_query)
        yield seen


class TestTogether:
    def test_a_round_writes_what_each_alone_writes(self, desk: Any) -> None:
        alone, together = three(desk), three(desk)
        for hours in (1, 2, 4):
            now = day_start(DAY_ONE) + timedelta(hours=hours)
            at(alone, now)
            at(together, now)
            own = one_by_one(alone)
            take_round(together.world, ALL)
            handed = {name: handed_over(together.world, name, day) for name, day in ALL}
            assert handed == own
        assert rows(together) == rows(alone)
        assert own[THIRD].taken == 8
        assert [verify_day(together.ledger(name), DAY_ONE).differences for name, _ in ALL] == [(), (), ()]

    def test_one_transaction_and_each_question_once(self, desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        own = three(desk)
        at(own, FOUR)
        with counted(monkeypatch) as seen:
            take_round(own.world, ALL)
        assert {key: n for key, n in seen.items() if key.startswith("write")} == {"write ledger": 1}
        assert {n for key, n in seen.items() if key.startswith("market: ")} == {1}
        with counted(monkeypatch) as seen:  # the twin
            one_by_one(three_at(desk))
        assert seen["write ledger"] == 3
        assert max(n for key, n in seen.items() if key.startswith("market: ")) > 1

    def test_what_waits_is_handed_over_too_and_nothing_is_written(
        self, desk: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = three(desk)
        own.clock.set(day_start(DAY_ONE) + timedelta(minutes=15, seconds=1))  # closed, and nobody asked for the bar
        with counted(monkeypatch) as seen:
            take_round(own.world, ALL)
        assert [key for key in seen if key.startswith("write")] == []
        waiting = handed_over(own.world, BREAKOUT, DAY_ONE)
        assert waiting is not None
        assert (waiting.taken, "bar of the tick at" in str(waiting.waiting_for)) == (0, True)

    def test_it_is_handed_over_once(self, desk: Any) -> None:
        own = three_at(desk)
        take_round(own.world, ALL)
        report = handed_over(own.world, BREAKOUT, DAY_ONE)
        assert report is not None
        assert report.taken == 16
        assert handed_over(own.world, BREAKOUT, DAY_ONE) is None
        take_round(own.world, [])
        assert handed_over(own.world, MOMENTUM, DAY_ONE) is None  # nobody came for it: no later run may take it


def three_at(desk: Any, now: datetime = FOUR) -> Any:
    own = three(desk)
    at(own, now)
    return own


class TestOneErrorStopsNoOther:
    def test_the_one_that_cannot_go_on_is_left_to_its_run_which_tells(self, desk: Any) -> None:
        own = three_at(desk, day_start(DAY_ONE) + timedelta(hours=1))
        take_round(own.world, ALL)
        own.strategy(MOMENTUM, capital=77_000)
        at(own, FOUR)
        take_round(own.world, ALL)
        assert {name for name, day in ALL if handed_over(own.world, name, day) is not None} == {BREAKOUT, THIRD}
        assert own.ledger(BREAKOUT).newest_tick() == own.ledger(THIRD).newest_tick() == FOUR
        assert own.ledger(MOMENTUM).newest_tick() == day_start(DAY_ONE) + timedelta(hours=1)
        with pytest.raises(CapitalChangedError):
            Runner.of(own.world).run_day(MOMENTUM, DAY_ONE, live=True)

    def test_one_that_runs_elsewhere_is_not_waited_for(self, desk: Any) -> None:
        own = three_at(desk)
        with strategy_lock(own.world.settings(), MOMENTUM):
            take_round(own.world, ALL)
        assert {name for name, day in ALL if handed_over(own.world, name, day) is not None} == {BREAKOUT, THIRD}
        assert own.ledger(MOMENTUM).newest_tick() is None

    def test_where_the_transaction_fails_nothing_is_written_and_each_is_left_to_its_run(
        self, desk: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = three_at(desk)
        before, insert = own.counts(), strategy_ledger.insert

        def failing(con: Any, table: str, frame: Any) -> int:
            if table == "autopilot_ticks":
                raise OSError("no space")
            return insert(con, table, frame)

        with monkeypatch.context() as patch:
            patch.setattr(strategy_ledger, "insert", failing)
            take_round(own.world, ALL)
        assert own.counts() == before
        assert [handed_over(own.world, name, day) for name, day in ALL] == [None] * 3
        assert [report.taken for report in one_by_one(own).values()] == [16, 4, 16]

    def test_after_a_round_the_locks_are_free(self, desk: Any) -> None:
        own = three_at(desk)
        take_round(own.world, ALL)
        for name, _ in ALL:
            with strategy_lock(own.world.settings(), name, wait_seconds=0):
                pass


def test_what_others_write_is_seen_by_the_next_round_and_not_within_one(desk: Any) -> None:
    own = desk("history")
    looked = RememberingStore.of(own.store)
    asked = ("market", "SELECT count(*) AS n FROM candles WHERE ts >= ?", [day_start(DAY_ONE)])
    assert looked.query(*asked)["n"][0] == 0
    at(own, FOUR)
    assert looked.query(*asked)["n"][0] == 0
    assert RememberingStore.of(own.store).query(*asked)["n"][0] == own.store.query(*asked)["n"][0] > 0
    assert looked.query("ledger", "SELECT 1 AS n")["n"][0] == 1
