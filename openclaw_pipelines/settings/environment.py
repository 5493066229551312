"""The environment variables that the product reads, and nothing else that begins with OPENCLAW_."""

from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_pipelines.contracts.layers import Layer, LayerKind
from openclaw_pipelines.settings.documents import Document, Path
from openclaw_pipelines.settings.errors import UnknownVariableError, nearest

PREFIX = "OPENCLAW_"


@dataclass(frozen=True)
class Variable:
    """One variable. `path` is the setting it overrides; those without one are read by the part that needs them."""

    name: str
    meaning: str
    path: Path = ()
    secret: bool = False


VARIABLES = {
    variable.name: variable
    for variable in (
        Variable("OPENCLAW_CONFIG", "path of autopilot.yaml"),
        Variable("OPENCLAW_HOME", "project folder, in which config/autopilot.yaml is looked for"),
        Variable("OPENCLAW_DATA_DIR", "where the store lives; relative to the working folder", ("data_dir",)),
        Variable("OPENCLAW_MARKET", "market source: simulated, archive or ccxt", ("market", "source")),
        Variable(
            "OPENCLAW_ARCHIVE_DIR",
            "folder of files for the archive source; relative to the working folder",
            ("market", "archive_dir"),
        ),
        Variable("OPENCLAW_EXCHANGE", "ccxt id of the exchange", ("market", "exchange")),
        Variable("OPENCLAW_ACCOUNT", "account that all strategies trade for", ("account",)),
        Variable("OPENCLAW_KILL_SWITCH", "off, close_only or halt_all; counts where it is the stricter one"),
        Variable("OPENCLAW_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", ("log_level",)),
        Variable("OPENCLAW_PORT", "port of the web UI"),
        Variable("OPENCLAW_EXCHANGE_API_KEY", "key for the exchange, optional for public data", secret=True),
        Variable("OPENCLAW_EXCHANGE_SECRET", "secret that belongs to the key", secret=True),
        Variable("OPENCLAW_EXCHANGE_PASSWORD", "passphrase, where the exchange asks for one", secret=True),
    )
}
"""Name -> variable. An empty value counts as not set."""

KILL_SWITCH_VARIABLE = "OPENCLAW_KILL_SWITCH"
SECRET_VARIABLES = tuple(name for name, variable in VARIABLES.items() if variable.secret)


def refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Raise UnknownVariableError for the first OPENCLAW_ variable that nothing reads."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in VARIABLES:
            raise UnknownVariableError(name, nearest(name, VARIABLES))


def environment_documents(environ: Mapping[str, str]) -> list[Document]:
    """One layer per variable that is set and overrides a setting."""
    documents = []
    for variable in VARIABLES.values():
        value = environ.get(variable.name)
        if variable.path and value:
            layer = Layer(LayerKind.ENVIRONMENT, variable.name)
            documents.append(Document(layer, _nested(variable.path, value)))
    return documents


def exchange_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Credentials under the names that ccxt clients take. Only what is set; never log or store the result.

    >>> exchange_credentials({"OPENCLAW_EXCHANGE_API_KEY": "k"})
    {'apiKey': 'k'}
    """
    ccxt_names = dict(zip(SECRET_VARIABLES, ("apiKey", "secret", "password"), strict=True))
    return {ccxt_names[name]: environ[name] for name in SECRET_VARIABLES if environ.get(name)}


def _nested(path: Path, value: object) -> dict[str, object]:
    head, *rest = path
    return {head: _nested(tuple(rest), value) if rest else value}
