"""One tree of errors. Each says what happened, where and what to do, and carries its facts as typed fields.

An error is a frozen dataclass: `template` is its sentence, the fields are the facts that the sentence names. Whoever
raises it passes them by position in the order of the fields, and the type checker compares their number and types, so
that a quantity does not stand where the symbol should.

`@dataclass(frozen=True)` itself does not fit exceptions, so `OpenclawError` makes its subclasses dataclasses by its own
means:

- The standard library and the interpreter set `__traceback__`, `__cause__` and `__notes__` on errors under way. A
  frozen dataclass refuses them; here only facts are refused.
- Two errors that say the same are two errors: tracebacks and handlers tell them apart by identity, so `==` and `hash`
  stay those of objects.
- Pickling makes an exception again from `args`, which hold only what was passed by position. Here they are the facts,
  however they were passed: errors cross borders between processes with equal fields and text.
"""

import string
from dataclasses import FrozenInstanceError, dataclass
from datetime import datetime
from typing import Any, ClassVar, Self, dataclass_transform


class _Sentence(string.Formatter):
    """`str.format` that writes times in ISO form."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(
            value.isoformat() if isinstance(value, datetime) and not format_spec else value, format_spec
        )
        return text


@dataclass_transform(frozen_default=True, eq_default=False)
class OpenclawError(Exception):
    """Base of every error this project raises on purpose.

    A class without a `template` is a kind of errors: it is caught, its subclasses are raised.

    >>> class Late(OpenclawError):
    ...     template = "{symbol} is {minutes} minutes late. Refresh the market data."
    ...     symbol: str
    ...     minutes: int
    >>> str(Late("BTC/USDT", 7))
    'BTC/USDT is 7 minutes late. Refresh the market data.'
    >>> Late("BTC/USDT", 7).minutes
    7
    """

    template: ClassVar[str]
    __match_args__: ClassVar[tuple[str, ...]] = ()
    """Names of the facts, in their order; a dataclass has them for `match`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False)(cls)

    def __new__(cls, *facts: Any, **_named: Any) -> Self:
        """An error, unless the class is a kind of errors that has no sentence of its own."""
        if not hasattr(cls, "template"):
            raise TypeError(f"{cls.__name__} is a kind of errors and says nothing itself: raise one with a template")
        return super().__new__(cls, *facts)

    def __post_init__(self) -> None:
        super().__setattr__("args", tuple(getattr(self, name) for name in self.__match_args__))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "args" or (name in self.__match_args__ and name in vars(self)):
            raise FrozenInstanceError(f"{type(self).__name__}.{name} is a fact and stays as it is")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__match_args__:
            raise FrozenInstanceError(f"{type(self).__name__}.{name} is a fact and stays as it is")
        super().__delattr__(name)

    def __reduce__(self) -> tuple[Any, ...]:
        besides = {name: value for name, value in vars(self).items() if name not in self.__match_args__}
        return (type(self), self.args, besides) if besides else (type(self), self.args)

    def __str__(self) -> str:
        return _Sentence().vformat(self.template, (), vars(self))


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
