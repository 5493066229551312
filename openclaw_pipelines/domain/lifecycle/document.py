"""The configuration layer of deployed strategies as text: equal positions give equal bytes.

`settings` reads it after `autopilot.yaml` and before the overlay; writing the file is in `services.lifecycle`.
"""

import json
from collections.abc import Mapping
from decimal import Decimal

from openclaw_pipelines.contracts.canonical import canonical_json, decimal_text
from openclaw_pipelines.contracts.lifecycle import Stage
from openclaw_pipelines.domain.lifecycle.log import Position
from openclaw_pipelines.domain.lifecycle.states import CONFIGURED, TRADING

TAKEN_OVER = (
    "allow", "approval_ticks", "bar_deadline_seconds", "costs", "deny", "jitter_seconds", "max_catch_up_ticks", "risk",
    "universe",
)  # fmt: skip
"""Settings of its slot that hold for a deployed strategy as they stood when it was deployed."""
HEAD = (
    "# Written by the lifecycle from the table `deployments`; nothing runs under a value that is changed here.\n"
    "# Use `openclaw promote`, `demote` and `rollback`, or the overlay for limits and controls.\n"
)


def document(found: Mapping[str, Position]) -> str:
    """YAML of all strategies that are part of the configuration; empty where there are none.

    >>> document({})
    ''
    """
    configured = [position for _, position in sorted(found.items()) if position.stage in CONFIGURED]
    if not configured:
        return ""
    return HEAD + "strategies:\n" + "".join(_section(position) for position in configured)


def _section(position: Position) -> str:
    origin = position.origin
    values = {
        "family": origin.family,
        "interval": origin.interval,
        "capital": decimal_text(origin.capital),
        "start_day": origin.start_day.isoformat(),
        "symbols": list(origin.symbols),
        "canary_bps": position.ramp_bps,
        "paused": position.stage not in TRADING,
        "enabled": position.stage is not Stage.RETIRED,
    }
    lines = [f"    {name}: {_text(value)}\n" for name, value in values.items()]
    lines += [f"    {name}: {text}\n" for name, text in sorted(json.loads(origin.section).items())]
    params = json.loads(origin.params)
    lines += ["    params:\n", *(f"      {name}: {_text(params[name])}\n" for name in sorted(params))] if params else []
    return f"  {origin.strategy}:\n" + "".join(lines)


def first_difference(found: object, said: object, key: str = "") -> str:
    """Where a layer, as a tree, is not what the log says: the first key, and both values.

    >>> first_difference({"strategies": {"a": {"capital": "9"}}}, {"strategies": {"a": {"capital": "1"}}})
    'strategies.a.capital is 9, the log says 1'
    >>> first_difference({"strategies": {"a": {}, "b": {}}}, {"strategies": {"a": {}}})
    'strategies.b is there, the log knows none'
    """
    if isinstance(found, Mapping) and isinstance(said, Mapping):
        for name in sorted({*found, *said}, key=str):
            below = f"{key}.{name}".lstrip(".")
            if name not in said:
                return f"{below} is there, the log knows none"
            if name not in found:
                return f"{below} is absent, the log has it"
            if found[name] != said[name]:
                return first_difference(found[name], said[name], below)
        return "its text differs, no value does"
    if said is None:
        return "it holds strategies, the log knows none"
    return f"{key} is {found}, the log says {said}" if key else "it holds no strategies, the log does"


def section_of(own: Mapping[str, object]) -> str:
    r"""JSON of the settings that a deployed strategy takes over from its slot, each as YAML text: no digit is lost.

    >>> section_of({"risk": {"price_buffer_bps": 7}, "costs": {"slippage_bps": Decimal("2.50")}, "capital": 1})
    '{"costs":"{\\"slippage_bps\\": 2.50}","risk":"{\\"price_buffer_bps\\": 7}"}'
    """
    return canonical_json({name: _text(own[name]) for name in TAKEN_OVER if own.get(name)})


def _text(value: object) -> str:
    """One line of YAML; text is quoted, so that nothing of it is taken for a number or a switch."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)}: {_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)
