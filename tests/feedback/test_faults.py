"""Known faults of a file: read as people write them, and each wrong row told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import moment
from tsad_tasks.feedback.faults import Fault, known_faults

MACHINES = ("pump-1", "pump-2")


def read(path: Path, text: str) -> list[Fault]:
    path = path / "failures.csv"
    path.write_text(text, encoding="utf-8")
    return known_faults(path, MACHINES, moment)


def test_rows_are_in_order_of_time_and_a_note_is_optional(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        "\ufeffMachine, Start, End\npump-2, 2026-03-02T06:00, 2026-03-02T08:00+02:00\n".replace(
            "08:00+02:00", "09:00+02:00"
        )
        + "pump-1, 2026-03-01, 2026-03-01T01:00\n",
    ) == [
        Fault("pump-1", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 1, tzinfo=UTC)),
        Fault("pump-2", datetime(2026, 3, 2, 6, tzinfo=UTC), datetime(2026, 3, 2, 7, tzinfo=UTC)),
    ]


def test_every_wrong_row_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as told:
        read(
            tmp_path,
            "machine,start,end,note\n"
            "pump-9,2026-03-01,2026-03-02,x\n"
            "pump-1,soon,2026-03-02,x\n"
            "pump-1,2026-03-02,2026-03-01,x\n"
            "pump-1,2026-03-01,,x\n"
            "pump-1,2026-03-01,2026-03-02,right\n",
        )
    lines = str(told.value).split("\n")
    assert [line.split("failures.csv:")[1].split(":")[0] for line in lines] == ["2", "3", "4", "5"]
    assert lines[0].endswith("machine: Expected one of pump-1, pump-2. Received: pump-9.")
    assert "Received: soon" in lines[1]
    assert lines[2].endswith("Expected start before end. Received: 2026-03-02 and 2026-03-01.")
    assert lines[3].endswith("end: Expected a time, such as 2026-03-01T06:00. Received: nothing.")


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "nothing; machine is missing"),
        ("machine,start\n", "machine, start; end is missing"),
        ("machine;start;end\n", "machine;start;end; machine is missing"),
        ("machine,start,end\n", "Received: none"),
    ],
)
def test_a_file_that_is_none_says_what_is_missing(tmp_path: Path, text: str, received: str) -> None:
    with pytest.raises(BadInput, match=received):
        read(tmp_path, text)
