"""Layers and their recorded texts, one row per kind, both ways."""

import pytest

from openclaw_pipelines.contracts.layers import DEFAULT, Layer, LayerKind

K = LayerKind
LIVE, VARIABLE = Layer(K.OVERLAY, "live.yaml"), Layer(K.ENVIRONMENT, "OPENCLAW_RISK")
TEXTS = [
    pytest.param(DEFAULT, "default", id="code defaults"),
    pytest.param(Layer(K.FILE, "autopilot.yaml"), "autopilot.yaml", id="file"),
    pytest.param(Layer(K.FILE, "my overlay.yaml"), "my overlay.yaml", id="file with a word of another kind"),
    pytest.param(Layer(K.STRATEGY, "trend_1h"), "strategy:trend_1h", id="strategy's section"),
    pytest.param(Layer(K.SYMBOLS, "BTC/USDT:USDT"), "symbols:BTC/USDT:USDT", id="symbol's section"),
    pytest.param(Layer(K.DEPLOYMENT), "deployment", id="deployment"),
    pytest.param(LIVE, "overlay live.yaml", id="overlay"),
    pytest.param(Layer(K.OVERLAY, "my live.yaml"), "overlay my live.yaml", id="overlay with a space"),
    pytest.param(Layer(K.STRATEGY, "trend", LIVE), "overlay live.yaml strategy:trend", id="strategy in an overlay"),
    pytest.param(Layer(K.SYMBOLS, "A/B", LIVE), "overlay live.yaml symbols:A/B", id="symbol in an overlay"),
    pytest.param(VARIABLE, "environment OPENCLAW_RISK", id="environment"),
    pytest.param(
        Layer(K.STRATEGY, "trend", VARIABLE), "environment OPENCLAW_RISK strategy:trend", id="strategy in a variable"
    ),
]


@pytest.mark.parametrize(("layer", "text"), TEXTS)
def test_a_layer_is_recorded_by_its_text_and_read_again(layer: Layer, text: str) -> None:
    assert (layer.text, str(layer)) == (text, text)
    assert Layer.recorded(text) == layer


def test_every_kind_has_a_text() -> None:
    assert {row.values[0].kind for row in TEXTS} == set(LayerKind)
