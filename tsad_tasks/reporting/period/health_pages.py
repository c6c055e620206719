"""Data quality and coverage: what was wrong with the readings, and which hours have no score and
why.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tsad_tasks.base.enums import HourStatus
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Row,
    TableColumn,
    gap,
    heading,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.drawing.marks import MISSING_ENTRY, LegendEntry, draw_legend
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import COVERAGE, FAINT
from tsad_tasks.reporting.period.content import (
    SCORED_STATUSES,
    Coverage,
    EntityCoverage,
    QualityRow,
    ReportContent,
)
from tsad_tasks.reporting.period.ranking import Limits
from tsad_tasks.text.formats import EN_DASH, count_text, counted, day_text, share_text, time_text

STATUS_MEANINGS: dict[str, str] = {
    HourStatus.SCORED: "scored with every channel that reported",
    HourStatus.PARTIAL: "some readings or channels were missing; the rest was scored",
    HourStatus.INSUFFICIENT_HISTORY: "not enough readings before it for a first score",
    HourStatus.GAP: "no readings in the source",
    HourStatus.STALE: "the source's newest reading was older than the hour",
    HourStatus.OFF: "the entity was not running",
    HourStatus.NO_CHAMPION: "no model was valid for this hour",
    HourStatus.UNKNOWN_ENTITY_SCALE: "scored with the scale of all entities, for it has none of its own "
    "yet: provisional",
    HourStatus.INPUTS_RETIRED: "the readings had been removed by retention",
    HourStatus.FAILED: "scoring ended with an error; see the task's log",
    "not_scored": "read, but no run of the score DAG has come to it",
    "not_read": "no run of the score DAG has read it from the source",
}
_DAYS_WIDTH = 180.0
_QUALITY_COLUMNS = (
    TableColumn("Entity", 0.2),
    TableColumn("Channel", 0.28),
    TableColumn("Finding"),
    TableColumn("Readings", align="right"),
    TableColumn("From"),
    TableColumn("To"),
    TableColumn("Detail", 0.5),
)
_STATUS_COLUMNS = (
    TableColumn("Status", width=90),
    TableColumn("Hours", align="right", width=36),
    TableColumn("Share", align="right", width=36),
    TableColumn("Meaning", 1.0),
)


def health_blocks(content: ReportContent, limits: Limits, width: float) -> list[Block]:
    """Quality findings, then hours by status, then a strip of days for each entity."""
    return [
        heading("Data quality"),
        *_quality_blocks(content, limits, width),
        gap(14),
        heading("Coverage"),
        *_status_blocks(content, width),
        gap(14),
        *_entity_blocks(content.coverage, limits, width),
    ]


def _quality_blocks(content: ReportContent, limits: Limits, width: float) -> list[Block]:
    n_readings = counted(content.headline.n_readings, "reading")
    if not content.quality:
        n_entities = counted(content.headline.n_entities, "entity", "entities")
        return [paragraph(f"No findings. {n_readings} of {n_entities} were checked.", width)]
    shown = content.quality[: limits.n_quality]
    of = f"{count_text(len(shown))} of " if len(shown) < len(content.quality) else ""
    findings = f"{of}{counted(len(content.quality), 'finding')} in {n_readings}"
    text = f"{findings}. They are about sensors and their tables, not about the plant."
    rows = [_quality_row(row, content.site_zone) for row in shown]
    return [
        paragraph(text, width, keep_with_next=True),
        *table_blocks(_QUALITY_COLUMNS, rows, width),
    ]


def _quality_row(row: QualityRow, zone: str) -> Row:
    times = [time_text(row.first_at, zone), time_text(row.last_at, zone)]
    return Row(
        [row.entity, row.channel, row.verdict, count_text(row.n_readings), *times, row.detail]
    )


def _status_blocks(content: ReportContent, width: float) -> list[Block]:
    hours = content.coverage.n_hours_by_status
    total = sum(hours.values())
    head = content.headline
    share = share_text(
        head.n_hours_scored / head.n_hours_expected if head.n_hours_expected else None
    )
    text = f"{count_text(head.n_hours_scored)} of {counted(head.n_hours_expected, 'expected hour')} were scored ({share})."
    order = [status for status in STATUS_MEANINGS if hours.get(status)] + sorted(
        set(hours) - set(STATUS_MEANINGS)
    )
    rows = [_status_row(status, hours[status], total) for status in order]
    return [
        paragraph(text, width, keep_with_next=bool(rows)),
        *table_blocks(_STATUS_COLUMNS, rows, width),
    ]


def _status_row(status: str, n_hours: int, total: int) -> Row:
    share = share_text(n_hours / total if total else None)
    return Row(
        [status.replace("_", " "), count_text(n_hours), share, STATUS_MEANINGS.get(status, "")]
    )


def _entity_blocks(coverage: Coverage, limits: Limits, width: float) -> list[Block]:
    if not coverage.entities:
        return [paragraph("No entity was expected in this period.", width)]
    ranked = sorted(coverage.entities, key=lambda one: (_scored_share(one), one.entity))
    shown = ranked[: limits.n_entities]
    columns = [
        TableColumn("Entity", 0.4),
        TableColumn(_days_title(coverage), width=_DAYS_WIDTH),
        TableColumn("Hours", align="right"),
    ]
    columns += [TableColumn("Share", align="right"), TableColumn("Not scored", 0.6)]
    table = table_blocks(columns, [_entity_row(one) for one in shown], width)
    return [
        paragraph(_rest_text(ranked, len(shown)), width, keep_with_next=True),
        _legend(),
        *table,
    ]


def _rest_text(ranked: list[EntityCoverage], n_shown: int) -> str:
    text = f"Scored share of each day by entity, least covered first: {counted(len(ranked), 'entity', 'entities')}."
    if n_shown == len(ranked):
        return text
    rest = share_text(min(_scored_share(one) for one in ranked[n_shown:]))
    least = f"the others were scored for at least {rest} of their hours"
    return f"{text} The {count_text(n_shown)} least covered are shown; {least}."


def _days_title(coverage: Coverage) -> str:
    if not coverage.days:
        return "Days"
    return f"{day_text(coverage.days[0])} {EN_DASH} {day_text(coverage.days[-1])}"


def _scored_share(entity: EntityCoverage) -> float:
    return (
        min(1.0, entity.n_hours_scored / entity.n_hours_expected)
        if entity.n_hours_expected
        else 1.0
    )


def _entity_row(entity: EntityCoverage) -> Row:
    hours = f"{count_text(entity.n_hours_scored)} of {count_text(entity.n_hours_expected)}"
    share = share_text(_scored_share(entity)) if entity.n_hours_expected else "off"
    return Row(
        [
            entity.entity,
            lambda sheet, box: _draw_days(sheet, box, entity),
            hours,
            share,
            unscored_text(entity.n_hours_by_status),
        ]
    )


def unscored_text(n_hours_by_status: Mapping[str, int]) -> str:
    """Why hours have no score, the commonest reason first.

    >>> unscored_text({"scored": 100, "gap": 3, "stale": 8})
    'stale 8 h, gap 3 h'
    """
    lacks = [
        (n, status)
        for status, n in n_hours_by_status.items()
        if n and status not in SCORED_STATUSES
    ]
    return ", ".join(
        f"{status.replace('_', ' ')} {count_text(n)} h"
        for n, status in sorted(lacks, key=lambda x: (-x[0], x[1]))
    )


def _draw_days(sheet: Sheet, box: Box, entity: EntityCoverage) -> None:
    n_days = max(1, len(entity.day_shares))
    width = min(box.width / n_days, 26.0)
    for i, share in enumerate(entity.day_shares):
        x, y, height = box.x + i * width, box.y + 2, box.height - 4
        if np.isnan(share):
            sheet.line(x + width * 0.3, y + height / 2, x + width * 0.7, y + height / 2, FAINT, 0.5)
        elif share <= 0:
            sheet.hatch(x + 0.4, y, width - 0.8, height)
        else:
            sheet.rect(x + 0.4, y, width - 0.8, height, fill=COVERAGE[coverage_level(float(share))])


def coverage_level(share: float) -> int:
    """The luminance step of a scored share: the darkest only for a complete day.

    >>> coverage_level(0.02), coverage_level(0.97), coverage_level(1.0)
    (0, 4, 5)
    """
    return (
        len(COVERAGE) - 1
        if share >= 1
        else min(int(share * (len(COVERAGE) - 1)), len(COVERAGE) - 2)
    )


def _legend() -> Block:
    def ramp(sheet: Sheet, x: float, y: float) -> None:
        for i, fill in enumerate(COVERAGE):
            sheet.rect(x + 7 * i, y - 4, 6.4, 8, fill=fill)

    def dash(sheet: Sheet, x: float, y: float) -> None:
        sheet.line(x + 2, y, x + 10, y, FAINT, 0.5)

    entries = [
        LegendEntry(7.0 * len(COVERAGE), ramp, "little to all of the day scored"),
        MISSING_ENTRY,
    ]
    entries.append(LegendEntry(12, dash, "nothing expected"))
    return Block(16, lambda sheet, y: _draw_legend_line(sheet, y, entries), keep_with_next=True)


def _draw_legend_line(sheet: Sheet, y: float, entries: list[LegendEntry]) -> None:
    draw_legend(sheet, y + 7, entries)
