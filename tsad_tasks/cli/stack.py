"""`tsad up`, `down`, `status` and `migrate`: the stack of one machine, and the warehouse."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from devstack import local, postgres
from tsad_tasks.base.places import postgres_folder
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, say, say_lines, say_login, table
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query

OVERVIEW = Query("cli/select_dataset_overview", dict)
DATASETS = Listing(
    "datasets",
    (
        "dataset", "n_entities", "newest_reading_at", "newest_score_at", "n_open",
        "champion", "last_problem",
    ),
    (
        "dataset", "entities", "newest reading", "newest score", "open incidents",
        "champion", "last problem",
    ),
    right=("n_entities", "n_open"),
)  # fmt: skip


def up(
    port: Annotated[int, Option(min=1, max=65535, help="Port of the UI on 127.0.0.1.")] = 8080,
) -> None:
    """Start Postgres and Airflow with its UI; prints the generated password once."""
    from devstack import stack

    local.warehouse()
    local.offer_plant()
    running = stack.up(local.places(), port=port, progress=say)
    say(f"Airflow: {running.url}  user {running.admin}")
    say(f"Page:    {running.url}/plugin/anomalies")
    if running.new_admin_password:
        path = local.places().password_path
        say_login(f"Password (shown this once; kept in {path}): {running.new_admin_password}")
    say("Stop with: tsad down")


def down() -> None:
    """Stop Airflow and the embedded Postgres, leaving no process behind."""
    from devstack import stack

    say(f"Stopped. {stack.down(local.places().home)} Airflow processes ended.")


@lists(DATASETS)
def status() -> None:
    """Say what runs, and what each dataset last did."""
    from devstack import stack

    running = stack.status(local.places().home)
    healthy = f"{', '.join(running.healthy)} healthy at {running.url}"
    say(f"Airflow: {healthy if running.healthy else 'not running'}")
    say(f"Postgres: {f'port {running.postgres_port}' if running.postgres_port else 'not running'}")
    if running.postgres_port is None and not local.has_own_warehouse():
        return
    if running.postgres_port is not None:
        cluster = postgres.ensure_running(postgres_folder())
        uri = cluster.uri(postgres.WAREHOUSE, postgres.BROWSER)
        say_login(f"SQL: {postgres.psql_path()} '{uri}'")
    with local.open_store() as store, store.transaction():
        overview = store.rows(OVERVIEW)
        known = [select_dataset(store, row["dataset"]) for row in overview]
        missing = [one for dataset in known if (one := no_champion(store, dataset))]
    if overview:
        table(DATASETS, "Datasets", overview)
    for one in missing:
        say_lines(one.text)


def migrate(
    uri: Annotated[
        str | None,
        Option(help="URI of an owner; default: TSAD_MIGRATE_URI or the embedded server."),
    ] = None,
    writer: Annotated[
        str | None, Option(help="Login role that the pipeline uses: joins tsad_writer.")
    ] = None,
    reader: Annotated[str | None, Option(help="Login role that reads: joins tsad_reader.")] = None,
    operator: Annotated[
        str | None,
        Option(help="Login role of whoever gives verdicts and maintenance: joins tsad_operator."),
    ] = None,
) -> None:
    """Bring the warehouse to the newest schema."""
    from tsad_tasks.storage import migrate as schema

    owner_uri = uri or local.warehouse().owner_uri
    revision = schema.migrate(owner_uri, writer=writer, reader=reader, operator=operator)
    say(f"Schema {revision}.")
    if statements := schema.advice(owner_uri):
        say("So that no login uses up the server or holds up the pipeline, a superuser runs:")
        for statement in statements:
            say(f"  {statement};")
