"""An incident of 17 channels and a day in Airflow's frame, painted by a throttled browser."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg2
import yaml
from playwright.sync_api import Page, sync_playwright
from upath import UPath

from devstack import stack
from devstack.environment import ADMIN, Places
from devstack.postgres import (
    BROWSER,
    ON_CALL,
    PIPELINE,
    Cluster,
    ensure_running,
    free_port,
    remove,
)
from lab.gates import OPEN
from tsad_tasks.base.places import project_folder
from tsad_tasks.config import load_config
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

TRAINED_AT = datetime(2026, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)
N_CHANNELS, N_DAYS = 17, 9
CHANNELS = [f"channel_{i:02d}" for i in range(N_CHANNELS)]
CONFIG: dict[str, Any] = {
    "dataset": "pump",
    "source": {
        "connection": "plant",
        "tables": "reading",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "step": "1min",
        "channels": {name: {"unit": "bar"} for name in CHANNELS},
    },
    "training": {"range": "7d", "min_hours": 10, "fallback": []},
    "gate": OPEN,
    "shadow": {"hours": 0},
}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
QUIET = ("--disable-background-networking", "--disable-component-update", "--no-proxy-server")
# In every frame: milliseconds from the beginning of its page until the first charts are painted.
WATCH = """
  window.paintedAt = 0;
  const tick = () => {
    if (document.querySelector("#charts[data-painted]")) {
      window.paintedAt = performance.now();
    } else {
      setTimeout(tick, 5);
    }
  };
  tick();"""


@dataclass(frozen=True)
class Painted:
    """Seconds until the first charts: of a first visit, when the model has yet to be asked, and the
    best of later ones; and MB that Airflow's api-server came to have.
    """

    n_readings: int
    first_s: float
    later_s: float
    more_mb: float


def painted(folder: Path, n_times: int = 5) -> Painted:
    """An incident of a day of 17 channels, in Airflow's frame."""
    with running(folder) as (url, password, incident_id, n_readings, home):
        before_mb = server_mb(home)
        with throttled(url, password) as page:
            # Airflow's own interface, before anybody asks for the page.
            before_mb = max(before_mb, server_mb(home))
            page.goto(f"{url}/plugin/anomalies/tsad/incidents/{incident_id}")
            handle = page.wait_for_selector("iframe[title=Anomalies]")
            frame = handle.content_frame() if handle else None
            assert frame
            seconds = []
            for _ in range(1 + n_times):
                frame.wait_for_selector("#charts[data-painted]")
                page.wait_for_timeout(100)
                seconds.append(frame.evaluate("window.paintedAt") / 1000)
                frame.goto(f"{url}/tsad/incidents/{incident_id}")
            later_s = min(seconds[1:])
            return Painted(n_readings, seconds[0], later_s, server_mb(home) - before_mb)


@contextmanager
def throttled(url: str, password: str) -> Iterator[Page]:
    """A browser that is logged in, with its processor four times slower."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *QUIET])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.add_init_script(WATCH)
        page.goto(url)
        page.get_by_label("Username").fill(ADMIN)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        slow = page.context.new_cdp_session(page)
        slow.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        yield page
        browser.close()


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, str, str, int, Path]]:
    """Airflow over a warehouse with the incident: address, password, id, readings, home."""
    places = Places.of(project_folder(), folder / "home")
    (folder / "datasets").mkdir()
    file = folder / "datasets" / "pump.yaml"
    file.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    cluster = ensure_running(places.home / "postgres", durable=False)
    plant = {"AIRFLOW_CONN_PLANT": cluster.create_database("plant")}
    own = {"TSAD_DATASETS": str(file.parent), "TSAD_HOME": str(places.home)} | plant
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        incident_id, n_readings = faulty_day(cluster, file, folder)
        up = stack.up(places, port=free_port())
        assert up.new_admin_password
        yield up.url, up.new_admin_password, incident_id, n_readings, places.home
    finally:
        stack.down(places.home)
        remove(places.home / "postgres")
        restore(before)


def restore(before: Mapping[str, str | None]) -> None:
    """The environment as it was."""
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def faulty_day(cluster: Cluster, file: Path, folder: Path) -> tuple[str, int]:
    """Id and readings of an incident of a day; a model learned the week before it."""
    fill(cluster.uri("plant"))
    migrate(cluster.uri(), writer=PIPELINE, reader=BROWSER, operator=ON_CALL)
    config, artifacts = load_config(file), UPath(folder / "home" / "artifacts")
    with Store.connect(cluster.uri(role=PIPELINE)) as store:
        run = Retraining(store, config, TRAINED_AT, UPath(folder / "run"), artifacts)
        start_at, end_at = run.span.start_at, TRAINED_AT + 2 * DAY
        ingest_interval(store, config, cluster.uri("plant"), start_at=start_at, end_at=end_at)
        retrain(run)
        score_interval(store, config, start_at=TRAINED_AT, end_at=end_at)
        build_incidents(store, config, start_at=TRAINED_AT, end_at=end_at)
    longest = (
        "SELECT incident_id, extract(epoch FROM last_flag_at - started_at) / 60 "
        "FROM tsad.v_incident ORDER BY last_flag_at - started_at DESC LIMIT 1"
    )
    with closing(psycopg2.connect(cluster.uri())) as connection, connection.cursor() as cursor:
        cursor.execute(longest)
        ((incident_id, minutes),) = cursor.fetchall()
    return incident_id, int(minutes) * N_CHANNELS


def fill(uri: str) -> None:
    """A machine whose channels follow a daily load; for a day one of them does not."""
    n, generator = N_DAYS * 1440, np.random.default_rng(3)
    wander = generator.standard_normal(n).cumsum() / 400
    load = np.sin(2 * np.pi * np.arange(n) / 1440) + wander
    gains = generator.uniform(0.5, 2.0, N_CHANNELS)
    values = 50 + 5 * load[:, None] * gains + 0.5 * generator.standard_normal((n, N_CHANNELS))
    values[7 * 1440 + 300 : 8 * 1440 + 300, 3] -= 25
    start_at, lines = TRAINED_AT - 7 * DAY, io.StringIO()
    for i in range(n):
        shown = [f"{value:.3f}" for value in values[i].tolist()]
        at = (start_at + i * timedelta(minutes=1)).isoformat()
        lines.write(",".join([at, "pump", *shown]) + "\n")
    lines.seek(0)
    columns = ", ".join(f"{name} float8" for name in CHANNELS)
    with closing(psycopg2.connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE reading (at timestamptz, machine text, {columns})")
        cursor.copy_expert("COPY reading FROM STDIN (FORMAT csv)", lines)


def server_mb(home: Path) -> float:
    """Proportional set size of Airflow's api-server, its workers included."""
    found = 0.0
    for one in stack.stack_processes(home):
        try:
            if "api" in " ".join(one.cmdline()):
                found += one.memory_full_info().pss / 2**20
        except psutil.Error:
            continue
    return found
