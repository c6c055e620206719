"""`tsad rehearse`: what the pipeline would have said of one's own past, on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

from typer import Option

from devstack import local
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR, hour_floor, hours_later, moment
from tsad_tasks.cli.ingest import range_run
from tsad_tasks.cli.options import Dataset, existing_file, moment_or_none, seconds
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, Shown, is_for_programs, progress, say, table
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.feedback.faults import Fault, known_faults
from tsad_tasks.pipeline.queries import SELECT_LEDGER_SPAN
from tsad_tasks.pipeline.rehearsal import (
    FoundFault,
    Rehearsal,
    Rehearsed,
    Tried,
    remove_rehearsal,
)
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import counted, duration_text, share_text

SPAN = Listing(
    "range", ("start_at", "end_at", "n_machines", "n_trained", "n_champions", "scored_share")
)
FAULTS = Listing(
    "failures",
    (
        "machine", "start_at", "after_s", "earlier_s", "note", "end_at", "found", "in_range",
        "in_maintenance",
    ),
    ("machine", "from", "first alarm", "and before", "note"),
)  # fmt: skip
SENSITIVITIES = Listing(
    "sensitivities",
    (
        "sensitivity", "alarms_per_week", "n_found", "median_delay_s", "setting", "n_alarms",
        "n_other_alarms", "n_known", "is_set",
    ),
    ("sensitivity", "a week", "found", "first alarm", "in the dataset file"),
    right=("alarms_per_week", "n_found"),
)  # fmt: skip
MACHINES = Listing(
    "machines",
    ("machine", "n_alarms", "alarms_per_week", "worst"),
    ("machine", "alarms", "a week", "worst"),
    right=("n_alarms", "alarms_per_week"),
)
WORST = Listing(
    "incidents",
    (
        "severity",
        "started_at",
        "sentence",
        "machine",
        "last_flag_at",
        "times_threshold",
        "incident_id",
    ),
    ("severity", "since", "what"),
)
MANY_MACHINES = 10


@lists(SPAN, FAULTS, SENSITIVITIES, MACHINES, WORST)
def rehearse(
    dataset: Dataset,
    start: Annotated[
        str | None,
        Option("--from", help="From here on it is scored; what lies before is learned from."),
    ] = None,
    end: Annotated[str | None, Option("--to", help="End; default: the newest reading.")] = None,
    known: Annotated[
        Path | None, Option(help="Known failures, a CSV file: machine, start, end, note.")
    ] = None,
    before: Annotated[
        str, Option(help="Alarms so long before a failure are shown beside it.")
    ] = "1d",
    every: Annotated[str, Option(help="Time between trainings, such as 7d.")] = "7d",
    ingest: Annotated[
        bool, Option(help="Read what is missing from the source; else what was ingested is used.")
    ] = True,
    remove: Annotated[
        bool, Option("--remove", help="Only remove what the last rehearsal left.")
    ] = False,
) -> None:
    """Rehearse on one's own past: which known failures would have been found, how soon, and with
    how many alarms a week at three sensitivities.

    Nothing of it is live: no anomaly, champion or message. A second rehearsal takes the place of
    the first; --remove takes that away, too.

    \b
    tsad rehearse server_room --from 2026-03-01 --known failures.csv
    tsad rehearse server_room --remove
    """
    config, path = config_of(dataset), existing_file(known) if known else None
    if remove:
        with local.open_store() as store:
            n_models = remove_rehearsal(store, config, artifacts_root())
        say(f"Removed: {counted(n_models, 'model')} of a rehearsal of {dataset}, and their rows.")
        return
    if start is None:
        raise BadInput("Expected --from: where the rehearsal begins. Received: nothing.")
    start_at, end_at = moment(start), moment_or_none(end)
    if end_at is not None and start_at >= end_at:
        raise BadInput(f"Expected --from before --to. Received: {start} and {end}.")
    apart: dict[str, Any] = {
        "every": timedelta(seconds=seconds("--every", every)),
        "before": timedelta(seconds=seconds("--before", before)),
    }
    if apart["every"] < HOUR or apart["every"] % HOUR:
        raise BadInput(f"--every: Expected whole hours, such as 7d. Received: {every}.")
    with local.open_store() as store:
        end_at = end_at or _newest_end(store, config, start_at)
        # Before anything is read: hours of the future would be hours without a reading.
        if start_at >= end_at:
            newest = f"the newest hour that can have readings, {end_at:%Y-%m-%d %H:%M} UTC"
            raise BadInput(f"Expected --from before {newest}. Received: {start}.")
        learned_from = start_at - timedelta(seconds=config.training.range_s)
        # What is wrong in the file is told before anything is read, as far as machines are known.
        if path:
            is_read = not ingest or _is_read(store, config, learned_from, end_at)
            _faults(store, config, path, is_read=is_read)
        if ingest:
            range_run(store, config, learned_from, end_at, is_recorded=False).ingest()
        faults = _faults(store, config, path) if path else []
        rehearsal = Rehearsal(store, config, start_at, end_at, artifacts_root(), **apart, say=say)
        found = _run(rehearsal, faults)
    show(found, config, before)


def _newest_end(store: Store, config: DatasetConfig, start_at: datetime) -> datetime:
    """The end of the newest hour with readings; now, where none was read yet."""
    now = hour_floor(local.now())
    with store.transaction():
        try:
            dataset_id = select_dataset(store, config.dataset).dataset_id
        except BadInput:
            return now
        span = {"start_at": start_at, "end_at": hours_later(now, 1)}
        newest = store.one(SELECT_LEDGER_SPAN, dataset_id=dataset_id, **span).last_at
    return now if newest is None else hours_later(newest, 1)


def _is_read(store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime) -> bool:
    """Whether the warehouse has a range from end to end, and so every machine in it."""
    ends = {"start_at": start_at, "end_at": end_at}
    with store.transaction():
        try:
            dataset_id = select_dataset(store, config.dataset).dataset_id
        except BadInput:
            return False
        span = store.one(SELECT_LEDGER_SPAN, dataset_id=dataset_id, **ends)
    if span.first_at is None or span.last_at is None:
        return False
    return span.first_at <= start_at and hours_later(span.last_at, 1) >= end_at


def _faults(
    store: Store, config: DatasetConfig, path: Path, *, is_read: bool = True
) -> list[Fault]:
    """The faults of a file, of the machines that there are once their readings are read."""
    names = None
    if is_read:
        with store.transaction():
            names = select_entities(store, select_dataset(store, config.dataset).dataset_id)
    return known_faults(path, names, moment)


def _run(rehearsal: Rehearsal, faults: list[Fault]) -> Rehearsed:
    """Runs it under a bar, with a word on how long it takes once a training says."""
    replay = rehearsal.replay()
    done_at, n_hours = replay.begins_at, (rehearsal.end_at - replay.begins_at) // HOUR
    n_trainings = 1 + max(0, n_hours - 1) * HOUR // rehearsal.every
    young = " (more while it is young)" if replay.young_at else ""
    hours = f"{counted(n_hours, 'hour')} to be scored"
    say(f"{counted(n_trainings, 'training')}{young}, {hours}.")
    began_s, n_done = monotonic(), 0
    with progress("rehearsal", max(1, n_hours)) as advance:

        def advanced(at: datetime) -> None:
            nonlocal done_at
            left = f", {counted(n_trainings - n_done, 'training')} to come"
            to_come = left if n_trainings > n_done else ""
            advance((at - done_at) // HOUR, f"{at:%Y-%m-%d %H:%M}{to_come}")
            done_at = at

        def trained() -> None:
            nonlocal n_done
            n_done += 1
            advance(0, "trained")
            if n_done == 1:
                took_s = monotonic() - began_s
                more_s = took_s * (n_trainings - 1)
                left = "the scoring is left"
                if n_trainings > 1:
                    left = f"{n_trainings - 1} more to come: about {duration_text(more_s)}"
                    left += ", and the scoring"
                say(f"The first training took {duration_text(took_s)}; {left}.")

        rehearsal.advance, rehearsal.trained = advanced, trained
        return rehearsal.run(faults)


def show(found: Rehearsed, config: DatasetConfig, before: str) -> None:
    """What a rehearsal found, for one screen."""
    span = f"{found.start_at:%Y-%m-%d %H:%M} to {found.end_at:%Y-%m-%d %H:%M} UTC"
    watched = f"{share_text(found.scored_share)} of their hours scored"
    models = f"{counted(found.n_trained, 'model')} trained, {found.n_champions} of them champion"
    say("")
    say(f"Rehearsal of {config.dataset}, {span}")
    say(f"{counted(found.n_entities, 'machine')}, {watched}; {models}.")
    if is_for_programs():
        numbers = found.n_entities, found.n_trained, found.n_champions, found.scored_share
        table(SPAN, "", [(found.start_at, found.end_at, *numbers)])
    as_set = found.as_set
    if as_set.faults or found.outside:
        rows = [_fault_row(one, in_range=True) for one in as_set.faults]
        rows += [_fault_row(FoundFault(one, None), in_range=False) for one in found.outside]
        n_found = f"{as_set.n_found} of {len(as_set.faults)} known failures found"
        say("")
        table(FAULTS, n_found, rows)
    say("")
    table(SENSITIVITIES, "Alarms a week", [_tried_row(one, found.weeks) for one in found.tried])
    if same := _same_words(found.tried):
        say(same)
    say("")
    if found.machines:
        shown = found.machines if is_for_programs() else found.machines[:MANY_MACHINES]
        n_silent = found.n_entities - len(found.machines)
        silent = f"; {n_silent} of {found.n_entities} never" if n_silent else ""
        table(MACHINES, f"Machines that alarm most{silent}", shown)
        say("")
        worst = [
            (
                *one[2:4],
                one.sentence,
                one.entity,
                one.last_flag_at,
                1 + one.peak_score,
                one.incident_id,
            )
            for one in found.worst
        ]
        table(WORST, f"The worst of {counted(len(as_set.alarms), 'incident')}", worst)
    else:
        say("No machine alarms with the dataset file as it is.")
    say("")
    for note in found.notes:
        say(note)
    if as_set.faults:
        before_s = duration_text(seconds("--before", before))
        say("First alarm: its first strange reading, from the failure's start on; an hourly")
        say(f"run tells it within the hour. And before: over by then, in the {before_s} before.")
    say(f"Nothing of this is live. Remove it: tsad rehearse {config.dataset} --remove")


def _fault_row(one: FoundFault, *, in_range: bool) -> tuple[Any, ...]:
    fault, is_found = one.fault, one.delay_s is not None
    earlier = Shown(one.earlier_s, duration_text(one.earlier_s) if one.earlier_s else "")
    missed = "not found; in maintenance" if one.in_maintenance else "not found"
    when = _delay_text(one.delay_s) or missed if in_range else "not in this range"
    found = is_found if in_range else None
    first = fault.machine, fault.start_at, Shown(one.delay_s, when), earlier
    return (*first, fault.note, fault.end_at, found, in_range, one.in_maintenance)


def _tried_row(tried: Tried, weeks: float) -> tuple[Any, ...]:
    n, n_known = len(tried.alarms), len(tried.faults)
    sensitivity, delay_s = tried.sensitivity, tried.median_delay_s
    found = Shown(tried.n_found, f"{tried.n_found} of {n_known}" if n_known else None)
    rate, delay = Shown(n / weeks, f"{n / weeks:.1f}"), Shown(delay_s, _delay_text(delay_s))
    more = n, tried.n_other, n_known, sensitivity.is_set
    return (sensitivity.name, rate, found, delay, sensitivity.setting, *more)


def _same_words(tried: Sequence[Tried]) -> str | None:
    """Why all sensitivities give the same row; None: they do not."""
    if len({(len(one.alarms), one.n_found, one.median_delay_s) for one in tried}) > 1:
        return None
    if not tried[0].alarms:
        return "All three find the same: nothing reaches even the lowest of their limits."
    why = "what is strange here is above the highest of their limits"
    return f"All three find the same: {why}, and nothing else reaches the lowest."


def _delay_text(delay_s: float | None) -> str | None:
    """When the first alarm comes, seen from the start of the failure.

    >>> _delay_text(600.0), _delay_text(0.0), _delay_text(-7200.0), _delay_text(None)
    ('10 min after', 'at once', '2 h before', None)
    """
    if delay_s is None or delay_s == 0:
        return None if delay_s is None else "at once"
    return f"{duration_text(abs(delay_s))} {'after' if delay_s > 0 else 'before'}"
