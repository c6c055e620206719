"""`tsad demo` and `tsad simulate`: example tables, and the way from them to incidents and a PDF."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any

from typer import Argument, Option

from devstack import local, postgres, stack
from devstack.environment import METADATA_URI
from devstack.headless import Headless, headless
from devstack.plants import PLANTS, START_AT
from devstack.simulate import SimulatedAnomaly
from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import postgres_folder
from tsad_tasks.champions.queries import SELECT_MODEL_VERSION, rule_results
from tsad_tasks.cli.champions import MODELS
from tsad_tasks.cli.options import LIVE, choice
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.scoring import INCIDENTS
from tsad_tasks.cli.screen import Listing, Shown, progress, say, say_login, table
from tsad_tasks.config import config_of
from tsad_tasks.storage.artifacts import artifacts_root, report_path
from tsad_tasks.storage.store import Query, Store
from tsad_tasks.text.formats import counted
from tsad_tasks.text.rules import failure

CHAMPION = Query("cli/select_champion_of", dict)
DATASET = "server_room"
MARGIN = timedelta(minutes=15)
WEEK = timedelta(days=7)
SCORED = timedelta(days=2)
PUT_IN = Listing(
    "anomalies",
    ("kind", "entity", "start_at", "end_at", "description"),
    ("kind", "entity", "from", "to", "what"),
    of=("dataset",),
)
FOUND = Listing(
    "injected",
    ("kind", "entity", "start_at", "description", "incident_id", "severity", "after_s"),
    ("injected", "host", "from", "what", "found as", "severity", "after"),
)


@lists(PUT_IN)
def simulate(
    plant: Annotated[str, Argument(help="server_room, cold_store, pumps or all.")] = "all",
    days: Annotated[int, Option(min=1, max=3660, help="Days of readings.")] = 33,
    uri: Annotated[
        str | None, Option(help="Database of the tables; default: the embedded server's plant.")
    ] = None,
) -> None:
    """Fill the source tables of an example dataset with simulated readings and known anomalies."""
    known = choice("PLANT", plant, (*PLANTS, "all"))
    target = uri or local.ensure_plant().owner_uri
    for name in PLANTS if known == "all" else (known,):
        n_rows, room = PLANTS[name](target, days)
        if uri is None:
            local.offer_plant()
        end_at = START_AT + timedelta(days=days)
        span = f"{START_AT:%Y-%m-%d} to {end_at:%Y-%m-%d} UTC"
        say(f"{name}: {n_rows:,} rows, {span}, with these anomalies:")
        wanted = attrgetter("kind", "entity", "start_at", "end_at", "description")
        table(PUT_IN, "", map(wanted, room.anomalies), of={"dataset": name})
        say(f"Next: tsad datasets check {name}")
        say(f"      tsad retrain {name} --end {end_at - SCORED:%Y-%m-%d}")
        say(f"      tsad score {name} --from {end_at - SCORED:%Y-%m-%d} --to {end_at:%Y-%m-%d}")
        say(f"      tsad anomalies {name}")


@lists(FOUND)
def demo(
    days: Annotated[int, Option(min=1, max=3660, help="Days of simulated readings.")] = 45,
    hours: Annotated[
        int, Option(min=1, help="Last hours to be scored through the real DAGs.")
    ] = 48,
) -> None:
    """Simulate a server room, train, score the last hours through real Airflow DAGs, and write the
    PDF.
    """
    if days * 24 <= hours + 48:
        raise BadInput(f"Expected at least {hours // 24 + 3} days. Received: {days}.")
    began, home = time.monotonic(), local.warehouse()
    # What is there already is used again.
    n_rows, room = PLANTS[DATASET](local.ensure_plant().owner_uri, days)
    local.offer_plant()
    end_at = START_AT + timedelta(days=days)
    split_at = end_at - hours * HOUR
    span = f"{START_AT:%Y-%m-%d} to {end_at:%Y-%m-%d}"
    say(f"1/4 plant.server_metrics: {n_rows:,} simulated rows, {span}")
    places = local.places()
    # The UI shows the demo's runs, unless a scheduler is there that would take them for its own.
    is_up = stack.status(places.home).n_processes > 0
    own = {name: value for name, value in os.environ.items() if name != METADATA_URI}
    environment = stack.stack_environment(places, inherited=own, headless=is_up)
    # Shards share this one process, where they would run one after the other.
    with headless(places, environment | {"TSAD_SHARDS": "1"}) as airflow:
        _train(airflow, home.uri, split_at)
        title = f"3/4 backfill of {hours} hours (real DAG)"
        run_dag(airflow, title, "score", split_at, end_at, HOUR)
        run_dag(airflow, "4/4 report (real DAG)", "report", end_at - WEEK, end_at, WEEK)
    incident_id = _show_found(home.uri, room.anomalies, split_at, end_at)
    _say_next_steps(split_at, end_at, incident_id)
    say(f"Done in {time.monotonic() - began:.0f} s.")


def run_dag(
    airflow: Headless, title: str, kind: str, start_at: datetime, end_at: datetime, step: timedelta
) -> None:
    """Runs a DAG of the demo's dataset over each step of a range, under a bar."""
    with progress(title, (end_at - start_at) // step) as advance:
        for run in airflow.runs([f"{DATASET}.{kind}"], start_at, end_at, step):
            advance(1, f"{run['interval_start'][:16]}Z {run['seconds']:.1f} s")


def _train(airflow: Headless, uri: str, split_at: datetime) -> None:
    """Makes the first champion, unless there is one.

    Raises `TsadError` when no model passes the gate; it says which rules failed, and by how
    much.
    """
    with Store.connect(uri) as store:
        champion = select_champion(store, split_at)
        if champion is not None:
            say(f"2/4 retrain: model {champion['version']} is champion already")
            return
        title = "2/4 retrain (real DAG)"
        try:
            run_dag(airflow, title, "retrain", split_at - WEEK, split_at, WEEK)
        except TsadError as error:
            # Without a champion the run itself is red, too.
            raise TsadError(refusal(store), *str(error).splitlines()) from error
        champion = select_champion(store, split_at)
        if champion is None:
            raise TsadError(refusal(store))
    card, n_epochs = champion["card"], len(champion["card"]["training"]["loss"])
    network = f"{card['n_parameters']:,} parameters, {n_epochs} epochs, " if n_epochs else ""
    learned = f"{card['n_windows_used']:,} windows ({card['used_share']:.0%} of the range)"
    say(f"    model {champion['version']}: {network}{learned}, gate passed")


def select_champion(store: Store, at: datetime) -> dict[str, Any] | None:
    """The champion of the demo's dataset at a time."""
    with store.transaction():
        return store.first(CHAMPION, dataset=DATASET, lineage=LIVE, at=at)


def refusal(store: Store) -> str:
    """Which rules the newest model failed, and by how much."""
    received = "none"
    with store.transaction():
        newest = store.first(MODELS, dataset=DATASET, n=1)
        if newest is not None:
            key = {"dataset": DATASET, "version": newest["version"], "model_id": None}
            model = store.one(SELECT_MODEL_VERSION, **key)
            results = rule_results(store, model.model_id)
            failed = "; ".join(failure(row) for row in results if not row.passed)
            received = f"version {newest['version']}, which failed {failed}"
    said = f"Expected a model that passes the gate. Received: {received}."
    return f"{said} All rules: tsad.v_model_decision."


def _show_found(
    uri: str, anomalies: Sequence[SimulatedAnomaly], split_at: datetime, end_at: datetime
) -> str | None:
    """Shows the anomalies that were put in beside the incidents that tell of them, and others;
    returns the first incident that tells of one.
    """
    params: dict[str, Any] = {"dataset": DATASET, "lineage": LIVE, "suppressed": False, "n": 500}
    with Store.connect(uri) as store, store.transaction():
        incidents = store.rows(INCIDENTS, start_at=split_at, end_at=end_at, **params)
    rows, matched = [], set()
    injected = [anomaly for anomaly in anomalies if anomaly.end_at > split_at]
    for one in injected:
        matches = [row for row in incidents if is_match(one, row)]
        matched |= {row["incident_id"] for row in matches}
        found_as: tuple[Any, ...] = (None, None, None)
        if matches:
            first = min(matches, key=lambda row: row["started_at"])
            delay_s = max(0, int((first["started_at"] - one.start_at).total_seconds()))
            after = Shown(delay_s, f"{delay_s // 60} min")
            found_as = (first["incident_id"], first["severity"], after)
        when = Shown(one.start_at, f"{one.start_at:%d %b %H:%M}")
        rows.append((one.kind, one.entity, when, one.description, *found_as))
    say("")
    table(FOUND, f"Injected anomalies of the last {(end_at - split_at) // HOUR} hours", rows)
    zone = config_of(DATASET).site_zone
    say(f"The page, the PDF and messages show them on the clock of {zone}.")
    others = [row for row in incidents if row["incident_id"] not in matched]
    say("")
    n_found, mark = sum(row[4] is not None for row in rows), ":" if others else "."
    say(f"{n_found} of {len(rows)} found; {counted(len(others), 'other incident')}{mark}")
    for row in others[:10]:
        at = f"{row['started_at']:%d %b %H:%M}"
        say(f"  {row['incident_id']}  {row['severity']:6}  {at} UTC  {row['sentence']}")
    return next((row[4] for row in rows if row[4] is not None), None)


def is_match(anomaly: SimulatedAnomaly, incident: dict[str, Any]) -> bool:
    """Whether an incident on the host is led by a channel that changed, or covers half of it."""
    start_at = max(incident["started_at"], anomaly.start_at)
    end_at = min(incident["last_flag_at"], anomaly.end_at + MARGIN)
    if incident["entity"] != anomaly.entity or end_at < start_at:
        return False
    covers_half = (end_at - start_at) * 2 >= anomaly.end_at - anomaly.start_at
    return covers_half or incident["channel"] in anomaly.channels


def _say_next_steps(split_at: datetime, end_at: datetime, incident_id: str | None) -> None:
    """Where everything is, and what to type next."""
    period = timedelta(seconds=config_of(DATASET).report.period_s)
    cluster = postgres.ensure_running(postgres_folder())
    uri = cluster.uri(postgres.WAREHOUSE, postgres.BROWSER)
    say("")
    say(f"PDF         {report_path(DATASET, end_at - period, end_at)}")
    say(f"Artifacts   {artifacts_root()}")
    say("Page        make up      (log in, Anomalies; or unpause server_room.score, Backfill)")
    asks = "-c 'SELECT * FROM tsad.v_incident'"
    say_login(f"SQL         {postgres.psql_path()} '{uri}' {asks}")
    say(f"CLI         tsad anomalies {DATASET} --from {split_at:%Y-%m-%d}")
    which = incident_id or "INC-…"
    say(f"Verdict     tsad verdict {which} confirmed   (a real fault; or false_alarm)")
    say("Stop        make down")
