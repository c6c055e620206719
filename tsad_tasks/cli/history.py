"""A replay of the past on the screen: what was decided when, week by week, and its PDF."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import TypeAdapter

from tsad_tasks.base.interval import HOUR
from tsad_tasks.cli.screen import progress, say, table
from tsad_tasks.config import DatasetConfig, DurationS
from tsad_tasks.pipeline.replay import LINEAGE, Replay
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.storage.paths import artifacts_root
from tsad_tasks.storage.store import Store

_WEEKS = ("week", "version", "entity_hours", "incidents", "labels", "labels_found")


def show_replay(
    store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime, *, every: str
) -> None:
    """Replays [start_at, end_at) and shows what came of it."""
    period = timedelta(seconds=TypeAdapter(DurationS).validate_python(every))
    replay = Replay(store, config, start_at, end_at, artifacts_root(), period, say=say)
    n_hours = max(1, (end_at - replay.first_at) // HOUR)
    with progress("replay", n_hours) as advance:
        done = [replay.first_at]

        def advanced(at: datetime) -> None:
            advance((at - done[0]) // HOUR, f"{at:%Y-%m-%d %H:%M}")
            done[0] = at

        replay.advance = advanced
        replay.run()
    _show_weeks(store, config, replay.first_at, end_at)
    summary = render_period(store, config, start_at=replay.first_at, end_at=end_at, lineage=LINEAGE)
    say(f"{summary.path}: {summary.n_pages} pages, {summary.n_incidents} incidents")


def _show_weeks(store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime) -> None:
    params = {"dataset": config.dataset, "lineage": LINEAGE, "start_at": start_at, "end_at": end_at}
    with store.transaction():
        rows = store.records("select_weeks", params)
    shown = [tuple(row[column] for column in _WEEKS) for row in rows]
    table(f"{config.dataset}, as if it had run", _WEEKS, shown, right=_WEEKS[1:])
