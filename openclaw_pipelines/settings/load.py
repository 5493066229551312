"""Reading the configuration: files and environment in, frozen settings out.

Read again at every tick: the same files and variables give the same object from memory, without parsing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType

from openclaw_pipelines.contracts.canonical import canonical_json, sha256_of
from openclaw_pipelines.contracts.config.configuration import Configuration
from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.config.trading import Universe
from openclaw_pipelines.contracts.enums import KillSwitch
from openclaw_pipelines.contracts.layers import DEFAULT, Layer, LayerKind
from openclaw_pipelines.contracts.time import INTERVALS
from openclaw_pipelines.settings.agreement import check_agreement
from openclaw_pipelines.settings.deployments import DEPLOYMENTS_FILE, with_deployments
from openclaw_pipelines.settings.documents import Document, first_comment, parse
from openclaw_pipelines.settings.environment import (
    KILL_SWITCH_VARIABLE,
    VARIABLES,
    environment_documents,
    refuse_unknown_variables,
)
from openclaw_pipelines.settings.errors import (
    MissingConfigError,
    OverlayUnreadableError,
    SettingConflictError,
    UnknownStrategyError,
    nearest,
)
from openclaw_pipelines.settings.fingerprint import fingerprinted
from openclaw_pipelines.settings.kill_switch import STRICTEST_LAST, environment_kill_switch
from openclaw_pipelines.settings.layers import beneath, merge, provenance
from openclaw_pipelines.settings.resolution import StrategySettings, resolve_strategy
from openclaw_pipelines.settings.text_files import reason_of, text_of
from openclaw_pipelines.settings.validation import Place, checked_document, typed
from openclaw_pipelines.settings.written import Written, written

DEFAULT_CONFIG = Path("config") / "autopilot.yaml"
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED = _PACKAGE / "shipped"
"""Where a build puts copies of the checkout's configuration; see setup.py."""
_CODE_DEFAULTS = Document(DEFAULT, {"universe": {"weights": Universe().weights}})


@dataclass(frozen=True)
class Settings:
    """The merged configuration.

    provenance: dotted key -> layer. config_json: canonical JSON of what decides, see `fingerprint`; its SHA-256 is the
    config_fingerprint. config_path and data_dir are absolute. strategies: name -> settings with all overrides applied.
    variables: those of the environment that override a setting, with their values. beneath: what files say where a
    variable has another word, key -> value and layer. overlay_note: comment in the first line of the overlay.
    deployed: text of the layer of deployed strategies; empty where there is none.
    """

    config: Configuration
    provenance: Mapping[str, Layer]
    config_json: str
    config_fingerprint: str
    config_path: Path
    data_dir: Path
    archive_dir: Path | None
    strategies: Mapping[str, StrategySettings]
    variables: Mapping[str, str]
    beneath: Mapping[str, tuple[object, Layer]]
    overlay_note: str

    @cached_property
    def written(self) -> Written:
        """What the files say, with the layer of each value; see `settings.written`."""
        return written(self.config, self.provenance, self.beneath)

    deployed: str = ""

    @property
    def market(self) -> Market:
        """Where candles come from."""
        return self.config.market

    @property
    def seals_dir(self) -> Path:
        """Folder of the daily seals."""
        return self.data_dir / Path(self.config.seals_dir).expanduser()

    @property
    def intervals(self) -> tuple[str, ...]:
        """All stored intervals, strategies' own included, shortest first."""
        wanted = {*self.config.market.intervals, *(s.interval for s in self.config.strategies.values())}
        return tuple(sorted(wanted, key=INTERVALS.__getitem__))

    def strategy(self, name: str) -> StrategySettings:
        """One strategy. Raises UnknownStrategyError."""
        if name not in self.strategies:
            raise UnknownStrategyError(name, nearest(name, self.strategies), ", ".join(self.strategies))
        return self.strategies[name]


