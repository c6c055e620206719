"""`tsad score`, `rescore`, `history` and `anomalies`: ranges by hand, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from typer import Option

from devstack import local
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.cli.ingest import range_run
from tsad_tasks.cli.options import (
    LIVE,
    Count,
    Dataset,
    From,
    Lineage,
    To,
    interval,
    lineage_of,
    seconds,
)
from tsad_tasks.cli.reporting import say_report
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, list_rows, progress, say, say_lines, table
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.pipeline.replay import LINEAGE, Replay
from tsad_tasks.pipeline.rescore import score_what_if
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query, Store
from tsad_tasks.text.formats import counted

INCIDENTS = Query("cli/select_incident_list", dict)
FAILED = Query("cli/select_failed_hours", dict)
WEEKS = Query("cli/select_weeks", dict)
OUTSIDE = Query("cli/select_outside_list", dict)
READINGS = Query("cli/select_anomaly_list", dict)
HAS_SCORES = Query("cli/select_has_scores", bool)
INCIDENTS_LISTED = Listing(
    "incidents",
    (
        "incident_id", "severity", "priority", "state", "started_at", "end_at", "n_flags",
        "times_threshold", "sentence", "verdict", "entity", "kind", "channel", "last_flag_at",
    ),
    (
        "incident_id", "severity", "priority", "state", "started_at", "end_at", "n_flags",
        "times_threshold", "sentence", "verdict",
    ),
    right=("priority", "n_flags", "times_threshold"),
)  # fmt: skip
READINGS_LISTED = Listing(
    "readings",
    (
        "entity", "at", "severity", "kind", "times_threshold", "error", "threshold",
        "channel", "actual", "expected",
    ),
    right=("times_threshold",),
)  # fmt: skip
NOTHING_SCORED = "Nothing was scored in this range: what is in it is not known."
_WEEK = ("week", "version", "entity_hours", "incidents", "labels", "labels_found")
WEEKS_LISTED = Listing("weeks", _WEEK, right=_WEEK[1:])
SUPPRESSED = Listing(
    "suppressed",
    ("incident_id", "started_at", "end_at", "entity", "suppressed_by", "last_flag_at"),
    ("incident_id", "started_at", "end_at", "entity", "suppressed_by"),
)
OUTSIDE_LISTED = Listing(
    "outside_experience",
    ("started_at", "ended_at", "entity", "channel", "n_hours"),
    right=("n_hours",),
)
COMPARED = Listing(
    "compared",
    ("scored_by", "n_flags", "n_incidents"),
    ("", "flags", "incidents"),
    right=("n_flags", "n_incidents"),
)


def score(dataset: Dataset, start: From, end: To, lineage: Lineage = LIVE) -> None:
    """Ingest and score a range with the champion of each hour, in bulk."""
    config, span = config_of(dataset), interval(start, end)
    with local.open_store() as store:
        range_run(store, config, *span).score(lineage_of(lineage))
        say_no_champion(store, dataset, lineage, *span)
        say_failed(store, dataset, lineage, *span)


def say_no_champion(
    store: Store, dataset: str, lineage: str, start_at: datetime, end_at: datetime
) -> None:
    """Says why nothing was scored in a range that has no champion, and what to do."""
    with store.transaction():
        row, ends = select_dataset(store, dataset), {"start_at": start_at, "end_at": end_at}
        missing = no_champion(store, row, lineage=lineage, **ends)
    if missing is not None:
        say_lines(missing.text)


def say_failed(
    store: Store, dataset: str, lineage: str, start_at: datetime, end_at: datetime
) -> None:
    """Says which hours of a range have no score since their champion could not be used."""
    ends = {"start_at": start_at, "end_at": end_at}
    with store.transaction():
        rows = store.rows(FAILED, dataset=dataset, lineage=lineage, **ends)
    for row in rows:
        n_hours, detail = counted(row["n_hours"], "hour"), row["detail"]
        say(f"{n_hours} of entities failed: {detail}")
        if "Train again" not in detail:
            again = f"tsad retrain {dataset} --end {end_at:%Y-%m-%dT%H:%M}"
            say(f"Restore the model, or train again: {again}")


@lists(COMPARED)
def rescore(
    dataset: Dataset,
    start: From,
    end: To,
    lineage: Lineage = LIVE,
    version: Annotated[
        int | None,
        Option("--what-if", help="Score with this version instead, beside what people see."),
    ] = None,
) -> None:
    """Read a range again from the source and score what has changed, as a new revision; or ask what
    a version says.
    """
    config, span = config_of(dataset), interval(start, end)
    with local.open_store() as store:
        if version is None:
            range_run(store, config, *span).score(lineage_of(lineage), force=True)
            say_no_champion(store, dataset, lineage, *span)
            say_failed(store, dataset, lineage, *span)
        else:
            show_what_if(store, config, version, *span)


def show_what_if(
    store: Store, config: DatasetConfig, version: int, start_at: datetime, end_at: datetime
) -> None:
    """A range scored by a version of one's choice, beside what was said."""
    run_id = f"cli-{store.now():%Y%m%dT%H%M%S}"
    asked = score_what_if(store, config, version, start_at=start_at, end_at=end_at, run_id=run_id)
    (n_flags, n_flags_before), (n_incidents, n_before) = asked.n_flags, asked.n_incidents
    rows = [(f"version {version}", n_flags, n_incidents), ("as it was", n_flags_before, n_before)]
    title = f"{asked.n_hours} hours of entities that both have scored"
    table(COMPARED, title, rows)
    agreed = f"They agree on {asked.n_agreed} of {asked.n_steps} steps."
    say(f"{agreed} Its rows are in lineage {asked.lineage}.")


