"""docker-compose.yml's services as processes: a retraining and backfills by Celery, with a worker
killed in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
import pytest
import yaml
from psycopg2 import sql

from devstack import postgres
from devstack.environment import FIXED
from tests.e2e.composed import COMPOSE_FILE, Composed
from tests.e2e.image_postgres import become_image, run_sql, superuser_uri
from tests.e2e.rest import Rest, wait_for
from tests.e2e.small_room import (
    CONNECTION,
    DATASET,
    HOUR,
    N_HOSTS,
    TRAINED_AT,
    fill_source,
    write_dataset,
)
from tsad_tasks.base.interval import hours_between
from tsad_tasks.config import load_config
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.plan import history_s
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store

# Airflow gives up on a silent worker after a minute and waits half of one before it tries again.
pytestmark = pytest.mark.timeout(480)

SCORE, RETRAIN = f"{DATASET}.score", f"{DATASET}.retrain"
SERVICES = ("scheduler", "dag-processor", "worker-1", "worker-2")
N_QUIET, N_KILLED = 3, 6
# What differs between two ways to the same rows: when, and how often.
BOOKKEEPING = ["revision", "scored_at", "known_from", "updated_at"]
VIEWS = {
    "v_status": "hour_at",
    "v_anomaly": "at",
    "v_attribution": "at",
    "v_incident": "started_at",
    "v_quality": "hour_at",
}


@dataclass(frozen=True)
class Running:
    """The stack, a login, and where its databases are."""

    composed: Composed
    rest: Rest

    def uri(self, database: str, role: str, secret: str) -> str:
        """URI of one of the file's logins."""
        return f"postgresql://{role}:{self.composed.secrets[secret]}@127.0.0.1:{self.composed.postgres_port}/{database}"

    def superuser(self, database: str = "postgres") -> str:
        """URI of the server's superuser."""
        return superuser_uri(
            self.composed.postgres_port, self.composed.secrets["POSTGRES_PASSWORD"], database
        )

    def pipeline(self, database: str = "warehouse") -> str:
        """URI of the login that tasks use."""
        return self.uri(database, "tsad_pipeline", "TSAD_PIPELINE_PASSWORD")

    def browser(self, database: str = "warehouse") -> str:
        """URI of the login that people use."""
        return self.uri(database, "tsad_browser", "TSAD_BROWSER_PASSWORD")


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("compose")
    write_dataset(folder / "datasets")
    cluster = postgres.start(folder / "postgres", durable=False)
    services = Composed(folder, folder / "datasets", cluster.port)
    try:
        become_image(cluster, services.secrets)
        run_sql(
            superuser_uri(cluster.port, services.secrets["POSTGRES_PASSWORD"]),
            [sql.SQL("CREATE DATABASE plant")],
        )
        fill_source(superuser_uri(cluster.port, services.secrets["POSTGRES_PASSWORD"], "plant"))
        yield services
    finally:
        services.stop()
        postgres.remove(folder / "postgres")


@pytest.fixture(scope="module")
def running(composed: Composed) -> Running:
    composed.start("redis")
    composed.run("migrate")
    composed.start("api-server")
    composed.wait_until_healthy("redis", "api-server")
    composed.start(*SERVICES)
    composed.wait_until_healthy(*SERVICES)
    url = f"http://127.0.0.1:{composed.api_port}"
    return Running(composed, Rest.login(url, "admin", composed.secrets["AIRFLOW_ADMIN_PASSWORD"]))


@pytest.fixture(scope="module")
def champion(running: Running) -> None:
    """A model, trained by the DAG through Celery, that is champion from the end of its training
    range on.
    """
    secret = running.composed.secrets["POSTGRES_PASSWORD"]
    server = {"host": "127.0.0.1", "port": running.composed.postgres_port, "schema": "plant"}
    login = {"login": "postgres", "password": secret}
    running.rest.send(
        "POST",
        "/api/v2/connections",
        {"connection_id": CONNECTION, "conn_type": "postgres", **server, **login},
    )
    running.rest.unpause(RETRAIN)
    running.rest.trigger(RETRAIN, TRAINED_AT)
    running.rest.wait_until_done(RETRAIN, TRAINED_AT, TRAINED_AT, 1, timeout_s=240)
    run_sql(
        running.superuser(), [sql.SQL("CREATE DATABASE clone TEMPLATE warehouse OWNER tsad_owner")]
    )


