"""The account's chain as services and commands use it: appending what happened, reading it, verifying it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from openclaw_pipelines import __version__
from openclaw_pipelines.contracts.canonical import sha256_of
from openclaw_pipelines.contracts.errors import LedgerError
from openclaw_pipelines.contracts.governance import ACCOUNT_CHAIN, AccountAction
from openclaw_pipelines.domain.governance.account import Change
from openclaw_pipelines.domain.governance.audit import AuditEntry, verify_chain
from openclaw_pipelines.resources.store.account_chain import append, chain_rows, settings_of
from openclaw_pipelines.resources.store.engine import Connection
from openclaw_pipelines.resources.store.store import Store, fetch
from openclaw_pipelines.resources.world import World


class ConfigurationChangedError(LedgerError):
    """The settings that a row of the account's chain names by hash are gone or others."""

    template = (
        "the configuration that row {sequence} of the chain of {account} names is not the one that is kept: "
        "{configuration_hash}. It was changed or removed; restore the ledger from a copy."
    )
    account: str
    sequence: int
    configuration_hash: str


def account_of(world: World) -> str:
    """The account that this configuration trades for."""
    return world.settings().config.account


def append_in(con: Connection, world: World, entries: Iterable[AuditEntry]) -> list[Change]:
    """Append entries in a transaction on the ledger that writes more than them."""
    settings = world.settings()
    fingerprint = sha256_of([__version__, settings.config_fingerprint])
    rows = append(con, settings.config.account, entries, now=world.clock.now(), run_fingerprint=fingerprint)
    return [Change.of(row) for row in rows]


def append_missing(
    world: World, actions: Sequence[AccountAction], missing: Callable[[list[Change]], list[AuditEntry]]
) -> list[Change]:
    """Append what another table holds and the chain does not yet.

    missing: from the rows of `actions` that the chain has to the entries that it lacks. It is asked once more inside
    the transaction, where nobody else appends.
    """
    account = account_of(world)
    with world.store.read("ledger") as con:
        if not missing(_of(con, account, actions)):
            return []
    with world.store.write("ledger") as con:
        return append_in(con, world, missing(_of(con, account, actions)))


def changes(world: World, after: datetime | None = None, until: datetime | None = None) -> list[Change]:
    """What people changed with `after < at <= until`, in the order of the chain."""
    return changes_of(world.store, account_of(world), after, until)


def changes_of(
    store: Store, account: str, after: datetime | None = None, until: datetime | None = None
) -> list[Change]:  # fmt: skip
    """The same of one account of a store."""
    with store.read("ledger") as con:
        found = _of(con, account, tuple(AccountAction))
    return [own for own in found if (after is None or own.at > after) and (until is None or own.at <= until)]


def in_force(found: Iterable[Change]) -> list[Change]:
    """Of changes in order: the switches and pauses that hold after the last of them."""
    newest: dict[tuple[bool, str], Change] = {}
    for own in found:
        switch = own.action is AccountAction.KILL_SWITCH_CHANGED
        if switch or own.action in (AccountAction.STRATEGY_PAUSED, AccountAction.STRATEGY_RESUMED):
            newest[switch, own.subject] = own
    return [own for own in newest.values() if own.brakes]


def verify_account(world: World) -> int:
    """Number of rows of the account's chain.

    Raises:
        BrokenChainError: a row was changed or removed.
        ConfigurationChangedError: the settings that a row names are gone or others.
    """
    account = account_of(world)
    with world.store.read("ledger") as con:
        sql = "SELECT * FROM admin_actions WHERE account_id = ? AND strategy_config_id = ? ORDER BY sequence"
        rows: list[dict[str, Any]] = fetch(con, sql, [account, ACCOUNT_CHAIN]).to_dicts()
        count = verify_chain(rows)
        for own in map(Change.of, rows):
            named = own.details.get("configuration")
            if named is not None and sha256_of(settings_of(con, account, named)) != named:
                raise ConfigurationChangedError(account, own.sequence, named)
    return count


def _of(con: Connection, account: str, actions: Sequence[AccountAction]) -> list[Change]:
    return [Change.of(row) for row in chain_rows(con, account, actions)]
