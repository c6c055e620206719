"""The page over a real warehouse: what it shows, what it refuses, what it writes."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urljoin, urlsplit

import numpy as np
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from devstack.postgres import BROWSER, ON_CALL, Cluster
from tests.page.room import OWN, PageRoom, scored_room
from tests.plants.challengers import FAILED, challenger
from tests.plants.trained import END_AT, SPLIT_AT, Plant, config
from tsad_tasks.champions.champions import promote, roll_back
from tsad_tasks.page.app import page_app, way_back
from tsad_tasks.page.guard import POLICY, Visitor
from tsad_tasks.page.incident import Drawn
from tsad_tasks.page.queries import Watching
from tsad_tasks.page.render import assets, environment
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import time_text


@pytest.fixture(scope="module")
def room(cluster: Cluster, trained_template: str) -> Iterator[PageRoom]:
    with scored_room(cluster, trained_template) as made:
        yield made


def test_the_first_screen_says_until_when_it_is_scored_and_names_the_incident(
    room: PageRoom,
) -> None:
    text = html.unescape(room.client().get("/").text)
    incident_id, sentence = room.incidents[0]
    assert "Is the watching working?" in text
    assert "This part could not be read" not in text
    assert sentence in text
    assert f"incidents/{incident_id}" in text


def test_the_first_screen_says_a_priority_where_more_or_less_depends_on_a_machine(
    room: PageRoom,
) -> None:
    def shown(path: str) -> list[str]:
        return re.findall(r">(priority \d)<", room.client().get(path).text)

    incident_id, _ = room.incidents[0]
    assert shown("/") == shown(f"/incidents/{incident_id}") == []
    room.execute("UPDATE tsad.entity SET criticality = 'high'")
    try:
        (priority,) = {
            f"priority {row[0]}"
            for row in room.execute(
                "SELECT priority FROM tsad.v_incident WHERE incident_id = %s", incident_id
            )
        }
        assert priority in shown("/")
        assert shown(f"/incidents/{incident_id}") == [priority]
        assert "the most urgent first" in room.client().get("/").text
    finally:
        room.execute("UPDATE tsad.entity SET criticality = 'normal'")


def test_an_incident_shows_the_sentence_of_the_view(room: PageRoom) -> None:
    for incident_id, sentence in room.incidents:
        answer = room.client().get(f"/incidents/{incident_id}")
        assert answer.status_code == 200
        assert f"<h1>{html.escape(sentence)}</h1>" in answer.text


def test_the_text_of_an_incident_waits_for_no_model_and_its_plots_come_after_it(
    room: PageRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id, sentence = room.incidents[0]
    client, address = room.client(), f"/incidents/{incident_id}"

    def unasked(*_: object) -> Drawn:
        raise AssertionError("the model was asked")

    with monkeypatch.context() as patch:
        patch.setattr("tsad_tasks.page.incident.drawn_incident", unasked)
        early = client.get(address).text
    assert sentence in html.unescape(early)
    (later,) = re.findall(r'data-whole="([^"]+)"', early)
    assert 'id="charts"' not in early
    # In place of what lacks comes what the whole page has, by the same names.
    whole = client.get(urljoin(address, later)).text
    assert 'id="charts"' in whole
    names = [re.findall(r'data-part="(\w+)"', text) for text in (early, whole)]
    assert names[0] == names[1] == ["shares", "note", "happened", "model"]
    # It is kept: who comes next sees it at once.
    assert 'id="charts"' in client.get(address).text


def test_incidents_of_a_group_are_one_row_that_leads_to_all_of_them(room: PageRoom) -> None:
    headline = "2 of 2 machines: cpu rose, since 7 Mar 12:00"
    ids = [key for key, _ in room.incidents]
    room.execute(
        "INSERT INTO tsad.incident_group (group_id, dataset_id, lineage, started_at, n_entities, "
        "n_all_entities, headline) SELECT 'GRP-1', dataset_id, 'live', now(), 2, 2, %s "
        "FROM tsad.dataset WHERE name = 'room'",
        headline,
    )
    room.execute("UPDATE tsad.incident SET group_id = 'GRP-1' WHERE incident_id = ANY(%s)", ids)
    try:
        text = html.unescape(room.client().get("/?dataset=room").text)
        needs = text[text.index('id="needs"') : text.index('id="unwatched"')]
        assert needs.count(headline) == 1
        assert f"{len(ids)} incidents, the worst" in needs
        assert needs.count("incidents/INC-") == 1
        (link,) = re.findall(r'href="(\?[^"]*group=GRP-1[^"]*)"', needs)
        listed = room.client().get(f"/{link}").text
        assert all(f"incidents/{key}" in listed[listed.index('id="list"') :] for key in ids)
        other = room.client().get("/?dataset=room&group=GRP-2").text
        assert "No incident answers to this" in other
        shown = html.unescape(room.client().get(f"/incidents/{ids[0]}").text)
        assert headline in shown
    finally:
        room.execute("UPDATE tsad.incident SET group_id = NULL")
        room.execute("DELETE FROM tsad.incident_group")


def test_a_link_to_an_incident_that_late_rows_replaced_leads_to_what_took_its_place(
    room: PageRoom,
) -> None:
    incident_id = room.incidents[0][0]
    room.execute(
        "INSERT INTO tsad.incident SELECT (jsonb_populate_record(i, jsonb_build_object("
        "'incident_id', 'INC-gone', 'withdrawn_at', now()))).* "
        "FROM tsad.incident i WHERE incident_id = %s",
        incident_id,
    )
    gone = "/incidents/INC-gone"
    answer = room.client().get(gone, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, incident_id)
    assert room.client().get(gone).status_code == 200
    assert room.client(reads=()).get(gone).status_code == 404
    room.execute("DELETE FROM tsad.incident WHERE incident_id = 'INC-gone'")
    assert room.client().get(gone).status_code == 404


def test_no_plot_expects_what_a_sensor_cannot_show(room: PageRoom) -> None:
    incident_id, _ = room.incidents[0]

    def expected() -> tuple[str, list[float]]:
        drawn = room.client().get(f"/incidents/{incident_id}/first.json").json()
        channel = drawn["channels"][0]
        return channel["name"], [one for one in channel["expected"] if one is not None]

    name, before = expected()
    ends = [round(float(np.quantile(before, share)), 3) for share in (0.25, 0.75)]
    ((config,),) = room.execute("SELECT config FROM tsad.dataset WHERE name = 'room'")
    path = ["sources", "0", "channels", name, "sensor_range"]
    try:
        room.execute(
            "UPDATE tsad.dataset SET config = jsonb_set(config, %s::text[], %s::jsonb) "
            "WHERE name = 'room'",
            path, json.dumps(ends),
        )  # fmt: skip
        _, within = expected()
        assert min(before) < min(within) == pytest.approx(ends[0], abs=0.1)
        assert max(before) > max(within) == pytest.approx(ends[1], abs=0.1)
    finally:
        room.execute("UPDATE tsad.dataset SET config = %s WHERE name = 'room'", json.dumps(config))


def test_the_plots_hold_what_was_read_scored_and_expected(room: PageRoom) -> None:
    incident_id = room.incidents[0][0]
    drawn = room.client().get(f"/incidents/{incident_id}/first.json").json()
    (n_flags, entity) = room.execute(
        "SELECT n_flags, entity FROM tsad.v_incident WHERE incident_id = %s", incident_id
    )[0]
    began, ended = drawn["incident"]
    inside = [i for i in drawn["flags"] if began <= drawn["times"][i] < ended]
    assert len(inside) == n_flags
    assert {len(one["values"]) for one in drawn["channels"]} == {len(drawn["times"])}
    channel = drawn["channels"][0]
    read = room.execute(
        "SELECT extract(epoch FROM at)::int, value "
        "FROM tsad.readings('room', %s, to_timestamp(%s), to_timestamp(%s)) WHERE channel = %s",
        *(entity, began, ended, channel["name"]),
    )
    at = drawn["times"].index(read[0][0])
    assert channel["values"][at] == pytest.approx(read[0][1], abs=10 ** -channel["decimals"])
    assert channel["half"] > 0
    assert len(drawn["heat"]["rows"]) == len(drawn["channels"])


@pytest.mark.parametrize(
    "path", ["models/room", "data/room", "reports/room", "?severity=HIGH&days=30"]
)
def test_every_other_page_is_whole(room: PageRoom, path: str) -> None:
    answer = room.client().get(f"/{path}")
    assert answer.status_code == 200
    assert "could not be read" not in answer.text


def test_before_a_week_was_measured_the_page_of_models_says_what_is_known(room: PageRoom) -> None:
    text = html.unescape(room.client().get("/models/room").text)
    n_incidents = room.execute("SELECT count(*) FROM tsad.v_incident_chain")[0][0]
    assert "No week was measured yet" in text
    assert (
        f"v1, champion since 7 Mar 12:00: 12 hours scored, {n_incidents} incidents. "
        "Its first week, to 9 Mar 2026, is measured by a run of room.report after that."
    ) in text


def test_where_the_source_has_ended_the_first_screen_says_so_and_what_to_do(
    room: PageRoom,
) -> None:
    text = html.unescape(room.client().get("/").text)
    newest = room.execute("SELECT newest_reading_at FROM tsad.v_health")[0][0]
    assert f"Nothing newer than {time_text(newest, 'UTC')} was read" in text
    assert "the next run of <code>room.score</code> reads on from there" in text
    # Rows that wait to be scored are another thing.
    row = {"dataset": "room", "state": "late", "late_s": 90000, "why": None, "n_live": 1}
    row |= {"n_silent": 0, "n_retired": 0, "champion": "v1", "scored_until": END_AT}
    assert Watching(**row, newest_reading_at=END_AT - timedelta(minutes=5)).has_ended
    assert not Watching(**row, newest_reading_at=END_AT + timedelta(minutes=5)).has_ended
    assert not Watching(**row | {"late_s": 7200}, newest_reading_at=SPLIT_AT).has_ended


def champion_buttons(room: PageRoom, edits: tuple[str, ...]) -> list[tuple[str, str]]:
    """What the page of models offers to make champion: action and version."""
    text = room.client(edits=edits).get("/models/room").text
    return re.findall(
        r'data-dag="room.champion"[^>]*data-action="(\w+)" data-version="(\d+)"', text
    )


def test_who_may_edit_is_offered_what_can_be_champion(plant: Plant, cluster: Cluster) -> None:
    room = PageRoom(plant.uri, cluster.uri(plant.uri.rsplit("/", 1)[1], ON_CALL))
    assert champion_buttons(room, ("room",)) == []
    challenger(plant)
    challenger(plant, seed=9, gate=FAILED)
    assert champion_buttons(room, ("room",)) == [("promote", "2")]
    with Store.connect(plant.uri) as store:
        promote(store, plant.config, 2, by="ada", reason="better")
    assert champion_buttons(room, ("room",)) == [("roll_back", "1")]
    assert champion_buttons(room, ()) == []
    with Store.connect(plant.uri) as store:
        roll_back(store, plant.config, by="ada", reason="worse")
    # Version 2 is no champion any more before it scored an hour.
    assert champion_buttons(room, ("room",)) == [("promote", "2")]
    text = room.client().get("/models/room").text
    assert "<td>rolled back</td>" in text
    # Version 1 is champion for the second time, and had to meet its rules once.
    assert re.findall(r"What v(\d) had to meet", text) == ["3", "2", "1"]


@pytest.fixture
def report(room: PageRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the PDF of the plant's faults, where the page looks for reports."""
    monkeypatch.setenv("TSAD_ARTIFACTS", str(tmp_path))
    with Store.connect(room.uri) as store:
        summary = render_period(store, config(), start_at=SPLIT_AT, end_at=END_AT)
    return Path(summary.path).name