def load_settings(environ: Mapping[str, str] | None = None, *, path: Path | None = None) -> Settings:
    """Read and check the configuration.

    environ: the process environment unless given. path: the configuration file; otherwise OPENCLAW_CONFIG, otherwise
    config/autopilot.yaml of OPENCLAW_HOME, of the working folder or of the checkout; where the program is installed
    without one, the copy that came with it. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    refuse_unknown_variables(environ)
    environment_kill_switch(environ)
    config_path = _config_path(environ, path)
    text = _read(config_path)
    main = _parsed(Layer(LayerKind.FILE, config_path.name), text)
    folder = _data_folder(main, environ, config_path)
    deployed = _deployed(folder)
    overlay = _overlay(main, folder)
    ours = tuple((name, environ[name]) for name in VARIABLES if environ.get(name) and not VARIABLES[name].secret)
    return _settings(config_path, text, deployed, overlay, ours, Path.cwd())


def project_home(config_path: Path) -> Path:
    """Folder that relative paths in the configuration start from: the project around `config/`.

    Of the configuration that came with an installed program it is the working folder.

    >>> project_home(Path("/srv/bot/config/autopilot.yaml")).as_posix()
    '/srv/bot'
    """
    folder = config_path.parent
    if folder == SHIPPED:
        return Path.cwd()
    return folder.parent if folder.name == "config" else folder


@lru_cache(maxsize=8)
def _settings(
    config_path: Path,
    text: str,
    deployed: str | None,
    overlay: tuple[Layer, str] | None,
    variables: tuple[tuple[str, str], ...],
    working_folder: Path,
) -> Settings:
    environ = dict(variables)
    documents = [_CODE_DEFAULTS, with_deployments(_parsed(Layer(LayerKind.FILE, config_path.name), text), deployed)]
    if overlay is not None:
        documents.append(_parsed(*overlay))
    files = tuple(documents)
    documents += environment_documents(environ)
    documents += _stricter_kill_switch(documents, environ)
    place = Place(documents)
    config: Configuration = typed(Configuration, merge(documents), place)
    check_agreement(config, place)
    strategies = {name: resolve_strategy(name, config, documents) for name in config.strategies}
    deciding = fingerprinted(config, {name: strategy.resolved() for name, strategy in strategies.items()})
    return Settings(
        config=config,
        provenance=MappingProxyType(provenance(config, documents)),
        config_json=canonical_json(deciding),
        config_fingerprint=sha256_of(deciding),
        config_path=config_path,
        data_dir=_absolute(config.data_dir, "OPENCLAW_DATA_DIR", environ, config_path, working_folder),
        archive_dir=None
        if config.market.archive_dir is None
        else _absolute(config.market.archive_dir, "OPENCLAW_ARCHIVE_DIR", environ, config_path, working_folder),
        strategies=MappingProxyType(strategies),
        variables=MappingProxyType({name: text for name, text in variables if VARIABLES[name].path}),
        beneath=MappingProxyType(beneath(Configuration, files, documents[len(files) :])),
        overlay_note="" if overlay is None else first_comment(overlay[1]),
        deployed=deployed or "",
    )


@lru_cache(maxsize=8)
def _parsed(layer: Layer, text: str) -> Document:
    return checked_document(parse(layer, text))


def _config_path(environ: Mapping[str, str], path: Path | None) -> Path:
    if path is not None:
        return path.absolute()
    if environ.get("OPENCLAW_CONFIG"):
        return Path(environ["OPENCLAW_CONFIG"]).expanduser().absolute()
    if environ.get("OPENCLAW_HOME"):
        return Path(environ["OPENCLAW_HOME"]).expanduser().absolute() / DEFAULT_CONFIG
    beside = Path.cwd() / DEFAULT_CONFIG
    return beside if beside.is_file() else shipped(DEFAULT_CONFIG)


def shipped(file: Path) -> Path:
    """A file of the checkout, or its copy where the program is installed without one."""
    copy = SHIPPED / file.name
    return copy if copy.is_file() else _PACKAGE.parent / file


def _read(path: Path) -> str:
    try:
        return text_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise MissingConfigError(path, reason_of(error)) from None


def _data_folder(main: Document, environ: Mapping[str, str], config_path: Path) -> Path | None:
    """The data folder, or None where the setting is no text, which is an error of its own."""
    folder = environ.get("OPENCLAW_DATA_DIR") or main.tree.get(
        "data_dir", Configuration.model_fields["data_dir"].default
    )
    if not isinstance(folder, str):
        return None
    return _absolute(folder, "OPENCLAW_DATA_DIR", environ, config_path, Path.cwd())


def _deployed(folder: Path | None) -> str | None:
    """Text of the strategies that the lifecycle configured, or None where there are none."""
    return None if folder is None else _beside(folder / DEPLOYMENTS_FILE)


def _overlay(main: Document, folder: Path | None) -> tuple[Layer, str] | None:
    """Layer and text of the live overlay, or None where it is disabled, absent or empty."""
    name = main.tree.get("overlay_file")
    if not isinstance(name, str) or folder is None:
        return None
    path = folder / name
    text = _beside(path)
    if text is None:
        return None
    layer = Layer(LayerKind.OVERLAY, path.name)
    _refuse_moving_overlay(_parsed(layer, text))
    return layer, text


def _beside(path: Path) -> str | None:
    """Text of a file in the data folder, or None where it is absent or empty."""
    try:
        text = text_of(path)
    except (FileNotFoundError, NotADirectoryError):  # of a data folder that is none, the store has its own error
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OverlayUnreadableError(path, reason_of(error)) from None
    return text if text.strip() else None


def _refuse_moving_overlay(overlay: Document) -> None:
    for key in ("data_dir", "overlay_file"):
        if key in overlay.tree:
            problem = "the overlay was found through it. Set it in autopilot.yaml"
            raise SettingConflictError(overlay.where((key,)), key, overlay.tree[key], problem)


def _stricter_kill_switch(documents: list[Document], environ: Mapping[str, str]) -> list[Document]:
    """The environment's kill switch as a layer where it is stricter: no layer may loosen another one's."""
    wanted = environment_kill_switch(environ)
    configured = merge(documents).get("kill_switch", KillSwitch.OFF.value)
    known = [switch.value for switch in STRICTEST_LAST]
    if configured not in known or known.index(wanted.value) <= known.index(configured):
        return []
    return [Document(Layer(LayerKind.ENVIRONMENT, KILL_SWITCH_VARIABLE), {"kill_switch": wanted.value})]


def _absolute(folder: str, variable: str, environ: Mapping[str, str], config_path: Path, working_folder: Path) -> Path:
    start = working_folder if environ.get(variable) else project_home(config_path)
    return Path(os.path.normpath(start / Path(folder).expanduser()))
