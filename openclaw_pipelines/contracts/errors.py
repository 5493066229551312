"""One tree of errors. Each says what happened, where and what to do, and carries its facts as positional arguments.

Positional arguments survive pickling between processes, so a subclass defines `template` and passes its facts to
`__init__` in the order the template names them.
"""

from typing import Any, ClassVar


class OpenclawError(Exception):
    """Base of every error this project raises on purpose.

    >>> class Late(OpenclawError):
    ...     template = "{symbol} is {minutes} minutes late. Refresh the market data."
    ...     fields = ("symbol", "minutes")
    >>> str(Late("BTC/USDT", 7))
    'BTC/USDT is 7 minutes late. Refresh the market data.'
    >>> Late("BTC/USDT", 7).minutes
    7
    """

    template: ClassVar[str] = "{message}"
    fields: ClassVar[tuple[str, ...]] = ("message",)

    def __init__(self, *facts: Any) -> None:
        if len(facts) != len(self.fields):
            raise TypeError(f"{type(self).__name__} takes {self.fields}, got {facts!r}")
        super().__init__(*facts)
        for name, fact in zip(self.fields, facts, strict=True):
            setattr(self, name, fact)

    def __getattr__(self, name: str) -> Any:
        """Facts are set per instance; this only tells type checkers that they exist."""
        raise AttributeError(f"{type(self).__name__} has no fact {name!r}")

    def __str__(self) -> str:
        return self.template.format(**dict(zip(self.fields, self.args, strict=True)))


class ConfigError(OpenclawError):
    """A setting is unknown, out of range or contradicts another."""


class MarketError(OpenclawError):
    """A market source could not give the candles, funding or instruments asked for."""


class DataError(OpenclawError):
    """Data was read but breaks a rule that everything downstream relies on."""


class StoreError(OpenclawError):
    """The store is locked, newer than the program, full or damaged."""


class LedgerError(OpenclawError):
    """Recorded ticks contradict what is being written or verified."""


class KernelError(OpenclawError):
    """Numbers outside the range in which integer money is exact, or a request the kernel does not model."""


class ContractError(OpenclawError):
    """A name, key or state transition that the contracts do not know."""
