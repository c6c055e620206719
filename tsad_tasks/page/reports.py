"""The report page: which PDFs there are, pictures of first pages, the tables beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from tsad_tasks.base.places import Folder
from tsad_tasks.reporting.drawing.raster import page_png
from tsad_tasks.storage.artifacts import artifacts_root

N_SHOWN = 30
TABLES = ("incidents", "anomalies")
PREVIEW_WIDTH = 900
_NAME = re.compile(r"(?P<dataset>.+)_(?P<start>\d{8}T\d{4})_(?P<end>\d{8}T\d{4})\.pdf")


@dataclass(frozen=True)
class ReportFile:
    """A report of a period, by its file's name; `tables`: its CSV files, by what is in them."""

    name: str
    start_at: datetime
    end_at: datetime
    n_bytes: int
    tables: dict[str, str]


def report_files(dataset: str) -> list[ReportFile]:
    """The reports of a dataset, the newest period first."""
    folder = _folder(dataset)
    if not folder.exists():
        return []
    found, names = [], {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and match["dataset"] == dataset:
            span = (_moment(match["start"]), _moment(match["end"]))
            tables = {what: f"{path.stem}_{what}.csv" for what in TABLES}
            kept = {what: name for what, name in tables.items() if name in names}
            found.append(ReportFile(path.name, *span, path.stat().st_size, kept))
    return sorted(found, key=lambda one: (one.end_at, one.start_at), reverse=True)[:N_SHOWN]


def report_answer(dataset: str, name: str) -> tuple[bytes, str] | None:
    """A report's PDF, its first page as a picture, or a CSV file of it, and the media type; None:
    no such file.
    """
    pdf, files = name.removesuffix(".png"), report_files(dataset)
    # Of the names that there are: no path is made of what was asked.
    if name in {table for one in files for table in one.tables.values()}:
        return _folder(dataset).joinpath(name).read_bytes(), "text/csv"
    if pdf not in {one.name for one in files}:
        return None
    content = _folder(dataset).joinpath(pdf).read_bytes()
    if name == pdf:
        return content, "application/pdf"
    return first_page(content), "image/png"


@lru_cache(maxsize=8)
def first_page(pdf: bytes) -> bytes:
    """The first page of a PDF as PNG."""
    return page_png(pdf, PREVIEW_WIDTH)


def _folder(dataset: str) -> Folder:
    return artifacts_root() / "reports" / dataset


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M").replace(tzinfo=UTC)