@pytest.mark.parametrize("path", ["/?days=30", "/incidents/{}", "/models/room", "/reports/room"])
@pytest.mark.usefixtures("report")
def test_every_address_of_a_page_is_relative_and_answers(room: PageRoom, path: str) -> None:
    client = room.client()
    page = path.format(room.incidents[0][0])
    text = client.get(page).text
    found = set(re.findall(r'(?:href|src|data-source|data-rest)="([^"#]*)', text))
    assert len(found) > 5
    for address in found:
        assert not address.startswith(("/", "http"))
        answer = client.get(urljoin(f"http://testserver{page}", html.unescape(address)))
        assert answer.status_code == 200, address


def test_a_report_is_a_download_with_a_picture_of_its_first_page(
    room: PageRoom, report: str
) -> None:
    client = room.client()
    pdf = client.get(f"/reports/room/{report}")
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-disposition"] == f'attachment; filename="{report}"'
    picture = client.get(f"/reports/room/{report}.png")
    assert (picture.headers["content-type"], picture.content[1:4]) == ("image/png", b"PNG")
    table = client.get(f"/reports/room/{report.removesuffix('.pdf')}_incidents.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert room.incidents[0][0] in table.text
    for other in ("..%2f..%2fsecret.pdf", "room.pdf", f"other_{report}"):
        assert client.get(f"/reports/room/{other}").status_code == 404


def test_no_inline_script_or_style_and_a_strict_policy_everywhere(room: PageRoom) -> None:
    client = room.client()
    assert "unsafe" not in POLICY
    for path in ("/", f"/incidents/{room.incidents[0][0]}", "/static/page.js", "/nowhere"):
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == POLICY
        if "html" in answer.headers["content-type"]:
            assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|<style", answer.text)


def test_who_may_not_read_a_dataset_sees_nothing_of_it(room: PageRoom) -> None:
    client, incident_id = room.client(reads=()), room.incidents[0][0]
    own = f"incidents/{incident_id}"
    for path in (own, f"{own}/first.json", "models/room", "data/room", "reports/room"):
        assert client.get(f"/{path}").status_code == 404
    text = client.get("/").text
    assert "No dataset to show" in text
    assert "room" not in text


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/", "/tsad/"),
        ("/incidents/INC-1?a=b&next=//evil", "/tsad/incidents/INC-1?a=b&next=//evil"),
        ("//evil.example/x", "/tsad//evil.example/x"),
        ("/%2F%2Fevil", "/tsad///evil"),
    ],
)
def test_who_is_logged_out_is_shown_the_way_to_the_login_and_back_to_this_site(
    room: PageRoom, path: str, back: str
) -> None:
    def nobody() -> Visitor:
        raise HTTPException(401, "Not authenticated")

    outer = FastAPI()
    outer.mount("/tsad", page_app(lambda: room.uri, nobody, login="../login"))
    answer = TestClient(outer).get(f"/tsad{path}")
    assert answer.status_code == 401
    assert "Users of this Airflow may look at this page." in answer.text
    assert "Not authenticated" not in answer.text
    (found,) = re.findall(r'href="([^"]+)">Log in', answer.text)
    target = urlsplit(urljoin(f"http://here/tsad{path}", html.unescape(found)))
    assert parse_qs(target.query)["next"] == [back]
    assert TestClient(outer).get("/tsad/incidents/x/first.json").json() == {
        "error": "Not authenticated"
    }


