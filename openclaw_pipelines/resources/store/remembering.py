"""A store that asks the market database each question once, for a round in which several strategies ask the same."""

from dataclasses import dataclass, field

import polars as pl

from openclaw_pipelines.resources.store.store import Params, Store


@dataclass(frozen=True)
class RememberingStore(Store):
    """The same files. What the market database answered is given again for as long as this object is kept.

    Made for one round and dropped after it: what others write meanwhile is not seen.
    """

    _answers: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict, kw_only=True, repr=False, compare=False)

    @classmethod
    def of(cls, store: Store) -> "RememberingStore":
        """Over the files of a store."""
        return cls(
            store.folder,
            lock_timeout_seconds=store.lock_timeout_seconds,
            threads=store.threads,
            memory_limit=store.memory_limit,
        )

    def query(self, database: str, sql: str, params: Params = ()) -> pl.DataFrame:
        """As of the store; of the market database a repeated question is answered from memory."""
        if database != "market":
            return super().query(database, sql, params)
        asked = (sql, repr(params))
        if asked not in self._answers:
            self._answers[asked] = super().query(database, sql, params)
        return self._answers[asked]
