"""`tsad health`, `entities`, `retire`, `unretire`: what is scored in time, and what is gone."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Annotated, Any

import typer
from typer import Argument, Option

from devstack import local
from tsad_tasks.base.enums import HealthState
from tsad_tasks.base.interval import moment
from tsad_tasks.cli.options import Dataset, choice
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, list_rows, say
from tsad_tasks.cli.screen import as_json as as_text
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Query, Store

HEALTH = Query("cli/select_health", dict)
ENTITIES = Query("cli/select_entity_list", dict)
ENTITIES_LISTED = Listing(
    "entities",
    ("entity", "state", "first_seen_at", "last_seen_at", "carrier", "retired_by", "retired_why"),
)
STANDING = Query("cli/select_retirement", dict)
_EXIT = {
    HealthState.OK: 0,
    HealthState.LATE: 1,
    HealthState.DEGRADED: 1,
    HealthState.NOT_SCORING: 2,
}
_NOTHING_KNOWN = 2
_STATES = ("alive", "silent", "retired")

Entity = Annotated[str, Argument(help="Machine or host.")]
Why = Annotated[str, Option(help="Why; it is kept.")]
By = Annotated[str | None, Option(help="Who says so; default: your login.")]


def health(
    dataset: Annotated[
        str | None, Argument(help="Name of a dataset; default: every one in the warehouse.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="The rows of v_health, for programs.")] = False,
    ignore_silent: Annotated[
        bool, Option("--ignore-silent", help="Silent entities are no matter; others watch them.")
    ] = False,
) -> None:
    """Say whether datasets are scored in time, and if not, why; for other systems' monitoring.

    Exit code 0: all are ok; 1: one is late or degraded, also by an entity that usually reports and
    is silent; 2: one is not scoring, or none is known.
    """
    with local.open_store() as store, store.transaction():
        if dataset is not None:
            select_dataset(store, dataset)
        rows = store.rows(HEALTH, dataset=dataset)
    if ignore_silent:
        rows = [{**row, "state": row["scoring_state"], "why": _why_of(row)} for row in rows]
    if as_json:
        typer.echo(as_text(rows))
    elif rows:
        for row in rows:
            say(_line(row))
    else:
        say("No dataset is known to the warehouse yet.")
    raise typer.Exit(max((_EXIT[row["state"]] for row in rows), default=_NOTHING_KNOWN))


def _why_of(row: dict[str, Any]) -> str | None:
    """What is wrong with a dataset, whichever entities are silent."""
    return None if row["scoring_state"] == HealthState.OK else row["why"]


def _line(row: dict[str, Any]) -> str:
    """One line of a dataset, as a plugin of a monitoring system gives it."""
    until: datetime | None = row["scored_until"]
    parts = [
        f"scored until {until:%Y-%m-%d %H:%M} UTC" if until else "never scored",
        f"{row['n_live']} alive, {row['n_silent']} silent, {row['n_retired']} retired",
    ]
    if row["champion"]:
        parts.append(f"champion {row['champion']}")
    why = f" - {row['why']}" if row["why"] else ""
    return f"{row['dataset']} {row['state'].upper()}{why} ({'; '.join(parts)})"


@lists(ENTITIES_LISTED)
def entities(
    dataset: Dataset,
    state: Annotated[str | None, Option(help=f"Only these: {', '.join(_STATES)}.")] = None,
) -> None:
    """List entities: alive, silent since when, retired by whom."""
    chosen = choice("--state", state, _STATES) or ""
    with local.open_store() as store, store.transaction():
        name = select_dataset(store, dataset).name
        rows = store.rows(ENTITIES, dataset=name, state=chosen)
    nothing = f"No {chosen} entity of {dataset}.".replace("  ", " ")
    list_rows(ENTITIES_LISTED, dataset, rows, nothing)


def retire(
    dataset: Dataset,
    entity: Entity,
    why: Why,
    since: Annotated[
        str | None, Option(help="Gone since; default: from where the source was read up to.")
    ] = None,
    by: By = None,
) -> None:
    """Say that an entity is gone for good: it is not missed any more. It is alive again with its
    next rows.
    """
    from tsad_tasks.feedback.retirements import retire_entity

    from_at = None if since is None else moment(since)
    with local.open_store() as store:
        stands = _standing(store, dataset, entity)
        is_again = since is None and stands is not None and stands["is_by_person"]
        if is_again and stands and stands["retired_why"] != why:
            take_back = f"tsad unretire {dataset} {entity} --why TEXT"
            say(f"{_first_word(entity, stands)}; that stands. Take it back: {take_back}")
            return
        said_by = by or getpass.getuser()
        number = retire_entity(store, dataset, entity, why=why, from_at=from_at, said_by=said_by)
    say(f"Retirement {number}: {entity} is retired.")


def unretire(dataset: Dataset, entity: Entity, why: Why, by: By = None) -> None:
    """Take back that an entity is gone."""
    from tsad_tasks.feedback.retirements import unretire_entity

    with local.open_store() as store:
        stands = _standing(store, dataset, entity)
        if stands and not stands["is_said"]:
            is_short = stands["state"] == "retired"
            said = _first_word(entity, stands) if is_short else f"{entity} is not retired"
            say(f"{said}: nothing to take back.")
            return
        unretire_entity(store, dataset, entity, why=why, said_by=by or getpass.getuser())
    say(f"{entity} is no longer retired.")


def _standing(store: Store, dataset: str, entity: str) -> dict[str, Any] | None:
    """What is said of an entity; None: there is none of this name."""
    with store.transaction():
        return next(iter(store.rows(STANDING, dataset=dataset, entity=entity)), None)


def _first_word(entity: str, stands: dict[str, Any]) -> str:
    """Who retired an entity, since when and why."""
    since, by, why = (stands[f"retired_{name}"] for name in ("at", "by", "why"))
    return f"{entity} is retired since {since:%Y-%m-%d %H:%M} UTC by {by} ({why})"
