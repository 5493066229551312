"""What the fingerprints of settings cover.

Order, comments, layers and spelling of numbers do not matter, only what holds in the end. What changes no decision is
left out of the configuration's fingerprint: where things lie (data folder, seals, overlay and kill-switch file, the way
to the archive's folder but not its name, which is the venue), how they are reached (time-outs, retries, connection
options), log level and jitter, and what the factory searches and requires (a cycle's contract covers that).
"""

from collections.abc import Mapping
from pathlib import Path

from openclaw_pipelines.contracts.config.configuration import Configuration

UNFINGERPRINTED = frozenset(
    {
        "data_dir",
        "log_level",
        "factory",
        "gates",
        "lifecycle",
        "lock_timeout_seconds",
        "kill_switch_file",
        "overlay_file",
        "seals_dir",
        "market.timeout_seconds",
        "market.max_retries",
        "strategies.<name>.jitter_seconds",
    }
)
"""Keys that change no decision."""
CONNECTION_OPTIONS = frozenset(
    {
        "urls",
        "hostname",
        "proxy",
        "proxyUrl",
        "httpProxy",
        "httpsProxy",
        "socksProxy",
        "timeout",
        "rateLimit",
        "verbose",
    }
)
"""Keys of `market.exchange_options` that say how an exchange is reached."""


def fingerprinted(config: Configuration, resolved: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """What the configuration's fingerprint covers.

    resolved: strategy -> what replaces its override sections, with all layers applied.
    """
    tree = config.model_dump()
    for section in ("risk", "costs", "universe", "symbols"):  # every strategy carries what holds for it
        del tree[section]
    tree["outcome_horizons_seconds"].sort()
    for name in ("symbols", "intervals"):  # sets, whatever their order in a file
        tree["market"][name].sort()
    archive, options = tree["market"]["archive_dir"], tree["market"]["exchange_options"]
    tree["market"]["archive_dir"] = archive and Path(archive).name
    tree["market"]["exchange_options"] = {k: v for k, v in options.items() if k not in CONNECTION_OPTIONS}
    for name, strategy in tree["strategies"].items():
        strategy.update(resolved[name])
    return _without(tree, UNFINGERPRINTED, "")


def _without(tree: Mapping[str, object], left_out: frozenset[str], prefix: str) -> dict[str, object]:
    kept = {}
    for key, value in tree.items():
        name = f"{prefix}{'<name>' if prefix == 'strategies.' else key}"
        if name not in left_out:
            kept[key] = _without(value, left_out, f"{name}.") if isinstance(value, Mapping) else value
    return kept