def rows(uri: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(uri)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def statuses(uri: str, start_at: datetime, end_at: datetime) -> list[str]:
    span = "SELECT status FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s"
    return [status for (status,) in rows(uri, span, start_at, end_at)]


def current_rows(uri: str, end_at: datetime) -> dict[str, list[str]]:
    """Everything that is current up to `end_at`, view by view, without bookkeeping."""
    statement = (
        "SELECT (to_jsonb(v) - %s::text[])::text FROM tsad.{view} v WHERE v.{time} < %s ORDER BY 1"
    )
    found = {}
    for view, time in VIEWS.items():
        names = {"view": sql.Identifier(view), "time": sql.Identifier(time)}
        query = sql.SQL(statement).format(**names)
        found[view] = [str(row) for (row,) in rows(uri, query, BOOKKEEPING, end_at)]  # type: ignore[arg-type]
    return found


def score_in_process(running: Running, start_at: datetime, end_at: datetime) -> None:
    """The same hours on the clone, one after the other, by the steps themselves."""
    config = load_config(running.composed.dataset_folder / f"{DATASET}.yaml")
    with Store.connect(running.pipeline("clone")) as store:
        for hour_at in hours_between(start_at, end_at):
            span: Any = {"start_at": hour_at, "end_at": hour_at + HOUR}
            ingest_interval(
                store,
                config,
                running.superuser("plant"),
                history_s=history_s(store, config, **span),
                **span,
            )
            score_interval(store, config, **span)
            build_incidents(store, config, **span)


def test_the_file_holds_no_secret_and_opens_one_port_on_loopback() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))["services"]
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "api-server": ["127.0.0.1:${TSAD_UI_PORT:-8080}:8080"]
    }
    given = [item for service in services.values() for item in service["environment"].items()]
    # What has no value is handed on from the shell.
    settings = [(name, value) for name, value in given if value is not None]
    secret = [value for name, value in settings if re.search("PASSWORD|SECRET|FERNET", name)]
    assert len(secret) > 10
    assert all(re.fullmatch(r"\$\{[A-Z_]+:\?run make secrets\}", value) for value in secret)
    logins = [value for _, value in settings if "://" in value and "@" in value]
    assert all(re.search(r"://\w*:\$\{[A-Z_]+:\?run make secrets\}@", value) for value in logins)


def test_the_services_pin_threads(composed: Composed) -> None:
    pins = {name: value for name, value in FIXED.items() if not name.startswith("AIRFLOW__")}
    for name in ("migrate", "api-server", *SERVICES):
        environment = composed.services[name].environment
        assert {pin: environment.get(pin) for pin in pins} == pins, name


def test_no_login_has_more_rights_than_it_needs(running: Running) -> None:
    assert rows(
        running.superuser(), "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreaterole"
    ) == [("postgres",)]
    assert statuses(running.browser(), TRAINED_AT, TRAINED_AT + HOUR) == []
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        rows(running.browser(), "SELECT * FROM tsad.reading_block")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        rows(running.pipeline(), "CREATE TABLE tsad.mine (i int)")
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        rows(running.pipeline("airflow"), "SELECT 1")


@pytest.mark.usefixtures("champion")
def test_a_backfill_by_celery_scores_its_hours(running: Running) -> None:
    last_at = TRAINED_AT + (N_QUIET - 1) * HOUR
    running.rest.unpause(SCORE)
    running.rest.backfill(SCORE, TRAINED_AT, last_at)
    running.rest.wait_until_done(SCORE, TRAINED_AT, last_at, N_QUIET, timeout_s=180)
    assert statuses(running.browser(), TRAINED_AT, last_at + HOUR) == ["scored"] * N_QUIET * N_HOSTS


@pytest.mark.usefixtures("champion")
def test_the_page_shows_what_was_trained_and_scored_under_an_operators_login(
    running: Running,
) -> None:
    assert DATASET in running.rest.page("/tsad/")
    assert "<b>v1</b>" in running.rest.page(f"/tsad/models/{DATASET}")
    on_call = running.uri("warehouse", "tsad_on_call", "TSAD_ON_CALL_PASSWORD")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        rows(on_call, "DELETE FROM tsad.reading_block")


@pytest.mark.usefixtures("champion")
def test_a_worker_killed_in_a_backfill_leaves_the_rows_of_an_undisturbed_run(
    running: Running,
) -> None:
    start_at = TRAINED_AT + N_QUIET * HOUR
    last_at = start_at + (N_KILLED - 1) * HOUR
    n_idle = len(running.composed.members("worker-1"))
    running.rest.backfill(SCORE, start_at, last_at)
    wait_for(
        "a task on worker-1",
        lambda: len(running.composed.members("worker-1")) > n_idle,
        timeout_s=60,
    )
    running.composed.kill("worker-1")
    running.composed.start("worker-1")
    running.rest.wait_until_done(SCORE, start_at, last_at, N_KILLED, timeout_s=240)
    assert max(running.rest.task_tries(SCORE, start_at, last_at)) > 1
    score_in_process(running, TRAINED_AT, last_at + HOUR)
    found, expected = (
        current_rows(running.superuser(name), last_at + HOUR) for name in ("warehouse", "clone")
    )
    assert len(found["v_status"]) == (N_QUIET + N_KILLED) * N_HOSTS
    assert found["v_anomaly"]
    assert found == expected
