"""`tsad demo`: from a simulated sensor table to incidents on the screen and a PDF, through the real
DAGs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from devstack import postgres
from devstack.headless import Headless, Outcome, headless
from devstack.simulate import SimulatedAnomaly, SimulatedPlant, server_room
from devstack.stack import stack_environment
from tsad_tasks.base.errors import BadInput, TsadError
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.places import postgres_folder
from tsad_tasks.champions.queries import SELECT_GATE_DECISIONS
from tsad_tasks.cli import session
from tsad_tasks.cli.plant import fill_server_metrics
from tsad_tasks.cli.screen import Advance, progress, say, table
from tsad_tasks.storage.paths import artifacts_root, config_of, report_path
from tsad_tasks.storage.store import Store
from tsad_tasks.training.rule_notes import failure

DATASET = "server_room"
START_AT = datetime(2026, 8, 31, tzinfo=UTC)
SEED = 7
MARGIN = timedelta(minutes=15)


def run_demo(*, days: int, n_hours: int) -> None:
    """Fills the plant, trains, scores the last hours, reports; what is there already is used
    again.
    """
    if days * 24 <= n_hours + 48:
        raise BadInput(f"Expected at least {n_hours // 24 + 3} days. Received: {days}.")
    began = time.monotonic()
    end_at = START_AT + timedelta(days=days)
    split_at = end_at - n_hours * HOUR
    home = session.warehouse()
    room = server_room(days=days, hosts=4, start_at=START_AT, seed=SEED)
    n_rows = fill_server_metrics(session.ensure_plant().owner_uri, room)
    session.offer_plant()
    say(
        f"1/4 plant.server_metrics: {n_rows:,} simulated rows, {START_AT:%Y-%m-%d} to "
        f"{end_at:%Y-%m-%d}"
    )
    places = session.places()
    # Shards share this one process, where they would run one after the other.
    environment = stack_environment(places, inherited=os.environ, headless=True) | {
        "TSAD_SHARDS": "1"
    }
    with headless(places, environment) as airflow:
        _train(airflow, home.uri, split_at)
        _score(airflow, split_at, end_at, n_hours)
        _report(airflow, end_at)
    _show(home.uri, room, split_at, end_at)
    _next_steps(split_at, end_at)
    say(f"Done in {time.monotonic() - began:.0f} s.")


def _train(airflow: Headless, uri: str, split_at: datetime) -> None:
    with Store.connect(uri) as store, store.transaction():
        known = store.records(
            "select_champion_of", {"dataset": DATASET, "lineage": "live", "at": split_at}
        )
    if known:
        say(f"2/4 retrain: model {known[0]['version']} is champion already")
        return
    week = timedelta(days=7)
    with progress("2/4 retrain (real DAG)", 1) as advance:
        _run(airflow.runs([f"{DATASET}.retrain"], split_at - week, split_at, week), advance)
    with Store.connect(uri) as store, store.transaction():
        known = store.records(
            "select_champion_of", {"dataset": DATASET, "lineage": "live", "at": split_at}
        )
    if not known:
        raise TsadError(_refusal(uri))
    card = known[0]["card"]
    say(
        f"    model {known[0]['version']}: {card['n_parameters']:,} parameters, "
        f"{card['n_windows_used']:,} windows "
        f"({card['used_share']:.0%} of the range), {len(card['training']['loss'])} epochs, gate "
        "passed"
    )


def _refusal(uri: str) -> str:
    """Which rules the newest model failed, and by how much."""
    with Store.connect(uri) as store, store.transaction():
        models = store.records("select_model_list", {"dataset": DATASET, "n": 1})
        version = {
            "dataset": DATASET,
            "version": models[0]["version"] if models else None,
            "model_id": None,
        }
        found = store.select_or_none("select_model_version", version)
        rows = store.rows(SELECT_GATE_DECISIONS, model_id=found[0], stage="gate") if found else []
    failed = "; ".join(failure(row) for row in rows if not row.passed)
    received = f"version {version['version']}, which failed {failed}" if failed else "none"
    return f"Expected a model that passes the gate. Received: {received}. All rules: tsad.v_model_decision."


def _score(airflow: Headless, split_at: datetime, end_at: datetime, n_hours: int) -> None:
    with progress(f"3/4 backfill of {n_hours} hours (real DAG)", n_hours) as advance:
        _run(airflow.runs([f"{DATASET}.score"], split_at, end_at, HOUR), advance)


def _report(airflow: Headless, end_at: datetime) -> None:
    week = timedelta(days=7)
    with progress("4/4 report (real DAG)", 1) as advance:
        _run(airflow.runs([f"{DATASET}.report"], end_at - week, end_at, week), advance)


def _run(outcomes: Iterable[Outcome], advance: Advance) -> None:
    for outcome in outcomes:
        advance(1, f"{outcome['interval_start'][:16]} {outcome['seconds']:.1f} s")


def _show(uri: str, room: SimulatedPlant, split_at: datetime, end_at: datetime) -> None:
    with Store.connect(uri) as store, store.transaction():
        params = {
            "dataset": DATASET,
            "lineage": "live",
            "start_at": split_at,
            "end_at": end_at,
            "n": 500,
        }
        found = store.records("select_incident_list", params | {"suppressed": False})
    injected = [anomaly for anomaly in room.anomalies if anomaly.end_at > split_at]
    rows = [_found_row(anomaly, found) for anomaly in injected]
    columns = ("injected", "host", "from", "what", "found as", "severity", "after")
    say("")
    table(f"Injected anomalies of the last {(end_at - split_at) // HOUR} hours", columns, rows)
    matched = {name for anomaly in injected for name in _matches(anomaly, found)}
    others = [row for row in found if row["incident_id"] not in matched]
    say("")
    n_found, mark = sum(row[4] is not None for row in rows), ":" if others else "."
    say(f"{n_found} of {len(rows)} found; {len(others)} other incidents{mark}")
    for row in others[:10]:
        say(
            f"  {row['incident_id']}  {row['severity']:6}  {row['started_at']:%d %b %H:%M}  "
            f"{row['sentence']}"
        )


def _matches(anomaly: SimulatedAnomaly, found: Sequence[dict[str, Any]]) -> list[str]:
    return [row["incident_id"] for row in found if _is_match(anomaly, row)]


def _is_match(anomaly: SimulatedAnomaly, row: dict[str, Any]) -> bool:
    """Whether an incident on the same host is led by a channel that was changed, or covers half of
    the anomaly.
    """
    start_at, end_at = (
        max(row["started_at"], anomaly.start_at),
        min(row["last_flag_at"], anomaly.end_at + MARGIN),
    )
    if row["entity"] != anomaly.entity or end_at < start_at:
        return False
    covers_half = (end_at - start_at) * 2 >= anomaly.end_at - anomaly.start_at
    return covers_half or row["channel"] in anomaly.channels


def _found_row(anomaly: SimulatedAnomaly, found: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    head = (anomaly.kind, anomaly.entity, f"{anomaly.start_at:%d %b %H:%M}", anomaly.description)
    first = min(
        (row for row in found if _is_match(anomaly, row)),
        key=lambda row: row["started_at"],
        default=None,
    )
    if first is None:
        return (*head, None, None, None)
    minutes = max(0, int((first["started_at"] - anomaly.start_at).total_seconds() // 60))
    return (*head, first["incident_id"], first["severity"], f"{minutes} min")


def _next_steps(split_at: datetime, end_at: datetime) -> None:
    pdf = report_path(
        DATASET, end_at - timedelta(seconds=config_of(DATASET).report.period_s), end_at
    )
    cluster = postgres.ensure_running(postgres_folder())
    uri = cluster.uri(postgres.WAREHOUSE, postgres.BROWSER)
    say("")
    say(f"PDF         {pdf}")
    say(f"Artifacts   {artifacts_root()}")
    say("Airflow UI  make up      (then: unpause server_room.score, Backfill)")
    query = "SELECT * FROM tsad.v_incident"
    say(f"SQL         {postgres.psql_path()} '{uri}' -c '{query}'")
    say(f"CLI         .venv/bin/tsad anomalies {DATASET} --from {split_at:%Y-%m-%d}")
    say("Stop        make down")
