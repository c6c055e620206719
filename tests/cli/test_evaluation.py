"""`tsad evaluate` and `tsad explore` as one types them."""

from __future__ import annotations

import getpass
import io
from pathlib import Path

import pytest

from tests.cli.test_commands import Tsad, _refused, tsad
from tests.plants.trained import SPLIT_AT, START_AT, Plant
from tsad_tasks.base.interval import HOUR
from tsad_tasks.training.reader import training_range

__all__ = ["tsad"]
RANGE = ("--from", f"{START_AT:%Y-%m-%d}", "--to", f"{START_AT:%Y-%m}-04")


@pytest.fixture
def at_plant(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """The trained plant, as the environment names it."""
    monkeypatch.setenv("TSAD_DATABASE_URI", plant.uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", plant.uri)
    return plant


@pytest.mark.parametrize(
    "command",
    [
        ("explore", "room", *RANGE, "--pdf"),
        ("report", "room", "--end", f"{SPLIT_AT:%Y-%m-%dT%H:%M}", "--out"),
    ],
    ids=["explore", "report"],
)
def test_a_file_is_replaced_where_tsad_made_it_and_that_is_said(
    tsad: Tsad, at_plant: Plant, tmp_path: Path, command: tuple[str, ...]
) -> None:
    place = tmp_path / "mine.pdf"
    for notes in ("my notes", "what /Creator (tsad) says"):
        place.write_text(notes)
        assert f"Received: {place}, another file." in _refused(tsad(*command, str(place)))
        assert place.read_text() == notes
    forced = tsad(*command, str(place), "--force")
    assert (forced.code, forced.err) == (0, "")
    assert f"{place} (replaced): " in forced.out
    assert place.read_bytes().startswith(b"%PDF")
    assert f"{place} (replaced): " in tsad(*command, str(place)).out
    place.unlink()
    assert f"{place}: " in tsad(*command, str(place)).out


def test_a_csv_file_of_ones_own_beside_a_report_is_left_as_it_is(
    tsad: Tsad, at_plant: Plant, tmp_path: Path
) -> None:
    pdf, own = tmp_path / "mine.pdf", tmp_path / "mine_incidents.csv"
    own.write_text("date,what\n")
    command = "report", "room", "--end", f"{SPLIT_AT:%Y-%m-%dT%H:%M}", "--out", str(pdf)
    assert f"Received: {own}, another file." in _refused(tsad(*command))
    assert (own.read_text(), pdf.exists()) == ("date,what\n", False)
    for more in (("--force",), ()):
        assert tsad(*command, *more).code == 0
    assert own.read_text().startswith("incident_id,entity,severity,")


@pytest.mark.parametrize("command", ["evaluate", "explore"])
def test_the_help_gives_examples(tsad: Tsad, command: str) -> None:
    assert f"tsad {command} server_room" in tsad(command, "--help").out


def test_the_champion_is_judged_on_the_screen_and_as_a_pdf(
    tsad: Tsad, at_plant: Plant, tmp_path: Path
) -> None:
    said = tsad(
        "evaluate", "room", "--to", SPLIT_AT.isoformat(), "--pdf", str(tmp_path / "report.pdf")
    )
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Finds ")
    assert "Judged by injected anomalies" in said.out
    assert all(f"\n{name} " in said.out for name in ("training", "validation", "test"))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "evaluations" / "room" / "v1" / "evaluation.json").exists()


def test_a_model_that_is_none_is_refused(tsad: Tsad, at_plant: Plant) -> None:
    assert "Expected a model of room (v1). Received: v7." in _refused(
        tsad("evaluate", "room", "--model", "7")
    )
    said = tsad("evaluate", "room", "--model", "newest")
    assert "--model: Expected a version such as 3 or v3. Received: newest." in said.err
    assert said.code == 2


def test_readings_are_explored_on_the_screen_and_as_a_pdf(
    tsad: Tsad, at_plant: Plant, tmp_path: Path
) -> None:
    said = tsad(
        "explore",
        "room",
        *RANGE,
        "--entity",
        "host-01",
        "--pdf",
        str(tmp_path / "new" / "look.pdf"),
    )
    assert (said.code, said.err) == (0, "")
    assert "1 of 2 entities" in said.out
    assert "Strongest correlations" in said.out
    assert (tmp_path / "new" / "look.pdf").read_bytes().startswith(b"%PDF")


def test_the_training_is_previewed(tsad: Tsad, at_plant: Plant) -> None:
    said = tsad("explore", "room", "--training", "--to", SPLIT_AT.isoformat())
    assert said.code == 0
    span = training_range(at_plant.config, SPLIT_AT)
    assert (
        f"Learned from {span.start_at:%Y-%m-%d %H:%M} to {span.split_at:%Y-%m-%d %H:%M} UTC"
        in said.out
    )
    assert "Running hours, the shortest of 2" in said.out


def test_a_training_that_nobody_wants_is_not_done_and_that_is_kept(
    tsad: Tsad, at_plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = tsad("retrain", "room", "--end", (SPLIT_AT + HOUR).isoformat(), "--preview")
    assert (said.code, said.err) == (0, "")
    assert "readings of 2 entities" in said.out
    assert "Train on this? [y/N]" in said.out
    assert f"was stopped by {getpass.getuser()} (answered tsad retrain --preview)" in said.out
    decided = at_plant.execute(
        "SELECT decision, end_at, n_entities, jsonb_array_length(jumps) FROM "
        "tsad.v_training_decision"
    )
    assert decided == [("stopped", SPLIT_AT + HOUR, 2, 4)]
    assert at_plant.execute("SELECT version FROM tsad.v_model") == [(1,)]


def test_a_table_that_was_never_ingested_is_explored_from_the_source(
    tsad: Tsad, plant: Plant, warehouse_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", warehouse_uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", plant.uri)
    said = tsad("explore", "room", *RANGE)
    assert (said.code, said.err) == (0, "")
    assert "2 of 2 entities" in said.out
    assert "Expected a dataset that was ingested before" in _refused(tsad("explore", "room"))
