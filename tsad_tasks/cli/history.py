"""`tsad history`: a stretch of the past as if the pipeline had run all along, and its PDF."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import TypeAdapter
from typer import Option

from devstack import local
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.settings import DurationS
from tsad_tasks.cli.ingest import range_run
from tsad_tasks.cli.options import Dataset, From, To, interval
from tsad_tasks.cli.screen import progress, say, table
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.pipeline.replay import LINEAGE, Replay
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.store import Query, Store

WEEKS = Query("cli/select_weeks", dict)
COLUMNS = ("week", "version", "entity_hours", "incidents", "labels", "labels_found")


def history(
    dataset: Dataset,
    start: From,
    end: To,
    every: Annotated[str, Option(help="Time between retrainings, such as 7d.")] = "7d",
    replay: Annotated[
        bool, Option(help="Also replay it: retrain, score and promote as if it had run.")
    ] = True,
) -> None:
    """Bring in a stretch of the past, and replay it as if the pipeline had run all along;
    resumable, with its PDF.
    """
    config, span = config_of(dataset), interval(start, end)
    with local.open_store() as store:
        range_run(store, config, *span).ingest()
        if replay:
            show_replay(store, config, *span, every=every)


def show_replay(
    store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime, *, every: str
) -> None:
    """Replays [start_at, end_at) and shows what came of it, week by week."""
    period = timedelta(seconds=TypeAdapter(DurationS).validate_python(every))
    replay = Replay(store, config, start_at, end_at, artifacts_root(), period, say=say)
    first_at = done_at = replay.first_at
    with progress("replay", max(1, (end_at - first_at) // HOUR)) as advance:

        def advanced(at: datetime) -> None:
            nonlocal done_at
            advance((at - done_at) // HOUR, f"{at:%Y-%m-%d %H:%M}")
            done_at = at

        replay.advance = advanced
        replay.run()
    span = {"start_at": first_at, "end_at": end_at}
    with store.transaction():
        rows = store.rows(WEEKS, dataset=config.dataset, lineage=LINEAGE, **span)
    table(f"{config.dataset}, as if it had run", COLUMNS, rows, right=COLUMNS[1:])
    summary = render_period(store, config, start_at=first_at, end_at=end_at, lineage=LINEAGE)
    say(f"{summary.path}: {summary.n_pages} pages, {summary.n_incidents} incidents")
