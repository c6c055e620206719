"""The evaluation report: what a model finds and what it costs, each page under the finding that it
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tsad_tasks.reporting.drawing.charts import (
    Frame,
    draw_channel_panel,
    draw_error_panel,
    draw_ground,
    draw_time_grid,
    draw_time_labels,
)
from tsad_tasks.reporting.drawing.document import Document, document_bytes, draw_name
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Cell,
    TableColumn,
    TableLook,
    draw_blocks,
    facts_blocks,
    figure_columns,
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
    draw_legend,
    ground_entry,
    legend_block,
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
from tsad_tasks.reporting.drawing.tiles import Tile, draw_tiles
from tsad_tasks.reporting.evaluation.content import (
    EVIDENCE_WORDS,
    EvaluationContent,
    Example,
    PartResult,
)
from tsad_tasks.reporting.exploration.preview_pages import preview_blocks
from tsad_tasks.text.formats import (
    NO_DATA,
    channel_text,
    count_text,
    counted,
    counted_of,
    duration_text,
    figure_text,
    joined,
    number_text,
    period_text,
    share_text,
    stamp_text,
    time_text,
    zone_text,
)

_COVER = "cover"
_NAME = TextStyle(22, bold=True)
_LEAD = TextStyle(12, bold=True)
_PART_LOOKS = dict(zip(("training", "validation", "test", "later"), LOOKS, strict=True))
_PART_FILLS = {
    "training": COVERAGE[1],
    "validation": COVERAGE[3],
    "test": COVERAGE[5],
    "later": FAINT,
}
_UNIT = (0.0, 1.0)
_DIAGONAL = np.array(_UNIT)


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
    return document_bytes(sheet, document, evaluation_pages(content, *inner_size(sheet)))


def evaluation_pages(content: EvaluationContent, width: float, room: float) -> list[Page]:
    """All pages in their order, those without anything to show left out."""
    learning = _learning_blocks(content, width)
    if content.preview:
        learning += preview_blocks(content.preview, content.zone, width)
    following = [
        *flow_pages("events", "Events and alarms", _event_blocks(content, width), room),
        *flow_pages("curves", "ROC and precision-recall", _curve_blocks(content, width), room),
        *flow_pages("confusion", "Confusion matrices", _confusion_blocks(content, width), room),
        *flow_pages("errors", "Errors", _error_blocks(content, width), room),
        *flow_pages("examples", "Reconstructions", _example_blocks(content, width), room),
        *flow_pages("reliability", "Reliability", _reliability_blocks(content, width), room),
        *flow_pages("learning", "Learning", learning, room),
    ]

    def draw(sheet: Sheet, numbers: PageNumbers) -> None:
        _draw_cover(sheet, content, following, numbers)

    return [Page(_COVER, "Summary", draw), *following]


def headline_text(content: EvaluationContent) -> str:
    """The report in one sentence."""
    part = content.headline
    events, what = part.figures.events, EVIDENCE_WORDS[content.evidence]
    false = f"{figure_text(events.false_alarms_per_day)} false alarms per entity and day"
    if not events.n_false:
        false = f"no false alarm in {number_text(events.days, 1)} entity-days"
    if not events.n_events:
        return f"No {what} anomaly could be judged; {false}."
    of_all = "all" if events.n_found == events.n_events else f"{count_text(events.n_found)} of"
    found = f"{of_all} {counted(events.n_events, f'{what} anomaly', f'{what} anomalies')}"
    return f"Finds {found} in the {part.name} readings, with {false}."


def evidence_text(content: EvaluationContent) -> str:
    """What the model was judged by, so that nobody takes the one for the other."""
    text = (
        "Judged by injected anomalies, because no reading after the training part is labelled: "
        "spikes, values of half a day away, and lasting shifts, ramps and freezes put into the "
        "readings, as the gate does. Real faults may be easier or harder to find; one among these "
        "readings counts as a false alarm."
    )
    if content.evidence == "labels":
        text = (
            "Judged by the dataset's own labels: known anomalies from its label column, its files "
            "or its people."
        )
    who = counted_of(content.n_entities, content.n_all_entities, "entity", "entities")
    text += f" {who.capitalize()}."
    if any(part.name == "training" for part in content.parts):
        text += " Training readings were learned from: their figures flatter."
    return text


def _draw_cover(
    sheet: Sheet, content: EvaluationContent, following: Sequence[Page], numbers: PageNumbers
) -> None:
    zone = zone_text(content.zone, content.start_at, content.end_at)
    y = draw_name(sheet, "Model evaluation", content.model.name, _NAME, zone)
    made = f"Generated {stamp_text(content.generated_at, content.zone)}."
    about = f"{content.description}. " if content.description else ""
    y = sheet.paragraph(sheet.left, y - 6, f"{about}{made}", BODY, sheet.inner_width, 2)
    y = draw_tiles(sheet, _tiles(content), y + 4, height=70, first=50, leading=10)
    y = sheet.paragraph(sheet.left, y + 26, headline_text(content), _LEAD, sheet.inner_width, 3)
    y = sheet.paragraph(sheet.left, y + 4, evidence_text(content), BODY, sheet.inner_width, 4, 1.45)
    # The parts on a line of time; what lies between two of them is the embargo.
    start_s, end_s = content.start_at.timestamp(), content.end_at.timestamp()
    frame = Frame(sheet.left, y + 20, sheet.inner_width, 16, start_s, end_s)
    for part in content.parts:
        left, right = (frame.clip(at.timestamp()) for at in (part.start_at, part.end_at))
        fill = _PART_FILLS[part.name]
        sheet.rect(left, frame.y, max(right - left, 1.0), frame.height, fill=fill)
        sheet.text(left, frame.y - 4, part.name, SMALL)
    draw_time_labels(sheet, frame, frame.bottom + 10, content.zone)
    blocks = [*_figure_blocks(content, sheet.inner_width), gap(12), *_model_blocks(content)]
    draw_blocks(sheet, blocks, frame.bottom + 22)
    x, y = sheet.left, bottom_of(sheet) - 8
    for page in following:
        if page.level is not None:
            text = f"{page.title}  {numbers.get(page.key, NO_DATA)}"
            used = sheet.text(x, y, text, SMALL)
            sheet.link(page.key, x, y - 8, used, 11)
            x += used + 11


def _tiles(content: EvaluationContent) -> list[Tile]:
    figures, events = content.headline.figures, content.headline.figures.events
    unseen = f"{events.n_unseen} more without a score" if events.n_unseen else ""
    found = f"{events.n_found} of {events.n_events}"
    days = f"{number_text(events.days, 1)} entity-days"
    precision, chance = _known(figures.average_precision, 2), _known(figures.anomaly_share, 2)
    return [
        (found, "anomalies found", [f"{content.headline.name} readings", unseen]),
        (_known(events.false_alarms_per_day), "false alarms", ["per entity and day", days]),
        (precision, "PR-AUC", [f"chance: {chance}"]),
        (_known(figures.roc_auc, 3), "ROC-AUC", ["chance: 0.5"]),
    ]


def _known(value: float, n_decimals: int | None = None) -> str:
    if not np.isfinite(value):
        return "–"
    if n_decimals is None:
        return figure_text(value) if value else "0"
    return number_text(value, n_decimals)


_FIGURE_COLUMNS = (
    TableColumn("Part", 1.0),
    *figure_columns("Steps", "Found", "Precision", "Event F1"),
    *figure_columns("False/day", "ROC-AUC", "PR-AUC", "VUS-PR"),
)


def _figure_blocks(content: EvaluationContent, width: float) -> list[Block]:
    rows = []
    for part in content.parts:
        figures, events = part.figures, part.figures.events
        ends = (time_text(at, content.zone) for at in (part.start_at, part.end_at))
        cells = [
            f"{part.name}, {' to '.join(ends)}",
            count_text(figures.steps.n),
            f"{events.n_found} of {events.n_events}",
            _known(events.precision, 2),
            _known(events.f1, 2),
            _known(events.false_alarms_per_day),
        ]
        areas = (figures.roc_auc, figures.average_precision, figures.vus_pr)
        rows.append(cells + [_known(area, 3) for area in areas])
    note = (
        "Found and precision count events and alarms; false/day is per entity. PR-AUC is average "
        "precision over steps; VUS-PR allows for a little early or late, without any threshold."
    )
    table = table_blocks(_FIGURE_COLUMNS, rows, width, TableLook(gap=7))
    return [*table, gap(3), paragraph(note, width, SMALL)]


def _model_blocks(content: EvaluationContent) -> list[Block]:
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
    return facts_blocks(facts)


_EVENT_COLUMNS = (
    TableColumn("Part", 1.0),
    *figure_columns("Found", "Recall", "Alarms", "False", "Precision", "F1"),
    *figure_columns("Median delay", "Median lead"),
)
_KIND_COLUMNS = (
    TableColumn("Kind of anomaly", 0.4),
    TableColumn("Part", 0.3),
    *figure_columns("Found"),
    TableColumn("", 0.3),
)


def _event_blocks(content: EvaluationContent, width: float) -> list[Block]:
    part, title = content.headline, headline_text(content)
    found = part.figures.events
    if found.delay_s:
        share = f"{share_text(found.recall)} of the events"
        if found.n_found == found.n_events:
            share = "All events"
        wait = _wait_text(found.median_delay_s)
        title = f"{share} are found; half of the alerts come within {wait} of the beginning."
    text = (
        f"An event is a run of {EVIDENCE_WORDS[content.evidence]} steps; it is found when an alarm "
        "touches it or the windows that still hold it. An alarm is a run of flags that the alarm "
        "policy lets through. Delay counts from the beginning of the event to the alert, which "
        f"comes at the end of the scoring interval: the schedule {content.alert_wait}. Lead is "
        "what is left from the alert to the end of the event; below zero the alert came after it."
    )
    rows = []
    for one in content.parts:
        events = one.figures.events
        row = [one.name, f"{events.n_found} of {events.n_events}", _known(events.recall, 2)]
        row += [count_text(events.n_alarms), count_text(events.n_false)]
        row += [_known(events.precision, 2), _known(events.f1, 2)]
        rows.append(row + [_wait_text(s) for s in (events.median_delay_s, events.median_lead_s)])
    kinds: list[list[Cell]] = [
        [
            kind.replace("_", " "),
            part.name,
            f"{n} of {n_all}",
            partial(_draw_share, share=n / n_all),
        ]
        for kind, n, n_all in part.by_kind
    ]
    return [
        finding(title, width),
        paragraph(text, width),
        gap(4),
        *table_blocks(_EVENT_COLUMNS, rows, width, TableLook(gap=8)),
        gap(14),
        *([*table_blocks(_KIND_COLUMNS, kinds, width), gap(18)] if kinds else []),
        *_delay_blocks(part, width),
    ]


def _wait_text(seconds: float) -> str:
    return duration_text(seconds) if np.isfinite(seconds) else "–"


def _draw_share(sheet: Sheet, box: Box, share: float) -> None:
    sheet.rect(box.x, box.y + 4, box.width, box.height - 8, fill=GRID)
    sheet.rect(box.x, box.y + 4, box.width * share, box.height - 8, fill=COVERAGE[5])


def _delay_blocks(part: PartResult, width: float) -> list[Block]:
    delays = np.array(part.figures.events.delay_s, np.float64) / 60
    if len(delays) < 3:
        return []
    low, high = float(min(delays.min(), 0.0)), float(max(delays.max(), 1.0))
    edges = np.linspace(low, high, 25)
    heights = np.histogram(delays, edges)[0].astype(np.float64)

    def draw(sheet: Sheet, y: float) -> None:
        limits = (0.0, float(heights.max()) * 1.08)
        axes = Axes(sheet.left + 34, y + 26, width - 34, 130, (low, high), limits)
        minutes, counts = value_ticks(axes.x_limits, 8), value_ticks(limits, 4)
        label = "minutes from the beginning of the event to its alert"
        draw_axes(sheet, axes, minutes, counts, label, "found events")
        draw_bars(sheet, axes, edges, heights, COVERAGE[5])
        draw_upright(sheet, axes, float(np.median(delays)), "median")

    return [Block(190, draw)]


_OTHER_COLUMNS = (
    TableColumn("Threshold", 1.0),
    *figure_columns("Events found", "False alarms/day", "Step precision", "Step recall", width=70),
)


def _curve_blocks(content: EvaluationContent, width: float) -> list[Block]:
    shown = [part for part in content.parts if np.isfinite(part.figures.roc_auc)]
    if not shown:
        return []
    figures, name = content.headline.figures, content.headline.name
    area, chance = _known(figures.average_precision, 3), _known(figures.anomaly_share, 3)
    title = (
        f"Ranked by score, anomalies come first: ROC-AUC {_known(figures.roc_auc, 3)}, "
        f"PR-AUC {area} where chance has {chance}."
    )
    if not figures.average_precision > 2 * figures.anomaly_share:
        title = f"Ranked by score, anomalies hardly come first: PR-AUC {area} where chance has {chance}."
    text = (
        "Both curves judge single steps over all thresholds, so they tell how well scores order "
        "steps, not how a threshold was chosen. With few anomalies the right one says more: it "
        "looks only at what is flagged. The dot is the threshold in use."
    )
    blocks = [finding(title, width), paragraph(text, width), gap(6)]
    blocks += [_curves_block(shown, width), gap(14)]
    rows = []
    for one in content.headline.others:
        threshold = "in use" if one.multiple == 1 else f"{one.multiple:g} × that"
        steps = [_known(one.precision, 2), _known(one.recall, 2)]
        found = f"{one.n_found} of {one.n_events}"
        rows.append([threshold, found, _known(one.false_alarms_per_day), *steps])
    if rows:
        other = (
            f"What another threshold would have done with the {name} readings; chosen here, it "
            "would flatter."
        )
        blocks.append(paragraph(other, width, keep_with_next=True))
    return blocks + table_blocks(_OTHER_COLUMNS, rows, width)


def _curves_block(shown: Sequence[PartResult], width: float) -> Block:
    side = (width - 2 * 30 - 26) / 2
    flagged = ("share of normal steps flagged", "share of anomalous steps flagged")

    def draw(sheet: Sheet, y: float) -> None:
        roc = Axes(sheet.left + 30, y + 16, side, side, _UNIT, _UNIT)
        pr = Axes(sheet.left + 30 + side + 56, y + 16, side, side, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        draw_axes(sheet, roc, ticks, ticks, *flagged)
        draw_axes(sheet, pr, ticks, ticks, "recall", "precision")
        draw_curve(sheet, roc, _DIAGONAL, _DIAGONAL, LineLook(GRID, 1.0, "2 2"))
        entries = []
        for part in shown:
            look, figures, steps = _PART_LOOKS[part.name], part.figures, part.figures.steps
            shares = (part.roc.false_positive_share, part.roc.true_positive_share)
            draw_curve(sheet, roc, *shares, look)
            # Precision holds until the next recall: between two points nothing better is known.
            recall, precision = np.repeat(part.pr.recall, 2), np.repeat(part.pr.precision, 2)
            draw_curve(sheet, pr, recall[:-1], precision[1:], look)
            false = steps.false_positive / max(steps.false_positive + steps.true_negative, 1)
            in_use = ((roc, false, steps.recall), (pr, steps.recall, steps.precision))
            for axes, along, up in in_use:
                if np.isfinite(along) and np.isfinite(up):
                    x, height = axes.across.place(along), axes.up.place(up)
                    sheet.marker("circle", x, height, 6.5, look.colour)
            areas = f"{_known(figures.roc_auc, 3)} / {_known(figures.average_precision, 3)}"
            entries.append(look.entry(f"{part.name}: {areas}"))
        draw_legend(sheet, roc.bottom + 38, entries)

    return Block(side + 66, draw)


_REPORT_COLUMNS = (
    TableColumn("Part", 0.5),
    TableColumn("Class", 0.5),
    *figure_columns("Precision", "Recall", "F1", "Steps", width=60),
)


def _confusion_blocks(content: EvaluationContent, width: float) -> list[Block]:
    steps, per_row = content.headline.figures.steps, 2 if len(content.parts) in (2, 4) else 3
    title = f"No step of the {content.headline.name} readings is flagged."
    if np.isfinite(steps.precision):
        recall = share_text(steps.recall) if np.isfinite(steps.recall) else NO_DATA
        title = (
            f"Of the flagged steps {share_text(steps.precision)} are anomalies; of the anomalous "
            f"steps {recall} are flagged."
        )
    text = (
        "By single steps. Steps whose window still holds an anomaly that is over count neither "
        "way. An accuracy says little where anomalies are rare: who never flags reaches "
        f"{share_text(steps.always_normal_accuracy)}."
    )
    side = (width - 18 * (per_row - 1)) / per_row

    def draw(sheet: Sheet, y: float) -> None:
        for i, part in enumerate(content.parts):
            x, top = sheet.left + i % per_row * (side + 18), y + 134 * (i // per_row)
            steps = part.figures.steps
            sheet.cut(x, top + 9, part.name.capitalize(), STRONG, side)
            hits, misses = steps.true_positive, steps.false_negative
            cells = (hits, steps.false_positive, misses, steps.true_negative)
            bottom = draw_confusion(sheet, x, top + 16, side, cells)
            unknown = f"{counted(steps.n_unknown, 'step')} unscored or not judged"
            sheet.cut(x, bottom + 8, unknown, SMALL, side)

    rows = []
    for part in content.parts:
        report, name = part.report, part.name
        classes = {"anomaly": report.anomaly, "normal": report.normal, "mean of both": report.macro}
        for kind, scores in classes.items():
            figures = [_known(value, 3) for value in (scores.precision, scores.recall, scores.f1)]
            rows.append([name, kind, *figures, count_text(scores.n_steps)])
            name = ""
        accuracy, n_steps = _known(report.accuracy, 3), count_text(report.macro.n_steps)
        rows.append(["", "accuracy", "", "", accuracy, n_steps])
        rows.append(["", "point-adjusted", "", "", _known(part.figures.point_adjusted_f1, 3), ""])
    note = (
        "Point-adjusted F1 takes an event for found in full after one flag in it: it flatters, "
        "random flags included, and is here only to compare with papers that give nothing else."
    )
    return [
        finding(title, width),
        paragraph(text, width),
        gap(8),
        Block(134.0 * -(-len(content.parts) // per_row), draw),
        gap(10),
        *table_blocks(_REPORT_COLUMNS, rows, width, TableLook(row_height=12.5)),
        gap(4),
        paragraph(note, width, SMALL),
    ]


def _error_blocks(content: EvaluationContent, width: float) -> list[Block]:
    steps = content.headline.figures.steps
    n_normal = steps.false_positive + steps.true_negative
    n_anomalous = steps.true_positive + steps.false_negative
    normal = share_text(steps.false_positive / n_normal if n_normal else None)
    anomalous = share_text(steps.true_positive / n_anomalous if n_anomalous else None)
    title = (
        f"{anomalous} of the anomalous and {normal} of the normal steps lie above the threshold."
    )
    text = (
        "Errors of single steps as a multiple of the threshold that held at the time, both axes "
        "logarithmic. Good detection keeps the two hills apart and the threshold between them; "
        "what lies beyond an edge is counted in the last bar."
    )
    entries = [
        ground_entry("normal steps", BAND),
        line_entry("anomalous steps", FLAGGED, 1.4),
        line_entry("threshold", FLAGGED, 0.9, "3 2"),
    ]
    shown = [part for part in content.parts if part.figures.steps.n]
    blocks = [block for part in shown for block in (_histogram_block(part, width), gap(6))]
    return [
        finding(title, width),
        paragraph(text, width),
        gap(4),
        legend_block(entries),
        *blocks,
    ]


def _histogram_block(part: PartResult, width: float) -> Block:
    edges, normal, anomalous = part.normal.edges, part.normal.counts, part.anomalous.counts
    highest = max(int(normal.max(initial=1)), int(anomalous.max(initial=1)))
    known = np.flatnonzero(normal + anomalous)
    first = min(int(known[0]) if len(known) else 20, 20)
    last = max(int(known[-1]) + 1 if len(known) else 40, 40)
    ratios, heights = (float(edges[first]), float(edges[last])), (-0.3, np.log10(highest) + 0.15)

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(sheet.left + 44, y + 20, width - 44, 88, ratios, heights)
        across, up = power_ticks(ratios), power_ticks(heights)
        draw_axes(sheet, axes, across, up, "error / threshold", f"{part.name}: steps by error")
        bounds = edges[first : last + 1]
        draw_bars(sheet, axes, bounds, log_heights(normal[first:last]), BAND)
        if anomalous.any():
            outline = log_heights(anomalous[first:last])
            draw_steps(sheet, axes, bounds, outline, LineLook(FLAGGED, 1.3))
        draw_upright(sheet, axes, 0.0, "threshold")

    return Block(136, draw)


_LOSS_LOOKS = {"training": LineLook(MUTED, 1.0, "2 1.6"), "validation": LineLook(INK, 1.4)}
_WHY_ENDED = {
    "epochs": "all epochs done",
    "patience": "no improvement for as long as training.patience allows",
    "diverged": "a loss that was not finite",
}


def _learning_blocks(content: EvaluationContent, width: float) -> list[Block]:
    model = content.model
    if not (model.loss or model.validation_loss):
        return []
    curves = [np.array(values, np.float64) for values in (model.loss, model.validation_loss)]
    n_epochs, best = len(model.loss), len(model.loss)
    if np.isfinite(curves[1]).any():
        best = int(np.nanargmin(curves[1])) + 1
    title = (
        f"Validation loss was lowest at epoch {best} of {n_epochs}; these weights are the model."
    )
    why = _WHY_ENDED.get(model.stopped, model.stopped or "unknown")
    text = f"{counted(model.n_parameters, 'parameter')}. Training ended because of: {why}."
    text += f" It took {duration_text(model.seconds)}." if model.seconds is not None else ""
    blocks = [finding(title, width), paragraph(text, width), gap(4)]
    known = np.concatenate([values[np.isfinite(values)] for values in curves])
    if not known.size:
        return [*blocks, gap(1)]
    # A likelihood's loss may be below 0, where there is no logarithm.
    is_log = bool(known.min() > 0)
    shown = [np.log10(values) if is_log else values for values in curves]
    limits, n = value_limits(*shown), max(len(values) for values in curves)

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(sheet.left + 44, y + 24, width - 44, 150, (1.0, float(max(n, 2))), limits)
        every = max(1, -(-n // 10))
        epochs = [(float(e), str(e)) for e in range(1, n + 1) if e == 1 or e % every == 0]
        ticks = _loss_ticks(limits) if is_log else value_ticks(limits, 5)
        draw_axes(sheet, axes, epochs, ticks, "epoch", "loss, logarithmic" if is_log else "loss")
        for values, look in zip(shown, _LOSS_LOOKS.values(), strict=True):
            draw_curve(sheet, axes, np.arange(1.0, len(values) + 1), values, look)
        draw_upright(sheet, axes, float(best), f"epoch {best}")
        entries = [look.entry(name) for name, look in _LOSS_LOOKS.items()]
        draw_legend(sheet, axes.bottom + 36, entries)

    return [*blocks, Block(236, draw)]


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
    kinds = [one.title.split(",")[0].split(":")[0] for one in content.examples]
    others = [_ARTICLED[kind] for kind in kinds if not kind.startswith("Found")]
    n_found = len(kinds) - len(others)
    parts = ([counted(n_found, "find")] if n_found else []) + others
    title = f"What the model saw: {joined(parts)} from the {content.headline.name} readings."
    anomaly = ground_entry(f"{EVIDENCE_WORDS[content.evidence]} anomaly", INCIDENT_GROUND)
    entries = [ACTUAL_ENTRY, RANGE_ENTRY, EXPECTED_ENTRY, FLAGGED_ENTRY, FIRST_FLAG_ENTRY]
    entries += [ERROR_ENTRY, THRESHOLD_ENTRY, anomaly]
    blocks = [finding(title, width), legend_block(entries, 30)]
    for one in content.examples:
        blocks += [_example_block(one, content.zone, width), gap(8)]
    return blocks


def _example_block(one: Example, zone: str, width: float) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + 9, one.title, STRONG, width)
        start_s, *_, end_s = unix_s(one.channel.times).tolist()
        frame = Frame(sheet.left + 44, y + 30, width - 44, 66, start_s, end_s)
        lower = frame.lowered(frame.bottom + 18, 42)
        for panel in (frame, lower):
            for started_at, ended_at in one.anomalies:
                draw_ground(sheet, panel, started_at.timestamp(), ended_at.timestamp())
            draw_time_grid(sheet, panel, frame.ticks(zone))
        label = channel_text(one.channel.name, one.channel.unit)
        sheet.cut(frame.x, frame.y - 5, label, SMALL, frame.width)
        draw_channel_panel(sheet, frame, one.channel, one.scores)
        sheet.cut(lower.x, lower.y - 4, "error", SMALL, frame.width)
        draw_error_panel(sheet, lower, one.scores, "threshold")
        draw_time_labels(sheet, lower, lower.bottom + 10, zone)

    return Block(174, draw)


def _reliability_blocks(content: EvaluationContent, width: float) -> list[Block]:
    stated = content.reliability
    curve = None if stated is None else stated.curve
    if stated is None or curve is None:
        return []
    off, brier = share_text(stated.calibration_error), _known(stated.brier)
    title = f"Stated probabilities are off by {off} on average (Brier score {brier})."
    text = (
        "Steps that were not learned from, by the probability that the model states; the share of "
        "them that are anomalies should be the same, on the diagonal. Circles are as large as "
        "their steps are many."
    )

    def draw(sheet: Sheet, y: float) -> None:
        axes = Axes(sheet.left + 44, y + 20, 260, 260, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        draw_axes(sheet, axes, ticks, ticks, "stated probability", "share of anomalies")
        draw_curve(sheet, axes, _DIAGONAL, _DIAGONAL, LineLook(MUTED, 0.8, "2 2"))
        draw_curve(sheet, axes, curve.said, curve.happened, LineLook(INK, 0.9))
        for said, happened, n in zip(curve.said, curve.happened, curve.n_events, strict=True):
            x, up = axes.across.place(float(said)), axes.up.place(float(happened))
            sheet.marker("circle", x, up, 4 + 2.2 * float(np.log10(n)), INK)

    return [finding(title, width), paragraph(text, width), Block(320, draw)]
