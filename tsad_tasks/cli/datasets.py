"""`tsad datasets`: the dataset files."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer import Argument

from devstack import local
from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.cli.screen import say, table
from tsad_tasks.config import (
    config_of,
    dataset_paths,
    is_absent_example,
    json_schema,
    named_config,
)

datasets = typer.Typer(
    no_args_is_help=True, help="Dataset files: list, check against live tables, JSON schema."
)
COLUMNS = ("dataset", "channels", "connection", "description")


@datasets.command("list")
def list_datasets() -> None:
    """List the dataset files."""
    rows: list[tuple[Any, ...]] = []
    absent: list[str] = []
    for path in dataset_paths():
        try:
            file = named_config(path)
            if is_absent_example(file):
                absent.append(file.dataset)
                continue
            n_channels, connection = len(file.channel_names), file.source.connection
            rows.append((file.dataset, n_channels, connection, file.description))
        except TsadError as error:
            rows.append((path.stem, None, None, " ".join(str(error).splitlines())))
    table("Datasets", COLUMNS, rows, right=("channels",))
    if absent:
        say(f"Examples without tables: {', '.join(absent)}. Fill them: tsad simulate {absent[0]}")


@datasets.command()
def check(
    names: Annotated[list[str] | None, Argument(help="Datasets; default: all.")] = None,
) -> None:
    """Check dataset files against their live tables."""
    from tsad_tasks.ingest.check import check_dataset

    n_errors = 0
    for name in names or [path.stem for path in dataset_paths()]:
        try:
            config = config_of(name)
            if not names and is_absent_example(config):
                continue
            found = check_dataset(config, local.source_uri(config))
            findings = [(one.level, one.text) for one in found]
        except TsadError as error:
            findings = [("error", str(error))]
        n_errors += sum(level == "error" for level, _ in findings)
        table(name, ("", ""), findings)
    if n_errors:
        said = f"Received: {n_errors} errors, listed above."
        raise BadInput(f"Expected dataset files that fit their tables. {said}")


@datasets.command()
def schema() -> None:
    """Print the JSON schema of a dataset file, for editors."""
    typer.echo(json_schema(), nl=False)


@datasets.command()
def reference() -> None:
    """Print docs/reference/dataset_file.md: every key of a dataset file."""
    from tsad_tasks.config.reference import keys_page

    typer.echo(keys_page(), nl=False)


@datasets.command()
def preset(
    name: Annotated[str | None, Argument(help="Such as document_d; default: list them.")] = None,
) -> None:
    """Print a dataset file to start from: tsad datasets preset document_d >
    dags/datasets/mine.yaml
    """
    from tsad_tasks.config.presets import preset_names, preset_text

    typer.echo(preset_text(name) if name else "\n".join(preset_names()), nl=name is None)
