"""Types of settings: exact decimals, days, shares and bounds."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_DECIMAL = re.compile(r"[-+]?\d+(\.\d+)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def exact(value: object) -> object:
    """Whole numbers, decimals and decimal text; a binary float has already lost the digits that were written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal):
        return value
    raise ValueError("must be a decimal number")


def day(value: object) -> object:
    """Only days as they stand in partition keys; pydantic alone would read 20250510 as seconds since the epoch."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("must be a day as 2025-05-10")
    if not isinstance(value, str | date) or isinstance(value, datetime):
        raise ValueError("must be a day as 2025-05-10")
    return value


Capital = Annotated[Decimal, Field(gt=0, le=Decimal(10_000_000)), BeforeValidator(exact)]
Day = Annotated[date, BeforeValidator(day), Field(strict=False)]
Bps = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[int, Field(ge=0, le=10_000)]
Money = Annotated[Decimal, Field(ge=0, le=Decimal(10_000_000)), BeforeValidator(exact)]
Amount = Annotated[Decimal, Field(ge=0, le=Decimal(10) ** 13), BeforeValidator(exact)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]
Cost = Annotated[Decimal, Field(ge=0, le=500), BeforeValidator(exact)]
Factor = Annotated[Decimal, Field(ge=0, le=1_000), BeforeValidator(exact)]
Weight = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the configuration."""

    # strict: `"5"`, `true` and `5.5` are no whole numbers
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
