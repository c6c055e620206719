"""The commands."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.interval import day_chunks, moment
from tsad_tasks.cli import session
from tsad_tasks.cli.evaluation import evaluate, explore
from tsad_tasks.cli.models import models, promote, prune, rollback, shadow, show_what_if
from tsad_tasks.cli.notifying import notify
from tsad_tasks.cli.screen import console, progress, say, say_counts, table
from tsad_tasks.cli.words import epoch, label, labels, maintenance, new_normal, verdict
from tsad_tasks.config import DatasetConfig, json_schema
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.paths import artifacts_root, config_of, dataset_paths, named_config
from tsad_tasks.storage.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Hourly anomaly scoring of sensor tables in Postgres. Times are UTC unless they carry an "
    "offset.",
)
datasets = typer.Typer(
    no_args_is_help=True, help="Dataset files: list, check against live tables, JSON schema."
)
app.add_typer(datasets, name="datasets")
for command in (evaluate, explore, models, shadow, promote, rollback, prune, notify):
    app.command()(command)
app.command()(verdict)
app.command()(label)
app.command()(labels)
app.command("new-normal")(new_normal)
app.add_typer(maintenance, name="maintenance")
app.add_typer(epoch, name="epoch")

Dataset = Annotated[str, typer.Argument(help="Name of a dataset file, such as server_room.")]
From = Annotated[
    str, typer.Option("--from", help="Start of the range, such as 2026-03-01T00:00 (included).")
]
To = Annotated[str, typer.Option("--to", help="End of the range (not included).")]
Lineage = Annotated[
    str, typer.Option(help="live: what people see; replay: what backfilled retrainings say.")
]

_MAX_VALUES = 30_000_000


def _lineage(name: str) -> str:
    if name not in ("live", "replay"):
        raise BadInput(f"--lineage: Expected live or replay. Received: {name}.")
    return name


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, help="Days of simulated readings.")] = 45,
    hours: Annotated[
        int, typer.Option(min=1, help="Last hours to be scored through the real DAGs.")
    ] = 48,
) -> None:
    """Simulate a server room, train, score the last hours through real Airflow DAGs, and write the
    PDF.
    """
    from tsad_tasks.cli.demo import run_demo

    run_demo(days=days, n_hours=hours)


@app.command()
def simulate(
    plant: Annotated[str, typer.Argument(help="server_room, cold_store, pumps or all.")] = "all",
    days: Annotated[int, typer.Option(min=1, help="Days of readings.")] = 33,
    uri: Annotated[
        str | None,
        typer.Option(help="Database of the tables; default: the embedded server's plant."),
    ] = None,
) -> None:
    """Fill the source tables of an example dataset with simulated readings and known anomalies."""
    from tsad_tasks.cli.simulated import PLANTS, show_simulated

    known = _choice("PLANT", plant, (*PLANTS, "all"))
    target = uri or session.ensure_plant().owner_uri
    for name in PLANTS if known == "all" else (known,):
        show_simulated(name, target, days=days)


@app.command()
def up(
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the UI on 127.0.0.1.")
    ] = 8080,
) -> None:
    """Start Postgres and Airflow with its UI; prints the generated password once."""
    from devstack import stack

    session.warehouse()
    session.offer_plant()
    status = stack.up(session.places(), port=port, progress=say)
    say(f"Airflow: {status.url}  user {status.admin}")
    if status.new_admin_password:
        say(
            f"Password (shown this once; kept in {session.places().password_path}): "
            f"{status.new_admin_password}"
        )
    say("Stop with: tsad down")


@app.command()
def down() -> None:
    """Stop Airflow and the embedded Postgres, leaving no process behind."""
    from devstack import stack

    say(f"Stopped. {stack.down(session.places().home)} Airflow processes ended.")


@app.command()
def status() -> None:
    """Say what runs, and what each dataset last did."""
    from devstack import stack

    found = stack.status(session.places().home)
    say(
        f"Airflow: {', '.join(found.healthy) + ' healthy at ' + found.url if found.healthy else 'not running'}"
    )
    say(f"Postgres: {f'port {found.postgres_port}' if found.postgres_port else 'not running'}")
    if found.postgres_port is None and not session.has_own_warehouse():
        return
    with session.open_store() as store, store.transaction():
        rows = store.records("select_dataset_overview", {})
    columns = (
        "dataset",
        "entities",
        "newest reading",
        "newest score",
        "open incidents",
        "last problem",
    )
    if rows:
        table(
            "Datasets",
            columns,
            [tuple(row.values()) for row in rows],
            right=("entities", "open incidents"),
        )


@app.command()
def migrate(
    uri: Annotated[
        str | None,
        typer.Option(help="URI of an owner; default: TSAD_MIGRATE_URI or the embedded server."),
    ] = None,
    writer: Annotated[
        str | None, typer.Option(help="Login role that the pipeline uses: joins tsad_writer.")
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="Login role that people use: joins tsad_reader.")
    ] = None,
) -> None:
    """Bring the warehouse to the newest schema."""
    from tsad_tasks.storage.migrate import migrate as run

    say(f"Schema {run(uri or session.warehouse().owner_uri, writer=writer, reader=reader)}.")


@app.command("load-csv")
def load_csv(
    path: Annotated[Path, typer.Argument(help="CSV (also .gz) or parquet file.")],
    into: Annotated[
        str, typer.Option("--table", help="Source table, such as plant.ambient; made when missing.")
    ],
    time_column: Annotated[
        str, typer.Option(help="Column with the time of the reading.")
    ] = "timestamp",
    unit: Annotated[str | None, typer.Option(help="Unit of integer epochs: s, ms, us, ns.")] = None,
    zone: Annotated[str, typer.Option(help="Zone of times without an offset.")] = "UTC",
    delimiter: Annotated[str, typer.Option(help="Delimiter of a CSV file.")] = ",",
    entity: Annotated[
        str | None, typer.Option(help="Adds a column `entity` with this name.")
    ] = None,
    mode: Annotated[
        str, typer.Option(help="create (refuses a table with rows), append or replace.")
    ] = "create",
    uri: Annotated[
        str | None,
        typer.Option(help="Database of the table; default: the embedded server's plant."),
    ] = None,
) -> None:
    """Load a file into a source table."""
    from tsad_tasks.ingest.sources.load_table import LoadOptions, load_table

    session.existing_file(path)
    target = uri or session.ensure_plant().owner_uri
    options = LoadOptions(
        time_column,
        _choice("--unit", unit, ("s", "ms", "us", "ns")),
        zone,
        None,
        delimiter,
        "entity",
        entity,
    )
    with console.status("") as shown:
        chosen = _choice("--mode", mode, ("create", "append", "replace"))
        summary = load_table(
            target,
            path,
            into,
            options,
            mode=chosen,
            progress=lambda n: shown.update(f"{n:,} rows read"),
        )
    say(f"{summary.table}: {summary.n_rows:,} rows, {summary.n_empty:,} empty values")
    say("Columns: " + ", ".join(f"{name} {kind}" for name, kind in summary.columns.items()))


def _choice(option: str, value: str | None, known: tuple[str, ...]) -> Any:
    if value is not None and value not in known:
        raise BadInput(f"{option}: Expected one of {', '.join(known)}. Received: {value}.")
    return value


@datasets.command("list")
def list_datasets() -> None:
    """List the dataset files."""
    rows: list[tuple[Any, ...]] = []
    for path in dataset_paths():
        try:
            config = named_config(path)
            rows.append(
                (
                    config.dataset,
                    len(config.channel_names),
                    config.source.connection,
                    config.description,
                )
            )
        except TsadError as error:
            rows.append((path.stem, None, None, str(error)))
    table(
        "Datasets", ("dataset", "channels", "connection", "description"), rows, right=("channels",)
    )


@datasets.command()
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; default: all.")] = None,
) -> None:
    """Check dataset files against their live tables."""
    from tsad_tasks.ingest.check import check_dataset

    n_errors = 0
    for name in names or [path.stem for path in dataset_paths()]:
        try:
            config = config_of(name)
            findings = [
                (found.level, found.text)
                for found in check_dataset(config, session.source_uri(config))
            ]
        except TsadError as error:
            findings = [("error", str(error))]
        n_errors += sum(level == "error" for level, _ in findings)
        table(name, ("", ""), findings)
    if n_errors:
        raise BadInput(
            f"Expected dataset files that fit their tables. Received: {n_errors} errors, listed "
            "above."
        )


@datasets.command()
def schema() -> None:
    """Print the JSON schema of a dataset file, for editors."""
    typer.echo(json_schema(), nl=False)


@datasets.command()
def preset(
    name: Annotated[
        str | None, typer.Argument(help="Such as document_d; default: list them.")
    ] = None,
) -> None:
    """Print a dataset file to start from: tsad datasets preset document_d >
    dags/datasets/mine.yaml
    """
    from tsad_tasks.config.presets import preset_names, preset_text

    typer.echo(preset_text(name) if name else "\n".join(preset_names()), nl=name is None)


@app.command()
def ingest(
    dataset: Dataset,
    start: From,
    end: To,
    force: Annotated[
        bool, typer.Option(help="Read the range again, whatever the ledger says.")
    ] = False,
) -> None:
    """Bring readings of a range into the warehouse."""
    config, (start_at, end_at) = config_of(dataset), session.interval(start, end)
    with session.open_store() as store:
        _ingest(store, config, start_at, end_at, force=force)


def _ingest(
    store: Store, config: DatasetConfig, start_at: datetime, end_at: datetime, **options: Any
) -> None:
    from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
    from tsad_tasks.pipeline.record import recorded

    uri, summary = session.source_uri(config), IngestSummary()
    chunks = day_chunks(start_at, end_at)
    span: dict[str, Any] = {"start_at": start_at, "end_at": end_at, "run_id": _run_id()}
    with (
        recorded(store, config, "ingest", **span) as record,
        progress("ingest", len(chunks)) as advance,
    ):
        for first_at, last_at in chunks:
            summary += ingest_interval(
                store, config, uri, start_at=first_at, end_at=last_at, **options
            )
            options["history_s"] = 0
            advance(1, f"{first_at:%Y-%m-%d}")
        counts = record.add(summary)
    say_counts("ingest", counts)


def _run_id() -> str:
    return f"cli/{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


@app.command()
def retrain(
    dataset: Dataset,
    end: Annotated[str, typer.Option("--end", help="End of the rolling training range.")],
    lineage: Lineage = "live",
    seed: Annotated[int | None, typer.Option(help="Seed; default: the dataset file's.")] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would be learned, and ask.")
    ] = False,
) -> None:
    """Train a challenger on the rolling range; what passes the gate goes into the champion's
    shadow.
    """
    from tsad_tasks.cli.retraining import show_retraining

    config, end_at, lineage = config_of(dataset), moment(end), _lineage(lineage)
    with session.open_store() as store:
        start_at = end_at - timedelta(seconds=config.training.range_s)
        _ingest(store, config, start_at, end_at)
        options: dict[str, Any] = {"lineage": lineage, "seed": seed, "preview": preview}
        show_retraining(store, config, end_at, artifacts_root(), **options)


@app.command()
def history(
    dataset: Dataset,
    start: From,
    end: To,
    every: Annotated[str, typer.Option(help="Time between retrainings, such as 7d.")] = "7d",
    replay: Annotated[
        bool, typer.Option(help="Also replay it: retrain, score and promote as if it had run.")
    ] = True,
) -> None:
    """Bring in a stretch of the past, and replay it as if the pipeline had run all along;
    resumable, with its PDF.
    """
    from tsad_tasks.cli.history import show_replay

    config, (start_at, end_at) = config_of(dataset), session.interval(start, end)
    with session.open_store() as store:
        _ingest(store, config, start_at, end_at)
        if replay:
            show_replay(store, config, start_at, end_at, every=every)


@app.command()
def score(dataset: Dataset, start: From, end: To, lineage: Lineage = "live") -> None:
    """Ingest and score a range with the champion of each hour, in bulk."""
    config, (start_at, end_at) = config_of(dataset), session.interval(start, end)
    with session.open_store() as store:
        score_range(store, config, start_at, end_at, _lineage(lineage))


def score_range(
    store: Store,
    config: DatasetConfig,
    start_at: datetime,
    end_at: datetime,
    lineage: str,
    *,
    force: bool = False,
) -> None:
    """Ingests and scores a range, merges its flags, and shows the counts."""
    from tsad_tasks.pipeline.record import recorded
    from tsad_tasks.scoring.incidents import build_incidents
    from tsad_tasks.scoring.plan import history_s
    from tsad_tasks.scoring.score import ScoreSummary, score_interval

    span: dict[str, Any] = {"start_at": start_at, "end_at": end_at}
    needed_s = history_s(store, config, lineage=lineage, **span)
    _ingest(store, config, start_at, end_at, history_s=needed_s, force=force)
    chunks, summary, run_id = (
        day_chunks(start_at, end_at, days=_chunk_days(store, config)),
        ScoreSummary(),
        _run_id(),
    )
    with (
        recorded(store, config, "score", run_id=run_id, **span) as record,
        progress("score", len(chunks)) as advance,
    ):
        for first_at, last_at in chunks:
            summary += score_interval(
                store, config, start_at=first_at, end_at=last_at, lineage=lineage
            )
            advance(1, f"{first_at:%Y-%m-%d}")
        counts = record.add(summary)
    say_counts("score", counts)
    with recorded(store, config, "incidents", run_id=run_id, **span) as record:
        say_counts("incidents", record.add(build_incidents(store, config, lineage=lineage, **span)))


def _chunk_days(store: Store, config: DatasetConfig) -> int:
    """Days at a time, so that a chunk's readings stay within memory."""
    with store.transaction():
        n_entities = len(select_entities(store, select_dataset(store, config.dataset).dataset_id))
    per_day = max(1, n_entities) * len(config.channel_names) * 86400 // config.source.step_s
    return max(1, min(31, _MAX_VALUES // per_day))


@app.command()
def rescore(
    dataset: Dataset,
    start: From,
    end: To,
    lineage: Lineage = "live",
    version: Annotated[
        int | None,
        typer.Option("--what-if", help="Score with this version instead, beside what people see."),
    ] = None,
) -> None:
    """Read a range again from the source and score what has changed, as a new revision; or ask what
    a version says.
    """
    config, (start_at, end_at) = config_of(dataset), session.interval(start, end)
    with session.open_store() as store:
        if version is None:
            score_range(store, config, start_at, end_at, _lineage(lineage), force=True)
        else:
            show_what_if(store, config, version, start_at, end_at)


@app.command()
def report(
    dataset: Dataset,
    end: Annotated[str, typer.Option("--end", help="End of the period.")],
    start: Annotated[
        str | None,
        typer.Option("--from", help="Start; default: the report's period before the end."),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Where the PDF goes; default: the artifacts folder.")
    ] = None,
    lineage: Lineage = "live",
) -> None:
    """Render the PDF of a period."""
    from tsad_tasks.reporting.period.report import render_period
    from tsad_tasks.storage.artifacts import place

    config = config_of(dataset)
    start_at = moment(start) if start else None
    with session.open_store() as store:
        options: dict[str, Any] = {
            "lineage": _lineage(lineage),
            "start_at": start_at,
            "path": place(out) if out else None,
        }
        summary = render_period(store, config, end_at=moment(end), **options)
    say(f"{summary.path}: {summary.n_pages} pages, {summary.n_incidents} incidents")


@app.command()
def anomalies(
    dataset: Dataset,
    start: Annotated[str, typer.Option("--from", help="Start of the range.")] = "2000-01-01",
    end: Annotated[str, typer.Option("--to", help="End of the range.")] = "2100-01-01",
    lineage: Lineage = "live",
    readings: Annotated[
        bool, typer.Option(help="Single flagged readings instead of incidents.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, help="At most so many.")] = 30,
) -> None:
    """List incidents, those that maintenance suppresses apart, or single anomalies, newest
    first.
    """
    start_at, end_at = session.interval(start, end)
    params = {
        "dataset": dataset,
        "lineage": _lineage(lineage),
        "start_at": start_at,
        "end_at": end_at,
        "n": n,
    }
    with session.open_store() as store, store.transaction():
        select_dataset(store, dataset)
        if readings:
            rows, held = store.records("select_anomaly_list", params), []
        else:
            rows, held = (
                store.records("select_incident_list", params | {"suppressed": no})
                for no in (False, True)
            )
    if rows:
        _show_rows(f"{dataset}, UTC", _READING_COLUMNS if readings else _INCIDENT_COLUMNS, rows)
    else:
        say("No anomalies in this range.")
    if held:
        _show_rows(f"{len(held)} suppressed by maintenance, UTC", _SUPPRESSED_COLUMNS, held)


def _show_rows(title: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    table(
        title,
        columns,
        [tuple(row[column] for column in columns) for row in rows],
        right=("score", "n_flags"),
    )


_INCIDENT_COLUMNS = (
    "incident_id",
    "severity",
    "state",
    "started_at",
    "last_flag_at",
    "n_flags",
    "sentence",
    "verdict",
)
_SUPPRESSED_COLUMNS = ("incident_id", "started_at", "last_flag_at", "entity", "suppressed_by")
_READING_COLUMNS = (
    "entity",
    "at",
    "severity",
    "kind",
    "score",
    "error",
    "threshold",
    "channel",
    "actual",
    "expected",
)
