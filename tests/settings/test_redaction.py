"""Secrets never appear in what is shown, logged or stored."""

import io
import logging
from pathlib import Path

import pytest

from openclaw_pipelines.settings import RedactingFilter, exchange_credentials, load_settings, redact
from openclaw_pipelines.settings.environment import SECRET_VARIABLES
from openclaw_pipelines.settings.redaction import looks_secret, secret_values
from openclaw_pipelines.settings.validation import known_keys

SECRET = "s3cr3t-Val/ue+0001"
ENVIRON = {"OPENCLAW_EXCHANGE_SECRET": SECRET, "TELEGRAM_BOT_TOKEN": "123456:botpart", "OPENCLAW_PORT": "3000"}


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_settings_never_hold_a_secret(name: str) -> None:
    settings = load_settings({name: SECRET})
    shown = [
        repr(settings),
        settings.config.model_dump_json(),
        str(dict(settings.provenance)),
        settings.strategies.__repr__(),
    ]
    assert all(SECRET not in text for text in shown)
    assert settings is load_settings({}), "a secret is no part of the settings, so it makes no others"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(f"signed with {SECRET}!", "signed with ***!", id="value anywhere"),
        pytest.param("chat 123456:botpart", "chat ***", id="value of another tool's variable"),
        pytest.param('{"apiKey": "abc", "limit": 5}', '{"apiKey": ***, "limit": 5}', id="JSON text"),
        pytest.param("https://x/y?api_key=abc&symbol=BTC", "https://x/y?api_key=***&symbol=BTC", id="query"),
        pytest.param("https://me:pass@host/x", "https://me:***@host/x", id="password in a URL"),
        pytest.param("Authorization: Bearer abcdefghij", "Authorization: *** ***", id="bearer"),
        pytest.param("decision_key=autopilot:a:b", "decision_key=autopilot:a:b", id="our keys stay"),
        pytest.param({"password": "x", "n": {"token": 5}}, {"password": "***", "n": {"token": "***"}}, id="mapping"),
        pytest.param({"secret": None, "port": 3000}, {"secret": None, "port": 3000}, id="unset secret"),
        pytest.param([SECRET, (SECRET, 1)], ["***", ("***", 1)], id="sequences"),
        pytest.param({"max_order_notional": "5000"}, {"max_order_notional": "5000"}, id="limits stay"),
    ],
)
def test_redact(shown: object, expected: object) -> None:
    assert redact(shown, ENVIRON) == expected


def test_short_values_do_not_blank_everything() -> None:
    assert secret_values({"OPENCLAW_EXCHANGE_SECRET": "a"}) == ()


def test_no_setting_looks_like_a_secret() -> None:
    assert [key for key in known_keys() if any(looks_secret(part) for part in key.split("."))] == []


def test_log_records_and_tracebacks_are_masked() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter(ENVIRON))
    logger = logging.Logger("redaction")
    logger.addHandler(handler)
    logger.warning("key %s of %d", SECRET, 1)
    try:
        raise RuntimeError(f"refused {SECRET}")
    except RuntimeError:
        logger.exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "key *** of 1"
    assert lines[1] == "failed"
    assert lines[-1] == "RuntimeError: refused ***"
    assert SECRET not in stream.getvalue()


def test_the_filter_is_what_masks() -> None:
    stream = io.StringIO()
    logger = logging.Logger("bare")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("key %s", SECRET)
    assert SECRET in stream.getvalue()


def test_credentials_have_the_names_of_the_client() -> None:
    environ = {"OPENCLAW_EXCHANGE_API_KEY": "k", "OPENCLAW_EXCHANGE_SECRET": "s", "OPENCLAW_EXCHANGE_PASSWORD": ""}
    assert exchange_credentials(environ) == {"apiKey": "k", "secret": "s"}


def test_shipped_configuration_has_no_secret() -> None:
    text = Path(load_settings({}).config_path).read_text(encoding="utf-8")
    assert redact(text, {}) == text


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        pytest.param("PWD", "/nowhere/app", False, id="working folder"),
        pytest.param("OLDPWD", "/nowhere/app", False, id="the one before"),
        pytest.param("DB_PWD", "hunter2hunter2", True, id="password of a database"),
        pytest.param("MYSQL_PWD", "/nowhere/app", True, id="password that looks like a path"),
        pytest.param("KUBE_TOKEN_FILE", "{folder}", False, id="path that exists"),
        pytest.param("OPENCLAW_EXCHANGE_SECRET", "{folder}", True, id="ours is a secret whatever it is"),
    ],
)
def test_folders_are_no_secrets(tmp_path: Path, name: str, value: str, secret: bool) -> None:
    value = value.format(folder=tmp_path)
    text = f"cannot read {value}/c.yaml"
    assert redact(text, {name: value}) == ("cannot read ***/c.yaml" if secret else text)
