"""What an incident is called is one sentence, and when it ended one time, wherever people read it:
mail, page, PDF, command, CSV.
"""

from __future__ import annotations

import csv
import html
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdfium2
import pytest
import yaml

from devstack.postgres import Cluster
from tests.page.room import PageRoom, scored_room
from tests.plants.trained import CONFIG, END_AT, SPLIT_AT, config
from tests.receivers import mail_server, plain_text
from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.cli import main, screen
from tsad_tasks.config import NotificationsSection
from tsad_tasks.notifications.channels.base import sender
from tsad_tasks.notifications.notify import deliver, enqueue
from tsad_tasks.reporting.period.one_incident import incident_picture
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import span_text, stamp_text, time_text, zone_of


@pytest.fixture(scope="module")
def room(cluster: Cluster, trained_template: str) -> Iterator[PageRoom]:
    with scored_room(cluster, trained_template) as made:
        yield made


def words(text: str) -> str:
    """The text on one line: a PDF wraps it."""
    return " ".join(text.split())


def test_mail_page_pdf_and_command_say_the_same_sentence_and_end_of_every_incident(
    room: PageRoom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mails, htmls = _mailed(room)
    pdf, csv_ends = _pdf(room, tmp_path, monkeypatch)
    listed = _listed(room, tmp_path, monkeypatch, capsys)
    for incident_id, sentence in room.incidents:
        client = room.client(edits=("room",))
        page = html.unescape(client.get(f"/incidents/{incident_id}").text)
        assert f"<h1>{sentence}</h1>" in page
        assert mails[incident_id].startswith(f"{sentence}.\n")
        assert f">{sentence}.</h1>" in html.unescape(htmls[incident_id])
        assert words(sentence) in pdf
        assert sentence in listed[incident_id]
        start_at, end_at = _span_of(room, incident_id)
        shown, zone = time_text(end_at, config().site_zone), config().site_zone
        assert f'>ended</b></dd><dd class="muted">at {shown}</dd>' in page
        # Maintenance and label hold all of its last step.
        local = end_at.astimezone(zone_of(zone))
        assert page.count(f'name="end" required value="{local:%Y-%m-%dT%H:%M}"') == 2
        assert f"Until:     {stamp_text(end_at, zone)}\n" in mails[incident_id]
        assert span_text(start_at, end_at, zone) in pdf
        assert f"{end_at:%Y-%m-%d %H:%M}" in listed[incident_id]
        assert csv_ends[incident_id] == end_at.isoformat()


def _span_of(room: PageRoom, incident_id: str) -> list[datetime]:
    """From the first flag to the end of the last one's step, as the plant's file and the stored
    flags say it.
    """
    stored = "SELECT started_at, last_flag_at FROM tsad.incident WHERE incident_id = %s"
    ((started_at, last_flag_at),) = room.execute(stored, incident_id)
    end_at = last_flag_at + timedelta(seconds=config().step_s)
    return [at.astimezone(UTC) for at in (started_at, end_at)]


def _mailed(room: PageRoom) -> tuple[dict[str, str], dict[str, str]]:
    """By incident the text and the HTML of its mail, each of which has a picture."""
    target = {"email": ["a@example.com"], "connection": "mail"}
    told = {"targets": [target], "max_age": "36500d", "max_per_run": 1000}
    chosen = config().model_copy(
        update={"notifications": NotificationsSection.model_validate(told)}
    )
    with mail_server() as mail, Store.connect(room.uri) as store:
        uri = f"smtp://127.0.0.1:{mail.port}?from_email=a@b.c&disable_ssl=1&disable_tls=1"
        enqueue(store, chosen, end_at=END_AT)
        draw = incident_picture(store, chosen.site_zone)
        done = deliver(store, chosen, sender(lambda _: uri), picture=draw)
    emails = mail.receiver.said
    assert done.n_delivered == len(emails) > 0
    texts, htmls = {}, {}
    for email in emails:
        text = plain_text(email)
        incident_id = text.partition("incident_id = '")[2].partition("'")[0]
        *_, shown, picture = email.walk()
        assert picture.get_content().startswith(b"\x89PNG")
        texts[incident_id], htmls[incident_id] = text, shown.get_content()
    return texts, htmls


def _pdf(
    room: PageRoom, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, dict[str, str]]:
    """The text of the PDF, and ends by incident from the CSV file beside it."""
    monkeypatch.setenv("TSAD_HOME", str(folder))
    with Store.connect(room.uri) as store:
        made = render_period(
            store, config(), start_at=SPLIT_AT, end_at=END_AT, detail=ReportDetail.FULL
        )
    document = pypdfium2.PdfDocument(Path(made.path).read_bytes())
    text = " ".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    (beside,) = Path(made.path).parent.glob("*_incidents.csv")
    with beside.open(encoding="utf-8") as lines:
        return words(text), {one["incident_id"]: one["end_at"] for one in csv.DictReader(lines)}


def _listed(
    room: PageRoom,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, str]:
    (folder / "room.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    monkeypatch.setenv("TSAD_DATASETS", str(folder))
    monkeypatch.setenv("TSAD_DATABASE_URI", room.uri)
    monkeypatch.setattr(screen.console, "width", 1000)
    monkeypatch.setattr(sys, "argv", ["tsad", "anomalies", "room", "-n", "1000"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    return {one: next(line for line in lines if one in line) for one, _ in room.incidents}
