"""What a training would learn from: range, exclusions, extremes, running hours, distributions."""

from __future__ import annotations

from datetime import datetime

from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.marks import ground_entry, legend_block, line_entry
from tsad_tasks.reporting.drawing.plots import LineLook
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.exploration.content import ExcludedRange, TrainingPreview
from tsad_tasks.reporting.exploration.shape_pages import HistogramPlot, histogram_rows
from tsad_tasks.text import formats

_FAR_APART = 0.3
_MANY_EXCLUSIONS = 24
_MANY_ENTITIES = 30
_CHANNEL_COLUMNS = (
    flow.TableColumn("Channel", 0.4),
    *flow.figure_columns("Median", "Farthest reading"),
    flow.TableColumn("Where", 0.6),
    *flow.figure_columns("Extreme", "Moved"),
)
_EXCLUDED_COLUMNS = (
    flow.TableColumn("Left out because of", 0.4),
    *flow.figure_columns("Ranges", "Steps"),
    flow.TableColumn("First", 0.6),
)
_JUMP_COLUMNS = (
    flow.TableColumn("Moved since the champion was trained", 0.5),
    flow.TableColumn("Entity", 0.4),
    *flow.figure_columns("Centre then", "Now", "In its scales"),
)


def preview_blocks(preview: TrainingPreview, zone: str, width: float) -> list[flow.Block]:
    """What a training learns from: range, exclusions, extremes, hours, and distributions."""
    units = {one.name: one.unit for one in preview.channels}
    jumps = []
    for jump in preview.jumps:
        ends = [formats.value_text(value, units[jump.channel]) for value in (jump.before, jump.now)]
        jumps.append([jump.channel, jump.entity, *ends, formats.signed_text(jump.shift, 2)])
    outline, plots = LineLook(theme.ACTUAL, 1.1), []
    for one in preview.channels:
        label = formats.channel_text(one.name, one.unit)
        plots.append(HistogramPlot(label, one.learned, theme.BAND, one.held_out, outline))
    return [
        flow.finding(preview_text(preview), width),
        *flow.facts_blocks(_facts(preview, zone)),
        flow.gap(8),
        *_channel_blocks(preview, zone, width),
        flow.gap(10),
        *_excluded_blocks(preview, zone, width),
        flow.gap(10),
        *([*flow.table_blocks(_JUMP_COLUMNS, jumps, width), flow.gap(10)] if jumps else []),
        *_hours_blocks(preview),
        flow.gap(8),
        flow.heading(
            "Distributions of what is learned from and what is held out", theme.SUBHEADING
        ),
        legend_block(
            [ground_entry("learned from", theme.BAND), line_entry("held out", theme.ACTUAL, 1.2)]
        ),
        *histogram_rows(plots, width),
    ]


def preview_text(preview: TrainingPreview) -> str:
    """Whether the training data look as they should, in a sentence."""
    parts = [f"{formats.share_text(preview.excluded_share)} of the training range is left out"]
    n_extreme = sum(one.n_extreme for one in preview.channels)
    if n_extreme:
        stay = "stays" if n_extreme == 1 else "stay"
        parts.append(f"{formats.counted(n_extreme, 'extreme reading')} {stay} in")
    moved = [one.name for one in preview.channels if one.distance > _FAR_APART]
    if moved:
        parts.append(f"{formats.joined(moved[:3])} moved between the two parts")
    return f"{formats.joined(parts)}."


def _facts(preview: TrainingPreview, zone: str) -> list[tuple[str, str]]:
    def ends(*moments: datetime) -> str:
        return " to ".join(
            f"{formats.date_text(at, zone)} {formats.clock_text(at, zone)}" for at in moments
        )

    hours = formats.number_text(sum(hours for _, hours in preview.running_hours), 0)
    entities = formats.counted(preview.n_entities, "entity")
    held_out = ends(preview.split_at, preview.end_at)
    gate = formats.time_text(preview.gate_at, zone)
    learned = f"{ends(preview.start_at, preview.split_at)}: {hours} running hours of {entities}"
    available = formats.counted(preview.n_available, "complete window")
    used = f"{formats.count_text(preview.n_windows)} of {available}"
    each = f"{formats.counted(preview.window, 'step')} each"
    return [
        ("Learned from", learned),
        ("Held out", f"{held_out}; the gate uses what comes after {gate}"),
        ("Windows", f"{used} ({formats.share_text(preview.used_share)}), {each}"),
    ]


def _channel_blocks(preview: TrainingPreview, zone: str, width: float) -> list[flow.Block]:
    rows = []
    for one in preview.channels:
        values = [formats.value_text(value, one.unit) for value in (one.median, one.worst)]
        where = (
            f"{one.worst_entity}, {formats.time_text(one.worst_at, zone)}" if one.worst_at else "–"
        )
        moved = formats.cell_text(one.distance, 2)
        rows.append([one.name, *values, where, formats.count_text(one.n_extreme), moved])
    text = (
        "Extreme readings lie farther from the median than ten robust standard deviations of their "
        "entity. Moved is the largest difference of the distributions of both parts, 0 to 1 "
        "(Kolmogorov–Smirnov)."
    )
    table = flow.table_blocks(_CHANNEL_COLUMNS, rows, width)
    return [*table, flow.gap(3), flow.paragraph(text, width, theme.SMALL)]


def _excluded_blocks(preview: TrainingPreview, zone: str, width: float) -> list[flow.Block]:
    if not preview.excluded:
        text = "Nothing is left out: no label and no sensor out of order in this range."
        return [flow.paragraph(text, width)]
    by_reason: dict[str, list[ExcludedRange]] = {}
    for one in preview.excluded:
        by_reason.setdefault(one.reason, []).append(one)
    n_steps = {reason: sum(one.n_steps for one in own) for reason, own in by_reason.items()}
    rows = []
    for reason in sorted(by_reason, key=lambda reason: -n_steps[reason])[:_MANY_EXCLUSIONS]:
        first = min(by_reason[reason], key=lambda one: one.start_at)
        counts = [formats.count_text(n) for n in (len(by_reason[reason]), n_steps[reason])]
        rows.append([reason, *counts, f"{first.entity}, {formats.time_text(first.start_at, zone)}"])
    return flow.table_blocks(_EXCLUDED_COLUMNS, rows, width)


def _hours_blocks(preview: TrainingPreview) -> list[flow.Block]:
    def bar(name: str, hours: float) -> flow.Block:
        def draw(sheet: Sheet, y: float) -> None:
            x, width = sheet.left + 110, sheet.inner_width - 110 - 90
            sheet.cut(sheet.left, y + 8, name, theme.CELL, 104)
            sheet.rect(x, y + 2, width, 7, fill=theme.GRID)
            done = width * min(hours / max(preview.hours_possible, 1e-9), 1.0)
            sheet.rect(x, y + 2, done, 7, fill=theme.COVERAGE[4])
            hours_text, possible = map(formats.number_text, (hours, preview.hours_possible))
            text = f"{hours_text} of {possible} h"
            sheet.text(sheet.right, y + 8, text, theme.CELL, "right")

        return flow.Block(12, draw)

    shown, n_all = preview.running_hours[:_MANY_ENTITIES], len(preview.running_hours)
    if not shown:
        return []
    title = "Running hours that are learned from, by entity"
    title += f", the {len(shown)} shortest of {n_all}" if len(shown) < n_all else ""
    return [flow.heading(title, theme.SUBHEADING), *(bar(name, hours) for name, hours in shown)]
