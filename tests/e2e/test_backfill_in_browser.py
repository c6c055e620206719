"""What a person does: log in, switch the scoring DAG on, start a backfill in its dialog, see it
turn green.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import psycopg2
import pytest
from playwright.sync_api import Locator, Page, expect

from devstack import postgres
from devstack.environment import ADMIN
from tests.e2e.browser import Ui, log_in, opened_page, running_ui
from tests.e2e.rest import Rest, wait_for
from tests.e2e.small_room import (
    DATASET,
    HOUR,
    N_HOSTS,
    TRAINED_AT,
)
from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import register_model
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.config import load_config
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import NewModel

SCORE, PROMOTE, RETRAIN = (f"{DATASET}.{kind}" for kind in ("score", "promote", "retrain"))
N_HOURS = 3
ANSWERED_AFTER_MS = 5000


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    with running_ui(tmp_path_factory.mktemp("browser"), training=", preview: manual") as ui:
        yield ui


@pytest.fixture
def page() -> Iterator[Page]:
    with opened_page() as page:
        yield page


def choose_time(page: Page, dialog: Locator, position: int, at: datetime) -> None:
    """Type date and time into one of the dialog's two fields."""
    dialog.get_by_test_id("datetime-input").nth(position).click()
    popover = page.locator("[data-scope=popover][data-part=content][data-state=open]")
    popover.get_by_placeholder("YYYY/MM/DD").fill(f"{at:%Y/%m/%d}")
    popover.get_by_placeholder("HH:mm").fill(f"{at:%H:%M}")
    page.keyboard.press("Escape")
    expect(dialog.get_by_test_id("datetime-input").nth(position)).to_contain_text(
        f"{at:%b %d, %Y %H:%M}"
    )


def start_backfill(page: Page, ui: Ui, first_at: datetime, last_at: datetime) -> None:
    """Fill in the backfill dialog of the DAG's page and send it off."""
    page.get_by_test_id("trigger-dag-button").click()
    dialog = page.get_by_role("dialog").filter(has_text=SCORE)
    dialog.get_by_text("Backfill", exact=True).click()
    for position, at in enumerate((first_at, last_at)):
        choose_time(page, dialog, position, at)
    dialog.locator("input[name=max_active_runs]").fill("3")
    page.screenshot(path=ui.pictures / "dialog.png")
    dialog.get_by_role("button", name="Run Backfill").click()
    expect(page.get_by_text("Backfill in progress")).to_be_visible()


def statuses(uri: str) -> list[tuple[datetime, str]]:
    span = "SELECT hour_at, status FROM tsad.v_status WHERE hour_at < '2025-01-01' ORDER BY 1"
    with (
        closing(psycopg2.connect(uri, options="-c timezone=UTC")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(span)
        return list(cursor.fetchall())


def test_a_backfill_started_in_the_ui_turns_green_and_its_hours_are_in_v_status(
    ui: Ui, page: Page
) -> None:
    browser_uri = ui.cluster.uri(role=postgres.BROWSER)
    assert statuses(browser_uri) == []
    log_in(page, ui)
    page.goto(f"{ui.url}/dags/{SCORE}")
    page.locator("[data-scope=switch][data-part=control]").first.click()
    start_backfill(page, ui, TRAINED_AT, TRAINED_AT + (N_HOURS - 1) * HOUR)
    page.screenshot(path=ui.pictures / "started.png")
    page.goto(f"{ui.url}/dags/{SCORE}/runs")
    runs = page.get_by_role("row").filter(has_text="backfill__")
    expect(runs.filter(has_text="Success")).to_have_count(N_HOURS, timeout=180_000)
    page.screenshot(path=ui.pictures / "green.png")
    hours = [TRAINED_AT + k * HOUR for k in range(N_HOURS) for _ in range(N_HOSTS)]
    assert statuses(browser_uri) == [(hour_at, "scored") for hour_at in hours]


def challenge(ui: Ui) -> None:
    """The champion once more as another model, in its shadow, and an hour that both have scored."""
    config = load_config(ui.pictures / "datasets" / f"{DATASET}.yaml")
    with Store.connect(ui.cluster.uri(role=postgres.PIPELINE)) as store:
        row = store.one(SELECT_MODEL, model_id=1)
        first = NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__})
        rules = [RuleResult("finite_loss", Outcome.MET, 0.1)]
        assert register_model(store, replace(first, seed=8), rules, []).shadow_from is not None
        # Airflow has also run the hour that has just gone by, so the shadow would begin now.
        shadow_from = TRAINED_AT + N_HOURS * HOUR
        move_shadow(ui, shadow_from)
        span = {"start_at": shadow_from, "end_at": shadow_from + HOUR}
        ingest_interval(store, config, ui.cluster.uri("plant"), **span)
        score_interval(store, config, **span)
        build_incidents(store, config, **span)


