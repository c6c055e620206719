"""`tsad ingest` and `tsad load-csv`: readings into the warehouse, and files into source tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from devstack import local
from tsad_tasks.cli.options import Dataset, From, PlantUri, To, choice, existing_file, interval
from tsad_tasks.cli.screen import progress, say, say_counts, working
from tsad_tasks.config import DEMO_CONNECTION, DatasetConfig, config_of
from tsad_tasks.pipeline.ranges import RangeRun
from tsad_tasks.storage.store import Store

UNITS = ("s", "ms", "us", "ns")
MODES = ("create", "append", "replace")


def range_run(
    store: Store,
    config: DatasetConfig,
    start_at: datetime,
    end_at: datetime,
    *,
    is_recorded: bool = True,
) -> RangeRun:
    """A run over a range that the screen shows, and `run_status` keeps where it is recorded."""
    uris = local.source_uris(config)
    run = RangeRun(store, config, uris, start_at, end_at, progress, say_counts, say)
    return run if is_recorded else replace(run, run_id=None)


def ingest(
    dataset: Dataset,
    start: From,
    end: To,
    force: Annotated[bool, Option(help="Read the range again, whatever the ledger says.")] = False,
) -> None:
    """Bring readings of a range into the warehouse."""
    config, span = config_of(dataset), interval(start, end)
    with local.open_store() as store:
        range_run(store, config, *span).ingest(force=force)


def load_csv(
    path: Annotated[Path, Argument(help="CSV (also .gz) or parquet file.")],
    into: Annotated[
        str, Option("--table", help="Source table, such as plant.ambient; made when missing.")
    ],
    time_column: Annotated[str, Option(help="Column with the time of the reading.")] = "timestamp",
    unit: Annotated[str | None, Option(help="Unit of integer epochs: s, ms, us, ns.")] = None,
    zone: Annotated[str, Option(help="Zone of times without an offset.")] = "UTC",
    delimiter: Annotated[str, Option(help="Delimiter of a CSV file.")] = ",",
    time_format: Annotated[
        str | None,
        Option(help="How times are written, such as '%d.%m.%Y %H:%M'; default: ISO 8601."),
    ] = None,
    date_column: Annotated[
        str | None, Option(help="Column with the date, where --time-column has the time of day.")
    ] = None,
    decimal: Annotated[str, Option(help="Mark before decimals: . or ,")] = ".",
    text_column: Annotated[
        list[str] | None, Option(help="Column that stays text; may be given several times.")
    ] = None,
    entity: Annotated[str | None, Option(help="Adds a column `entity` with this name.")] = None,
    mode: Annotated[
        str, Option(help="create (refuses a table with rows), append or replace.")
    ] = "create",
    uri: PlantUri = None,
) -> None:
    """Load a file into a source table."""
    from tsad_tasks.ingest.sources.postgres_tables.load_table import LoadOptions, load_table
    from tsad_tasks.ingest.sources.postgres_tables.tables import split_name

    existing_file(path)
    target, epochs = uri or local.ensure_plant().owner_uri, choice("--unit", unit, UNITS)
    options = LoadOptions(
        time_column,
        epochs,
        zone,
        time_format,
        delimiter,
        entity=entity,
        text_columns=tuple(text_column or ()),
        date_column=date_column,
        decimal=choice("--decimal", decimal, (".", ",")),
    )
    chosen = choice("--mode", mode, MODES)
    with working(str(path)) as shown:

        def advance(n_rows: int) -> None:
            shown.update(f"{n_rows:,} rows read")

        loaded = load_table(target, path, into, options, mode=chosen, progress=advance)
    say(f"{loaded.table}: {loaded.n_rows:,} rows, {loaded.n_empty:,} empty values")
    say("Columns: " + ", ".join(f"{name} {kind}" for name, kind in loaded.columns.items()))
    if uri is None:
        local.let_read(*split_name(loaded.table))
        say(f"In a dataset file: source: {{connection: {DEMO_CONNECTION}, tables: {loaded.table}}}")
