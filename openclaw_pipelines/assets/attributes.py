"""What every asset says about itself: group, owner, kinds, the version of its code and how fresh it is kept.

Freshness says what the schedules and the ticker do: a window for what is asked for all day, a deadline for what is
done once a day. It is evaluated where `freshness` is enabled in dagster.yaml.
"""

from datetime import timedelta
from functools import cache
from typing import Any

import dagster as dg

from openclaw_pipelines import __version__
from openclaw_pipelines.kernel.base.compile_cache import sources_hash

HOUR = timedelta(hours=1)
EACH_HOUR = dg.FreshnessPolicy.time_window(fail_window=4 * HOUR, warn_window=2 * HOUR)
"""Of assets that a schedule materializes each hour."""


def each_night(deadline_cron: str, begins_before: timedelta = HOUR) -> dg.FreshnessPolicy:
    """Of assets that are materialized once a day: by the deadline, and not longer than that before it."""
    return dg.FreshnessPolicy.cron(deadline_cron=deadline_cron, lower_bound_delta=begins_before, timezone="UTC")


def all_day(every: timedelta) -> dg.FreshnessPolicy:
    """Of assets that are materialized at least once in `every`; short intervals leave room for runs and catching up."""
    warn = max(2 * every, HOUR / 4)
    return dg.FreshnessPolicy.time_window(fail_window=4 * warn, warn_window=warn)


def attributes(group: str, *kinds: str, engine: bool = False) -> dict[str, Any]:
    """Arguments that `dg.asset` and `dg.AssetSpec` share. engine: whether compiled code decides the values."""
    return {
        "group_name": group,
        "owners": [f"team:{group}"],
        "kinds": set(kinds),
        "code_version": _engine_version() if engine else __version__,
    }


@cache
def _engine_version() -> str:
    """Version of the program and hash of the kernel's sources, as factory cycles record it."""
    return f"{__version__}+kernel.{sources_hash()[:12]}"
