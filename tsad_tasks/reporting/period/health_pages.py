"""Data quality and coverage: what was wrong with readings, which hours have no score and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.reporting.drawing import flow
from tsad_tasks.reporting.drawing.marks import MISSING_ENTRY, LegendEntry, legend_block, ramp_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import COVERAGE, FAINT
from tsad_tasks.reporting.period.content import (
    SCORED_STATUSES,
    EntityCoverage,
    QualityRow,
    ReportContent,
)
from tsad_tasks.reporting.period.ranking import ReportLimits
from tsad_tasks.text.formats import (
    EN_DASH,
    count_text,
    counted,
    day_text,
    named,
    share_text,
    time_text,
)
from tsad_tasks.text.words import status_title

_QUALITY_COLUMNS = (
    flow.TableColumn("Machine", 0.2),
    flow.TableColumn("Channels", 0.28, n_lines=2),
    flow.TableColumn("Finding"),
    *flow.figure_columns("Readings"),
    flow.TableColumn("From"),
    flow.TableColumn("To"),
    flow.TableColumn("Detail", 0.5, n_lines=2),
)
_WHY_COLUMNS = (
    flow.TableColumn("Hours without a score", 0.5),
    *flow.figure_columns("Hours", "Share", width=36),
    flow.TableColumn("Machines", 0.5),
)
_N_NAMED = 8
# So many reasons stand on the first page.
N_REASONS = 4
_DAYS_WIDTH = 154.0


def health_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    """Hours without a score by why, a strip of days for machines, then findings on sensors."""
    head, reasons = content.headline, content.coverage.unwatched
    expected = counted(head.n_hours_expected, "expected hour")
    text = f"{count_text(head.n_hours_scored)} of {expected} have a score"
    n_all = sum(content.coverage.n_hours_by_status.values()) or 1
    # In brief the first page has them, while they are few.
    listed = reasons if content.detail is ReportDetail.FULL or len(reasons) > N_REASONS else []
    rows = [
        [
            status_title(one.status),
            count_text(one.n_hours),
            share_text(one.n_hours / n_all),
            named(one.entities, len(one.entities), _N_NAMED),
        ]
        for one in listed[: limits.n_reasons]
    ]
    text += f" ({share_text(head.scored_share)})."
    text += " Of all others nothing is known." if reasons else ""
    told = flow.told_table(text, _WHY_COLUMNS, rows, width) if rows else []
    return [
        flow.heading("Watched, and not"),
        *told,
        *_entity_blocks(content, limits, width, "" if rows else text),
        flow.gap(8),
        flow.heading("Findings on sensors"),
        *_quality_blocks(content, limits, width),
    ]


def _quality_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    n_readings, zone = counted(content.headline.n_readings, "reading"), content.zone
    if not content.quality:
        n_entities = counted(content.headline.n_entities, "machine")
        return [flow.paragraph(f"No findings. {n_readings} of {n_entities} were checked.", width)]
    groups = findings_by_kind(content.quality)
    shown = groups[: limits.n_quality]
    n_all = len(content.quality)
    findings = f"{counted(n_all, 'finding')} in {n_readings}"
    if len(shown) < len(groups):
        findings += f"; the first {count_text(len(shown))} of {count_text(len(groups))} by machine"
        findings += " and kind"
    text = f"{findings}. They are about sensors and their tables, not about the plant."
    rows = []
    for group in shown:
        first_at = min(row.first_at for row in group)
        last_at = max(row.last_at for row in group)
        names = [row.channel for row in group]
        channels = names[0] if len(names) == 1 else f"{len(names)}: {named(names, len(names), 4)}"
        what = [group[0].entity, channels, group[0].verdict.replace("_", " ")]
        n_readings_of = count_text(sum(row.n_readings for row in group))
        times = [time_text(at, zone) for at in (first_at, last_at)]
        rows.append([*what, n_readings_of, *times, _detail_of(group)])
    return flow.told_table(text, _QUALITY_COLUMNS, rows, width)


def _detail_of(group: Sequence[QualityRow]) -> str:
    """What is said of all of them, or of which one it is said."""
    first = group[0]
    if all(one.detail == first.detail for one in group):
        return first.detail
    return f"{first.channel}: {first.detail}"


def findings_by_kind(found: Sequence[QualityRow]) -> list[list[QualityRow]]:
    """Findings of one kind and machine together, in the order of their first."""
    groups: dict[tuple[str, str], list[QualityRow]] = {}
    for row in found:
        groups.setdefault((row.entity, row.verdict), []).append(row)
    return list(groups.values())


def _entity_blocks(
    content: ReportContent, limits: ReportLimits, width: float, lead: str
) -> list[flow.Block]:
    """Days of machines, the least covered first; in brief only of those that miss some hours."""
    coverage = content.coverage
    if not coverage.entities:
        return [flow.paragraph(f"{lead} No machine was expected in this period.", width)]
    ranked = sorted(coverage.entities, key=lambda one: (one.scored_share, one.entity))
    shown = ranked[: limits.n_entities]
    if content.detail is ReportDetail.BRIEF:
        shown = [one for one in shown if one.scored_share < 1]
    text = f"{lead} {_rest_text(ranked[len(shown) :])}".strip()
    if not shown:
        return [flow.paragraph(text, width)]
    ends = f" {EN_DASH} ".join(day_text(coverage.days[i]) for i in (0, -1) if coverage.days)
    columns = [
        flow.TableColumn("Machine", 0.3),
        flow.TableColumn(ends or "Days", width=_DAYS_WIDTH),
        *flow.figure_columns("Hours", "Share"),
        flow.TableColumn("Not scored", 0.7, n_lines=2),
    ]
    rows: list[list[flow.Cell]] = []
    for one in shown:
        hours = f"{count_text(one.n_hours_scored)} of {count_text(one.n_hours_expected)}"
        share = share_text(one.scored_share) if one.n_hours_expected else "none expected"
        why = unscored_text(one.n_hours_by_status)
        rows.append([one.entity, partial(_draw_days, entity=one), hours, share, why])
    entries = [
        ramp_entry("share of the day scored, little to all", COVERAGE, 7, 0.6),
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


def _rest_text(rest: Sequence[EntityCoverage]) -> str:
    """How much was scored of the machines that are not shown; nothing where all are."""
    if not rest:
        return ""
    machines = f"{counted(len(rest), 'machine')} {'was' if len(rest) == 1 else 'were'}"
    least = min(one.scored_share for one in rest)
    if least >= 1:
        return f"{machines} scored in every expected hour."
    return f"{machines} scored in at least {share_text(least)} of the expected hours."


def unscored_text(n_hours_by_status: Mapping[str, int]) -> str:
    """Why hours have no score, the commonest reason first.

    >>> unscored_text({"scored": 100, "gap": 3, "stale": 8})
    'rows without values 8 h, no readings 3 h'
    """
    ranked = sorted(n_hours_by_status.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(
        f"{status_title(status)} {count_text(n)} h"
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
