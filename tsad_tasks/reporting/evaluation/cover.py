"""The first page: the finding, by what it was judged, and the figures of all parts."""

from __future__ import annotations

from collections.abc import Sequence

from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.charts import Frame, draw_time_labels
from tsad_tasks.reporting.drawing.document import draw_name
from tsad_tasks.reporting.drawing.marks import Tile, draw_tiles
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.evaluation.content import EvaluationContent, evidence_text, headline_text
from tsad_tasks.text.formats import (
    NO_DATA,
    cell_text,
    count_text,
    counted,
    number_text,
    period_text,
    share_text,
    stamp_text,
    time_text,
)

_NAME = theme.TextStyle(22, bold=True)
_LEAD = theme.TextStyle(12, bold=True)
_PART_FILLS = {
    "training": theme.COVERAGE[1],
    "validation": theme.COVERAGE[3],
    "test": theme.COVERAGE[5],
    "later": theme.FAINT,
}


def draw_cover(
    content: EvaluationContent,
    following: Sequence[flow.Page],
    sheet: Sheet,
    numbers: flow.PageNumbers,
) -> None:
    """Draws the cover; `following` are the pages that it links to."""
    y = draw_name(sheet, content, "Model evaluation", content.model.name, _NAME)
    made = f"Generated {stamp_text(content.generated_at, content.zone)}."
    about = f"{content.description}. " if content.description else ""
    y = sheet.paragraph(sheet.left, y - 6, f"{about}{made}", theme.BODY, sheet.inner_width, 2)
    y = draw_tiles(sheet, _tiles(content), y + 4, height=70, first=50, leading=10)
    y = sheet.paragraph(sheet.left, y + 26, headline_text(content), _LEAD, sheet.inner_width, 3)
    y = sheet.paragraph(
        sheet.left, y + 4, evidence_text(content), theme.BODY, sheet.inner_width, 4, 1.45
    )
    # The parts on a line of time; what lies between two of them is the embargo.
    start_s, end_s = content.start_at.timestamp(), content.end_at.timestamp()
    frame = Frame(sheet.left, y + 20, sheet.inner_width, 16, start_s, end_s)
    for part in content.parts:
        left, right = (frame.clip(at.timestamp()) for at in (part.start_at, part.end_at))
        fill = _PART_FILLS[part.name]
        sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, fill=fill)
        sheet.text(left, frame.y - 4, part.name, theme.SMALL)
    draw_time_labels(sheet, frame, frame.bottom + 10, content.zone)
    blocks = [*_figure_blocks(content, sheet.inner_width), flow.gap(12), *_model_blocks(content)]
    flow.draw_blocks(sheet, blocks, frame.bottom + 22)
    x, y = sheet.left, flow.bottom_of(sheet) - 8
    for page in following:
        if page.level is not None:
            text = f"{page.title}  {numbers.get(page.key, NO_DATA)}"
            used = sheet.text(x, y, text, theme.SMALL)
            sheet.link(page.key, x, y - 8, used, 11)
            x += used + 11


def _tiles(content: EvaluationContent) -> list[Tile]:
    figures, events = content.headline.figures, content.headline.figures.events
    unseen = f"{events.n_unseen} more without a score" if events.n_unseen else ""
    found = f"{events.n_found} of {events.n_events}"
    days = f"{number_text(events.days, 1)} entity-days"
    precision, chance = cell_text(figures.average_precision, 2), cell_text(figures.anomaly_share, 2)
    return [
        (found, "anomalies found", [f"{content.headline.name} readings", unseen]),
        (cell_text(events.false_alarms_per_day), "false alarms", ["per entity and day", days]),
        (precision, "PR-AUC", [f"chance: {chance}"]),
        (cell_text(figures.roc_auc, 3), "ROC-AUC", ["chance: 0.5"]),
    ]


_FIGURE_COLUMNS = (
    flow.TableColumn("Part", 1.0),
    *flow.figure_columns("Steps", "Found", "Precision", "Event F1"),
    *flow.figure_columns("False/day", "ROC-AUC", "PR-AUC", "VUS-PR"),
)


def _figure_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    rows = []
    for part in content.parts:
        figures, events = part.figures, part.figures.events
        ends = (time_text(at, content.zone) for at in (part.start_at, part.end_at))
        cells = [
            f"{part.name}, {' to '.join(ends)}",
            count_text(figures.steps.n),
            f"{events.n_found} of {events.n_events}",
            cell_text(events.precision, 2),
            cell_text(events.f1, 2),
            cell_text(events.false_alarms_per_day),
        ]
        areas = (figures.roc_auc, figures.average_precision, figures.vus_pr)
        rows.append(cells + [cell_text(area, 3) for area in areas])
    note = (
        "Found and precision count events and alarms; false/day is per entity. PR-AUC is average "
        "precision over steps; VUS-PR allows for a little early or late, without any threshold."
    )
    table = flow.table_blocks(_FIGURE_COLUMNS, rows, width, flow.TableLook(gap=7))
    return [*table, flow.gap(3), flow.paragraph(note, width, theme.SMALL)]


def _model_blocks(content: EvaluationContent) -> list[flow.Block]:
    model, windows = content.model, NO_DATA
    if model.n_windows:
        used = f"{share_text(model.used_share)} of those that there are"
        windows = f"{counted(model.n_windows, 'window')} ({used})"
    sees = f"{counted(model.window, 'step')} of {counted(model.n_channels, 'channel')}"
    facts = [
        ("Detector", f"{model.detector}, {counted(model.n_parameters, 'parameter')}"),
        ("Sees", f"windows of {sees}"),
        ("Learned from", windows),
        ("Judged on", period_text(content.start_at, content.end_at, content.zone)),
        ("Seed, sha256", f"{NO_DATA if model.seed is None else model.seed}, {model.sha256}"),
    ]
    if model.threshold_text:
        facts.append(("Threshold", model.threshold_text))
    return flow.facts_blocks(facts)