def move_shadow(ui: Ui, to_at: datetime) -> None:
    with (
        closing(psycopg2.connect(ui.cluster.uri())) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "UPDATE tsad.champion_record SET valid_from = %s WHERE lineage = 'live/shadow'",
            (to_at,),
        )


def champions(ui: Ui) -> list[tuple[int, str]]:
    browser_uri = ui.cluster.uri(role=postgres.BROWSER)
    with closing(psycopg2.connect(browser_uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version, state FROM tsad.v_model ORDER BY 1")
        return list(cursor.fetchall())


def test_a_challenger_is_promoted_by_a_person_who_sees_its_numbers(ui: Ui, page: Page) -> None:
    challenge(ui)
    assert champions(ui) == [(1, "champion"), (2, "shadow")]
    rest = Rest.login(ui.url, ADMIN, ui.password)
    rest.unpause(PROMOTE)
    # The run of the last hour comes by itself, and waits for a person.
    asked = f"/api/v2/dags/{PROMOTE}/dagRuns/~/taskInstances?state=awaiting_input"
    wait_for("the form", lambda: rest.send("GET", asked)["total_entries"] == 1, timeout_s=120)
    run_id = rest.send("GET", asked)["task_instances"][0]["dag_run_id"]
    log_in(page, ui)
    page.goto(f"{ui.url}/dags/{PROMOTE}/runs/{run_id}/tasks/approve/required_actions")
    expect(page.get_by_text("flag_share")).to_be_visible()
    page.screenshot(path=ui.pictures / "form.png")
    # Airflow 3.3.2 asks again where a form is answered in its first seconds.
    page.wait_for_timeout(ANSWERED_AFTER_MS)
    page.get_by_role("button", name="Approve").click()
    wait_for(
        "a new champion",
        lambda: champions(ui) == [(1, "former champion"), (2, "champion")],
        timeout_s=120,
    )


def decisions(ui: Ui) -> list[tuple[str, str, int]]:
    browser_uri = ui.cluster.uri(role=postgres.BROWSER)
    with closing(psycopg2.connect(browser_uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT decision, decided_by, n_entities FROM tsad.v_training_decision")
        return list(cursor.fetchall())


def test_a_training_is_stopped_by_a_person_who_sees_what_it_would_learn(ui: Ui, page: Page) -> None:
    rest = Rest.login(ui.url, ADMIN, ui.password)
    rest.unpause(RETRAIN)
    end_at = (TRAINED_AT + 6 * HOUR).isoformat()
    content = {"logical_date": end_at, "conf": {"end": end_at}}
    run_id = rest.send("POST", f"/api/v2/dags/{RETRAIN}/dagRuns", content)["dag_run_id"]
    asked = f"/api/v2/dags/{RETRAIN}/dagRuns/{run_id}/taskInstances?state=awaiting_input"
    wait_for("the form", lambda: rest.send("GET", asked)["total_entries"] == 1, timeout_s=240)
    log_in(page, ui)
    page.goto(f"{ui.url}/dags/{RETRAIN}/runs/{run_id}/tasks/approve/required_actions")
    expect(page.get_by_text("Pictures:")).to_be_visible()
    page.screenshot(path=ui.pictures / "preview.png", full_page=True)
    # Airflow 3.3.2 asks again where a form is answered in its first seconds.
    page.wait_for_timeout(ANSWERED_AFTER_MS)
    page.get_by_role("button", name="Stop").click()
    wait_for("the decision", lambda: decisions(ui) == [("stopped", ADMIN, N_HOSTS)], timeout_s=120)
    run = f"/api/v2/dags/{RETRAIN}/dagRuns/{run_id}"
    wait_for(
        "the end of the run", lambda: rest.send("GET", run)["state"] == "success", timeout_s=120
    )
