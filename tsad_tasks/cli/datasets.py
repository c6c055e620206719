"""`tsad datasets`: the dataset files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from difflib import unified_diff
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from devstack import local
from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.interval import HOUR, hour_floor
from tsad_tasks.base.shown import shown
from tsad_tasks.cli import Interrupted
from tsad_tasks.cli.options import seconds
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, Shown, progress, say, table
from tsad_tasks.cli.screen import as_json as as_text
from tsad_tasks.config import (
    DatasetConfig,
    config_of,
    dataset_paths,
    datasets_folder,
    is_absent_example,
    json_schema,
    load_config,
    named_config,
    source_text,
)
from tsad_tasks.config.checks import A_DATASET_NAME, is_dataset_name
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import counted

if TYPE_CHECKING:
    from tsad_tasks.ingest.check import Finding
    from tsad_tasks.stores.draft import Draft

datasets = typer.Typer(
    no_args_is_help=True, help="Dataset files: list, check against live tables, JSON schema."
)
_SHOWN_TAGS, _SHOWN_LINES = 10, 8
FILES = Listing(
    "datasets",
    ("dataset", "n_channels", "connection", "description", "error"),
    ("dataset", "channels", "connection", "description"),
    right=("n_channels",),
)
FINDINGS = Listing("findings", ("level", "finding", "dataset", "about"), ("", ""))
LATENESS = Listing(
    "lateness",
    ("what", "n_rows", "median_s", "most_s", "longest_s"),
    ("table or channel", "rows", "median s", "95 % s", "longest s"),
    right=("n_rows", "median_s", "most_s", "longest_s"),
    of=("source",),
)
GROUPS = Listing("groups", ("group", "machines", "series"), right=("machines", "series"))


@datasets.command("list")
@lists(FILES)
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
            connections = ", ".join(dict.fromkeys(one.connection for one in file.sources))
            counts = len(file.channel_names), connections
            rows.append((file.dataset, *counts, file.description, None))
        except TsadError as error:
            said = " ".join(str(error).splitlines())
            rows.append((path.stem, None, None, Shown(None, said), said))
    table(FILES, "Datasets", rows)
    if absent:
        say(f"Examples without tables: {', '.join(absent)}. Fill them: tsad simulate {absent[0]}")


@datasets.command()
@lists(FINDINGS)
def check(
    names: Annotated[list[str] | None, Argument(help="Datasets; default: all.")] = None,
) -> None:
    """Check dataset files against their live tables."""
    from tsad_tasks.ingest.check import (
        NOT_LIVE,
        Checked,
        Finding,
        check_sources,
        readings_range,
    )
    from tsad_tasks.stores.named import named_otherwise

    n_errors = 0
    for name in names or [path.stem for path in dataset_paths()]:
        try:
            config = config_of(name)
            if not names and is_absent_example(config):
                continue
            uris = local.source_uris(config)
            found = check_sources(config, uris, now_at=local.now())
            for part, uri in zip(config.parts, uris, strict=True):
                found += [Checked("names", one) for one in [named_otherwise(part, uri)] if one]
            found += [Checked("hours that were read", one) for one in [_read_before(config)] if one]
        except TsadError as error:
            found = [Checked("", [Finding("error", line) for line in str(error).split("\n")])]
        for heading, findings in found:
            n_errors += sum(level == "error" for level, _ in findings)
            rows = [(*finding, name, heading) for finding in findings]
            table(FINDINGS, f"{name}, {heading}" if heading else name, rows)
        if not any(level == "error" for _, findings in found for level, _ in findings):
            is_live = not any(NOT_LIVE in text for _, findings in found for _, text in findings)
            _say_next(config, is_live=is_live, readings=readings_range(found))
    if n_errors:
        said = f"Received: {counted(n_errors, 'error')}, listed above."
        raise BadInput(f"Expected dataset files that fit their tables. {said}")


def _say_next(
    config: DatasetConfig, *, is_live: bool, readings: tuple[datetime, datetime] | None
) -> None:
    """What a person has still to look at in the file, and what to do with a dataset that is new:
    commands as they are, up to now or, where nothing comes any more, to the newest reading.
    """
    name = config.dataset
    path = next(path for path in dataset_paths() if path.stem == name)
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    if unseen := [str(number) for number, line in lines if "CHECK" in line]:
        few = ", ".join(unseen[:_SHOWN_LINES]) + (", …" if unseen[_SHOWN_LINES:] else "")
        which, are = ("line", "says") if len(unseen) == 1 else ("lines", "say")
        say(f"{path}: {len(unseen)} {which} still {are} CHECK, for you to decide: {few}")
    if not _was_read(name):
        end_at = hour_floor(local.now())
        if readings is not None and not is_live:
            end_at = hour_floor(readings[1]) + HOUR
        start_at = end_at - timedelta(seconds=config.training.range_s)
        start, end = f"{start_at:%Y-%m-%d}", f"{end_at:%Y-%m-%dT%H:%M}"
        # By the hour, as readings are brought in: its first one is the oldest reading's.
        oldest_at = None if readings is None else readings[0]
        if oldest_at is not None and f"{oldest_at:%Y-%m-%d}" >= start and oldest_at < end_at:
            start = f"{hour_floor(oldest_at):%Y-%m-%dT%H:%M}"
        say(f"Next: tsad ingest {name} --from {start} --to {end}")
        say(f"and:  tsad retrain {name} --end {end}")


def _was_read(dataset: str) -> bool:
    """Whether any hour of the dataset was read; a warehouse that cannot be asked has none."""
    from tsad_tasks.ingest.queries import SELECT_NEWEST_LEDGER_HOUR

    with suppress(TsadError):
        if local.has_warehouse():
            with Store.connect(local.warehouse().uri) as store, store.transaction():
                return store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=dataset) is not None
    return False


def _read_before(config: DatasetConfig) -> list[Finding]:
    """Hours that the file would have read otherwise, as far as a warehouse knows any."""
    from tsad_tasks.ingest.check import Finding as Found
    from tsad_tasks.ingest.reread import hours_read_otherwise

    if not local.has_warehouse():
        return []
    # What keeps a source from being read is told of the source.
    with suppress(TsadError), Store.connect(local.warehouse().uri) as store:
        found = hours_read_otherwise(store, config, local.source_uris(config))
        return [Found("warning" if one.command else "info", one.text) for one in found]
    return []


@datasets.command()
@lists(LATENESS)
def watch(
    name: Annotated[str, Argument(metavar="dataset", help="Dataset whose sources are looked at.")],
    lasting: Annotated[str, Option("--for", help="So long; Ctrl-C ends it sooner.")] = "10min",
    every: Annotated[str | None, Option(help="A look; default: a quarter of the step.")] = None,
) -> None:
    """Measure how late rows come, by looking at the sources again and again."""
    import time

    from tsad_tasks.ingest.sources.base import open_sources
    from tsad_tasks.stores.lateness import LOOKED_BACK, Watch, proposals

    config = config_of(name)
    lasting_s = seconds("--for", lasting)
    every_s = seconds("--every", every) if every else min(10, lasting_s, max(1, config.step_s // 4))
    most_s = int(LOOKED_BACK.total_seconds())
    if not 0 < every_s <= min(lasting_s, most_s):
        wanted = f"looks within the time of watching, and at most {most_s} s apart"
        said = f"Received: --every {every_s} s and --for {lasting_s} s."
        raise BadInput(f"Expected {wanted}. {said}")
    n_looks, failed = lasting_s // every_s, list[TsadError]()
    with open_sources(local.source_uris(config), config) as parts:
        watches = {part.name: Watch(part) for part in parts}
        try:
            with progress(f"Watching {name}", n_looks) as advance:
                for one in watches.values():
                    one.look()
                for _ in range(n_looks):
                    time.sleep(every_s)
                    n_new = sum(one.look() for one in watches.values())
                    advance(1, f"{n_new} new rows")
        except (Interrupted, TsadError) as error:
            failed += [error] if isinstance(error, TsadError) else []
            say("Ended; this is what was seen until then.")
        found = {one: seen.found() for one, seen in watches.items()}
    for source_name, late in found.items():
        rows = [
            (one.what, one.n_rows, *map(_to_tenths, (one.median_s, one.most_s, one.longest_s)))
            for one in late
        ]
        heading = f"{name}, {source_name}" if len(found) > 1 else name
        title = f"Lateness of {heading}, looked at each {every_s} s"
        table(LATENESS, title, rows, of={"source": source_name})
    for line in proposals(config, [one for late in found.values() for one in late]):
        say(line)
    for late_error in failed:
        raise late_error


def _to_tenths(seconds: float) -> Shown:
    return Shown(seconds, f"{seconds:.1f}")


@datasets.command()
def draft(
    connection: Annotated[
        str, Argument(help="Connection to the database, as in source.connection of a dataset.")
    ],
    of_table: Annotated[
        str | None, Argument(metavar="[table]", help="Table of no such system, such as plant.log.")
    ] = None,
    group: Annotated[
        list[str] | None, Option(help="Group of the store, such as 'Linux*'; several times.")
    ] = None,
    entity: Annotated[
        list[str] | None, Option(help="Machines, such as 'pump-*'; several times.")
    ] = None,
    channel: Annotated[
        list[str] | None, Option(help="Channels, such as 'system.cpu.*'; several times.")
    ] = None,
    archive: Annotated[
        bool, Option("--archive", help="Its hours (Zabbix trends, statistics), not its values.")
    ] = False,
    out: Annotated[
        str | None, Option(help="Name of the dataset: writes NAME.yaml and NAME.tags.csv.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="For programs; writes no file.")] = False,
) -> None:
    """Write a dataset file for a database of Zabbix, Home Assistant, ThingsBoard, Ignition or
    openHAB (without a group, machine or channel: list what there is), or for any table.
    """
    from tsad_tasks.stores.draft import dataset_name, drafted
    from tsad_tasks.stores.recipes import open_store
    from tsad_tasks.stores.unknown import drafted_table

    if out is not None and not is_dataset_name(out):
        raise BadInput(f"--out: Expected {A_DATASET_NAME}. Received: {shown(out)}.")
    uri, chosen = local.source_uri(connection), (group or [], entity or [], channel or [])
    if of_table is not None:
        name = out or dataset_name(of_table.rpartition(".")[2])
        files = drafted_table(uri, of_table, connection=connection, name=name)
        _hand_over(files, connection, name, out, as_json=as_json)
        return
    with open_store(uri, archive=archive) as store:
        if not any(chosen):
            groups = [(one.name, one.n_entities, one.n_series) for one in store.groups()]
            if as_json:
                listed = [dict(zip(GROUPS.columns, one, strict=True)) for one in groups]
                typer.echo(as_text({"store": store.title, "groups": listed}))
                return
            table(GROUPS, store.title, groups)
            if not groups:
                raise BadInput(f"Expected series in {store.title}. Received: none.")
            of_it = " --archive" * archive + f" --group {quote(groups[0][0])}"
            say(f"Next: tsad datasets draft {connection}{of_it} --out NAME")
            return
        series = store.series(*chosen)
        name = out or dataset_name(next(iter(chosen[0] + chosen[1]), connection))
        files = drafted(uri, store, series, connection=connection, name=name)
    _hand_over(files, connection, name, out, as_json=as_json)


def _hand_over(
    files: Draft, connection: str, name: str, out: str | None, *, as_json: bool = False
) -> None:
    """Print the files, or write them."""
    if as_json:
        typer.echo(as_text(files.as_values()))
        return
    texts = {f"{name}.yaml": files.dataset, f"{name}.tags.csv": files.tags}
    if out is None:
        typer.echo(files.dataset)
        if files.tags:
            typer.echo(f"# {name}.tags.csv:")
            tags = files.tags.splitlines()
            typer.echo("".join(f"# {line}\n" for line in tags[:_SHOWN_TAGS]), nl=False)
            if more := tags[_SHOWN_TAGS:]:
                typer.echo(f"# … and {len(more):,} lines more")
        say("Write this: --out NAME")
    elif (position := _position(datasets_folder() / f"{name}.yaml", connection)) is not None:
        _compare(datasets_folder() / f"{name}.yaml", position, files)
    else:
        paths = {datasets_folder() / file: text for file, text in texts.items() if text}
        said = "is written" if _write_new(paths) else "says the same already"
        say(f"{datasets_folder() / name}.yaml {said}. Next: tsad datasets check {name}")
    for told in files.told:
        say(told)


def _write_new(texts: Mapping[Path, str]) -> bool:
    """Whether there was anything to write; of files that are there it is said how they differ."""
    there = [path for path in texts if path.exists()]
    differ = [
        path for path in there if _differs(str(path), path.read_text(encoding="utf-8"), texts[path])
    ]
    if differ:
        said = f"Expected no file {differ[0]}, or this one. Received: one that differs, above"
        raise BadInput(f"{said}; take over what is right, or choose another --out.")
    for path in texts.keys() - there:
        path.write_text(texts[path], encoding="utf-8")
    return len(there) < len(texts)


def _differs(title: str, before: str, text: str) -> bool:
    """Whether a draft says something else than the file that is there; how is shown.

    Remarks are none of it, since they count values that came since; nor is the order of tags.
    """
    had, drafted = (
        [line + "\n" for line in re.sub(r"(?m)(^|  +)# .*", "", one).splitlines() if line.strip()]
        for one in (before, text)
    )
    if title.endswith(".csv"):
        had, drafted = ([*one[:1], *sorted(one[1:])] for one in (had, drafted))
    different = [*unified_diff(had, drafted, title, "draft")]
    typer.echo("".join(different), nl=False)
    return bool(different)


def _position(path: Path, connection: str) -> int | None:
    """Which of several sources of a file has a connection; None where not just one has it."""
    if not path.exists():
        return None
    sources = load_config(path).sources
    found = [at for at, source in enumerate(sources) if source.connection == connection]
    return found[0] if len(sources) > 1 and len(found) == 1 else None


def _compare(path: Path, position: int, files: Draft) -> None:
    """Say how a draft differs from one of the sources of a file, and its tags from their file."""
    tags = load_config(path).sources[position].tags
    source = files.dataset[files.dataset.index("source:\n") :]
    source = re.split(r"^(?=[a-z])", source, flags=re.MULTILINE)[1]
    if tags is not None:
        source = re.sub(r"(?m)^  tags: [^ ]+", f"  tags: {tags}", source)
    differs = _differs(f"{path}, source.{position}", source_text(path, position), source)
    if tags is not None and (beside := path.parent / tags).exists():
        differs |= _differs(str(beside), beside.read_text(encoding="utf-8"), files.tags)
    if differs:
        received = "others, above; take over what is right."
        raise BadInput(f"Expected this source of {path}, and these tags. Received: {received}")
    say(f"{path}, source.{position}: no difference.")


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
