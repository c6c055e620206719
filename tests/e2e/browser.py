"""A stack with its UI, a champion in its warehouse, and a browser that logs in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from upath import UPath

from devstack import postgres, stack
from devstack.environment import ADMIN, Places
from tests.e2e.small_room import CONNECTION, DATASET, TRAINED_AT, fill_source, write_dataset
from tsad_tasks.base.places import project_folder
from tsad_tasks.config import load_config
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

expect.set_options(timeout=30_000)
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


@contextmanager
def running_ui(
    folder: Path,
    *,
    training: str = "",
    fill: Callable[[postgres.Cluster], None] = lambda _: None,
) -> Iterator[Ui]:
    """A stack of its own with a champion; it is gone afterwards.

    Parameters
    ----------
    training : more settings of the dataset's training.
    fill : what else is to be in the warehouse before anybody looks.
    """
    places = Places.of(project_folder(), folder / "home")
    file = write_dataset(folder / "datasets")
    text = file.read_text(encoding="utf-8").replace("epochs: 2", f"epochs: 2{training}")
    file.write_text(text, encoding="utf-8")
    cluster = postgres.ensure_running(places.home / "postgres", durable=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TSAD_DATASETS", str(folder / "datasets"))
        patch.setenv("TSAD_HOME", str(places.home))
        patch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", cluster.create_database("plant"))
        try:
            train_champion(cluster, folder)
            fill(cluster)
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
        start_at, end_at = run.span.start_at, run.span.end_at
        ingest_interval(store, config, cluster.uri("plant"), start_at=start_at, end_at=end_at)
        retrain(run)


@contextmanager
def opened_page() -> Iterator[Page]:
    """A browser's page, closed afterwards."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        opened = browser.new_page(
            viewport={"width": 1400, "height": 900}, locale="en-GB", timezone_id="UTC"
        )
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def log_in(page: Page, ui: Ui) -> None:
    page.goto(ui.url)
    sign_in(page, ui)
    expect(page).to_have_url(f"{ui.url}/")


def sign_in(page: Page, ui: Ui) -> None:
    """Fills in Airflow's form, wherever it leads to."""
    page.get_by_label("Username").fill(ADMIN)
    page.get_by_label("Password").fill(ui.password)
    page.get_by_role("button", name="Sign in").click()
