"""The page in Airflow's frame: from the login to an incident and its verdict; who may not look."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from playwright.sync_api import Frame, Page, Route, expect

from devstack import postgres
from devstack.environment import ADMIN
from tests.e2e.browser import Ui, log_in, opened_page, running_ui, sign_in
from tests.e2e.rest import Rest, wait_for
from tests.e2e.small_room import DATASET, HOUR, TRAINED_AT
from tsad_tasks.champions.champions import promote
from tsad_tasks.config import load_config
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

N_HOURS = 6
# The CPU of one host is far too high for a quarter of an hour.
FAULT = """
    UPDATE server_metrics SET cpu = cpu + 60
    WHERE at >= %s AND at < %s AND host = (SELECT min(host) FROM server_metrics)"""
COUNT_VIOLATIONS = """
    window.violations = 0;
    document.addEventListener("securitypolicyviolation", () => { window.violations += 1; });"""
PAINTED = "#charts[data-painted]"
COLOURS = """depth => {
    const canvas = document.querySelector("[data-plot=error] canvas");
    const top = document.querySelector("[data-plot=error] .u-over").offsetTop;
    const row = Math.round((top + depth) * devicePixelRatio);
    const { data } = canvas.getContext("2d").getImageData(0, row, canvas.width, 1);
    return Array.from({ length: canvas.width }, (_, i) => data.slice(4 * i, 4 * i + 3).join());
}"""
LABEL = """() => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue("--label").trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join();
}"""
SECOND = """
    INSERT INTO tsad.model OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::tsad.model,
      to_jsonb(m) || '{"model_id": 2, "version": 2, "seed": 99}')).* FROM tsad.model m"""
DECIDED = """
    SELECT version, decision, decided_by, reason FROM tsad.v_model_history
    ORDER BY decided_at DESC LIMIT 1"""
ELSEWHERE = "http://elsewhere.example/"
FORM = """
    <form method="post" enctype="text/plain" action="{}"><input name='{{"verdict":"confirmed"}}'>
    </form><script>document.forms[0].submit()</script>"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    folder = tmp_path_factory.mktemp("page")
    with running_ui(folder, fill=lambda cluster: score_fault(cluster, folder)) as ui:
        yield ui


@pytest.fixture
def page() -> Iterator[Page]:
    with opened_page() as page:
        yield page


def score_fault(cluster: postgres.Cluster, folder: Path) -> None:
    """Some hours after the training, with a fault that nobody can miss."""
    began = TRAINED_AT + 4 * HOUR
    run(cluster.uri("plant"), FAULT, began, began + timedelta(minutes=15))
    logins = {"writer": postgres.PIPELINE, "reader": postgres.BROWSER}
    migrate(cluster.uri(), operator=postgres.ON_CALL, **logins)
    config = load_config(folder / "datasets" / f"{DATASET}.yaml")
    # The same bundle once more, so that there is a champion to go back to.
    run(cluster.uri(), SECOND)
    for first, last in ((0, 3), (3, N_HOURS)):
        span = {"start_at": TRAINED_AT + first * HOUR, "end_at": TRAINED_AT + last * HOUR}
        with Store.connect(cluster.uri(role=postgres.PIPELINE)) as store:
            ingest_interval(store, config, cluster.uri("plant"), **span)
            score_interval(store, config, **span)
            build_incidents(store, config, **span)
            if last < N_HOURS:
                promote(store, config, 2, by="ada", reason="in a hurry")


