import pytest

from openclaw_pipelines.contracts.config.market import Market
from openclaw_pipelines.contracts.enums import MarketType, SourceKind
from openclaw_pipelines.resources.market.archive.source import ArchiveMarket
from openclaw_pipelines.resources.market.choose import build_source
from openclaw_pipelines.resources.market.errors import MissingSourceSettingError
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket


def test_simulated_takes_its_seed_and_symbols():
    source = build_source(Market(symbols=["BTC/USDT:USDT"], seed=7))
    assert isinstance(source, SimulatedMarket)
    assert (source.name, source.seed, source.symbols) == ("simulated", 7, ("BTC/USDT:USDT",))


def test_archive_takes_its_folder_and_market_type(tmp_path):
    settings = Market(
        source=SourceKind.ARCHIVE,
        symbols=["BTC/USDT"],
        archive_dir=str(tmp_path),
        archive_market_type=MarketType.SPOT,
    )
    source = build_source(settings)
    assert isinstance(source, ArchiveMarket)
    assert (source.name, source.folder.path, source.folder.kind) == (
        f"archive:{tmp_path.name}",
        tmp_path,
        MarketType.SPOT,
    )


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        pytest.param(SourceKind.ARCHIVE, "market.archive_dir", id="archive without a folder"),
        pytest.param(SourceKind.CCXT, "market.exchange", id="ccxt without an exchange"),
    ],
)
def test_a_missing_setting_is_named(kind, setting):
    with pytest.raises(MissingSourceSettingError) as caught:
        build_source(Market(source=kind, symbols=["BTC/USDT"]))
    assert caught.value.setting == setting
