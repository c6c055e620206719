"""The self-audit: how champion and challenger did, week by week, by labels and verdicts."""

from __future__ import annotations

from tsad_tasks.reporting.drawing.flow import (
    Block,
    TableColumn,
    figure_columns,
    heading,
    told_table,
)
from tsad_tasks.reporting.period.content import AuditRow, ReportContent
from tsad_tasks.text.formats import NO_DATA, date_text, duration_text, figure_text, share_text

_COLUMNS = (
    TableColumn("Model", width=88),
    TableColumn("Week from", width=58),
    *figure_columns("Days", width=28),
    *figure_columns("Found", width=36),
    *figure_columns("Precision", "Delay", width=44),
    *figure_columns("False a day", width=52),
    *figure_columns("All a day", "Expected", width=44),
)
_TEXT = (
    "Counted by labels and verdicts. Found is out of the anomalies that people know of. Precision "
    "is the share of right ones among the incidents that somebody judged. False incidents are "
    "those that somebody called so. Expected is how many come a day while nothing is wrong."
)


def audit_blocks(content: ReportContent, width: float) -> list[Block]:
    """A row for each model and week; nothing where no week was audited."""

    def cells(row: AuditRow) -> list[str]:
        delay_s = row.median_delay_s
        delay = NO_DATA if delay_s is None else duration_text(abs(delay_s))
        return [
            row.model,
            # Weeks are those of UTC.
            date_text(row.week_at, "UTC"),
            figure_text(row.days),
            f"{row.n_found} of {row.n_known}",
            share_text(row.precision),
            f"{delay} early" if delay_s is not None and delay_s < 0 else delay,
            figure_text(row.false_alarms_per_day),
            figure_text(row.incidents_per_day),
            figure_text(row.expected_incidents_per_day),
        ]

    if not content.audit:
        return []
    return [
        heading("Self-audit"),
        *told_table(_TEXT, _COLUMNS, [cells(row) for row in content.audit], width),
    ]