def run(uri: str, statement: str, *params: object) -> list[tuple[object, ...]]:
    with (
        closing(psycopg2.connect(uri)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, params)
        return list(cursor.fetchall()) if cursor.description else []


def ask(ui: Ui, statement: str) -> list[tuple[object, ...]]:
    return run(ui.cluster.uri(role=postgres.BROWSER), statement)


def worst(ui: Ui) -> tuple[str, str]:
    ((key, sentence),) = ask(
        ui, "SELECT incident_id, sentence FROM tsad.v_incident ORDER BY peak_score DESC LIMIT 1"
    )
    return str(key), str(sentence)


def framed(page: Page) -> Frame:
    """The page inside of Airflow's frame."""
    handle = page.wait_for_selector("iframe[title=Anomalies]")
    assert handle
    frame = handle.content_frame()
    assert frame
    return frame


def test_from_the_login_to_an_incident_and_its_verdict(ui: Ui, page: Page) -> None:
    page.add_init_script(COUNT_VIOLATIONS)
    log_in(page, ui)
    key, sentence = worst(ui)
    page.get_by_role("link", name="Anomalies").click()
    frame = framed(page)
    frame.get_by_role("link", name=DATASET, exact=True).first.click()
    page.screenshot(path=ui.pictures / "first_screen.png")
    frame.locator("ol.incidents a.sentence", has_text=sentence).first.click()
    expect(frame.locator("h1")).to_have_text(sentence)
    frame.wait_for_selector(PAINTED)
    expect(page).to_have_url(f"{ui.url}/plugin/anomalies/tsad/incidents/{key}")
    frame.locator("#charts .plot").first.hover()
    expect(frame.locator("#cursor")).to_contain_text("error")
    frame.get_by_role("button", name="Week before").click()
    frame.get_by_label("Note on the verdict").fill("<img src=x onerror=alert(1)>")
    frame.get_by_role("button", name="Real fault").click()
    expect(frame.locator("#standing")).to_contain_text("Real fault, said by admin")
    frame.wait_for_selector(PAINTED)
    page.screenshot(path=ui.pictures / "incident.png")
    assert ask(ui, "SELECT incident_id, verdict, said_by, note, login FROM tsad.v_verdict") == [
        (key, "confirmed", ADMIN, "<img src=x onerror=alert(1)>", postgres.ON_CALL)
    ]
    assert frame.evaluate("window.violations") == 0
    assert frame.locator("img").count() == 0


def colours(page: Page, depth: int) -> set[str]:
    """Colours of the error's plot, so many pixels below its upper edge."""
    return set(page.evaluate(COLOURS, depth))


def test_a_label_of_the_incidents_very_time_is_seen_above_its_plots(ui: Ui, page: Page) -> None:
    log_in(page, ui)
    page.goto(f"{ui.url}/tsad/incidents/{worst(ui)[0]}")
    page.wait_for_selector(PAINTED)
    label = page.evaluate(LABEL)
    assert label not in colours(page, 2)
    page.locator("[data-form=label] button").click()
    expect(page.locator("section", has=page.locator("#known"))).to_contain_text("anomaly (person)")
    page.wait_for_selector(PAINTED)
    assert label in colours(page, 2)
    # Below the strip the incident's own ground is seen.
    assert label not in colours(page, 8)


def test_a_link_in_a_message_opens_the_incident_after_the_login(ui: Ui, page: Page) -> None:
    key, sentence = worst(ui)
    page.goto(f"{ui.url}/plugin/anomalies/tsad/incidents/{key}")
    page.get_by_label("Username").fill(ADMIN)
    page.get_by_label("Password").fill(ui.password)
    page.get_by_role("button", name="Sign in").click()
    expect(framed(page).locator("h1")).to_have_text(sentence)


@pytest.mark.parametrize(
    ("name", "theme", "width"), [("dark", "dark", 1280), ("tablet", "light", 820)]
)
def test_it_stands_alone_in_each_theme_and_width_without_a_violation(
    ui: Ui, page: Page, name: str, theme: str, width: int
) -> None:
    page.add_init_script(COUNT_VIOLATIONS)
    log_in(page, ui)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
    for path in (f"incidents/{worst(ui)[0]}", f"?dataset={DATASET}", f"models/{DATASET}",
                 f"data/{DATASET}", f"reports/{DATASET}"):  # fmt: skip
        page.goto(f"{ui.url}/tsad/{path}")
        assert page.evaluate("document.documentElement.classList.contains('dark')") is (
            theme == "dark"
        )
        if path.startswith("incidents"):
            page.wait_for_selector(PAINTED)
            page.screenshot(path=ui.pictures / f"incident_{name}.png", full_page=True)
        assert page.evaluate("window.violations") == 0
        # Nothing is wider than the screen.
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def run_of(ui: Ui, run_id: str) -> dict[str, Any]:
    """A run of the DAG that makes champions, as Airflow has it."""
    return Rest.login(ui.url, ADMIN, ui.password).send(
        "GET", f"/api/v2/dags/{DATASET}.champion/dagRuns/{quote(run_id, safe='')}"
    )


def test_a_rollback_starts_a_run_in_the_name_of_who_is_logged_in(ui: Ui, page: Page) -> None:
    rest = Rest.login(ui.url, ADMIN, ui.password)
    rest.unpause(f"{DATASET}.champion")
    page.add_init_script(COUNT_VIOLATIONS)
    log_in(page, ui)
    page.goto(f"{ui.url}/plugin/anomalies/tsad/models/{DATASET}")
    frame = framed(page)
    frame.get_by_role("button", name="Roll back to v1").click()
    dialog = frame.get_by_role("dialog")
    expect(dialog).to_contain_text("scored again by it")
    page.screenshot(path=ui.pictures / "rollback.png")
    # Without a reason nothing is started.
    dialog.get_by_role("button", name="Start the run").click()
    expect(dialog).to_be_visible()
    dialog.get_by_label("Why").fill("<i>cries wolf</i>")
    dialog.get_by_label("Why").press("Enter")
    expect(frame.locator("#told")).to_contain_text("Started")
    run_id = frame.locator("#told").inner_text().partition(": ")[2]
    ended = ("success", "failed")
    wait_for("an end", lambda: run_of(ui, run_id)["state"] in ended, timeout_s=180)
    found = run_of(ui, run_id)
    assert (found["state"], found["triggering_user_name"]) == ("success", ADMIN)
    asked = {"action": "roll_back", "version": 1, "why": "<i>cries wolf</i>"}
    assert found["conf"] == asked
    assert ask(ui, DECIDED) == [(1, "rolled_back", ADMIN, "<i>cries wolf</i>")]
    page.reload()
    expect(framed(page).locator("#decided + ul")).to_contain_text("<i>cries wolf</i>")
    assert framed(page).evaluate("window.violations") == 0


def test_a_dag_of_the_dataset_has_a_tab_with_its_incidents(ui: Ui, page: Page) -> None:
    log_in(page, ui)
    page.goto(f"{ui.url}/dags/{DATASET}.score/plugin/anomalies_of_dag")
    expect(framed(page).locator(".crumbs")).to_contain_text(DATASET)


def test_nobody_sees_anything_without_a_login(ui: Ui) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    key = worst(ui)[0]
    for path in ("", f"incidents/{key}", f"incidents/{key}/first.json", "static/page.js",
                 f"models/{DATASET}", f"reports/{DATASET}/x.pdf", "nowhere"):  # fmt: skip
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(f"{ui.url}/tsad/{path}", timeout=30)
        assert refused.value.code == 401


def test_who_is_logged_out_comes_back_by_the_login(ui: Ui, page: Page) -> None:
    key, sentence = worst(ui)
    answer = page.goto(f"{ui.url}/tsad/incidents/{key}")
    assert answer
    assert answer.status == 401
    page.get_by_role("link", name="Log in and come back here").click()
    sign_in(page, ui)
    expect(page.locator("h1")).to_have_text(sentence)
    assert page.url == f"{ui.url}/tsad/incidents/{key}"


def sent_from_elsewhere(page: Page, target: str) -> int:
    """Status of what a form of another site gets."""

    def answer(route: Route) -> None:
        route.fulfill(body=FORM.format(target), content_type="text/html")

    page.route(f"{ELSEWHERE}*", answer)
    with page.expect_response(target) as sent:
        page.goto(ELSEWHERE)
    return sent.value.status


def test_a_form_of_another_site_is_refused_and_leaves_no_row(ui: Ui, page: Page) -> None:
    log_in(page, ui)
    before = ask(ui, "SELECT count(*) FROM tsad.v_verdict")
    target = f"{ui.url}/tsad/incidents/{worst(ui)[0]}/verdict"
    assert sent_from_elsewhere(page, target) == 403
    assert ask(ui, "SELECT count(*) FROM tsad.v_verdict") == before


def test_a_form_of_another_site_starts_no_run(ui: Ui, page: Page) -> None:
    log_in(page, ui)
    runs = f"/api/v2/dags/{DATASET}.champion/dagRuns"
    rest = Rest.login(ui.url, ADMIN, ui.password)
    before = rest.send("GET", runs)["total_entries"]
    assert sent_from_elsewhere(page, f"{ui.url}{runs}") in (401, 403, 422)
    assert rest.send("GET", runs)["total_entries"] == before
