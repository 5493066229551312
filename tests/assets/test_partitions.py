"""Partitions that two processes add at the same moment: Dagster's own call fails for the second of them."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import dagster as dg
import pytest
from sqlalchemy.exc import IntegrityError

from openclaw_pipelines.assets.partitions import add_partitions

ROUNDS = 40
Add = Callable[[dg.DagsterInstance, str, Sequence[str]], object]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[dg.DagsterInstance]]:
    """The same instance, opened twice, as by two processes."""
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with ExitStack() as stack:
        yield [stack.enter_context(dg.DagsterInstance.from_config(str(tmp_path))) for _ in range(2)]


def errors_of(two: list[dg.DagsterInstance], add: Add) -> list[IntegrityError]:
    """What goes wrong when both add the same keys, one after the other, at the same moments."""
    together, found = Barrier(2, timeout=60), []

    def adds(instance: dg.DagsterInstance) -> None:
        for n in range(ROUNDS):
            together.wait()
            try:
                add(instance, "strategies", [f"momentum_{n}"])
            except IntegrityError as error:
                found.append(error)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(adds, two))
    return found


def test_both_go_on(two: list[dg.DagsterInstance]) -> None:
    assert errors_of(two, add_partitions) == []
    assert sorted(two[0].get_dynamic_partitions("strategies")) == sorted(f"momentum_{n}" for n in range(ROUNDS))


def test_the_second_fails_by_itself(two: list[dg.DagsterInstance]) -> None:
    """The twin: if Dagster mends this, there is no more need of our own call."""
    assert errors_of(two, lambda instance, name, keys: instance.add_dynamic_partitions(name, list(keys)))


def test_what_is_new_is_told(two: list[dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = two
    assert add_partitions(mine, "strategies", ["b", "a"]) == ["a", "b"]
    assert add_partitions(other, "strategies", ["a", "c"]) == ["c"]
    added = mine.add_dynamic_partitions

    def too_late(name: str, keys: Sequence[str]) -> None:
        monkeypatch.undo()
        other.add_dynamic_partitions(name, ["d"])
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr(mine, "add_dynamic_partitions", too_late)
    assert add_partitions(mine, "strategies", ["d", "e"]) == ["e"]
    assert added is not None
    assert sorted(mine.get_dynamic_partitions("strategies")) == ["a", "b", "c", "d", "e"]