def test_a_way_back_never_names_another_site() -> None:
    for path in ("//evil.example/", "///evil.example", "/\\evil.example"):
        asked = Request({"type": "http", "path": path, "query_string": b"", "headers": []})
        assert re.match(r"/[^/\\]", way_back(asked)), path


def test_hours_of_which_as_much_was_read_are_one_row(room: PageRoom) -> None:
    hours = room.execute("SELECT hour_at, n_rows, n_readings FROM tsad.v_ingest ORDER BY hour_at")
    text = room.client().get("/data/room").text
    read = text[text.index('id="read"') :]
    rows = re.findall(r'<td class="number">([\d\u2009]+)</td>' * 3, read)
    assert sum(int(n) for n, *_ in rows) == len(hours[-168:])
    assert len(rows) < len(hours)


def n_rows(room: PageRoom) -> list[tuple[object, ...]]:
    return room.execute(
        "SELECT (SELECT count(*) FROM tsad.verdict), (SELECT count(*) FROM tsad.triage), "
        "(SELECT count(*) FROM tsad.label_record), (SELECT count(*) FROM tsad.maintenance_window)"
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-tsad": "1"},
        {"sec-fetch-site": "same-origin"},
        OWN | {"sec-fetch-site": "cross-site"},
        OWN | {"sec-fetch-site": "same-site"},
        OWN | {"content-type": "text/plain"},
        OWN | {"content-type": "application/x-www-form-urlencoded"},
        {"x-tsad": "1", "origin": "http://evil.example"},
    ],
)
def test_a_write_from_elsewhere_is_refused_and_leaves_no_row(
    room: PageRoom, headers: dict[str, str]
) -> None:
    client, before = room.client(edits=("room",)), n_rows(room)
    path = f"/incidents/{room.incidents[0][0]}/verdict"
    body = json.dumps({"verdict": "confirmed"})
    answer = client.post(path, content=body, headers={"content-type": "application/json"} | headers)
    assert answer.status_code == 403
    assert n_rows(room) == before


