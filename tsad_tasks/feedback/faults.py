"""Known faults of a file, which a rehearsal is compared with; nothing learns from them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tsad_tasks.base.errors import BadInput

COLUMNS = ("machine", "start", "end", "note")
_NEEDED = COLUMNS[:3]
_MOST_NAMED = 5


class Fault(NamedTuple):
    """A fault of a machine that somebody remembers, [start_at, end_at)."""

    machine: str
    start_at: datetime
    end_at: datetime
    note: str = ""


def known_faults(
    path: Path, machines: Collection[str] | None, moment: Callable[[str], datetime]
) -> list[Fault]:
    """The faults of a CSV file with the columns machine, start, end and, if one likes, note.

    Parameters
    ----------
    machines : names that there are; None: not known yet, so that any name will do.
    moment : reads a time that a person wrote.

    Raises
    ------
    BadInput
        With a line for each row that is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, skipinitialspace=True)
            names = [name.strip().lower() for name in rows.fieldnames or ()]
            rows.fieldnames = names
            if missing := [name for name in _NEEDED if name not in names]:
                received = f"{', '.join(filter(None, names)) or 'nothing'}; {missing[0]} is missing"
                said = f"Expected the columns {', '.join(_NEEDED)} and perhaps note"
                raise BadInput(f"{path}: {said}. Received: {received}.")
            faults, errors = [], []
            for row in rows:
                try:
                    faults.append(_fault(row, machines, moment))
                except BadInput as error:
                    errors += [f"{path}:{rows.line_num}: {line}" for line in str(error).split("\n")]
    except UnicodeDecodeError:
        raise BadInput(f"{path}: Expected a file in UTF-8. Received: other bytes.") from None
    except csv.Error as error:
        raise BadInput(f"{path}: Expected CSV, separated by commas. Received: {error}.") from error
    if errors:
        raise BadInput(*errors)
    if not faults:
        raise BadInput(f"{path}: Expected a row for each known fault. Received: none.")
    return sorted(faults, key=lambda one: (one.start_at, one.machine, one.end_at))


def _fault(
    row: dict[str, str | None], machines: Collection[str] | None, moment: Callable[[str], datetime]
) -> Fault:
    machine = (row["machine"] or "").strip()
    if not machine or (machines is not None and machine not in machines):
        some = sorted(machines or ())
        more = ", …" if len(some) > _MOST_NAMED else ""
        known = f"one of {', '.join(some[:_MOST_NAMED])}{more}" if some else "a machine's name"
        raise BadInput(f"machine: Expected {known}. Received: {machine or 'nothing'}.")
    ends = []
    for name in ("start", "end"):
        text = (row[name] or "").strip()
        if not text:
            raise BadInput(f"{name}: Expected a time, such as 2026-03-01T06:00. Received: nothing.")
        ends.append(moment(text))
    if ends[0] >= ends[1]:
        raise BadInput(f"Expected start before end. Received: {row['start']} and {row['end']}.")
    return Fault(machine, ends[0], ends[1], (row.get("note") or "").strip())
