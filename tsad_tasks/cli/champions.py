"""`tsad models`, `shadow`, `promote`, `rollback` and `prune`: who is champion, and of what."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

from typer import Argument, Option

from devstack import local
from tsad_tasks.base.enums import Stage
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.champions import champions
from tsad_tasks.champions.champions import ChampionChange
from tsad_tasks.cli.ingest import range_run
from tsad_tasks.cli.options import LIVE, Count, Dataset, Lineage, moment_or_none, seconds
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, Shown, is_for_programs, list_rows, say, table
from tsad_tasks.cli.training import RULES, rule_rows
from tsad_tasks.config import config_of
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS, SELECT_NEWEST_LEDGER_HOUR
from tsad_tasks.model.weekdays import seen_text
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Query
from tsad_tasks.text.rules import RULES_COLUMNS, rules_rows, rules_table

Why = Annotated[str, Option("--why", help="Reason; it is kept with the decision.")]

MODELS = Query("cli/select_model_list", dict)
_MODEL = (
    *("version", "entity", "lineage", "state", "valid_from", "valid_to", "shadow_from"),
    *("train_end_at", "detector", "pruned_at", "weekdays"),
)
LISTED = Listing("models", (*_MODEL, "young", "weekdays_seen"), _MODEL, right=("version",))
DECISIONS = Listing(
    "decisions",
    (
        "decided_at", "lineage", "version", "decision", "former_version", "valid_from",
        "decided_by", "reason",
    ),
    right=("version",),
)  # fmt: skip
MUST_HOLD = Listing("rules", ("rule", "measured", "requires"), RULES_COLUMNS, of=("stage",))
BUNDLES = Listing(
    "bundles",
    ("version", "bundle", "why", "n_bytes"),
    ("version", "bundle", "why", "MB"),
    right=("version", "n_bytes"),
)
HISTORY = Query("cli/select_model_history", dict)


@lists(LISTED, DECISIONS)
def models(
    dataset: Dataset,
    history: Annotated[bool, Option(help="Everything that was decided, newest first.")] = False,
    n: Count = 30,
) -> None:
    """List the models of a dataset and what became of them."""
    with local.open_store() as store, store.transaction():
        select_dataset(store, dataset)
        rows = store.rows(HISTORY if history else MODELS, dataset=dataset, n=n)
        read_until = store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=dataset)
    if not history:
        rows = [with_weekdays(row) for row in rows]
    nothing = f"No model yet, and nothing was read: tsad datasets check {dataset}"
    if read_until is not None:
        nothing = f"No model yet: tsad retrain {dataset} --end {read_until:%Y-%m-%dT%H:%M}"
    list_rows(DECISIONS if history else LISTED, dataset, rows, nothing)


def with_weekdays(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the models whose counts of weekdays are in words."""
    said = seen_text(row["weekdays_seen"] or ())
    return row | {"weekdays": ("young: " if row["young"] else "") + said}


@lists(RULES)
def shadow(dataset: Dataset, lineage: Lineage = LIVE) -> None:
    """Show the challenger in the shadow beside its champion, as far as both have scored."""
    from tsad_tasks.champions.shadow import judged_shadows, waiting_for

    config = config_of(dataset)
    with local.open_store() as store, store.transaction():
        judged = judged_shadows(store, config, end_at=store.now(), lineage=lineage)
        entities = select_entities(store, select_dataset(store, dataset).dataset_id)
        names = {key: name for name, key in entities.items()}
    for one in judged:
        of = f" of {names[one.scope.scope_entity_id]}" if one.scope.scope_entity_id else ""
        since = f"{one.shadow.valid_from:%Y-%m-%d %H:%M}"
        title = f"Version {one.shadow.version}{of}, in the shadow since {since}"
        table(RULES, title, rule_rows(one.rows), of={"version": one.shadow.version})
        missing = "" if one.is_complete else waiting_for(config, one.compared)
        say(f"{missing or 'Enough for a decision'}.")


