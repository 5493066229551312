"""Where limits came from, in the word that decisions record: by kind of layer, and by the form of a recorded policy."""

import json
from dataclasses import replace
from typing import Any

import pytest

from openclaw_pipelines.contracts.canonical import canonical_json
from openclaw_pipelines.contracts.layers import DEFAULT, SOURCES, Layer, LayerKind, PolicySource
from openclaw_pipelines.domain.governance.controls import base_limits
from openclaw_pipelines.domain.governance.policy import Form, Policy

PERP, SPOT = "AAA/USDT:USDT", "BBB/USDT"
K = LayerKind
LIVE, VARIABLE = Layer(K.OVERLAY, "live.yaml"), Layer(K.ENVIRONMENT, "OPENCLAW_RISK")
KINDS = {
    K.DEFAULT: (DEFAULT, "legacy default"),
    K.FILE: (Layer(K.FILE, "autopilot.yaml"), "legacy default"),
    K.STRATEGY: (Layer(K.STRATEGY, "desk"), "binding"),
    K.SYMBOLS: (Layer(K.SYMBOLS, PERP), "symbol override"),
    K.DEPLOYMENT: (Layer(K.DEPLOYMENT), "deployment"),
    K.OVERLAY: (LIVE, "overlay"),
    K.ENVIRONMENT: (VARIABLE, "environment"),
}
"""A layer of each kind and the word that new ticks record for it."""
FIRST = {**dict.fromkeys(KINDS, "legacy default"), K.STRATEGY: "binding", K.SYMBOLS: "symbol override"}
"""Words under policies that were recorded without a form."""


def policy_with(policy_of: Any, *layers: Layer, form: Form = Form.EVERY_LAYER) -> Policy:
    """A policy over one symbol whose limits came from these layers."""
    sources = {PERP: {f"limit{n}": layer for n, layer in enumerate(layers)}}
    return replace(policy_of([PERP], {}, {}), sources=sources, form=form)


def recorded_first(policy: Policy) -> Policy:
    """The policy as loaded from what the first form recorded of it."""
    values = json.loads(canonical_json(policy.payload()))
    values.pop("form", None)
    return Policy.from_payload(values)


def test_every_kind_has_its_word() -> None:
    assert set(KINDS) == set(FIRST) == set(SOURCES) == set(LayerKind)
    assert {said for _, said in KINDS.values()} == {word.value for word in PolicySource}


@pytest.mark.parametrize("kind", LayerKind)
def test_the_word_of_each_kind_in_both_forms(policy_of: Any, kind: LayerKind) -> None:
    layer, said = KINDS[kind]
    policy = policy_with(policy_of, layer)
    assert (policy.source(PERP), policy.source(SPOT)) == (said, "legacy default")
    before = recorded_first(policy)
    assert before.source(PERP) == FIRST[kind]
    assert before.payload() == {name: value for name, value in policy.payload().items() if name != "form"}


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        pytest.param([], "legacy default", id="nothing is set"),
        pytest.param(["overlay live.yaml strategy:desk"], "binding", id="strategy in the overlay"),
        pytest.param([f"overlay live.yaml symbols:{PERP}"], "symbol override", id="symbol in the overlay"),
        pytest.param(["strategy:desk", f"symbols:{PERP}"], "symbol override", id="symbol before strategy"),
        pytest.param(["overlay live.yaml", "strategy:desk"], "binding", id="strategy before the overlay"),
        pytest.param(["overlay live.yaml", "deployment"], "deployment", id="deployment before the overlay"),
        pytest.param(["overlay live.yaml", "environment X"], "environment", id="environment before the overlay"),
        pytest.param(["autopilot.yaml", "overlay live.yaml"], "overlay", id="overlay before the file"),
    ],
)
def test_the_most_specific_layer_has_the_word(policy_of: Any, layers: list[str], said: str) -> None:
    for given in (layers, layers[::-1]):
        assert policy_with(policy_of, *map(Layer.recorded, given)).source(PERP) == said


@pytest.mark.parametrize("kind", LayerKind)
def test_a_form_is_recorded_only_where_the_words_differ(policy_of: Any, kind: LayerKind) -> None:
    """Ids of all other policies stay what they were."""
    policy = policy_with(policy_of, KINDS[kind][0])
    differs = KINDS[kind][1] != FIRST[kind]
    assert policy.payload().get("form") == (2 if differs else None)
    again = Policy.from_payload(json.loads(canonical_json(policy.payload())))
    assert (again, again.version_id) == (policy, policy.version_id)
    before = recorded_first(policy)
    assert (before == policy) is not differs
    assert (before.version_id == policy.version_id) is not differs
    assert before.form is (Form.THREE_WORDS if differs else Form.EVERY_LAYER)


@pytest.mark.parametrize("kind", LayerKind)
def test_policies_of_today_say_their_form(policy_of: Any, kind: LayerKind) -> None:
    policy = policy_with(policy_of, KINDS[kind][0], form=policy_of([PERP], {}, {}).form)
    assert policy.payload()["form"] == Form.ENTRIES_COUNT == 3
    again = Policy.from_payload(json.loads(canonical_json(policy.payload())))
    assert (again, again.version_id, again.source(PERP)) == (policy, policy.version_id, KINDS[kind][1])


def test_one_symbol_whose_word_differs_is_enough(policy_of: Any) -> None:
    sources = {PERP: {"a": KINDS[K.STRATEGY][0]}, SPOT: {"a": LIVE}}
    policy = replace(policy_of([PERP], {}, {}), sources=sources, form=Form.EVERY_LAYER)
    assert policy.payload()["form"] == 2
    assert "form" not in replace(policy, sources={PERP: {"a": LIVE, "b": KINDS[K.SYMBOLS][0]}}).payload()


def test_texts_of_layers_are_as_they_were(policy_of: Any) -> None:
    """`base_limits` and the payload hold the text of each layer, whatever the form."""
    own = policy_with(policy_of, *(layer for layer, _ in KINDS.values()))
    texts = [layer.text for layer, _ in KINDS.values()]
    assert list(own.payload()["sources"][PERP].values()) == texts
    for layer, _ in KINDS.values():
        limits = json.loads(base_limits(replace(own, sources={PERP: {"price_buffer_bps": layer}}), PERP))
        assert limits["price_buffer_bps"]["from"] == layer.text
