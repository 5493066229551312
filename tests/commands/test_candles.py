"""`openclaw candles correct`."""

from typing import Any

from openclaw_pipelines.resources.world import World

BTC, LATER, CONSUMED = "BTC/USDT:USDT", "2025-05-12T01:00", "2025-05-10T12:00"
WHY = ("--reason", "a slip of the exchange")


def spoil(world: World, open_at: str) -> None:
    with world.store.write("market") as con:
        con.execute(
            "UPDATE candles SET high = 1e300 WHERE symbol = ? AND interval = '15m' AND ts = ?::TIMESTAMPTZ",
            [BTC, f"{open_at}:00+00"],
        )


def test_a_bar_is_corrected_and_the_change_is_shown(home: Any) -> None:
    spoil(home.world(), LATER)
    answer = home.openclaw("candles", "correct", BTC, "15m", LATER, *WHY)
    assert (answer.code, answer.err) == (0, "")
    assert "high: 1e+300 -> " in answer.out
    assert f"{BTC} 15m of 2025-05-12T01:00Z is corrected. Features computed again: " in answer.out
    [row] = home.world().store.table("candle_corrections").to_dicts()
    assert (row["reason"], row["old_high"]) == (WHY[1], 1e300)


def test_as_json(home: Any) -> None:
    spoil(home.world(), LATER)
    answer = home.openclaw("candles", "correct", BTC, "15m", LATER, *WHY, "--json").json
    assert (answer["correction"]["symbol"], answer["correction"]["ts"]) == (BTC, "2025-05-12T01:00:00Z")


def test_a_consumed_bar_is_refused_by_name(home: Any) -> None:
    spoil(home.world(), CONSUMED)
    answer = home.openclaw("candles", "correct", BTC, "15m", CONSUMED, *WHY)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(
        "BarConsumedError: BTC/USDT:USDT 15m of 2025-05-10T12:00Z was consumed by the tick of "
    )


def test_a_reason_is_asked_for(home: Any) -> None:
    assert home.openclaw("candles", "correct", BTC, "15m", LATER).code == 2