def test_a_write_without_edit_rights_is_refused_and_leaves_no_row(room: PageRoom) -> None:
    before = n_rows(room)
    path = f"/incidents/{room.incidents[0][0]}/verdict"
    answer = room.client().post(path, json={"verdict": "confirmed"}, headers=OWN)
    assert answer.status_code == 403
    assert n_rows(room) == before


def test_reading_every_page_writes_nothing(room: PageRoom) -> None:
    before, client = n_rows(room), room.client(edits=("room",))
    incident_id = room.incidents[0][0]
    for path in (
        "",
        f"incidents/{incident_id}",
        f"incidents/{incident_id}/first.json",
        "models/room",
    ):
        assert client.get(f"/{path}").status_code == 200
    assert client.get(f"/incidents/{incident_id}/verdict?verdict=confirmed").status_code == 404
    assert n_rows(room) == before


def test_a_verdict_carries_the_visitor_and_the_operators_login_and_can_be_taken_back(
    room: PageRoom,
) -> None:
    client, incident_id = room.client(edits=("room",)), room.incidents[0][0]
    said = {"verdict": "confirmed", "note": "<b>bearing</b>"}
    assert client.post(f"/incidents/{incident_id}/verdict", json=said, headers=OWN).json()["number"]
    newest = (
        "SELECT verdict, said_by, note, login FROM tsad.v_verdict ORDER BY verdict_id DESC LIMIT 1"
    )
    assert room.execute(newest) == [("confirmed", "ada", "<b>bearing</b>", "tsad_on_call")]
    text = client.get(f"/incidents/{incident_id}").text
    assert "&lt;b&gt;bearing&lt;/b&gt;" in text
    assert "<b>bearing</b>" not in text
    taken_back = {"verdict": None}
    path = f"/incidents/{incident_id}/verdict"
    assert client.post(path, json=taken_back, headers=OWN).status_code == 200
    standing = "SELECT verdict FROM tsad.v_incident WHERE incident_id = %s"
    assert room.execute(standing, incident_id) == [(None,)]


