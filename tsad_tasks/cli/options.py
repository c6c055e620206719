"""Arguments and options that several commands take, and what a person may type there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from tsad_tasks.base.enums import Lineage as Lineages
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import moment
from tsad_tasks.base.settings import duration_s

LIVE = Lineages.LIVE.value

Dataset = Annotated[str, Argument(help="Name of a dataset file, such as server_room.")]
From = Annotated[
    str, Option("--from", help="Start of the range, such as 2026-03-01T00:00 (included).")
]
To = Annotated[str, Option("--to", help="End of the range (not included).")]
Lineage = Annotated[
    str, Option(help="live: what people see; replay: what backfilled retrainings say.")
]
Count = Annotated[int, Option("-n", min=1, help="At most so many.")]
Pdf = Annotated[str | None, Option(help="Where the PDF goes; default: the artifacts folder.")]
PlantUri = Annotated[
    str | None, Option(help="Database of the table; default: the embedded server's plant.")
]


def choice(option: str, value: str | None, known: tuple[str, ...]) -> Any:
    """The value, if it is one of those known, or not given."""
    if value is not None and value not in known:
        raise BadInput(f"{option}: Expected one of {', '.join(known)}. Received: {value}.")
    return value


def lineage_of(name: str) -> str:
    """The lineage of a name."""
    if name not in list(Lineages):
        raise BadInput(f"--lineage: Expected {' or '.join(Lineages)}. Received: {name}.")
    return name


def interval(from_text: str, to_text: str) -> tuple[datetime, datetime]:
    """The half-open interval that a person typed."""
    start_at, end_at = moment(from_text), moment(to_text)
    if start_at >= end_at:
        raise BadInput(f"Expected --from before --to. Received: {from_text} and {to_text}.")
    return start_at, end_at


def moment_or_none(text: str | None) -> datetime | None:
    """The time that a person typed, if one."""
    return moment(text) if text else None


def seconds(option: str, text: str) -> int:
    """The duration that a person typed; a number without a unit is seconds."""
    try:
        return duration_s(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise BadInput(f"{option}: Expected {error}. Received: {text}.") from error


def existing_file(path: Path) -> Path:
    """The path, if a file is there."""
    if not path.is_file():
        raise BadInput(f"Expected a file. Received: {path}, which is none.")
    return path
