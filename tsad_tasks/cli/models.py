"""Commands on models: who is champion, who is in the shadow, promote, roll back."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import moment
from tsad_tasks.cli import session
from tsad_tasks.cli.screen import say, table
from tsad_tasks.config import DatasetConfig, duration_s
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS, SELECT_NEWEST_LEDGER_HOUR
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.paths import artifacts_root, config_of
from tsad_tasks.storage.store import Store

if TYPE_CHECKING:
    from tsad_tasks.champions.champions import ChampionChange
    from tsad_tasks.champions.prune import PruneSummary

Dataset = Annotated[str, typer.Argument(help="Name of a dataset file, such as server_room.")]
Why = Annotated[str, typer.Option("--why", help="Reason; it is kept with the decision.")]
Lineage = Annotated[
    str, typer.Option(help="live: what people see; replay: what backfilled retrainings say.")
]
_COLUMNS = (
    "version",
    "entity",
    "lineage",
    "state",
    "valid_from",
    "valid_to",
    "shadow_from",
    "train_end_at",
    "detector",
    "pruned_at",
)
_HISTORY = (
    "decided_at",
    "lineage",
    "version",
    "decision",
    "former_version",
    "valid_from",
    "decided_by",
    "reason",
)


def models(
    dataset: Dataset,
    history: Annotated[
        bool, typer.Option(help="Everything that was decided, newest first.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, help="At most so many.")] = 30,
) -> None:
    """List the models of a dataset and what became of them."""
    name, columns = (
        ("select_model_history", _HISTORY) if history else ("select_model_list", _COLUMNS)
    )
    with session.open_store() as store, store.transaction():
        select_dataset(store, dataset)
        rows = store.records(name, {"dataset": dataset, "n": n})
    if not rows:
        say("No model yet: tsad retrain")
        return
    table(
        f"{dataset}, UTC",
        columns,
        [tuple(row[column] for column in columns) for row in rows],
        right=("version",),
    )


def prune(
    dataset: Dataset,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed, and why.")
    ] = False,
    older_than: Annotated[
        str | None, typer.Option(help="Such as 90d; default: retention.models of the dataset file.")
    ] = None,
) -> None:
    """Remove the bundles of versions that nothing refers to any more; rows and decisions stay."""
    from tsad_tasks.champions.prune import prune_bundles

    config = config_of(dataset)
    kept_s = _duration(older_than) if older_than else config.retention.models_s
    if kept_s is None:
        raise BadInput(
            f"Expected --older-than, or retention.models in the file of {dataset}. Received: "
            "neither."
        )
    with session.open_store() as store:
        newest_at = _newest_reading(store, dataset)
        found = prune_bundles(
            store, config, artifacts_root(), newest_at=newest_at, kept_s=kept_s, dry_run=dry_run
        )
    _show_pruned(dataset, found, "would be removed" if dry_run else "removed")


def _show_pruned(dataset: str, found: PruneSummary, verb: str) -> None:
    rows = [
        (one.version, verb if one.is_pruned else "kept", one.because, one.n_bytes / 1e6 or None)
        for one in found.decisions
    ]
    table(dataset, ("version", "bundle", "why", "MB"), rows, right=("version", "MB"))
    say(
        f"{found.n_bytes / 1e6:.3g} MB {verb}; {len(found.leftovers)} folders of these belong to "
        "no version."
    )


def _duration(text: str) -> int:
    try:
        return duration_s(text)
    except ValueError as error:
        raise BadInput(f"Expected of --older-than {error}. Received: {text}.") from error


def _newest_reading(store: Store, dataset: str) -> datetime:
    with store.transaction():
        dataset_id = select_dataset(store, dataset).dataset_id
        _, newest_at = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at="infinity")
    if newest_at is None:
        raise NothingToDo(f"{dataset} has no readings, from the newest of which ages would count.")
    return newest_at


def shadow(dataset: Dataset, lineage: Lineage = "live") -> None:
    """Show the challenger in the shadow beside its champion, as far as both have scored."""
    from tsad_tasks.champions.shadow import compare, waiting_for
    from tsad_tasks.training.rule_notes import full_note

    config = config_of(dataset)
    with session.open_store() as store, store.transaction():
        found = compare(store, config, end_at=datetime.now(UTC), lineage=lineage)
        names = {
            key: name
            for name, key in select_entities(
                store, select_dataset(store, dataset).dataset_id
            ).items()
        }
    for one in found:
        shown = [
            (
                "met" if row.passed else "NOT MET",
                row.rule,
                row.value,
                row.champion_value,
                row.limit_value,
                full_note(row),
            )
            for row in one.rows
        ]
        columns = ("", "rule", "challenger", "champion", "limit", "")
        of = f" of {names[one.scope.scope_entity_id]}" if one.scope.scope_entity_id else ""
        since = f"{one.shadow.valid_from:%Y-%m-%d %H:%M}"
        table(f"Version {one.shadow.version}{of}, in the shadow since {since}", columns, shown)
        say("Enough for a decision." if one.is_complete else waiting_for(config, one.paired) + ".")


def promote(
    dataset: Dataset,
    version: Annotated[int, typer.Argument(help="Version of the model; see: tsad models")],
    why: Why,
    lineage: Lineage = "live",
) -> None:
    """Make a model champion from the next hour that is not scored yet."""
    from tsad_tasks.champions import champions

    with session.open_store() as store:
        change = champions.promote(
            store, config_of(dataset), version, by=getpass.getuser(), reason=why, lineage=lineage
        )
    say(_said(change))


def rollback(
    dataset: Dataset,
    why: Why,
    version: Annotated[
        int | None, typer.Option("--to", help="A former champion; default: the one before.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", help="From this hour; default: where the present champion took over."
        ),
    ] = None,
    entity: Annotated[
        str | None, typer.Option(help="Where each entity has a model of its own.")
    ] = None,
    lineage: Lineage = "live",
) -> None:
    """Make a former champion champion again, and score again what the present one has scored."""
    from tsad_tasks.champions import champions

    config, at = config_of(dataset), moment(start) if start else None
    with session.open_store() as store:
        change = champions.roll_back(
            store,
            config,
            by=getpass.getuser(),
            reason=why,
            version=version,
            at=at,
            entity=entity,
            lineage=lineage,
        )
        say(_said(change))
        _score_again(store, dataset, change.valid_from, lineage)


def _score_again(store: Store, dataset: str, from_at: datetime, lineage: str) -> None:
    from tsad_tasks.cli.commands import score_range

    config = config_of(dataset)
    with store.transaction():
        newest = store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=dataset)
    if newest is not None and newest > from_at:
        score_range(store, config, from_at, newest, lineage)


def _said(change: ChampionChange) -> str:
    place = f" in the place of version {change.former_version}" if change.former_version else ""
    return f"Version {change.version} is champion from {change.valid_from:%Y-%m-%d %H:%M} UTC on{place}."


def show_what_if(
    store: Store, config: DatasetConfig, version: int, start_at: datetime, end_at: datetime
) -> None:
    """A range scored by a version of one's choice, beside what was said."""
    from tsad_tasks.pipeline.rescore import score_what_if

    run_id = f"cli-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    found = score_what_if(store, config, version, start_at=start_at, end_at=end_at, run_id=run_id)
    rows = [
        (f"version {version}", found.n_flags[0], found.n_incidents[0]),
        ("as it was", found.n_flags[1], found.n_incidents[1]),
    ]
    title = f"{found.n_hours} hours of entities that both have scored"
    table(title, ("", "flags", "incidents"), rows, right=("flags", "incidents"))
    say(
        f"They agree on {found.n_agreed} of {found.n_steps} steps. Its rows are in lineage "
        f"{found.lineage}."
    )
