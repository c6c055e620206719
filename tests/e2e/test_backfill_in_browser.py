"""What a person does: log in to the UI, switch the scoring DAG on, start a backfill in its dialog, see it turn green."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from rest import Rest
from small_room import CONNECTION, DATASET, HOUR, N_HOSTS, TRAINED_AT, fill_source, write_dataset
from upath import UPath

from tsad_tasks.config import load_config
from tsad_tasks.local import postgres, stack
from tsad_tasks.local.environment import ADMIN, Places
from tsad_tasks.local.places import project_folder
from tsad_tasks.steps.retrain import Retraining, ingest_history, retrain
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

SCORE = f"{DATASET}.score"
N_HOURS = 3
# As root, in a container, without a graphics card, and without calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
]


@dataclass(frozen=True)
class Ui:
    """A stack with its admin's password, and where its pictures go."""

    url: str
    password: str
    cluster: postgres.Cluster
    pictures: Path


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("browser")
    places = Places.of(project_folder(), folder / "home")
    write_dataset(folder / "datasets")
    cluster = postgres.ensure_running(places.home / "postgres", durable=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSAD_DATASETS", str(folder / "datasets"))
        patch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", cluster.create_database("plant"))
        try:
            train_champion(cluster, folder)
            running = stack.up(places, port=postgres.free_port())
            assert running.new_admin_password
            yield Ui(running.url, running.new_admin_password, cluster, folder)
        finally:
            stack.down(places.home)
            postgres.remove(places.home / "postgres")


def train_champion(cluster: postgres.Cluster, folder: Path) -> None:
    """Source, warehouse, and a model that is champion from the end of its training range on."""
    fill_source(cluster.uri("plant"))
    migrate(cluster.uri(), writer=postgres.PIPELINE, reader=postgres.BROWSER)
    config = load_config(folder / "datasets" / f"{DATASET}.yaml")
    artifacts = UPath(folder / "home" / "artifacts")
    with Store.connect(cluster.uri(role=postgres.PIPELINE)) as store:
        run = Retraining(store, config, TRAINED_AT, UPath(folder / "retraining"), artifacts)
        ingest_history(run, cluster.uri("plant"))
        retrain(run)


@pytest.fixture
def page() -> Iterator[Page]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1400, "height": 900}, locale="en-GB", timezone_id="UTC")
        opened.set_default_timeout(20_000)
        yield opened
        browser.close()


def log_in(page: Page, ui: Ui) -> None:
    page.goto(ui.url)
    page.get_by_label("Username").fill(ADMIN)
    page.get_by_label("Password").fill(ui.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{ui.url}/")


def test_x(ui: Ui, page: Page) -> None:
    print(ui.url, ui.password, ui.cluster.uri())
    import time
    while not (ui.pictures / "done").exists():
        time.sleep(1)
