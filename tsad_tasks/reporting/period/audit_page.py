"""The self-audit: how champion and challenger did, week by week, by labels and verdicts."""

from __future__ import annotations

from tsad_tasks.reporting.drawing.flow import (
    Block,
    Row,
    TableColumn,
    heading,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.period.content import AuditRow, ReportContent
from tsad_tasks.text.formats import NO_DATA, date_text, duration_text, figure_text, share_text

_COLUMNS = (
    TableColumn("Model", width=88),
    TableColumn("Week from", width=58),
    TableColumn("Days", align="right", width=28),
    TableColumn("Found", align="right", width=36),
    TableColumn("Precision", align="right", width=44),
    TableColumn("Delay", align="right", width=44),
    TableColumn("False a day", align="right", width=52),
    TableColumn("All a day", align="right", width=44),
    TableColumn("Expected", align="right", width=44),
)
_TEXT = (
    "By labels and verdicts. Found: of the anomalies that people know of. Precision: of the "
    "incidents that somebody"
    " judged. False: incidents that somebody called so. Expected: incidents a day while nothing is "
    "wrong."
)


def audit_blocks(content: ReportContent, width: float) -> list[Block]:
    """A row for each model and week; nothing where no week was audited."""
    if not content.audit:
        return []
    rows = [_row(one) for one in content.audit]
    return [
        heading("Self-audit"),
        paragraph(_TEXT, width, keep_with_next=True),
        *table_blocks(_COLUMNS, rows, width),
    ]


def _row(row: AuditRow) -> Row:
    return Row(
        [
            row.model,
            # Weeks are those of UTC.
            date_text(row.week_at, "UTC"),
            figure_text(row.days),
            f"{row.n_found} of {row.n_known}",
            share_text(row.precision),
            NO_DATA if row.median_delay_s is None else _delay_text(row.median_delay_s),
            *(NO_DATA if one is None else figure_text(one) for one in _rates(row)),
        ]
    )


def _rates(row: AuditRow) -> tuple[float | None, float | None, float | None]:
    return row.false_alarms_per_day, row.incidents_per_day, row.expected_per_day


def _delay_text(seconds: float) -> str:
    return duration_text(seconds) if seconds >= 0 else f"{duration_text(-seconds)} early"
