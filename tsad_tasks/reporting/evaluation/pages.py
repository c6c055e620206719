"""The evaluation report: what a model finds and what it costs, each page under the finding that it
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tsad_tasks.model.evaluation import ClassScores
from tsad_tasks.reporting.drawing.charts import (
    Frame,
    draw_channel_panel,
    draw_error_panel,
    draw_ground,
    draw_time_grid,
    draw_time_labels,
)
from tsad_tasks.reporting.drawing.document import Document, document_bytes
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Cell,
    Row,
    TableColumn,
    TableLook,
    facts_blocks,
    finding,
    gap,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.drawing.marks import (
    ACTUAL_ENTRY,
    ERROR_ENTRY,
    EXPECTED_ENTRY,
    FIRST_FLAG_ENTRY,
    FLAGGED_ENTRY,
    RANGE_ENTRY,
    THRESHOLD_ENTRY,
    LegendEntry,
    draw_legend,
    ground_entry,
    line_entry,
)
from tsad_tasks.reporting.drawing.plan import Page, PageNumbers, bottom_of, flow_pages, inner_size
from tsad_tasks.reporting.drawing.plots import (
    LOOKS,
    Axes,
    LineLook,
    draw_axes,
    draw_bars,
    draw_confusion,
    draw_curve,
    draw_steps,
    draw_upright,
    log_heights,
    power_ticks,
)
from tsad_tasks.reporting.drawing.scales import unix_s, value_limits, value_ticks
from tsad_tasks.reporting.drawing.series import ChannelSeries, Floats
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.drawing.theme import (
    BAND,
    BODY,
    COVERAGE,
    FAINT,
    FLAGGED,
    GRID,
    INCIDENT_GROUND,
    INK,
    MUTED,
    SMALL,
    STRONG,
    TextStyle,
)
from tsad_tasks.reporting.drawing.tiles import draw_tiles
from tsad_tasks.reporting.evaluation.content import (
    EVIDENCE_WORDS,
    EvaluationContent,
    Example,
    PartResult,
)
from tsad_tasks.reporting.exploration.pages import preview_blocks
from tsad_tasks.text.formats import (
    NO_DATA,
    count_text,
    counted,
    duration_text,
    figure_text,
    joined,
    number_text,
    period_text,
    share_text,
    stamp_text,
    time_text,
    with_unit,
    zone_text,
)

_COVER = "cover"
_NAME = TextStyle(22, bold=True)
_LEAD = TextStyle(12, bold=True)
_PART_LOOKS = dict(zip(("training", "validation", "test", "later"), LOOKS, strict=True))
_UNIT = (0.0, 1.0)


def evaluation_bytes(
    content: EvaluationContent, *, page_size: PageSize = "A4", compressed: bool = True
) -> tuple[bytes, int]:
    """The report as a PDF, and its number of pages."""
    sheet = Sheet(page_size, compressed=compressed)
    document = Document(
        title=f"Evaluation · {content.model.name} · {content.model.detector}",
        subject=f"How a model of {content.dataset} detects",
        zone=content.zone,
        start_at=content.start_at,
        end_at=content.end_at,
        generated_at=content.generated_at,
        bare_key=_COVER,
    )
    return document_bytes(
        sheet, document, evaluation_pages(content, *inner_size(sheet), bottom_of(sheet))
    )


def evaluation_pages(
    content: EvaluationContent, width: float, room: float, bottom: float
) -> list[Page]:
    """All pages in their order, those without anything to show left out."""
    sections = [
        ("events", "Events and alarms", _event_blocks(content, width)),
        ("curves", "ROC and precision-recall", _curve_blocks(content, width)),
        ("confusion", "Confusion matrices", _confusion_blocks(content, width)),
        ("errors", "Errors", _error_blocks(content, width)),
        ("examples", "Reconstructions", _example_blocks(content, width)),
        ("reliability", "Reliability", _reliability_blocks(content, width)),
        ("learning", "Learning", [*_learning_blocks(content, width), *_preview(content, width)]),
    ]
    following = [
        page
        for key, title, blocks in sections
        if blocks
        for page in flow_pages(key, title, blocks, room)
    ]
    return [
        Page(
            _COVER,
            "Summary",
            lambda sheet, numbers: _draw_cover(sheet, content, following, numbers),
        ),
        *following,
    ]


def _preview(content: EvaluationContent, width: float) -> list[Block]:
    return preview_blocks(content.preview, content.zone, width) if content.preview else []


def headline_text(content: EvaluationContent) -> str:
    """The report in one sentence."""
    part = content.headline
    events, what = part.figures.events, EVIDENCE_WORDS[content.evidence]
    if not events.n_events:
        return f"No {what} anomaly could be judged; {_false_text(part)}."
    of_all = "all" if events.n_found == events.n_events else f"{count_text(events.n_found)} of"
    found = f"{of_all} {counted(events.n_events, f'{what} anomaly', f'{what} anomalies')}"
    return f"Finds {found} in the {part.name} readings, with {_false_text(part)}."


def _false_text(part: PartResult) -> str:
    events = part.figures.events
    if not events.n_false:
        return f"no false alarm in {_days_text(events.days)}"
    return f"{figure_text(events.false_alarms_per_day)} false alarms per entity and day"


def _days_text(days: float) -> str:
    return f"{number_text(days, 1)} entity-days"


def evidence_text(content: EvaluationContent) -> str:
    """What the model was judged by, so that nobody takes the one for the other."""
    who = counted(content.n_entities, "entity", "entities")
    who += (
        f" of {count_text(content.n_all_entities)}"
        if content.n_entities < content.n_all_entities
        else ""
    )
    if content.evidence == "labels":
        text = "Judged by the dataset's own labels: known anomalies from its label column, its files or its people."
    else:
        text = (
            "Judged by injected anomalies, because no reading after the training part is labelled: "
            "spikes, values of "
            "half a day away, and lasting shifts, ramps and freezes put into the readings, as the "
            "gate does. Real "
            "faults may be easier or harder to find; one among these readings counts as a false "
            "alarm."
        )
    flatters = " Training readings were learned from: their figures flatter."
    return f"{text} {who.capitalize()}.{flatters if any(part.name == 'training' for part in content.parts) else ''}"


def _draw_cover(
    sheet: Sheet, content: EvaluationContent, following: Sequence[Page], numbers: PageNumbers
) -> None:
    zone = f"times in {zone_text(content.zone, content.start_at, content.end_at)}"
    used = sheet.text(sheet.right, 56, zone, replace(BODY, size=8), "right")
    sheet.cut(
        sheet.left,
        56,
        "Model evaluation",
        TextStyle(11, colour=MUTED),
        sheet.inner_width - used - 20,
    )
    y = sheet.paragraph(sheet.left, 85, content.model.name, _NAME, sheet.inner_width, 2, 1.15)
    made = f"Generated {stamp_text(content.generated_at, content.zone)}."
    about = f"{content.description}. " if content.description else ""
    y = sheet.paragraph(sheet.left, y - 6, f"{about}{made}", BODY, sheet.inner_width, 2)
    y = draw_tiles(sheet, _tiles(content), y + 4, height=70, first=50, leading=10)
    y = sheet.paragraph(sheet.left, y + 26, headline_text(content), _LEAD, sheet.inner_width, 3)
    y = sheet.paragraph(sheet.left, y + 4, evidence_text(content), BODY, sheet.inner_width, 4, 1.45)
    y = _draw_parts(sheet, content, y + 8)
    for block in [
        *_figure_blocks(content, sheet.inner_width),
        gap(12),
        *facts_blocks(_model_facts(content)),
    ]:
        block.draw(sheet, y)
        y += block.height
    _draw_sections(sheet, following, numbers, bottom_of(sheet) - 8)


def _tiles(content: EvaluationContent) -> list[tuple[str, str, list[str]]]:
    """Figure, its name, and lines that explain it."""
    part = content.headline
    figures, events = part.figures, part.figures.events
    where = f"{part.name} readings"
    return [
        (
            f"{events.n_found} of {events.n_events}",
            "anomalies found",
            [where, _unseen_text(events.n_unseen)],
        ),
        (
            _known(events.false_alarms_per_day),
            "false alarms",
            ["per entity and day", _days_text(events.days)],
        ),
        (
            _known(figures.average_precision, 2),
            "PR-AUC",
            [f"chance: {_known(figures.anomaly_share, 2)}"],
        ),
        (_known(figures.roc_auc, 3), "ROC-AUC", ["chance: 0.5"]),
    ]


def _unseen_text(n_unseen: int) -> str:
    return f"{n_unseen} more without a score" if n_unseen else ""


def _known(value: float, n_decimals: int | None = None) -> str:
    if not np.isfinite(value):
        return "–"
    if n_decimals is None:
        return figure_text(value) if value else "0"
    return number_text(value, n_decimals)


def _draw_parts(sheet: Sheet, content: EvaluationContent, y: float) -> float:
    """The parts on a line of time; what lies between two of them is the embargo."""
    frame = Frame(
        sheet.left,
        y + 12,
        sheet.inner_width,
        16,
        content.start_at.timestamp(),
        content.end_at.timestamp(),
    )
    fills = {
        "training": COVERAGE[1],
        "validation": COVERAGE[3],
        "test": COVERAGE[5],
        "later": FAINT,
    }
    for part in content.parts:
        left, right = (frame.clip(at.timestamp()) for at in (part.start_at, part.end_at))
        sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, fill=fills[part.name])
        sheet.text(left, frame.y - 4, part.name, SMALL)
    draw_time_labels(sheet, frame, frame.bottom + 10, content.zone)
    return frame.bottom + 22


_FIGURE_COLUMNS = (
    TableColumn("Part", 1.0),
    TableColumn("Steps", align="right"),
    TableColumn("Found", align="right"),
    TableColumn("Precision", align="right"),
    TableColumn("Event F1", align="right"),
    TableColumn("False/day", align="right"),
    TableColumn("ROC-AUC", align="right"),
    TableColumn("PR-AUC", align="right"),
    TableColumn("VUS-PR", align="right"),
)


def _figure_blocks(content: EvaluationContent, width: float) -> list[Block]:
    rows = [Row(_figure_cells(part, content.zone)) for part in content.parts]
    note = (
        "Found and precision count events and alarms; false/day is per entity. PR-AUC is average "
        "precision over steps; "
        "VUS-PR allows for a little early or late, without any threshold."
    )
    return [
        *table_blocks(_FIGURE_COLUMNS, rows, width, TableLook(gap=7)),
        gap(3),
        paragraph(note, width, SMALL),
    ]


def _figure_cells(part: PartResult, zone: str) -> list[str]:
    figures, events = part.figures, part.figures.events
    return [
        f"{part.name}, {time_text(part.start_at, zone)} to {time_text(part.end_at, zone)}",
        count_text(figures.steps.n),
        f"{events.n_found} of {events.n_events}",
        _known(events.precision, 2),
        _known(events.f1, 2),
        _known(events.false_alarms_per_day),
        _known(figures.roc_auc, 3),
        _known(figures.average_precision, 3),
        _known(figures.vus_pr, 3),
    ]


def _model_facts(content: EvaluationContent) -> list[tuple[str, str]]:
    model = content.model
    windows = f"{counted(model.n_windows or 0, 'window')} ({share_text(model.used_share)} of those that there are)"
    facts = [
        ("Detector", f"{model.detector}, {counted(model.n_parameters, 'parameter')}"),
        (
            "Sees",
            f"windows of {counted(model.window, 'step')} of {counted(model.n_channels, 'channel')}",
        ),
        ("Learned from", windows if model.n_windows else NO_DATA),
        ("Judged on", period_text(content.start_at, content.end_at, content.zone)),
        ("Seed, sha256", f"{NO_DATA if model.seed is None else model.seed}, {model.sha256}"),
    ]
    return facts + [("Threshold", model.threshold_text)] * bool(model.threshold_text)


def _draw_sections(sheet: Sheet, pages: Sequence[Page], numbers: PageNumbers, y: float) -> None:
    x = sheet.left
    for page in pages:
        if page.level is None:
            continue
        text = f"{page.title}  {numbers.get(page.key, NO_DATA)}"
        used = sheet.text(x, y, text, SMALL)
        sheet.link(page.key, x, y - 8, used, 11)
        x += used + 11


def _event_blocks(content: EvaluationContent, width: float) -> list[Block]:
    title = [finding(_event_finding(content), width)]
    words = EVIDENCE_WORDS[content.evidence]
    text = (
        f"An event is a run of {words} steps; it is found when an alarm touches it or the windows "
        "that still hold it. "
        "An alarm is a run of flags that the alarm policy lets through. Delay counts from the "
        "beginning of the event "
        "to the alert, which comes at the end of the scoring interval: the schedule "
        f"{content.alert_wait}. "
        "Lead is what is left from the alert to the end of the event; below zero the alert came "
        "after it."
    )
    rows = [Row(_event_cells(part)) for part in content.parts]
    blocks = [
        *title,
        paragraph(text, width),
        gap(4),
        *table_blocks(_EVENT_COLUMNS, rows, width, TableLook(gap=8)),
        gap(14),
    ]
    return [*blocks, *_kind_blocks(content, width), *_delay_blocks(content, width)]


_EVENT_COLUMNS = (
    TableColumn("Part", 1.0),
    TableColumn("Found", align="right"),
    TableColumn("Recall", align="right"),
    TableColumn("Alarms", align="right"),
    TableColumn("False", align="right"),
    TableColumn("Precision", align="right"),
    TableColumn("F1", align="right"),
    TableColumn("Median delay", align="right"),
    TableColumn("Median lead", align="right"),
)


def _event_cells(part: PartResult) -> list[str]:
    events = part.figures.events
    return [
        part.name,
        f"{events.n_found} of {events.n_events}",
        _known(events.recall, 2),
        count_text(events.n_alarms),
        count_text(events.n_false),
        _known(events.precision, 2),
        _known(events.f1, 2),
        _wait_text(events.median_delay_s),
        _wait_text(events.median_lead_s),
    ]


def _wait_text(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "–"
    return duration_text(seconds) if seconds >= 0 else f"−{duration_text(-seconds)}"


def _event_finding(content: EvaluationContent) -> str:
    part = content.headline
    events = part.figures.events
    if not events.delay_s:
        return headline_text(content)
    share = (
        "All events"
        if events.n_found == events.n_events
        else f"{share_text(events.recall)} of the events"
    )
    return f"{share} are found; half of the alerts come within {_wait_text(events.median_delay_s)} of the beginning."


_KIND_COLUMNS = (
    TableColumn("Kind of anomaly", 0.4),
    TableColumn("Part", 0.3),
    TableColumn("Found", align="right"),
    TableColumn("", 0.3),
)


def _kind_blocks(content: EvaluationContent, width: float) -> list[Block]:
    part = content.headline
    rows = [
        Row([kind.replace("_", " "), part.name, f"{found} of {n}", _share_bar(found / n)])
        for kind, found, n in part.by_kind
    ]
    return [*table_blocks(_KIND_COLUMNS, rows, width), gap(18)] if rows else []


def _share_bar(share: float) -> Cell:
    def draw(sheet: Sheet, box: Box) -> None:
        sheet.rect(box.x, box.y + 4, box.width, box.height - 8, fill=GRID)
        sheet.rect(box.x, box.y + 4, box.width * share, box.height - 8, fill=COVERAGE[5])

    return draw


def _delay_blocks(content: EvaluationContent, width: float) -> list[Block]:
    delays = np.array(content.headline.figures.events.delay_s, np.float64) / 60
    if len(delays) < 3:
        return []
    low, high = float(min(delays.min(), 0.0)), float(max(delays.max(), 1.0))
    edges = np.linspace(low, high, 25)
    counts, _ = np.histogram(delays, edges)

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(
            sheet.left + 34, y + 26, width - 34, 130, (low, high), (0.0, float(counts.max()) * 1.08)
        )
        draw_axes(
            sheet,
            axes,
            value_ticks(axes.x_limits, 8),
            value_ticks(axes.y_limits, 4),
            "minutes from the beginning of the event to its alert",
            "found events",
        )
        draw_bars(sheet, axes, edges, counts.astype(np.float64), COVERAGE[5])
        draw_upright(sheet, axes, float(np.median(delays)), "median")

    return [Block(190, draw)]


def _curve_blocks(content: EvaluationContent, width: float) -> list[Block]:
    if not any(np.isfinite(part.figures.roc_auc) for part in content.parts):
        return []
    figures = content.headline.figures
    title = (
        f"Ranked by score, anomalies come first: ROC-AUC {_known(figures.roc_auc, 3)}, "
        f"PR-AUC {_known(figures.average_precision, 3)} where chance has "
        f"{_known(figures.anomaly_share, 3)}."
        if figures.average_precision > 2 * figures.anomaly_share
        else "Ranked by score, anomalies hardly come first: PR-AUC "
        f"{_known(figures.average_precision, 3)} where "
        f"chance has {_known(figures.anomaly_share, 3)}."
    )
    text = (
        "Both curves judge single steps over all thresholds, so they tell how well scores order "
        "steps, not how a "
        "threshold was chosen. With few anomalies the right one says more: it looks only at what "
        "is flagged. The dot "
        "is the threshold in use."
    )
    curves = [
        finding(title, width),
        paragraph(text, width),
        gap(6),
        _curves_block(content, width),
        gap(14),
    ]
    return [*curves, *_other_blocks(content, width)]


_OTHER_COLUMNS = (
    TableColumn("Threshold", 1.0),
    TableColumn("Events found", align="right", width=70),
    TableColumn("False alarms/day", align="right", width=70),
    TableColumn("Step precision", align="right", width=70),
    TableColumn("Step recall", align="right", width=70),
)


def _other_blocks(content: EvaluationContent, width: float) -> list[Block]:
    """What a higher or lower threshold would trade for what."""
    rows = [
        Row(
            [
                "in use" if one.multiple == 1 else f"{one.multiple:g} × that",
                f"{one.n_found} of {one.n_events}",
                _known(one.false_alarms_per_day),
                _known(one.precision, 2),
                _known(one.recall, 2),
            ]
        )
        for one in content.headline.others
    ]
    name = content.headline.name
    text = f"What another threshold would have done with the {name} readings; chosen here, it would flatter."
    return (
        [paragraph(text, width, keep_with_next=True), *table_blocks(_OTHER_COLUMNS, rows, width)]
        if rows
        else []
    )


def _curves_block(content: EvaluationContent, width: float) -> Block:
    side = (width - 2 * 30 - 26) / 2
    shown = [part for part in content.parts if np.isfinite(part.figures.roc_auc)]

    def draw(sheet: Sheet, y: float) -> None:
        roc = Axes(sheet.left + 30, y + 16, side, side, _UNIT, _UNIT)
        pr = Axes(sheet.left + 30 + side + 56, y + 16, side, side, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        draw_axes(
            sheet,
            roc,
            ticks,
            ticks,
            "share of normal steps flagged",
            "share of anomalous steps flagged",
        )
        draw_axes(sheet, pr, ticks, ticks, "recall", "precision")
        draw_curve(
            sheet, roc, np.array([0.0, 1.0]), np.array([0.0, 1.0]), LineLook(GRID, 1.0, "2 2")
        )
        for part in shown:
            look = _PART_LOOKS[part.name]
            draw_curve(
                sheet, roc, part.roc.false_positive_share, part.roc.true_positive_share, look
            )
            draw_curve(sheet, pr, *_staircase(part), look)
            _draw_in_use(sheet, roc, pr, part, look)
        draw_legend(sheet, roc.bottom + 38, [_part_entry(part) for part in shown])

    return Block(side + 66, draw)


def _staircase(part: PartResult) -> tuple[Floats, Floats]:
    """Precision holds until the next recall: between two points nothing is known to be better."""
    return np.repeat(part.pr.recall, 2)[:-1], np.repeat(part.pr.precision, 2)[1:]


def _draw_in_use(sheet: Sheet, roc: Axes, pr: Axes, part: PartResult, look: LineLook) -> None:
    steps = part.figures.steps
    false = steps.false_positive / max(steps.false_positive + steps.true_negative, 1)
    for axes, x, y in ((roc, false, steps.recall), (pr, steps.recall, steps.precision)):
        if np.isfinite(x) and np.isfinite(y):
            sheet.marker("circle", axes.across.place(x), axes.up.place(y), 6.5, look.colour)


def _part_entry(part: PartResult) -> LegendEntry:
    look, figures = _PART_LOOKS[part.name], part.figures
    text = f"{part.name}: {_known(figures.roc_auc, 3)} / {_known(figures.average_precision, 3)}"
    return line_entry(text, look.colour, look.width, look.dash)


def _confusion_blocks(content: EvaluationContent, width: float) -> list[Block]:
    steps = content.headline.figures.steps
    if np.isfinite(steps.precision):
        title = (
            f"Of the flagged steps {share_text(steps.precision)} are anomalies; of the anomalous "
            "steps "
            f"{share_text(steps.recall) if np.isfinite(steps.recall) else NO_DATA} are flagged."
        )
    else:
        title = f"No step of the {content.headline.name} readings is flagged."
    text = (
        "By single steps. Steps whose window still holds an anomaly that is over count neither "
        "way. An accuracy says "
        "little where anomalies are rare: who never flags reaches "
        f"{share_text(steps.always_normal_accuracy)}."
    )
    return [
        finding(title, width),
        paragraph(text, width),
        gap(8),
        _matrices_block(content, width),
        gap(10),
        *_report_blocks(content, width),
    ]


def _matrices_block(content: EvaluationContent, width: float) -> Block:
    per_row = 2 if len(content.parts) in (2, 4) else 3
    side = (width - 18 * (per_row - 1)) / per_row

    def draw(sheet: Sheet, y: float) -> None:
        for i, part in enumerate(content.parts):
            _draw_matrix(
                sheet, part, sheet.left + i % per_row * (side + 18), y + 134 * (i // per_row), side
            )

    return Block(134.0 * -(-len(content.parts) // per_row), draw)


def _draw_matrix(sheet: Sheet, part: PartResult, x: float, y: float, side: float) -> None:
    steps = part.figures.steps
    sheet.cut(x, y + 9, part.name.capitalize(), STRONG, side)
    cells = (steps.true_positive, steps.false_positive, steps.false_negative, steps.true_negative)
    bottom = draw_confusion(sheet, x, y + 16, side, cells)
    sheet.cut(
        x, bottom + 8, f"{counted(steps.n_unknown, 'step')} unscored or not judged", SMALL, side
    )


_REPORT_COLUMNS = (
    TableColumn("Part", 0.5),
    TableColumn("Class", 0.5),
    TableColumn("Precision", align="right", width=60),
    TableColumn("Recall", align="right", width=60),
    TableColumn("F1", align="right", width=60),
    TableColumn("Steps", align="right", width=60),
)


def _report_blocks(content: EvaluationContent, width: float) -> list[Block]:
    rows = []
    for part in content.parts:
        report = part.report
        rows += [
            _class_row(part.name, "anomaly", report.anomaly),
            _class_row("", "normal", report.normal),
            _class_row("", "mean of both", report.macro),
            Row(
                [
                    "",
                    "accuracy",
                    "",
                    "",
                    _known(report.accuracy, 3),
                    count_text(report.macro.n_steps),
                ]
            ),
            Row(["", "point-adjusted", "", "", _known(part.figures.point_adjusted_f1, 3), ""]),
        ]
    note = (
        "Point-adjusted F1 takes an event for found in full after one flag in it: it flatters, "
        "random flags included, "
        "and is here only to compare with papers that give nothing else."
    )
    return [
        *table_blocks(_REPORT_COLUMNS, rows, width, TableLook(row_height=12.5)),
        gap(4),
        paragraph(note, width, SMALL),
    ]


def _class_row(part: str, name: str, scores: ClassScores) -> Row:
    figures = [_known(value, 3) for value in (scores.precision, scores.recall, scores.f1)]
    return Row([part, name, *figures, count_text(scores.n_steps)])


def _error_blocks(content: EvaluationContent, width: float) -> list[Block]:
    steps = content.headline.figures.steps
    normal = _part_of(steps.false_positive, steps.false_positive + steps.true_negative)
    anomalous = _part_of(steps.true_positive, steps.true_positive + steps.false_negative)
    both = f"{share_text(anomalous)} of the anomalous and {share_text(normal)} of the normal steps"
    title = f"{both} lie above the threshold."
    text = (
        "Errors of single steps as a multiple of the threshold that held at the time, both axes "
        "logarithmic. Good "
        "detection keeps the two hills apart and the threshold between them; what lies beyond an "
        "edge is counted in "
        "the last bar."
    )
    shown = [part for part in content.parts if part.figures.steps.n]
    blocks = [block for part in shown for block in (_histogram_block(part, width), gap(6))]
    return [finding(title, width), paragraph(text, width), gap(4), _histogram_legend(), *blocks]


def _part_of(n: int, whole: int) -> float | None:
    return n / whole if whole else None


def _histogram_legend() -> Block:
    entries = [
        ground_entry("normal steps", BAND),
        line_entry("anomalous steps", FLAGGED, 1.4),
        line_entry("threshold", FLAGGED, 0.9, "3 2"),
    ]
    return Block(
        18, lambda sheet, y: _ignored(draw_legend(sheet, y + 8, entries)), keep_with_next=True
    )


def _ignored(_: float) -> None:
    return None


def _histogram_block(part: PartResult, width: float) -> Block:
    edges = part.normal.edges
    highest = max(int(part.normal.counts.max(initial=1)), int(part.anomalous.counts.max(initial=1)))
    known = np.flatnonzero(part.normal.counts + part.anomalous.counts)
    low = edges[min(known[0] if len(known) else 20, 20)]
    high = edges[max(known[-1] + 1 if len(known) else 40, 40)]

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(
            sheet.left + 44,
            y + 20,
            width - 44,
            88,
            (float(low), float(high)),
            (-0.3, float(np.log10(highest)) + 0.15),
        )
        chosen = slice(int(np.searchsorted(edges, low)), int(np.searchsorted(edges, high)))
        bounds = edges[chosen.start : chosen.stop + 1]
        label = f"{part.name}: steps by error"
        draw_axes(
            sheet,
            axes,
            power_ticks(axes.x_limits),
            power_ticks(axes.y_limits),
            "error / threshold",
            label,
        )
        draw_bars(sheet, axes, bounds, log_heights(part.normal.counts[chosen]), BAND)
        if part.anomalous.counts.any():
            draw_steps(
                sheet,
                axes,
                bounds,
                log_heights(part.anomalous.counts[chosen]),
                LineLook(FLAGGED, 1.3),
            )
        draw_upright(sheet, axes, 0.0, "threshold")

    return Block(136, draw)


def _learning_blocks(content: EvaluationContent, width: float) -> list[Block]:
    model = content.model
    if not (model.loss or model.validation_loss):
        return []
    validation = np.array(model.validation_loss, np.float64)
    best = int(np.nanargmin(validation)) + 1 if np.isfinite(validation).any() else len(model.loss)
    title = f"Validation loss was lowest at epoch {best} of {len(model.loss)}; these weights are the model."
    why = {
        "epochs": "all epochs done",
        "patience": "no improvement for as long as training.patience allows",
        "diverged": "a loss that was not finite",
    }.get(model.stopped, model.stopped or "unknown")
    took = f" It took {duration_text(model.seconds)}." if model.seconds is not None else ""
    text = f"{counted(model.n_parameters, 'parameter')}. Training ended because of: {why}.{took}"
    return [
        finding(title, width),
        paragraph(text, width),
        gap(4),
        _loss_block(content, best, width),
    ]


def _loss_block(content: EvaluationContent, best: int, width: float) -> Block:
    curves = [
        np.array(values, np.float64)
        for values in (content.model.loss, content.model.validation_loss)
    ]
    known = np.concatenate([values[np.isfinite(values)] for values in curves])
    if not known.size:
        return gap(1)
    # A likelihood's loss may be below 0, where there is no logarithm.
    is_log = bool(known.min() > 0)
    shown = [np.log10(values) if is_log else values for values in curves]
    limits = value_limits(*shown)

    def draw(sheet: Sheet, y: float) -> None:
        n = max(len(values) for values in curves)
        axes = Axes(sheet.left + 44, y + 24, width - 44, 150, (1.0, float(max(n, 2))), limits)
        ticks = _loss_ticks(limits) if is_log else value_ticks(limits, 5)
        draw_axes(
            sheet, axes, _epoch_ticks(n), ticks, "epoch", "loss, logarithmic" if is_log else "loss"
        )
        for values, look in zip(shown, _LOSS_LOOKS.values(), strict=True):
            draw_curve(sheet, axes, np.arange(1.0, len(values) + 1), values, look)
        draw_upright(sheet, axes, float(best), f"epoch {best}")
        entries = [
            line_entry(name, look.colour, look.width, look.dash)
            for name, look in _LOSS_LOOKS.items()
        ]
        draw_legend(sheet, axes.bottom + 36, entries)

    return Block(236, draw)


_LOSS_LOOKS = {"training": LineLook(MUTED, 1.0, "2 1.6"), "validation": LineLook(INK, 1.4)}


def _epoch_ticks(n: int) -> list[tuple[float, str]]:
    every = max(1, -(-n // 10))
    return [
        (float(epoch), str(epoch)) for epoch in range(1, n + 1) if epoch == 1 or epoch % every == 0
    ]


def _loss_ticks(limits: tuple[float, float]) -> list[tuple[float, str]]:
    """Round losses at 1, 2 and 5 times powers of ten."""
    low, high = 10 ** limits[0], 10 ** limits[1]
    powers = range(int(np.floor(limits[0])), int(np.ceil(limits[1])) + 1)
    values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [value for value in values if low <= value <= high]
    return [(float(np.log10(value)), f"{value:.3g}") for value in inside]


_ARTICLED = {
    "Missed": "a miss",
    "Flagged": "one that raised no alarm",
    "False alarm": "a false alarm",
}


def _example_blocks(content: EvaluationContent, width: float) -> list[Block]:
    if not content.examples:
        return []
    found = [one for one in content.examples if one.title.startswith("Found")]
    others = [
        _ARTICLED[one.title.split(",")[0].split(":")[0]]
        for one in content.examples
        if one not in found
    ]
    parts = [counted(len(found), "find")] * bool(found) + others
    title = f"What the model saw: {joined(parts)} from the {content.headline.name} readings."
    entries = [
        ACTUAL_ENTRY,
        RANGE_ENTRY,
        EXPECTED_ENTRY,
        FLAGGED_ENTRY,
        FIRST_FLAG_ENTRY,
        ERROR_ENTRY,
        THRESHOLD_ENTRY,
        ground_entry(f"{EVIDENCE_WORDS[content.evidence]} anomaly", INCIDENT_GROUND),
    ]
    legend = Block(
        30, lambda sheet, y: _ignored(draw_legend(sheet, y + 8, entries)), keep_with_next=True
    )
    blocks = [
        block
        for one in content.examples
        for block in (_example_block(one, content.zone, width), gap(8))
    ]
    return [finding(title, width), legend, *blocks]


def _example_block(one: Example, zone: str, width: float) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + 9, one.title, STRONG, width)
        seconds = unix_s(one.channel.times)
        frame = Frame(
            sheet.left + 44, y + 30, width - 44, 66, float(seconds[0]), float(seconds[-1])
        )
        ticks = frame.ticks(zone)
        lower = frame.lowered(frame.bottom + 18, 42)
        for panel in (frame, lower):
            for started_at, ended_at in one.anomalies:
                draw_ground(sheet, panel, started_at.timestamp(), ended_at.timestamp())
            draw_time_grid(sheet, panel, ticks)
        sheet.cut(frame.x, frame.y - 5, _channel_text(one.channel), SMALL, frame.width)
        draw_channel_panel(sheet, frame, one.channel, one.scores)
        sheet.cut(lower.x, lower.y - 4, "error", SMALL, frame.width)
        draw_error_panel(sheet, lower, one.scores, "threshold")
        draw_time_labels(sheet, lower, lower.bottom + 10, zone)

    return Block(174, draw)


def _channel_text(channel: ChannelSeries) -> str:
    return with_unit(channel.name, f"in {channel.unit}" if channel.unit else None)


def _reliability_blocks(content: EvaluationContent, width: float) -> list[Block]:
    found = content.reliability
    if found is None or found.curve is None:
        return []
    title = (
        f"Stated probabilities are off by {share_text(found.calibration_error)} on average (Brier "
        "score "
        f"{_known(found.brier)})."
    )
    text = (
        "Steps that were not learned from, by the probability that the model states; the share of "
        "them that are "
        "anomalies should be the same, on the diagonal. Circles are as large as their steps are "
        "many."
    )
    curve = found.curve

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(sheet.left + 44, y + 20, 260, 260, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        draw_axes(sheet, axes, ticks, ticks, "stated probability", "share of anomalies")
        draw_curve(
            sheet, axes, np.array([0.0, 1.0]), np.array([0.0, 1.0]), LineLook(MUTED, 0.8, "2 2")
        )
        draw_curve(sheet, axes, curve.said, curve.happened, LineLook(INK, 0.9))
        for said, happened, n in zip(curve.said, curve.happened, curve.n_events, strict=True):
            size = 4 + 2.2 * float(np.log10(n))
            sheet.marker(
                "circle", axes.across.place(float(said)), axes.up.place(float(happened)), size, INK
            )

    return [finding(title, width), paragraph(text, width), Block(320, draw)]


__all__ = ["evaluation_bytes", "evaluation_pages", "evidence_text", "headline_text"]
