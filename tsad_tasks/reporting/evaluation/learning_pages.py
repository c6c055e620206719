"""What a model saw, stretch by stretch, and how it learned."""

from __future__ import annotations

import numpy as np

from tsad_tasks.reporting.drawing import charts, marks, plots, theme
from tsad_tasks.reporting.drawing.flow import Block, finding, gap, paragraph
from tsad_tasks.reporting.drawing.scales import unix_s, value_limits, value_ticks
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.evaluation.content import EVIDENCE_WORDS, EvaluationContent, Example
from tsad_tasks.text.formats import channel_text, counted, duration_text, joined

_LOSS_LOOKS = {
    "training": plots.LineLook(theme.MUTED, 1.0, "2 1.6"),
    "validation": plots.LineLook(theme.INK, 1.4),
}
_WHY_ENDED = {
    "epochs": "all epochs done",
    "patience": "no improvement for as long as training.patience allows",
    "diverged": "a loss that was not finite",
}


def learning_blocks(content: EvaluationContent, width: float) -> list[Block]:
    """How the loss fell, and why training ended; nothing without a history."""
    model = content.model
    if not (model.loss or model.validation_loss):
        return []
    curves = [np.array(values, np.float64) for values in (model.loss, model.validation_loss)]
    n_epochs, best = len(model.loss), len(model.loss)
    if np.isfinite(curves[1]).any():
        best = int(np.nanargmin(curves[1])) + 1
    lowest = f"Validation loss was lowest at epoch {best} of {n_epochs}"
    title = f"{lowest}; these weights are the model."
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
        axes = plots.Axes(sheet.left + 44, y + 24, width - 44, 150, (1.0, float(max(n, 2))), limits)
        every = max(1, -(-n // 10))
        epochs = [(float(e), str(e)) for e in range(1, n + 1) if e == 1 or e % every == 0]
        ticks = plots.log_ticks(limits) if is_log else value_ticks(limits, 5)
        plots.draw_axes(
            sheet, axes, epochs, ticks, "epoch", "loss, logarithmic" if is_log else "loss"
        )
        for values, look in zip(shown, _LOSS_LOOKS.values(), strict=True):
            plots.draw_curve(sheet, axes, np.arange(1.0, len(values) + 1), values, look)
        plots.draw_upright(sheet, axes, float(best), f"epoch {best}")
        entries = [look.entry(name) for name, look in _LOSS_LOOKS.items()]
        marks.draw_legend(sheet, axes.bottom + 36, entries)

    return [*blocks, Block(236, draw)]


_ARTICLED = {
    "Missed": "a miss",
    "Flagged": "one that raised no alarm",
    "False alarm": "a false alarm",
}


def example_blocks(content: EvaluationContent, width: float) -> list[Block]:
    """Stretches as the model saw them; nothing where there are none."""
    if not content.examples:
        return []
    kinds = [one.title.split(",")[0].split(":")[0] for one in content.examples]
    others = [_ARTICLED[kind] for kind in kinds if not kind.startswith("Found")]
    n_found = len(kinds) - len(others)
    parts = ([counted(n_found, "find")] if n_found else []) + others
    title = f"What the model saw: {joined(parts)} from the {content.headline.name} readings."
    anomaly = marks.ground_entry(
        f"{EVIDENCE_WORDS[content.evidence]} anomaly", theme.INCIDENT_GROUND
    )
    entries = [
        marks.ACTUAL_ENTRY,
        marks.RANGE_ENTRY,
        marks.EXPECTED_ENTRY,
        marks.FLAGGED_ENTRY,
        marks.FIRST_FLAG_ENTRY,
    ]
    entries += [marks.ERROR_ENTRY, marks.THRESHOLD_ENTRY, anomaly]
    blocks = [finding(title, width), marks.legend_block(entries, 30)]
    for one in content.examples:
        blocks += [_example_block(one, content.zone, width), gap(8)]
    return blocks


def _example_block(one: Example, zone: str, width: float) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + 9, one.title, theme.STRONG, width)
        start_s, *_, end_s = unix_s(one.channel.times).tolist()
        frame = charts.Frame(sheet.left + 44, y + 30, width - 44, 66, start_s, end_s)
        lower = frame.lowered(frame.bottom + 18, 42)
        for panel in (frame, lower):
            for started_at, ended_at in one.anomalies:
                charts.draw_ground(sheet, panel, started_at.timestamp(), ended_at.timestamp())
            charts.draw_time_grid(sheet, panel, frame.ticks(zone))
        label = channel_text(one.channel.name, one.channel.unit)
        sheet.cut(frame.x, frame.y - 5, label, theme.SMALL, frame.width)
        charts.draw_channel_panel(sheet, frame, one.channel, one.scores)
        sheet.cut(lower.x, lower.y - 4, "error", theme.SMALL, frame.width)
        charts.draw_error_panel(sheet, lower, one.scores, "threshold")
        charts.draw_time_labels(sheet, lower, lower.bottom + 10, zone)

    return Block(174, draw)
