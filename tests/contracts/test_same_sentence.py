"""What an incident is called is one sentence, wherever people read it: mail, page, PDF, command."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def room(cluster: Cluster, trained_template: str) -> Iterator[PageRoom]:
    with scored_room(cluster, trained_template) as made:
        yield made


def words(text: str) -> str:
    """The text on one line: a PDF wraps it."""
    return " ".join(text.split())


def test_mail_page_pdf_and_command_say_the_same_sentence_of_every_incident(
    room: PageRoom,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mails, htmls = _mailed(room)
    pdf = _pdf(room, tmp_path, monkeypatch)
    listed = _listed(room, tmp_path, monkeypatch, capsys)
    for incident_id, sentence in room.incidents:
        page = html.unescape(room.client().get(f"/incidents/{incident_id}").text)
        assert f"<h1>{sentence}</h1>" in page
        assert mails[incident_id].startswith(f"{sentence}.\n")
        assert f">{sentence}.</h1>" in html.unescape(htmls[incident_id])
        assert words(sentence) in pdf
        assert sentence in listed[incident_id]


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


def _pdf(room: PageRoom, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TSAD_HOME", str(folder))
    with Store.connect(room.uri) as store:
        made = render_period(
            store, config(), start_at=SPLIT_AT, end_at=END_AT, detail=ReportDetail.FULL
        )
    document = pypdfium2.PdfDocument(Path(made.path).read_bytes())
    text = " ".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    return words(text)


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
