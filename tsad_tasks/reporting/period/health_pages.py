"""Data quality and coverage: what was wrong with readings, which hours have no score and why."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from tsad_tasks.base.enums import HourStatus
from tsad_tasks.reporting.drawing import flow
from tsad_tasks.reporting.drawing.marks import MISSING_ENTRY, LegendEntry, legend_block, ramp_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import COVERAGE, FAINT
from tsad_tasks.reporting.period.content import (
    SCORED_STATUSES,
    SILENT,
    Coverage,
    EntityCoverage,
    ReportContent,
)
from tsad_tasks.reporting.period.ranking import ReportLimits
from tsad_tasks.text.formats import EN_DASH, count_text, counted, day_text, share_text, time_text

STATUS_MEANINGS: dict[str, str] = {
    HourStatus.SCORED: "scored with every channel that reported",
    HourStatus.PARTIAL: "some readings or channels were missing; the rest was scored",
    HourStatus.INSUFFICIENT_HISTORY: "not enough readings before it for a first score",
    HourStatus.GAP: "no readings in the source",
    HourStatus.STALE: "rows, but none with a value for longer than windows remember",
    HourStatus.OFF: "the entity was not running",
    HourStatus.NO_CHAMPION: "no model was valid for this hour",
    HourStatus.UNKNOWN_ENTITY_SCALE: "scored with the scale of all entities, for it has none of "
    "its own yet: provisional",
    HourStatus.INPUTS_RETIRED: "the readings had been removed by retention",
    HourStatus.FAILED: "scoring ended with an error; see the task's log",
    HourStatus.WAITING: "its rows are still waited for",
    HourStatus.NOT_RUN: "no run of the score DAG has come to it; the next one does",
    SILENT: "nothing was heard of the entity; not expected to have a score",
    # Hours without a row: which step has not come to them.
    "not_scored": "read, but no run of the score DAG has come to it",
    "not_read": "no run of the score DAG has read it from the source",
}
_QUALITY_COLUMNS = (
    flow.TableColumn("Entity", 0.2),
    flow.TableColumn("Channel", 0.28),
    flow.TableColumn("Finding"),
    *flow.figure_columns("Readings"),
    flow.TableColumn("From"),
    flow.TableColumn("To"),
    flow.TableColumn("Detail", 0.5),
)
_STATUS_COLUMNS = (
    flow.TableColumn("Status", width=90),
    *flow.figure_columns("Hours", "Share", width=36),
    flow.TableColumn("Meaning", 1.0),
)
_DAYS_WIDTH = 180.0


def health_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    """Quality findings, then hours by status, then a strip of days for each entity."""
    hours, head = content.coverage.n_hours_by_status, content.headline
    expected = counted(head.n_hours_expected, "expected hour")
    scored = f"{count_text(head.n_hours_scored)} of {expected} were scored"
    order = [status for status in STATUS_MEANINGS if hours.get(status)]
    order += sorted(set(hours) - set(STATUS_MEANINGS))
    rows = []
    for status in order:
        share = share_text(hours[status] / (sum(hours.values()) or 1))
        name, meaning = status.replace("_", " "), STATUS_MEANINGS.get(status, "")
        rows.append([name, count_text(hours[status]), share, meaning])
    text = f"{scored} ({share_text(head.scored_share)})."
    return [
        flow.heading("Data quality"),
        *_quality_blocks(content, limits, width),
        flow.gap(14),
        flow.heading("Coverage"),
        *flow.told_table(text, _STATUS_COLUMNS, rows, width),
        flow.gap(14),
        *_entity_blocks(content.coverage, limits, width),
    ]


def _quality_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    n_readings, zone = counted(content.headline.n_readings, "reading"), content.zone
    if not content.quality:
        n_entities = counted(content.headline.n_entities, "entity")
        return [flow.paragraph(f"No findings. {n_readings} of {n_entities} were checked.", width)]
    shown = content.quality[: limits.n_quality]
    of = f"{count_text(len(shown))} of " if len(shown) < len(content.quality) else ""
    findings = f"{of}{counted(len(content.quality), 'finding')} in {n_readings}"
    text = f"{findings}. They are about sensors and their tables, not about the plant."
    rows = []
    for row in shown:
        times = [time_text(at, zone) for at in (row.first_at, row.last_at)]
        what = [row.entity, row.channel, row.verdict.replace("_", " ")]
        rows.append([*what, count_text(row.n_readings), *times, row.detail])
    return flow.told_table(text, _QUALITY_COLUMNS, rows, width)


def _entity_blocks(coverage: Coverage, limits: ReportLimits, width: float) -> list[flow.Block]:
    if not coverage.entities:
        return [flow.paragraph("No entity was expected in this period.", width)]
    ranked = sorted(coverage.entities, key=lambda one: (one.scored_share, one.entity))
    shown, n_all = ranked[: limits.n_entities], counted(len(ranked), "entity")
    text = f"Scored share of each day by entity, least covered first: {n_all}."
    if len(shown) < len(ranked):
        rest = share_text(min(one.scored_share for one in ranked[len(shown) :]))
        least = f"the others were scored for at least {rest} of their hours"
        text += f" The {count_text(len(shown))} least covered are shown; {least}."
    ends = f" {EN_DASH} ".join(day_text(coverage.days[i]) for i in (0, -1) if coverage.days)
    columns = [
        flow.TableColumn("Entity", 0.4),
        flow.TableColumn(ends or "Days", width=_DAYS_WIDTH),
        *flow.figure_columns("Hours", "Share"),
        flow.TableColumn("Not scored", 0.6),
    ]
    rows: list[list[flow.Cell]] = []
    for one in shown:
        hours = f"{count_text(one.n_hours_scored)} of {count_text(one.n_hours_expected)}"
        share = share_text(one.scored_share) if one.n_hours_expected else "none expected"
        why = unscored_text(one.n_hours_by_status)
        rows.append([one.entity, partial(_draw_days, entity=one), hours, share, why])
    entries = [
        ramp_entry("little to all of the day scored", COVERAGE, 7, 0.6),
        MISSING_ENTRY,
        LegendEntry(
            12, lambda sheet, x, y: sheet.line(x + 2, y, x + 10, y, FAINT), "nothing expected"
        ),
    ]
    return [
        flow.paragraph(text, width, keep_with_next=True),
        legend_block(entries, 16, 7),
        *flow.table_blocks(columns, rows, width),
    ]


def unscored_text(n_hours_by_status: Mapping[str, int]) -> str:
    """Why hours have no score, the commonest reason first.

    >>> unscored_text({"scored": 100, "gap": 3, "stale": 8})
    'stale 8 h, gap 3 h'
    """
    ranked = sorted(n_hours_by_status.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(
        f"{status.replace('_', ' ')} {count_text(n)} h"
        for status, n in ranked
        if n and status not in SCORED_STATUSES
    )


def _draw_days(sheet: Sheet, box: flow.Box, entity: EntityCoverage) -> None:
    width = min(box.width / max(1, len(entity.day_shares)), 26.0)
    for i, share in enumerate(entity.day_shares):
        x, y, height = box.x + i * width, box.y + 2, box.height - 4
        if np.isnan(share):
            sheet.line(x + width * 0.3, y + height / 2, x + width * 0.7, y + height / 2, FAINT)
        elif share <= 0:
            sheet.hatch(x + 0.4, y, width - 0.8, height)
        else:
            sheet.rect(x + 0.4, y, width - 0.8, height, fill=COVERAGE[coverage_level(float(share))])


def coverage_level(share: float) -> int:
    """The luminance step of a scored share: the darkest only for a complete day.

    >>> coverage_level(0.02), coverage_level(0.97), coverage_level(1.0)
    (0, 4, 5)
    """
    darkest = len(COVERAGE) - 1
    return darkest if share >= 1 else min(int(share * darkest), darkest - 1)
