"""`tsad verdict`, `new-normal`, `label`, `labels`, `maintenance`, `epoch`: what people say."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from devstack import local
from tsad_tasks.base.enums import Verdict
from tsad_tasks.base.interval import hour_floor, moment
from tsad_tasks.cli.options import Dataset, existing_file, interval, seconds
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, list_rows, say
from tsad_tasks.config import config_of
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query
from tsad_tasks.text.words import VERDICT_TITLES, verdict_of, verdict_title

epoch = typer.Typer(no_args_is_help=True, help="Sensors that changed: add, list, withdraw.")
maintenance = typer.Typer(no_args_is_help=True, help="Maintenance windows: add, list, withdraw.")

Entity = Annotated[str, Argument(help="Machine or host.")]
From = Annotated[str, Option("--from", help="Start, such as 2026-03-01T06:00 (included).")]
To = Annotated[str, Option("--to", help="End (not included).")]
Note = Annotated[str, Option(help="More in words.")]
By = Annotated[str | None, Option(help="Who says so; default: your login.")]
Channel = Annotated[
    str | None, Option(help="The channel that is meant; default: all of the entity.")
]

_VERDICTS = ", ".join(
    f"{one} (real fault)" if one is Verdict.CONFIRMED else str(one) for one in VERDICT_TITLES
)
LABELS = Query("cli/select_label_list", dict)
WINDOWS = Query("cli/select_maintenance_list", dict)
EPOCHS = Query("cli/select_channel_epoch_list", dict)
LABELS_LISTED = Listing(
    "labels",
    (
        "label_id", "entity", "start_at", "end_at", "kind", "origin", "note",
        "withdrawn_by", "withdrawn_at",
    ),
)  # fmt: skip
WINDOWS_LISTED = Listing(
    "maintenance",
    (
        "window_id", "title", "entity", "start_at", "end_at", "rrule", "zone", "created_by",
        "withdrawn_at",
    ),
)  # fmt: skip
EPOCHS_LISTED = Listing(
    "changes",
    (
        "epoch_id", "entity", "channel", "kind", "from_at", "scale", "offset", "usable_at",
        "n_running_hours", "needed_hours", "reason", "withdrawn_at",
    ),
)  # fmt: skip


def list_said(
    listing: Listing, dataset: str, query: Query[dict[str, Any]], title: str, nothing: str
) -> None:
    """Shows what people said, as a table; in words where there is nothing."""
    with local.open_store() as store, store.transaction():
        rows = store.rows(query, dataset=select_dataset(store, dataset).name)
    list_rows(listing, f"{title} of {dataset}", rows, f"{nothing} of {dataset}.")


def verdict(
    incident: Annotated[str, Argument(help="incident_id, as tsad anomalies lists it.")],
    word: Annotated[str, Argument(metavar="VERDICT", help=f"{_VERDICTS}; withdraw.")],
    note: Note = "",
    by: By = None,
    channel: Channel = None,
) -> None:
    """Say what an incident was; the latest word counts.

    What is confirmed, expected or a sensor fault is kept out of trainings; a false alarm and a new
    normal are learned.
    """
    from tsad_tasks.feedback.verdicts import set_verdict, withdraw_verdict

    with local.open_store() as store:
        if word == "withdraw":
            say(f"Verdict {withdraw_verdict(store, incident)} withdrawn.")
            return
        chosen = verdict_of(word)
        said = set_verdict(
            store, incident, chosen, said_by=by or getpass.getuser(), note=note, channel=channel
        )
    title = verdict_title(chosen).lower()
    say(f"Verdict {said['verdict_id']}: {incident} is {chosen} ({title} on page and PDF).")


def new_normal(
    dataset: Dataset,
    entity: Entity,
    start: From,
    end: To,
    note: Note = "",
    by: By = None,
    channel: Channel = None,
) -> None:
    """Say that a shift which no incident tells is normal from then on; its commissioning reference
    is made anew.
    """
    from tsad_tasks.feedback.verdicts import add_verdict

    span, name, who = interval(start, end), config_of(dataset).dataset, by or getpass.getuser()
    said: dict[str, Any] = {"said_by": who, "note": note, "channel": channel}
    with local.open_store() as store:
        key = add_verdict(store, name, entity, *span, Verdict.NEW_NORMAL, **said)
    say(f"Verdict {key}: {entity} is at its new normal.")


def label(
    dataset: Dataset,
    entity: Entity,
    start: From,
    end: To,
    kind: Annotated[str, Option(help="Kind of anomaly.")] = "anomaly",
    note: Note = "",
) -> None:
    """Name a known anomaly: kept out of trainings, and a test for models."""
    from tsad_tasks.feedback.labels import add_label

    span = interval(start, end)
    with local.open_store() as store:
        key = add_label(store, config_of(dataset).dataset, entity, *span, kind=kind, note=note)
    say(f"Label {key}: {entity}, {kind}.")


@lists(LABELS_LISTED)
def labels(
    dataset: Dataset,
    csv: Annotated[
        Path | None,
        Option(help="Take those of a file: entity, start_at, end_at, kind, note; all or none."),
    ] = None,
    withdraw: Annotated[int | None, Option(help="Take one back: its number.")] = None,
    by: By = None,
) -> None:
    """List known anomalies, take those of a file, or take one back."""
    from tsad_tasks.feedback.labels import add_labels, withdraw_label

    name = config_of(dataset).dataset
    if csv is None and withdraw is None:
        list_said(LABELS_LISTED, name, LABELS, "Labels", "No labels")
        return
    with local.open_store() as store:
        if withdraw is not None:
            withdraw_label(store, name, withdraw, withdrawn_by=by or getpass.getuser())
            say(f"Label {withdraw} withdrawn.")
        if csv is not None:
            path = existing_file(csv)
            say(f"{add_labels(store, name, path, moment)} labels of {path}.")


@maintenance.command("add")
def add_window(
    dataset: Dataset,
    start: From,
    end: To,
    title: Annotated[str, Option(help="What is done.")],
    entity: Annotated[str | None, Option(help="Machine or host; default: all.")] = None,
    rrule: Annotated[
        str | None, Option(help="How it recurs (RFC 5545), such as FREQ=WEEKLY;BYDAY=SU.")
    ] = None,
    zone: Annotated[
        str | None, Option(help="Zone in which it recurs; default: the dataset's site_zone.")
    ] = None,
    before: Annotated[str, Option(help="What counts as inside before it, such as 15min.")] = "0",
    after: Annotated[str, Option(help="What counts as inside after it.")] = "0",
    by: By = None,
) -> None:
    """Add a maintenance window, for the past too: incidents wholly inside do not alert, nothing in
    it is learned.
    """
    from tsad_tasks.feedback.maintenance import add_maintenance

    span, name, who = interval(start, end), config_of(dataset).dataset, by or getpass.getuser()
    options: dict[str, Any] = {"entity": entity, "rrule": rrule, "zone": zone, "created_by": who}
    options["margin_before_s"] = seconds("--before", before)
    options["margin_after_s"] = seconds("--after", after)
    with local.open_store() as store:
        window_id, n_changed = add_maintenance(store, name, *span, title, **options)
    say(f"Maintenance {window_id}: {title}. Incidents marked anew: {n_changed}.")


@maintenance.command("list")
@lists(WINDOWS_LISTED)
def list_windows(dataset: Dataset) -> None:
    """List maintenance windows, the newest first."""
    list_said(WINDOWS_LISTED, dataset, WINDOWS, "Maintenance", "No maintenance windows")


@maintenance.command("withdraw")
def withdraw_window(dataset: Dataset, window: Annotated[int, Argument(help="Its number.")]) -> None:
    """Take back a maintenance window; its incidents count again."""
    from tsad_tasks.feedback.maintenance import withdraw_maintenance

    with local.open_store() as store:
        n_changed = withdraw_maintenance(store, config_of(dataset).dataset, window)
    say(f"Maintenance {window} withdrawn. Incidents marked anew: {n_changed}.")


@epoch.command("add")
def add_epoch(
    dataset: Dataset,
    entity: Entity,
    channel: Annotated[str, Argument(help="The sensor.")],
    start: Annotated[
        str, Option("--from", help="From when on it is another one, such as 2026-03-01T06:00.")
    ],
    kind: Annotated[str, Option(help="replaced, recalibrated or unit.")],
    why: Annotated[str, Option(help="The reason.")],
    scale: Annotated[float | None, Option(help="Former terms = value * scale + offset.")] = None,
    offset: Annotated[float | None, Option(help="Former terms = value * scale + offset.")] = None,
    by: By = None,
) -> None:
    """Say that a sensor changed: it is converted by scale and offset, else unknown until these were
    learned.

    What was scored since then is scored anew as far back as readings may still change; further
    back: tsad rescore.
    """
    from tsad_tasks.feedback.sensor_changes import add_sensor_change

    name, from_at = config_of(dataset).dataset, moment(start)
    said: dict[str, Any] = {"scale": scale, "offset": offset, "said_by": by or getpass.getuser()}
    with local.open_store() as store:
        key = add_sensor_change(store, name, entity, channel, from_at, kind, why, **said)
        now = hour_floor(store.now())
    say(f"Change {key}: {entity} {channel}, {kind} at {from_at:%Y-%m-%d %H:%M} UTC.")
    if from_at < now:
        again = f"tsad rescore {name} --from {from_at:%Y-%m-%dT%H:%MZ} --to {now:%Y-%m-%dT%H:%MZ}"
        say(f"Score what came since then: {again}")


@epoch.command("list")
@lists(EPOCHS_LISTED)
def list_epochs(dataset: Dataset) -> None:
    """List the changes of a dataset's sensors, the newest first."""
    list_said(EPOCHS_LISTED, dataset, EPOCHS, "Changed sensors", "No changed sensors")


@epoch.command("withdraw")
def withdraw_epoch(dataset: Dataset, number: Annotated[int, Argument(help="Its number.")]) -> None:
    """Take back a change of a sensor."""
    from tsad_tasks.feedback.sensor_changes import withdraw_sensor_change

    with local.open_store() as store:
        withdraw_sensor_change(store, config_of(dataset).dataset, number)
    say(f"Change {number} withdrawn.")