@lists(MUST_HOLD)
def rules(
    markdown: Annotated[
        bool, Option("--markdown", help="As docs/guides/models.md has them.")
    ] = False,
) -> None:
    """List what a model must meet: the rules of the gate, and of the shadow after it."""
    for stage in Stage:
        if markdown and not is_for_programs():
            print(rules_table(stage) + "\n")
        else:
            rows = [tuple(text.replace("`", "") for text in row) for row in rules_rows(stage)]
            table(MUST_HOLD, f"Rules of the {stage}", rows, of={"stage": stage})


def promote(
    dataset: Dataset,
    version: Annotated[int, Argument(help="Version of the model; see: tsad models")],
    why: Why,
    lineage: Lineage = LIVE,
) -> None:
    """Make a model champion from the next hour that is not scored yet."""
    config, who = config_of(dataset), getpass.getuser()
    with local.open_store() as store:
        change = champions.promote(store, config, version, by=who, reason=why, lineage=lineage)
    say_change(change)


def rollback(
    dataset: Dataset,
    why: Why,
    version: Annotated[
        int | None, Option("--to", help="A former champion; default: the one before.")
    ] = None,
    start: Annotated[
        str | None,
        Option("--from", help="From this hour; default: where the present champion took over."),
    ] = None,
    entity: Annotated[str | None, Option(help="Where each entity has a model of its own.")] = None,
    lineage: Lineage = LIVE,
) -> None:
    """Make a former champion champion again, and score again what the present one has scored."""
    config, who = config_of(dataset), getpass.getuser()
    with local.open_store() as store:
        to: dict[str, Any] = {"version": version, "at": moment_or_none(start), "entity": entity}
        change = champions.roll_back(store, config, by=who, reason=why, lineage=lineage, **to)
        say_change(change)
        with store.transaction():
            newest_at = store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=dataset)
        if newest_at is not None and newest_at > change.valid_from:
            range_run(store, config, change.valid_from, newest_at).score(lineage)


def say_change(change: ChampionChange) -> None:
    """Who is champion from when on."""
    place = f" in the place of version {change.former_version}" if change.former_version else ""
    since = f"{change.valid_from:%Y-%m-%d %H:%M} UTC"
    say(f"Version {change.version} is champion from {since} on{place}.")


@lists(BUNDLES)
def prune(
    dataset: Dataset,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only say what would be removed, and why.")
    ] = False,
    older_than: Annotated[
        str | None, Option(help="Such as 90d; default: retention.models of the dataset file.")
    ] = None,
) -> None:
    """Remove the bundles of versions that nothing refers to any more; rows and decisions stay."""
    from tsad_tasks.champions.prune import prune_bundles

    config, root = config_of(dataset), artifacts_root()
    kept_s = seconds("--older-than", older_than) if older_than else config.retention.models_s
    if kept_s is None:
        said = f"Expected --older-than, or retention.models in the file of {dataset}."
        raise BadInput(f"{said} Received: neither.")
    with local.open_store() as store:
        with store.transaction():
            dataset_id = select_dataset(store, dataset).dataset_id
            ends = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at="infinity")
        if ends.newest_at is None:
            ages = "from the newest of which ages would count"
            raise NothingToDo(f"{dataset} has no readings, {ages}.")
        options: dict[str, Any] = {"newest_at": ends.newest_at, "kept_s": kept_s}
        pruned = prune_bundles(store, config, root, dry_run=dry_run, **options)
    verb = "would be removed" if dry_run else "removed"
    rows = [
        (one.version, verb if one.is_pruned else "kept", one.because, _megabytes(one.n_bytes))
        for one in pruned.decisions
    ]
    table(BUNDLES, dataset, rows)
    leftovers = f"{len(pruned.leftovers)} folders of these belong to no version."
    say(f"{pruned.n_bytes / 1e6:.3g} MB {verb}; {leftovers}")


def _megabytes(n_bytes: int) -> Shown:
    return Shown(n_bytes, f"{n_bytes / 1e6:.3g}" if n_bytes else None)