def test_who_snoozes_has_it_in_hand_and_it_no_longer_needs_anybody(room: PageRoom) -> None:
    client, (incident_id, _) = room.client(edits=("room",)), room.incidents[1]
    needs = re.compile(r'<ol class="incidents">.*?</ol>', re.S)
    found = needs.search(client.get("/").text)
    assert found
    assert incident_id in found[0]
    path = f"/incidents/{incident_id}/triage"
    said = {"taken": True, "snooze_h": 4}
    assert client.post(path, json=said, headers=OWN).status_code == 200
    latest = (
        "SELECT taken_by, snoozed_until > now() + interval '3 hours 50 minutes', said_by, login "
        "FROM tsad.v_triage ORDER BY triage_id DESC LIMIT 1"
    )
    assert room.execute(latest) == [("ada", True, "ada", "tsad_on_call")]
    found = needs.search(client.get("/").text)
    assert found is None or incident_id not in found[0]
    assert client.post(path, json={"taken": False}, headers=OWN).status_code == 200
    assert room.execute(latest) == [(None, None, "ada", "tsad_on_call")]


def test_a_label_and_a_maintenance_window_are_on_the_clock_of_the_site(room: PageRoom) -> None:
    client, incident_id = room.client(edits=("room",)), room.incidents[0][0]
    span = {"start": "2026-03-08T01:00", "end": "2026-03-08T02:30"}
    label = span | {"kind": "leak", "note": "seen"}
    path = f"/incidents/{incident_id}"
    assert client.post(f"{path}/label", json=label, headers=OWN).status_code == 200
    upkeep = span | {"title": "filters"}
    assert client.post(f"{path}/maintenance", json=upkeep, headers=OWN).status_code == 200
    assert room.execute(
        "SELECT to_char(start_at, 'HH24:MI'), kind, note FROM tsad.v_label "
        "ORDER BY label_id DESC LIMIT 1"
    ) == [("01:00", "leak", "seen (ada)")]
    assert room.execute(
        "SELECT to_char(end_at, 'HH24:MI'), title, created_by FROM tsad.v_maintenance "
        "ORDER BY window_id DESC LIMIT 1"
    ) == [("02:30", "filters", "ada")]
    wrong = {"start": "2026-03-08T02:00", "end": "2026-03-08T01:00"}
    answer = client.post(f"{path}/label", json=label | wrong, headers=OWN)
    assert answer.status_code == 400
    assert "starts before its end" in answer.json()["error"]


