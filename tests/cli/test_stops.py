"""What stops a command from outside is one paragraph: Ctrl-C, a folder, a zone."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

import pytest
import typer

from devstack import local
from tests.cli.test_commands import Tsad, _refused, migrated, tsad
from tests.plants.trained import SPLIT_AT, Plant
from tsad_tasks.storage.store import Store

__all__ = ["migrated", "tsad"]


def test_ctrl_c_is_one_paragraph_and_exit_code_130(
    tsad: Tsad, migrated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = signal.getsignal(signal.SIGINT)

    def pressed() -> Store:
        os.kill(os.getpid(), signal.SIGINT)
        return Store.open(migrated)

    monkeypatch.setattr(local, "open_store", pressed)
    assert "Received: Ctrl-C. What was finished is kept" in _refused(tsad("status"), code=130)
    assert signal.getsignal(signal.SIGINT) is former


@pytest.fixture
def at_plant(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Plant:
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_ROOM"):
        monkeypatch.setenv(name, plant.uri)
    return plant


@pytest.mark.parametrize("stopped", ["Ctrl-C", "a table that is gone"])
def test_what_was_seen_of_late_rows_is_shown_when_watching_ends_sooner(
    tsad: Tsad, at_plant: Plant, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    new = "INSERT INTO plant.metrics SELECT now() - interval '40 s', 'host-01', 1, 2"
    looks: list[float] = []

    def slept(duration_s: float) -> None:
        looks.append(duration_s)
        if len(looks) == 1:
            at_plant.execute(new)
        elif stopped == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            at_plant.execute("ALTER TABLE plant.metrics RENAME TO away")

    monkeypatch.setattr(time, "sleep", slept)
    said = tsad("datasets", "watch", "room", "--for", "1h", "--every", "60s")
    assert "Ended; this is what was seen until then." in said.out
    assert "wait_for_rows: 1min" in said.out
    assert (said.code, len(looks)) == (0 if stopped == "Ctrl-C" else 2, 2)
    assert ("does not exist" in said.err) == (said.code == 2)


def test_a_place_that_cannot_be_written_is_one_paragraph(
    tsad: Tsad, at_plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    end = f"{SPLIT_AT:%Y-%m-%dT%H:%M}"
    message = _refused(tsad("report", "room", "--end", end, "--out", str(taken / "a.pdf")))
    assert f"Expected to read or write {taken}" in message
    monkeypatch.setenv("TSAD_ARTIFACTS", str(taken))
    assert f"Expected to read or write {taken}" in _refused(tsad("report", "room", "--end", end))
    assert f"{taken}" in _refused(tsad("evaluate", "room", "--to", end))


def test_looks_that_would_miss_what_came_between_them_are_refused(tsad: Tsad) -> None:
    said = _refused(tsad("datasets", "watch", "room", "--for", "9h", "--every", "2h"))
    assert "at most 3600 s apart. Received: --every 7200 s and --for 32400 s." in said


def test_a_full_disk_below_what_is_printed_is_one_paragraph(
    tsad: Tsad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_said: object, **_more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(typer, "echo", full)
    message = _refused(tsad("datasets", "preset"), code=1)
    assert "Expected to read or write what is printed. Received: No space left" in message


def test_a_zone_that_is_none_is_one_paragraph(tsad: Tsad, at_plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("at,v\n2026-03-01 05:00,1\n")
    load = ("load-csv", str(path), "--table", "plant.a", "--time-column", "at")
    for zone in ("Mars/Base", "../etc", "Europe"):
        said = tsad(*load, "--uri", at_plant.uri, "--zone", zone)
        assert said.code == 2
        assert said.err.startswith("Error: --zone: Expected an IANA time zone")
        span = ("--from", "2026-03-02", "--to", "2026-03-03", "--title", "x")
        said = tsad("maintenance", "add", "room", *span, "--rrule", "FREQ=DAILY", "--zone", zone)
        assert said.code == 2
        assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("at;v\n07.03.2026 05:10;1,5\n", ("--time-format", "%d.%m.%Y %H:%M", "--decimal", ",")),
        ("date;at;v\n2026-03-07;05:10;1,5\n", ("--date-column", "date", "--decimal", ",")),
        ("at;v\n2026-03-07 05:10;1.001,5\n2026-03-07 05:20;1,5\n", ("--decimal", ",")),
        (
            "d;at;v\n7/3/2026;05:10:00;1.5\n",
            ("--date-column", "d", "--time-format", "%d/%m/%Y %H:%M:%S"),
        ),
    ],
)
def test_a_file_is_read_as_people_write_it(
    tsad: Tsad, at_plant: Plant, tmp_path: Path, text: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    load = ("load-csv", str(path), "--table", "plant.a", "--time-column", "at", "--delimiter", ";")
    said = tsad(*load, "--uri", at_plant.uri, *options)
    assert (said.code, said.err) == (0, "")
    assert sorted(said.out.partition("Columns: ")[2].strip().split(", ")) == [
        "at timestamptz",
        "v double precision",
    ]
    found = at_plant.execute("SELECT v, at AT TIME ZONE 'UTC' FROM plant.a WHERE v < 2")
    assert [(v, f"{at:%d.%m.%Y %H}") for v, at in found] == [(1.5, "07.03.2026 05")]
