"""What the PDF leaves out, as CSV beside it: every incident, and the strangest flagged readings."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from tsad_tasks.base.masking import masked
from tsad_tasks.base.places import Folder
from tsad_tasks.reporting.period.content import AnomalyRow
from tsad_tasks.reporting.period.queries import PeriodIncident

# So many flagged readings at most; all of them are in the SQL view tsad.v_anomaly.
N_MOST_ANOMALIES = 10_000
_INCIDENTS = (
    *("incident_id", "entity", "severity", "state", "kind", "started_at", "last_flag_at"),
    *("n_flags", "times_threshold", "channel", "sentence", "verdict", "suppressed_by"),
    *("n_parts", "group_id", "headline", "end_at", "priority"),
)
_ANOMALIES = (
    *("at", "entity", "severity", "times_threshold", "error", "threshold", "channel", "unit"),
    *("actual", "expected", "lower", "upper", "incident_id"),
)
# How each begins, whatever columns are appended.
HEADS = {"incidents": ",".join(_INCIDENTS[:3]), "anomalies": ",".join(_ANOMALIES[:3])}


def beside(pdf: Folder, what: str) -> Folder:
    """Where the CSV file of that is."""
    return pdf.with_name(f"{pdf.stem}_{what}.csv")


def incidents_csv(rows: Sequence[PeriodIncident]) -> str:
    """All incidents of a period, those that maintenance suppresses included; times in UTC."""
    ordered = sorted(rows, key=lambda one: (one.started_at, one.incident_id))
    return _text(_INCIDENTS, ordered)


def anomalies_csv(rows: Sequence[AnomalyRow]) -> str:
    """Flagged readings in the order of time, in UTC."""
    ordered = sorted(rows, key=lambda one: (one.at, one.entity))
    return _text(_ANOMALIES, ordered)


def _text(names: Sequence[str], rows: Iterable[object]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    return stream.getvalue()


def _cell(value: object) -> object:
    """A value as spreadsheets read it; no text begins a formula.

    >>> [_cell(value) for value in (None, 0.25, "=1+1", "-5 bar", "pump")]
    ['', 0.25, "'=1+1", "'-5 bar", 'pump']
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        text = masked(value)
        return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
    return value
