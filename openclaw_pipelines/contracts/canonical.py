"""One canonical text per value, so that equal values have equal hashes wherever they are computed."""

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from openclaw_pipelines.contracts.errors import ContractError


class NotCanonicalError(ContractError):
    """A value of a type that has no canonical text."""

    template = "a {type_name} has no canonical text. Convert it to a string, number, list or mapping first."
    type_name: str


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces; decimals and times as text.

    >>> canonical_json({"b": Decimal("1.50"), "a": [1, None]})
    '{"a":[1,null],"b":"1.5"}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_text)


def sha256_of(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def decimal_text(value: Decimal) -> str:
    """Plain digits without trailing zeros or a negative zero.

    >>> decimal_text(Decimal("1E+2")), decimal_text(Decimal("0.10"))
    ('100', '0.1')
    """
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _text(value: object) -> object:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise NotCanonicalError(type(value).__name__)
