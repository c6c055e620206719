"""What people say on the command line, and what it says back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import Tsad, _refused, tsad
from tests.plants.trained import END_AT, SPLIT_AT, Plant

__all__ = ["tsad"]
FAULT = ("--from", f"{SPLIT_AT:%Y-%m-%dT%H:%M}", "--to", f"{END_AT:%Y-%m-%dT%H:%M}")


@pytest.fixture
def scored(tsad: Tsad, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> str:
    """Id of an incident of the plant, which the environment names."""
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_ROOM"):
        monkeypatch.setenv(name, plant.uri)
    assert tsad("score", "room", *FAULT).code == 0
    query = (
        "SELECT incident_id FROM tsad.v_incident WHERE severity = 'HIGH' ORDER BY n_flags DESC "
        "LIMIT 1"
    )
    return str(plant.execute(query)[0][0])


def test_a_verdict_is_said_listed_and_withdrawn(tsad: Tsad, plant: Plant, scored: str) -> None:
    # As the button of the page calls it.
    said = tsad("verdict", scored, "Real fault", "--note", "fan", "--by", "ada")
    assert (said.code, said.out) == (
        0,
        f"Verdict 1: {scored} is confirmed (real fault on page and PDF).\n",
    )
    assert plant.execute("SELECT verdict, said_by, note FROM tsad.v_verdict") == [
        ("confirmed", "ada", "fan")
    ]
    assert "confirmed" in tsad("anomalies", "room", *FAULT).out
    assert tsad("verdict", scored, "withdraw").out == "Verdict 1 withdrawn.\n"
    assert "Expected confirmed, expected, false_alarm" in _refused(tsad("verdict", scored, "fine"))
    assert "see tsad.v_incident" in _refused(tsad("verdict", "INC-0", "confirmed"))


def test_maintenance_suppresses_at_once_until_it_is_withdrawn(
    tsad: Tsad, plant: Plant, scored: str
) -> None:
    assert tsad("maintenance", "list", "room").out == "No maintenance windows of room.\n"
    added = tsad(
        "maintenance",
        "add",
        "room",
        *FAULT,
        "--title",
        "new fans",
        "--after",
        "15min",
        "--by",
        "ada",
    ).out
    assert added.startswith("Maintenance 1: new fans. Incidents marked anew: ")
    held = "SELECT DISTINCT suppressed_by FROM tsad.v_incident WHERE incident_id = %s"
    assert plant.execute(held, scored) == [("maintenance 1: new fans",)]
    assert "new fans" in tsad("maintenance", "list", "room").out
    counted, apart = tsad("anomalies", "room", *FAULT).out.split(
        "suppressed by maintenance, times in UTC"
    )
    assert scored in apart
    assert scored not in counted
    assert tsad("maintenance", "withdraw", "room", "1").code == 0
    assert plant.execute(held, scored) == [(None,)]
    assert "maintenance window of room" in _refused(tsad("maintenance", "withdraw", "room", "9"))
    wrong = tsad("maintenance", "add", "room", *FAULT, "--title", "x", "--before", "soon")
    assert wrong.code == 2
    assert wrong.err.startswith("Error: --before: Expected a duration such as")


def test_labels_and_a_new_normal_are_said(
    tsad: Tsad, plant: Plant, scored: str, tmp_path: Path
) -> None:
    assert (
        tsad("label", "room", "host-01", *FAULT, "--kind", "leak").out
        == "Label 1: host-01, leak.\n"
    )
    path = tmp_path / "known.csv"
    path.write_text(
        "entity,start_at,end_at\nhost-02,2026-03-03 01:00,2026-03-03 02:00\n", encoding="utf-8"
    )
    assert tsad("labels", "room", "--csv", str(path)).out == f"1 labels of {path}.\n"
    path.write_text("entity,start_at,end_at\nhost-02,soon,2026-03-03 02:00\n", encoding="utf-8")
    assert f"{path}:2: Expected a time such as" in tsad("labels", "room", "--csv", str(path)).err
    path.write_bytes(b"entity,start_at,end_at\nh\xfc,2026-03-03,2026-03-04\n")
    assert "Expected a file in UTF-8" in tsad("labels", "room", "--csv", str(path)).err
    path.write_text(f"entity,start_at,end_at\n{'x' * 200_000},2026-03-03,2026-03-04\n")
    assert "Expected CSV, separated by" in tsad("labels", "room", "--csv", str(path)).err
    path.write_text("entity,start_at\n", encoding="utf-8")
    assert "Received: no end_at." in tsad("labels", "room", "--csv", str(path)).err
    assert "leak" in tsad("labels", "room").out
    assert tsad("labels", "room", "--withdraw", "1", "--by", "ada").out == "Label 1 withdrawn.\n"
    assert "label that holds" in _refused(tsad("labels", "room", "--withdraw", "1"))
    assert "number of a label of room" in _refused(tsad("labels", "room", "--withdraw", "99"))
    assert (
        "host-02 is at its new normal"
        in tsad("new-normal", "room", "host-02", *FAULT, "--channel", "cpu").out
    )
    assert plant.execute("SELECT entity, channel, verdict FROM tsad.v_verdict") == [
        ("host-02", "cpu", "new_normal")
    ]
    assert plant.execute(
        "SELECT entity, kind, origin, withdrawn_by FROM tsad.v_label ORDER BY 3"
    ) == [
        ("host-02", "anomaly", "file", None),
        ("host-01", "leak", "person", "ada"),
    ]


def test_a_changed_sensor_is_said_listed_and_withdrawn(
    tsad: Tsad, plant: Plant, scored: str
) -> None:
    entity, at = (
        plant.execute("SELECT entity FROM tsad.v_incident WHERE incident_id = %s", scored)[0][0],
        FAULT[1],
    )
    assert tsad("epoch", "list", "room").out == "No changed sensors of room.\n"
    said = tsad(
        "epoch",
        "add",
        "room",
        entity,
        "cpu",
        "--from",
        at,
        "--kind",
        "replaced",
        "--why",
        "broke",
        "--by",
        "ada",
    )
    assert said.out.startswith(f"Change 1: {entity} cpu, replaced at {at.replace('T', ' ')} UTC.\n")
    assert plant.execute("SELECT channel, kind, reason, said_by FROM tsad.v_channel_epoch") == [
        ("cpu", "replaced", "broke", "ada")
    ]
    assert "replaced" in tsad("epoch", "list", "room").out
    assert tsad("epoch", "withdraw", "room", "1").out == "Change 1 withdrawn.\n"
    wrong = (
        "epoch",
        "add",
        "room",
        entity,
        "speed",
        "--from",
        at,
        "--kind",
        "unit",
        "--why",
        "broke",
    )
    assert "Expected a channel of the dataset. Received: speed." in _refused(tsad(*wrong))
