"""Secrets: which names hold them, and how they are kept out of everything that is shown or stored."""

import logging
import os
import re
from collections.abc import Mapping

from openclaw_pipelines.settings.environment import PREFIX, SECRET_VARIABLES

MASK = "***"

_SECRET_NAME = re.compile(
    r"(api|private|secret|access|wallet)_?key|secret|passw(or)?d|passphrase|credential|mnemonic|(^|_)(auth|token|pwd)(_|$)"
    r"|(access|auth|refresh|bot|api)_?token|webhook|authorization"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_FOLDERS = frozenset({"PWD", "OLDPWD"})
"""Working folders of a shell; DB_PWD and the like are passwords."""
# `name = value`, `"name": "value"`, `name=value&`; the name decides
_NAME = re.compile(r"""(?P<name>[A-Za-z][\w-]*)["']?\s*[=:]\s*""")
_VALUE = re.compile(r""""[^"]*"|'[^']*'|[^\s,;&"'}\])]+""")
_BEARER = re.compile(r"\b(?P<scheme>Bearer|Basic)\s+[\w.+/=~-]{6,}", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", re.IGNORECASE)


def looks_secret(name: str) -> bool:
    """Whether a key or variable of this name holds a secret.

    >>> [looks_secret(name) for name in ("apiKey", "OPENCLAW_EXCHANGE_SECRET", "symbols", "decision_key")]
    [True, True, False, False]
    """
    return _SECRET_NAME.search(_CAMEL.sub("_", name).replace("-", "_").lower()) is not None


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Values of all secrets in the environment, longest first, so that none hides part of another."""
    ours = {environ[name] for name in environ if name in SECRET_VARIABLES}
    foreign = {environ[name] for name in environ if _is_foreign_secret(name)}
    secret = ours | {value for value in foreign if not _is_path(value)}
    return tuple(sorted((value for value in secret if len(value) >= 4), key=lambda value: (-len(value), value)))


def redact(shown: object, environ: Mapping[str, str] | None = None) -> object:
    """`shown` with secrets masked: text, or mappings and sequences of it, in their own shape.

    Masked are the values of secret environment variables wherever they occur, values under names that look secret,
    bearer tokens and passwords inside URLs. environ: the process environment unless given.

    >>> redact({"url": "https://me:pw1234@host/x", "apiKey": "abc", "retries": 3}, {})
    {'url': 'https://me:***@host/x', 'apiKey': '***', 'retries': 3}
    >>> redact("GET /?secret=abc&limit=5", {})
    'GET /?secret=***&limit=5'
    """
    return _redacted(shown, secret_values(os.environ if environ is None else environ))


class RedactingFilter(logging.Filter):
    """Masks secrets in log records, including their arguments and tracebacks. Add it to handlers."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._values = secret_values(os.environ if environ is None else environ)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place and let it pass."""
        record.msg = _redacted_text(record.getMessage(), self._values)
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = _redacted_text(record.exc_text, self._values)
        return True


def _is_foreign_secret(name: str) -> bool:
    """Secrets of other tools in the same environment; those of ours are listed."""
    return not name.startswith(PREFIX) and name not in _FOLDERS and looks_secret(name)


def _is_path(value: str) -> bool:
    """Whether a variable says where something lies, as `KUBE_TOKEN_FILE` and `SSH_AUTH_SOCK` do: no secret itself."""
    return value.startswith("/") and os.path.lexists(value)


def _redacted(shown: object, values: tuple[str, ...]) -> object:
    if isinstance(shown, str):
        return _redacted_text(shown, values)
    if isinstance(shown, Mapping):
        return {
            key: MASK if looks_secret(str(key)) and value is not None else _redacted(value, values)
            for key, value in shown.items()
        }
    if isinstance(shown, list | tuple):
        return type(shown)([_redacted(item, values) for item in shown])
    return shown


def _redacted_text(text: str, values: tuple[str, ...]) -> str:
    for value in values:
        text = text.replace(value, MASK)
    text = _BEARER.sub(lambda match: f"{match['scheme']} {MASK}", text)
    text = _URL_PASSWORD.sub(lambda match: f"{match['head']}{MASK}@", text)
    return _without_assigned(text)


def _without_assigned(text: str) -> str:
    kept, end = [], 0
    for match in _NAME.finditer(text):
        value = _VALUE.match(text, match.end())
        if match.start() >= end and value and looks_secret(match["name"]):
            kept.append(text[end : match.end()] + MASK)
            end = value.end()
    return "".join([*kept, text[end:]])
