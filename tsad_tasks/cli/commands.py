"""The command `tsad`, put together: each room's commands are in a file of its name."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

from tsad_tasks.cli.champions import models, promote, prune, rollback, rules, shadow
from tsad_tasks.cli.datasets import datasets
from tsad_tasks.cli.demo import demo, simulate
from tsad_tasks.cli.feedback import epoch, label, labels, maintenance, new_normal, verdict
from tsad_tasks.cli.health import entities, health, retire, unretire
from tsad_tasks.cli.ingest import ingest, load_csv
from tsad_tasks.cli.notifications import notify
from tsad_tasks.cli.rehearsal import rehearse
from tsad_tasks.cli.reporting import evaluate, explore, report
from tsad_tasks.cli.scoring import anomalies, history, rescore, score
from tsad_tasks.cli.stack import down, migrate, status, up
from tsad_tasks.cli.training import retrain

_HELP = "Hourly anomaly scoring of sensor tables in Postgres."
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None, help=f"{_HELP} Times are UTC unless they carry an offset.",
)  # fmt: skip


def show_version(is_asked: bool) -> None:
    """Prints the version and ends, if asked."""
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"tsad {version('tsad')}")
        raise typer.Exit


@app.callback(help=app.info.help)
def versions(
    _version: Annotated[
        bool,
        Option(
            "--version",
            is_eager=True,
            expose_value=False,
            callback=show_version,
            help="Say which version this is, and end.",
        ),
    ] = False,
) -> None:
    """What holds for every command."""


# In the order in which `tsad --help` lists them.
COMMANDS = (
    *(evaluate, explore, models, rules, shadow, promote, rollback, prune, notify),
    *(verdict, label, labels, new_normal, demo, simulate, up, down, status, health, migrate),
    *(entities, retire, unretire),
    *(load_csv, ingest, retrain, history, rehearse, score, rescore, report, anomalies),
)

for command in COMMANDS:
    app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(datasets, name="datasets")
app.add_typer(maintenance, name="maintenance")
app.add_typer(epoch, name="epoch")
