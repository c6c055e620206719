"""What a model finds and what it costs: events, curves, matrices, errors, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from tsad_tasks.reporting.drawing import flow, plots, theme
from tsad_tasks.reporting.drawing.marks import draw_legend, ground_entry, legend_block, line_entry
from tsad_tasks.reporting.drawing.scales import value_ticks
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.evaluation.content import (
    EVIDENCE_WORDS,
    EvaluationContent,
    PartResult,
    headline_text,
)
from tsad_tasks.text.formats import (
    NO_DATA,
    cell_text,
    count_text,
    counted,
    duration_text,
    share_text,
)

_PART_LOOKS = dict(zip(("training", "validation", "test", "later"), plots.LOOKS, strict=True))
_UNIT = (0.0, 1.0)
_DIAGONAL = np.array(_UNIT)
_EVENT_COLUMNS = (
    flow.TableColumn("Part", 1.0),
    *flow.figure_columns("Found", "Recall", "Alarms", "False", "Precision", "F1"),
    *flow.figure_columns("Median delay", "Median lead"),
)
_KIND_COLUMNS = (
    flow.TableColumn("Kind of anomaly", 0.4),
    flow.TableColumn("Part", 0.3),
    *flow.figure_columns("Found"),
    flow.TableColumn("", 0.3),
)


def event_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    """Events found and alarms raised, by part, by kind, and how long alerts took."""
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
        row = [one.name, f"{events.n_found} of {events.n_events}", cell_text(events.recall, 2)]
        row += [count_text(events.n_alarms), count_text(events.n_false)]
        row += [cell_text(events.precision, 2), cell_text(events.f1, 2)]
        rows.append(row + [_wait_text(s) for s in (events.median_delay_s, events.median_lead_s)])

    def draw_share(sheet: Sheet, box: flow.Box, share: float) -> None:
        sheet.rect(box.x, box.y + 4, box.width, box.height - 8, fill=theme.GRID)
        sheet.rect(box.x, box.y + 4, box.width * share, box.height - 8, fill=theme.COVERAGE[5])

    kinds: list[list[flow.Cell]] = [
        [kind.replace("_", " "), part.name, f"{n} of {n_all}", partial(draw_share, share=n / n_all)]
        for kind, n, n_all in part.by_kind
    ]
    return [
        flow.finding(title, width),
        flow.paragraph(text, width),
        flow.gap(4),
        *flow.table_blocks(_EVENT_COLUMNS, rows, width, flow.TableLook(gap=8)),
        flow.gap(14),
        *([*flow.table_blocks(_KIND_COLUMNS, kinds, width), flow.gap(18)] if kinds else []),
        *_delay_blocks(part, width),
    ]


def _wait_text(seconds: float) -> str:
    return duration_text(seconds) if np.isfinite(seconds) else "–"


def _delay_blocks(part: PartResult, width: float) -> list[flow.Block]:
    delays = np.array(part.figures.events.delay_s, np.float64) / 60
    if len(delays) < 3:
        return []
    low, high = float(min(delays.min(), 0.0)), float(max(delays.max(), 1.0))
    edges = np.linspace(low, high, 25)
    heights = np.histogram(delays, edges)[0].astype(np.float64)

    def draw(sheet: Sheet, y: float) -> None:
        limits = (0.0, float(heights.max()) * 1.08)
        axes = plots.Axes(sheet.left + 34, y + 26, width - 34, 130, (low, high), limits)
        minutes, counts = value_ticks(axes.x_limits, 8), value_ticks(limits, 4)
        label = "minutes from the beginning of the event to its alert"
        plots.draw_axes(sheet, axes, minutes, counts, label, "found events")
        plots.draw_bars(sheet, axes, edges, heights, theme.COVERAGE[5])
        plots.draw_upright(sheet, axes, float(np.median(delays)), "median")

    return [flow.Block(190, draw)]


_OTHER_COLUMNS = (
    flow.TableColumn("Threshold", 1.0),
    *flow.figure_columns(
        "Events found", "False alarms/day", "Step precision", "Step recall", width=70
    ),
)


def curve_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    """ROC and precision-recall curves, and what other thresholds would have done."""
    shown = [part for part in content.parts if np.isfinite(part.figures.roc_auc)]
    if not shown:
        return []
    figures, name = content.headline.figures, content.headline.name
    area, chance = cell_text(figures.average_precision, 3), cell_text(figures.anomaly_share, 3)
    title = (
        f"Ranked by score, anomalies come first: ROC-AUC {cell_text(figures.roc_auc, 3)}, "
        f"PR-AUC {area} where chance has {chance}."
    )
    if not figures.average_precision > 2 * figures.anomaly_share:
        title = "Ranked by score, anomalies hardly come first: PR-AUC "
        title += f"{area} where chance has {chance}."
    text = (
        "Both curves judge single steps over all thresholds, so they tell how well scores order "
        "steps, not how a threshold was chosen. With few anomalies the right one says more: it "
        "looks only at what is flagged. The dot is the threshold in use."
    )
    blocks = [flow.finding(title, width), flow.paragraph(text, width), flow.gap(6)]
    blocks += [_curves_block(shown, width), flow.gap(14)]
    rows = []
    for one in content.headline.others:
        threshold = "in use" if one.multiple == 1 else f"{one.multiple:g} × that"
        steps = [cell_text(one.precision, 2), cell_text(one.recall, 2)]
        found = f"{one.n_found} of {one.n_events}"
        rows.append([threshold, found, cell_text(one.false_alarms_per_day), *steps])
    if rows:
        other = (
            f"What another threshold would have done with the {name} readings. One that is chosen "
            "by this table would flatter."
        )
        blocks.append(flow.paragraph(other, width, keep_with_next=True))
    return blocks + flow.table_blocks(_OTHER_COLUMNS, rows, width)


def _curves_block(shown: Sequence[PartResult], width: float) -> flow.Block:
    side = (width - 2 * 30 - 26) / 2
    flagged = ("share of normal steps flagged", "share of anomalous steps flagged")

    def draw(sheet: Sheet, y: float) -> None:
        roc = plots.Axes(sheet.left + 30, y + 16, side, side, _UNIT, _UNIT)
        pr = plots.Axes(sheet.left + 30 + side + 56, y + 16, side, side, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        plots.draw_axes(sheet, roc, ticks, ticks, *flagged)
        plots.draw_axes(sheet, pr, ticks, ticks, "recall", "precision")
        plots.draw_curve(sheet, roc, _DIAGONAL, _DIAGONAL, plots.LineLook(theme.GRID, 1.0, "2 2"))
        entries = []
        for part in shown:
            look, figures, steps = _PART_LOOKS[part.name], part.figures, part.figures.steps
            shares = (part.roc.false_positive_share, part.roc.true_positive_share)
            plots.draw_curve(sheet, roc, *shares, look)
            # Precision holds until the next recall: between two points nothing better is known.
            recall, precision = np.repeat(part.pr.recall, 2), np.repeat(part.pr.precision, 2)
            plots.draw_curve(sheet, pr, recall[:-1], precision[1:], look)
            false = steps.false_positive / max(steps.false_positive + steps.true_negative, 1)
            in_use = ((roc, false, steps.recall), (pr, steps.recall, steps.precision))
            for axes, along, up in in_use:
                if np.isfinite(along) and np.isfinite(up):
                    x, height = axes.across.place(along), axes.up.place(up)
                    sheet.marker("circle", x, height, 6.5, look.colour)
            areas = f"{cell_text(figures.roc_auc, 3)} / {cell_text(figures.average_precision, 3)}"
            entries.append(look.entry(f"{part.name}: {areas}"))
        draw_legend(sheet, roc.bottom + 38, entries)

    return flow.Block(side + 66, draw)


_REPORT_COLUMNS = (
    flow.TableColumn("Part", 0.5),
    flow.TableColumn("Class", 0.5),
    *flow.figure_columns("Precision", "Recall", "F1", "Steps", width=60),
)


def confusion_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    """Confusion matrices, and precision and recall by class."""
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
        "way. An accuracy says little where anomalies are rare: a model that never flags anything "
        f"reaches {share_text(steps.always_normal_accuracy)}."
    )
    side = (width - 18 * (per_row - 1)) / per_row

    def draw(sheet: Sheet, y: float) -> None:
        for i, part in enumerate(content.parts):
            x, top = sheet.left + i % per_row * (side + 18), y + 134 * (i // per_row)
            steps = part.figures.steps
            sheet.cut(x, top + 9, part.name.capitalize(), theme.STRONG, side)
            hits, misses = steps.true_positive, steps.false_negative
            cells = (hits, steps.false_positive, misses, steps.true_negative)
            bottom = plots.draw_confusion(sheet, x, top + 16, side, cells)
            unknown = f"{counted(steps.n_unknown, 'step')} unscored or not judged"
            sheet.cut(x, bottom + 8, unknown, theme.SMALL, side)

    rows = []
    for part in content.parts:
        report, name = part.report, part.name
        classes = {"anomaly": report.anomaly, "normal": report.normal, "mean of both": report.macro}
        for kind, scores in classes.items():
            shares = (scores.precision, scores.recall, scores.f1)
            figures = [cell_text(share, 3) for share in shares]
            rows.append([name, kind, *figures, count_text(scores.n_steps)])
            name = ""
        accuracy, n_steps = cell_text(report.accuracy, 3), count_text(report.macro.n_steps)
        rows.append(["", "accuracy", "", "", accuracy, n_steps])
        adjusted = cell_text(part.figures.point_adjusted_f1, 3)
        rows.append(["", "point-adjusted", "", "", adjusted, ""])
    note = (
        "Point-adjusted F1 takes an event for found in full after one flag in it: it flatters, "
        "random flags included, and is here only to compare with papers that give nothing else."
    )
    return [
        flow.finding(title, width),
        flow.paragraph(text, width),
        flow.gap(8),
        flow.Block(134.0 * -(-len(content.parts) // per_row), draw),
        flow.gap(10),
        *flow.table_blocks(_REPORT_COLUMNS, rows, width, flow.TableLook(row_height=12.5)),
        flow.gap(4),
        flow.paragraph(note, width, theme.SMALL),
    ]


def error_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    """Errors of normal and of anomalous steps as histograms."""
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
        ground_entry("normal steps", theme.BAND),
        line_entry("anomalous steps", theme.FLAGGED, 1.4),
        line_entry("threshold", theme.FLAGGED, 0.9, "3 2"),
    ]
    shown = [part for part in content.parts if part.figures.steps.n]
    blocks = [block for part in shown for block in (_histogram_block(part, width), flow.gap(6))]
    told = [flow.finding(title, width), flow.paragraph(text, width)]
    return [*told, flow.gap(4), legend_block(entries), *blocks]


def _histogram_block(part: PartResult, width: float) -> flow.Block:
    edges, normal, anomalous = part.normal.edges, part.normal.counts, part.anomalous.counts
    highest = max(int(normal.max(initial=1)), int(anomalous.max(initial=1)))
    known = np.flatnonzero(normal + anomalous)
    first = min(int(known[0]) if len(known) else 20, 20)
    last = max(int(known[-1]) + 1 if len(known) else 40, 40)
    ratios, heights = (float(edges[first]), float(edges[last])), (-0.3, np.log10(highest) + 0.15)

    def draw(sheet: Sheet, y: float) -> None:
        axes = plots.Axes(sheet.left + 44, y + 20, width - 44, 88, ratios, heights)
        across, up = plots.power_ticks(ratios), plots.power_ticks(heights)
        plots.draw_axes(
            sheet, axes, across, up, "error / threshold", f"{part.name}: steps by error"
        )
        bounds = edges[first : last + 1]
        plots.draw_bars(sheet, axes, bounds, plots.log_heights(normal[first:last]), theme.BAND)
        if anomalous.any():
            outline = plots.log_heights(anomalous[first:last])
            plots.draw_steps(sheet, axes, bounds, outline, plots.LineLook(theme.FLAGGED, 1.3))
        plots.draw_upright(sheet, axes, 0.0, "threshold")

    return flow.Block(136, draw)


def reliability_blocks(content: EvaluationContent, width: float) -> list[flow.Block]:
    """How far stated probabilities hold; nothing where none are stated."""
    stated = content.reliability
    curve = None if stated is None else stated.curve
    if stated is None or curve is None:
        return []
    off, brier = share_text(stated.calibration_error), cell_text(stated.brier)
    title = f"Stated probabilities are off by {off} on average (Brier score {brier})."
    text = (
        "Steps that were not learned from, by the probability that the model states; the share of "
        "them that are anomalies should be the same, on the diagonal. The larger a circle, the "
        "more steps it stands for."
    )

    def draw(sheet: Sheet, y: float) -> None:
        axes = plots.Axes(sheet.left + 44, y + 20, 260, 260, _UNIT, _UNIT)
        ticks = value_ticks(_UNIT, 5)
        plots.draw_axes(sheet, axes, ticks, ticks, "stated probability", "share of anomalies")
        plots.draw_curve(sheet, axes, _DIAGONAL, _DIAGONAL, plots.LineLook(theme.MUTED, 0.8, "2 2"))
        plots.draw_curve(sheet, axes, curve.said, curve.happened, plots.LineLook(theme.INK, 0.9))
        for said, happened, n in zip(curve.said, curve.happened, curve.n_events, strict=True):
            x, up = axes.across.place(float(said)), axes.up.place(float(happened))
            sheet.marker("circle", x, up, 4 + 2.2 * float(np.log10(n)), theme.INK)

    return [flow.finding(title, width), flow.paragraph(text, width), flow.Block(320, draw)]