def test_maintenance_of_an_incident_stands_beside_its_form_once_it_is_added(room: PageRoom) -> None:
    client, incident_id = room.client(edits=("room",)), room.incidents[0][0]
    path = f"/incidents/{incident_id}"
    form = client.get(path).text.partition('data-form="maintenance"')[2]
    span = dict(re.findall(r'name="(start|end)" required value="([^"]+)"', form)[:2])
    answer = client.post(f"{path}/maintenance", json=span | {"title": "a < b"}, headers=OWN)
    listed = f": maintenance {answer.json()['number']}: a &lt; b</p>"
    assert listed in client.get(path).text.partition('data-form="maintenance"')[2]


def test_the_list_goes_on_where_it_stopped(room: PageRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsad_tasks.page.overview.N_LISTED", 1)
    client, seen, address = room.client(), [], "/?days=30"
    rows = re.compile(r"<tbody>.*?</tbody>", re.S)
    while address:
        text = client.get(address).text
        found = rows.search(text)
        assert found
        seen += re.findall(r'incidents/([^"]+)"', found[0])
        older = re.search(r'href="([^"]+)#list">Older', text)
        address = "/" + html.unescape(older[1]) if older else ""
    order = "SELECT incident_id FROM tsad.v_incident ORDER BY started_at DESC, incident_id DESC"
    newest_first = [one for (one,) in room.execute(order)]
    assert seen == newest_first
    assert len(seen) > 1


def test_beyond_the_end_of_the_list_nothing_more_is_promised(room: PageRoom) -> None:
    text = room.client().get("/?days=30&before=0.INC").text
    assert "No incident answers to this from here on" in text
    assert "Older</a>" not in text


@pytest.mark.parametrize("asked", ["severity=BAD", "days=x", "before=x", "dataset=other"])
def test_what_cannot_be_asked_is_said_and_not_a_fault_of_ours(room: PageRoom, asked: str) -> None:
    answer = room.client().get(f"/?{asked}")
    assert "Expected" in answer.text
    assert answer.status_code in (200, 400)


def test_files_are_kept_by_their_content_and_no_other_file_is_given(room: PageRoom) -> None:
    client = room.client()
    for name, (content, _) in assets().items():
        assert client.get(f"/static/{name}").content == content
    for name in ("..%2fapp.py", "app.py", "%2e%2e/guard.py"):
        assert client.get(f"/static/{name}").status_code == 404


def test_a_login_that_may_not_read_is_told_which_role_it_needs(
    room: PageRoom, cluster: Cluster
) -> None:
    name = room.uri.rpartition("/")[2]
    answer = PageRoom(room.uri, cluster.uri(name, BROWSER)).client().get("/")
    assert answer.status_code == 503
    assert "tsad migrate --operator" in answer.text


def test_a_form_ends_no_earlier_than_the_last_step() -> None:
    after = environment().filters["minute_after"]
    assert after(datetime(2026, 3, 1, 6, 59, 30, tzinfo=UTC)) == "2026-03-01T07:00"
    assert after(datetime(2026, 3, 1, 7, tzinfo=UTC)) == "2026-03-01T07:00"
