"""What the documents promise is true: commands, paths, links, names, examples and generated pages."""

import contextlib
import importlib
import importlib.util
import io
import itertools
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import docs
import openclaw_pipelines
from openclaw_pipelines.cli import main as openclaw
from openclaw_pipelines.contracts.enums import RejectCode
from openclaw_pipelines.contracts.errors import OpenclawError
from openclaw_pipelines.contracts.factory import ParityClass
from openclaw_pipelines.resources.store import market_tables

PROJECT = Path(__file__).resolve().parents[1]
GENERATED = ("commands.md", "configuration.md", "data-dictionary.md", "errors.md", "metrics.md", "reject-codes.md")
PAGES = sorted([PROJECT / "README.md", PROJECT / "CHANGELOG.md", *(PROJECT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page.name not in GENERATED]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MADE_BY_THE_READER = {"config/real.yaml"}


def text_of(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def rows_under(text: str, head: str) -> list[list[str]]:
    """Cells of the table whose head line starts with `head`."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(head)) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def names_in(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def relative(page: Path) -> str:
    return str(page.relative_to(PROJECT))


# ---- generated pages


def test_every_generated_page_is_listed() -> None:
    assert tuple(docs.PAGES) == GENERATED


@pytest.mark.parametrize("page", GENERATED)
def test_generated_page_is_current(page: str) -> None:
    assert text_of(f"docs/{page}") == docs.PAGES[page](), "run: python tools/docs.py"


def test_reject_codes_and_metrics_are_complete() -> None:
    from openclaw_pipelines.domain.evaluation.metrics.definitions import METRICS

    codes = [names_in(row[1])[0] for row in rows_under(docs.reject_codes(), "| no.")]
    assert codes == [code.name for code in RejectCode if code is not RejectCode.NONE]
    page = docs.metrics()
    listed = {name for name in METRICS if f"| `{name}` |" in page}
    assert listed == {name for name in METRICS if not name.startswith("rejects.")}


# ---- commands


def command_lines() -> Iterator[tuple[str, str]]:
    """Every command line of the hand-written pages, in blocks and in running text, with its page."""
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        for body in blocks(text, "bash"):
            yield from ((relative(page), line.partition("  #")[0].strip()) for line in body.splitlines() if line)
        prose = BLOCK.sub("", text)
        for code in names_in(prose):
            if re.match(r"(make|openclaw) [a-z]", code):
                yield relative(page), code


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))


def parse(command: click.Command, name: str, words: list[str]) -> None:
    """Let click parse the words without running anything; wrong usage raises."""
    context = click.Context(command, info_name=name)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r} in {name}"
        command, name, words = found, f"{name} {words[0]}", words[1:]
        context = click.Context(command, info_name=name, parent=context)
    if not isinstance(command, click.Group) and words:
        command.make_context(name, list(words))


def check_command(line: str) -> None:
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    program, rest = (words[0], words[1:]) if words else ("", [])
    if program == "make":
        assert {word for word in rest if "=" not in word} <= make_targets()
    elif program == "openclaw":
        parse(openclaw, "openclaw", rest)
    elif program == "dagster":
        from dagster._cli import cli

        parse(cli, "dagster", rest)
        if "--select" in rest:
            assert set(rest[rest.index("--select") + 1].split(",")) <= set(asset_specs())
    elif program == "dg":
        from dagster_dg_cli.cli import create_dg_cli

        parse(create_dg_cli(), "dg", rest)
        if "--assets" in rest:
            assert set(rest[rest.index("--assets") + 1].split(",")) <= set(asset_specs())
    elif program == ".venv/bin/python":
        there = importlib.util.find_spec(rest[1]) if rest[0] == "-m" else (PROJECT / rest[0]).is_file()
        assert there
    else:
        assert program in {"export", "source", "git", "pip", ""}


COMMANDS = sorted(set(command_lines()))


def test_commands_were_found() -> None:
    assert {"README.md", "docs/runbook.md", "docs/extending.md"} <= {page for page, _ in COMMANDS}
    assert len(COMMANDS) > 40


@pytest.mark.parametrize(("page", "line"), [pytest.param(*item, id=f"{item[0]}: {item[1]}") for item in COMMANDS])
def test_command_exists(page: str, line: str) -> None:
    check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("make nothing", id="target"),
        pytest.param("openclaw statos", id="command"),
        pytest.param("openclaw status --jsn", id="option"),
        pytest.param("openclaw verify --from 2025-5-1", id="value"),
        pytest.param("dagster asset materialize -m x --select candels", id="asset"),
        pytest.param("dagster asset materialise -m x --select candles", id="dagster command"),
        pytest.param("curl example.org", id="program"),
    ],
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.ClickException)):
        check_command(line)


# ---- paths and links


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_resolve(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_mentioned_files_exist(page: Path) -> None:
    roots = r"(?:openclaw_pipelines|tests|docs|config|tools|benchmarks)/"
    mentioned = {code for code in names_in(page.read_text(encoding="utf-8")) if re.match(roots, code)}
    assert {path for path in mentioned - MADE_BY_THE_READER if not (PROJECT / path).exists()} == set()


def test_the_house_is_as_drawn() -> None:
    drawing = blocks(text_of("docs/architecture.md"), "")[0]
    folders, missing = [PROJECT], []
    for line in drawing.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r", ", re.split(r"\s{2,}", line.strip())[0]):
            path = folders[depth] / name
            if not path.exists():
                missing.append(str(path.relative_to(PROJECT)))
            if path.is_dir():
                folders[depth + 1 :] = [path]
    assert missing == []
    package = PROJECT / "openclaw_pipelines"
    drawn = {path.name for path in package.iterdir() if re.search(rf"\b{re.escape(path.name)}\b", drawing)}
    there = {
        path.name for path in package.iterdir() if not path.name.startswith((".", "_")) and path.suffix != ".typed"
    }
    assert drawn == there


# ---- names of the definitions


def definitions() -> Any:
    from openclaw_pipelines.definitions import defs

    return defs


def asset_specs() -> dict[str, Any]:
    return {spec.key.to_user_string(): spec for spec in definitions().resolve_all_asset_specs()}


def edges_in(text: str) -> set[tuple[str, str]]:
    """Pairs of the lines "`a`, `b` -> `c` -> `d`; `e` -> `c`"."""
    section = text.split("Lineage, in words:")[1].split("\n\n")[1]
    pairs = set()
    for chain in re.split(r"\n- |; ", "\n" + section.strip()):
        groups = [names_in(part) for part in chain.split("->")]
        for left, right in itertools.pairwise(groups):
            pairs |= {(a, b) for a in left for b in right}
    return pairs


def test_lineage_is_as_told() -> None:
    specs = asset_specs()
    edges = {(dep.asset_key.to_user_string(), name) for name, spec in specs.items() for dep in spec.deps}
    assert edges_in(text_of("docs/architecture.md")) == {(a, b) for a, b in edges if a != b}
    assert {a for a, b in edges if a == b} == set(_cycle())


def _cycle() -> tuple[str, ...]:
    from openclaw_pipelines.jobs import CYCLE_ASSETS

    return CYCLE_ASSETS


def test_assets_groups_and_partitions_are_as_listed() -> None:
    graph = definitions().resolve_asset_graph()
    told = {names_in(row[1])[0]: (row[0], row[2]) for row in rows_under(text_of("docs/architecture.md"), "| group")}
    real = {}
    for name, spec in asset_specs().items():
        partitions = graph.get(spec.key).partitions_def
        kind = {"NoneType": "none", "DailyPartitionsDefinition": "day", "DynamicPartitionsDefinition": "cycle"}
        dimensions = getattr(partitions, "partition_dimension_names", None)
        real[name] = (spec.group_name, ", ".join(dimensions) if dimensions else kind[type(partitions).__name__])
    assert told == real


def test_jobs_are_as_listed() -> None:
    told = {names_in(row[0])[0]: names_in(row[1]) for row in rows_under(text_of("docs/architecture.md"), "| job")}
    cycle = list(_cycle())
    told |= dict.fromkeys(("autopilot_live", "autopilot_cycle_job"), cycle)
    repository = definitions().get_repository_def()
    real = {
        name: {key.to_user_string() for key in repository.get_job(name).asset_layer.executable_asset_keys}
        for name in (job.name for job in definitions().jobs)
    }
    assert {name: set(assets) for name, assets in told.items()} == real


def test_schedules_and_sensors_are_as_listed() -> None:
    told = {names_in(row[0])[0] for row in rows_under(text_of("docs/runbook.md"), "| schedule or sensor")}
    assert told == {item.name for item in [*definitions().schedules, *definitions().sensors]}


def test_environment_table_is_complete() -> None:
    from openclaw_pipelines.settings.environment import VARIABLES

    rows = rows_under(text_of("README.md"), "| variable")
    assert [name for row in rows for name in names_in(row[0])] == list(VARIABLES)


def errors() -> set[str]:
    for module in pkgutil.walk_packages(openclaw_pipelines.__path__, "openclaw_pipelines."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)

    def below(kind: type) -> Iterator[str]:
        for child in kind.__subclasses__():
            yield child.__name__
            yield from below(child)

    return set(below(OpenclawError))


def test_named_errors_and_checks_exist() -> None:
    known = errors() | {"OpenclawError"}
    named = {code for page in WRITTEN for code in names_in(page.read_text(encoding="utf-8")) if code.endswith("Error")}
    assert named <= known
    rows = rows_under(text_of("docs/errors.md"), "| check |")
    specs = [spec for definition in definitions().asset_checks for spec in definition.check_specs]
    checks = {names_in(row[0])[0]: row[1] for row in rows}
    assert checks == {spec.name: spec.asset_key.to_user_string() for spec in specs}
    told = re.findall(r"[Cc]heck `(\w+)`", "\n".join(page.read_text(encoding="utf-8") for page in WRITTEN))
    assert set(told) <= set(checks)


def test_reject_codes_named_in_the_documents_exist_and_the_unused_ones_are_unused() -> None:
    names = {code.name for code in RejectCode}
    capitals = {
        code
        for page in WRITTEN
        for code in names_in(BLOCK.sub("", page.read_text(encoding="utf-8")))
        if re.fullmatch(r"[A-Z]+_[A-Z_]+", code) and not code.startswith(("OPENCLAW_", "DAGSTER_"))
    }
    phases = {"BUILD_UNIVERSE", "ANALYZE_MARKET", "PLAN_TRADE", "PREVIEW_POLICIES"}
    constants = {
        "LEDGER_CHECKS",
        "KILL_SWITCH",
        "NUMBA_CACHE_DIR",
        "SOURCE_TAKEN_OVER",
        *(kind.name for kind in ParityClass),
    }
    assert capitals - phases - constants <= names
    never = {"STALE_QUOTE", "SPREAD_TOO_WIDE", "BUDGET_EXHAUSTED"}
    naming = {"enums.py", "verdicts.py", "metric_definitions.py"}
    sources = [path for path in (PROJECT / "openclaw_pipelines").rglob("*.py") if path.name not in naming]
    used = {code for code in names for path in sources if f"RejectCode.{code}" in path.read_text(encoding="utf-8")}
    assert names - used == never


# ---- examples


def test_readme_example_prints_what_it_says() -> None:
    readme = text_of("README.md")
    code, printed = blocks(readme, "python")[0], blocks(readme, "text")[0]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == printed


def test_readme_archive_names_are_understood() -> None:
    from openclaw_pipelines.resources.market.archive.naming import Kind, parse_name

    rows = rows_under(text_of("README.md"), "| format")
    read = {name: parse_name(name, ["USDT", "USD", "BTC"]) for row in rows for name in names_in(row[1])}
    assert {name.base for name in read.values()} == {"BTC"}
    assert {name for name, what in read.items() if what.kind is Kind.FUNDING} == {
        "BTC-USDT_funding.parquet",
        "BTCUSDT-fundingRate-2025-05.zip",
    }
    assert len({what.format for what in read.values()}) == 7


def test_configuration_examples_are_valid(tmp_path: Path) -> None:
    from openclaw_pipelines.settings import load_settings

    (tmp_path / "config").mkdir()
    own = tmp_path / "config" / "real.yaml"
    own.write_text(blocks(text_of("README.md"), "yaml")[0], encoding="utf-8")
    settings = load_settings({}, path=own)
    assert (settings.market.source.value, list(settings.strategies)) == ("archive", ["momentum_1h"])
    assert settings.data_dir == tmp_path / "data" / "real"
    overlay = blocks(text_of("docs/runbook.md"), "yaml")[0]
    assert yaml.safe_load(overlay)["strategies"] == {"momentum_1h": {"paused": True}}
    (tmp_path / "overlay.yaml").write_text(overlay, encoding="utf-8")
    settings = load_settings({"OPENCLAW_DATA_DIR": str(tmp_path)}, path=PROJECT / "config" / "autopilot.yaml")
    assert settings.strategy("momentum_1h").own.paused
    assert settings.strategy("breakout_15m").limits("XRP/USDT:USDT").max_order_notional == 500


def extending(language: str, holds: str) -> str:
    return next(body for body in blocks(text_of("docs/extending.md"), language) if holds in body)


FADE = """
from datetime import UTC, datetime, timedelta
from openclaw_pipelines.kernel.run.bars import Bars
from openclaw_pipelines.kernel.strategy.families import FAMILIES
from openclaw_pipelines.kernel.strategy.params import params_record, stack_params
from openclaw_pipelines.kernel.run.replay import replay
from openclaw_pipelines.kernel.sweep.sweep import sweep
from openclaw_pipelines.resources.market.simulated.source import SimulatedMarket
start = datetime(2025, 5, 1, tzinfo=UTC)
end = start + timedelta(days=14)
bars = Bars.from_frame(SimulatedMarket(7).candles("BTC/USDT:USDT", "1h", start, end, end), interval="1h")
def record(family):
    return params_record(family, {"channel_entry": 12, "channel_exit": 6, "volume_ratio": 0.0}, bars.interval_seconds)
def decisions(family):
    return replay(bars, record(family)).decisions
fade, breakout = decisions("fade"), decisions("breakout")
first = breakout.row(0, named=True), fade.row(0, named=True)
print(sorted(FAMILIES), [row["action"] for row in first], [row["side"] for row in first])
print(first[0]["tick_at"] == first[1]["tick_at"], 0.5 <= first[1]["confidence"] < 1)
"""
SWEPT = """
rows = stack_params([record("fade"), record("breakout")])
swept = sweep(bars, rows, threads=1)
own = [replay(bars, record(family)).state.account.tobytes() for family in ("fade", "breakout")]
print(swept.tallies.trades.min() > 2, [account.tobytes() for account in swept.accounts] == own, own[0] != own[1])
"""


@pytest.fixture
def faded(tmp_path: Path) -> Path:
    """A copy of the package and the generator, with the patch of the page on extending."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "openclaw_pipelines", tmp_path / "openclaw_pipelines", ignore=ignored)
    shutil.copytree(PROJECT / "tools", tmp_path / "tools", ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    patch = tmp_path / "fade.patch"
    patch.write_text(extending("diff", "fade"), encoding="utf-8")
    subprocess.run(["git", "apply", str(patch)], cwd=tmp_path, check=True)
    return tmp_path


def run_in(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_extending_family_patch_applies_and_trades(faded: Path) -> None:
    # without the compiler: the result is the same, and a new kernel need not be compiled for one test
    refused = run_in(faded, "-c", FADE, NUMBA_DISABLE_JIT="1").stderr.splitlines()[-1]
    assert "DispatchError: enters in strategy/dispatch.py has no branch for family 'fade', number 5" in refused
    command = re.search(r"\.venv/bin/python (tools/\S+\.py)", refused)
    assert command is not None
    written = run_in(faded, command[1]).stdout.splitlines()
    kernel = "openclaw_pipelines/kernel"
    assert written == [f"{kernel}/strategy/dispatch.py written", f"{kernel}/sweep/dispatch.py written"]
    done = run_in(faded, "-c", FADE, NUMBA_DISABLE_JIT="1")
    families, _, sides = done.stdout.partition("] [")
    assert families.startswith("['breakout', 'ema_trend', 'fade'"), done.stderr
    assert re.fullmatch(r"'enter', 'enter'\] \['(buy', 'sell|sell', 'buy)'\]\nTrue True\n", sides)
    # what was added and written is laid out as the formatter does, so that it stays current after `make format`
    for words in (("format", "--check"), ("check",)):
        judged = run_in(faded, "-m", "ruff", *words, "openclaw_pipelines/kernel")
        assert judged.returncode == 0, judged.stdout


@pytest.mark.slow
def test_extending_family_sweeps_as_it_replays(faded: Path) -> None:
    """The compiled twin of the above: without the compiler there is no sweep."""
    assert run_in(faded, "tools/families.py").returncode == 0
    done = run_in(faded, "-c", FADE + SWEPT)
    assert done.stdout.splitlines()[-1] == "True True True", done.stderr


def test_extending_source_can_be_ingested(tmp_path: Path) -> None:
    from openclaw_pipelines.resources.store.store import Store
    from openclaw_pipelines.services.market.ingest import Ingest

    names: dict[str, Any] = {}
    exec(compile(extending("python", "SteadyMarket"), "docs/extending.md", "exec"), names)
    source = names["SteadyMarket"]()
    ingest = Ingest(Store(tmp_path), source, ["BTC/USDT"], ["15m", "1h"])
    day = datetime(2025, 5, 10, tzinfo=UTC)
    now = day + timedelta(hours=2, minutes=50)
    assert ingest.instruments(now).inserted == 1
    assert ingest.candles_day("2025-05-10", now).series == {"BTC/USDT 15m": 11, "BTC/USDT 1h": 2}
    assert ingest.candles_day("2025-05-10", now).inserted == 0
    assert ingest.funding_day("2025-05-10", now).inserted == 0
    stored = market_tables.candles(ingest.store, "steady", ["BTC/USDT"], "1h", day, day + timedelta(days=1))
    assert (stored["close"] - stored["open"]).round(6).to_list() == [0.6, 0.6]


def test_extending_check_judges() -> None:
    import polars as pl

    from openclaw_pipelines.contracts.tables import TABLES
    from openclaw_pipelines.domain.market.quality.window import Window

    names: dict[str, Any] = {}
    exec(compile(extending("python", "round_prices"), "docs/extending.md", "exec"), names)
    day = datetime(2025, 5, 10, tzinfo=UTC)
    shared = {
        "source": "s",
        "symbol": "BTC/USDT",
        "interval": "1h",
        "volume": 1.0,
        "is_synthetic": False,
        "has_open": True,
    }
    bars = [
        {
            **shared,
            "ts": day + timedelta(hours=n),
            "ingested_at": day,
            **dict.fromkeys(("open", "high", "low", "close"), price),
        }
        for n, price in enumerate((100.0, 100.5))
    ]
    candles = TABLES["candles"].frame(bars)

    def judged(rows: pl.DataFrame) -> tuple[bool, int]:
        window = Window(rows, ["BTC/USDT"], ["1h"], day, day + timedelta(days=1), day + timedelta(days=1))
        result = names["ROUND"].run(window)
        return result.passed, result.total_cases

    assert judged(candles) == (False, 1)
    assert judged(candles.tail(1)) == (True, 0)