@lists(INCIDENTS_LISTED, READINGS_LISTED, OUTSIDE_LISTED, SUPPRESSED)
def anomalies(
    dataset: Dataset,
    start: Annotated[str, Option("--from", help="Start of the range.")] = "2000-01-01",
    end: Annotated[str, Option("--to", help="End of the range.")] = "2100-01-01",
    lineage: Lineage = LIVE,
    readings: Annotated[bool, Option(help="Single flagged readings instead of incidents.")] = False,
    n: Count = 30,
) -> None:
    """List incidents, those that maintenance suppresses apart, or single anomalies, newest
    first.
    """
    start_at, end_at = interval(start, end)
    params: dict[str, Any] = {"dataset": dataset, "lineage": lineage_of(lineage), "n": n}
    params |= {"start_at": start_at, "end_at": end_at}
    suppressed: Sequence[dict[str, Any]] = ()
    outside: Sequence[dict[str, Any]] = ()
    with local.open_store() as store, store.transaction():
        row, ends = select_dataset(store, dataset), {"start_at": start_at, "end_at": end_at}
        missing = no_champion(store, row, lineage=lineage, **ends)
        has_scores = store.one(HAS_SCORES, dataset=dataset, lineage=lineage, **ends)
        if readings:
            rows = store.rows(READINGS, **params)
        else:
            rows = store.rows(INCIDENTS, **params, suppressed=False)
            suppressed = store.rows(INCIDENTS, **params, suppressed=True)
            outside = store.rows(OUTSIDE, **params)
    nothing = "No anomalies in this range." if has_scores else NOTHING_SCORED
    listed = READINGS_LISTED if readings else INCIDENTS_LISTED
    list_rows(listed, dataset, rows, nothing)
    if rows and row.site_zone != "UTC":
        say(f"The page, the PDF and messages show them on the clock of {row.site_zone}.")
    if missing is not None:
        say_lines(missing.text)
    if outside:
        table(OUTSIDE_LISTED, "Training never saw such", outside)
    if suppressed:
        title = f"{len(suppressed)} suppressed by maintenance"
        table(SUPPRESSED, title, suppressed)


@lists(WEEKS_LISTED)
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
    period = timedelta(seconds=seconds("--every", every))
    with local.open_store() as store:
        range_run(store, config, *span).ingest()
        if replay:
            show_replay(Replay(store, config, *span, artifacts_root(), period, say=say))


def show_replay(replay: Replay) -> None:
    """Replays a range and shows what came of it, week by week."""
    from tsad_tasks.reporting.period.report import render_period

    config, first_at, end_at = replay.config, replay.first_at, replay.end_at
    done_at = first_at
    with progress("replay", max(1, (end_at - first_at) // HOUR)) as advance:

        def advanced(at: datetime) -> None:
            nonlocal done_at
            advance((at - done_at) // HOUR, f"{at:%Y-%m-%d %H:%M}")
            done_at = at

        replay.advance = advanced
        replay.run()
    span: dict[str, Any] = {"start_at": first_at, "end_at": end_at}
    with replay.store.transaction():
        rows = replay.store.rows(WEEKS, dataset=config.dataset, lineage=LINEAGE, **span)
    table(WEEKS_LISTED, f"{config.dataset}, as if it had run", rows)
    say_report(render_period(replay.store, config, lineage=LINEAGE, **span))
