"""The exploration of a dataset, and the preview of a training: each page under the finding that it
shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.reporting.drawing.charts import (
    Frame,
    draw_line,
    draw_time_grid,
    draw_time_labels,
    draw_unknown,
    draw_value_axis,
)
from tsad_tasks.reporting.drawing.document import Document, document_bytes
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Row,
    TableColumn,
    TableLook,
    facts_blocks,
    finding,
    gap,
    heading,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.drawing.marks import MISSING_ENTRY, draw_legend, ground_entry, line_entry
from tsad_tasks.reporting.drawing.plan import Page, flow_pages, inner_size
from tsad_tasks.reporting.drawing.plots import (
    Axes,
    LineLook,
    draw_axes,
    draw_bars,
    draw_correlations,
    draw_curve,
    draw_steps,
    draw_upright,
)
from tsad_tasks.reporting.drawing.scales import unix_s, value_limits, value_ticks
from tsad_tasks.reporting.drawing.series import Floats
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.drawing.theme import (
    ACTUAL,
    BAND,
    CELL,
    COVERAGE,
    FLAGGED,
    GRID,
    HEAT,
    INCIDENT_GROUND,
    INK,
    RULE,
    SMALL,
    STRONG,
    SUBHEADING,
)
from tsad_tasks.reporting.exploration.content import (
    ChannelPreview,
    ChannelView,
    ExcludedRange,
    ExplorationContent,
    Jump,
    KeySeries,
    TrainingPreview,
)
from tsad_tasks.text.formats import (
    clock_text,
    count_text,
    counted,
    date_text,
    day_text,
    duration_text,
    figure_text,
    joined,
    number_text,
    period_text,
    share_text,
    signed_text,
    time_text,
    value_text,
    with_unit,
)

_STRONG_CORRELATION = 0.8
_NEAR = 0.1
_MANY_EXCLUSIONS = 24
_MANY_ENTITIES = 30


def exploration_bytes(
    content: ExplorationContent, *, page_size: PageSize = "A4", compressed: bool = True
) -> tuple[bytes, int]:
    """The exploration as a PDF, and its number of pages."""
    sheet = Sheet(page_size, compressed=compressed)
    period = period_text(content.start_at, content.end_at, content.zone)
    document = Document(
        title=f"Readings of {content.dataset} · {period}",
        subject=f"What the readings of {content.dataset} look like",
        zone=content.zone,
        start_at=content.start_at,
        end_at=content.end_at,
        generated_at=content.generated_at,
    )
    return document_bytes(sheet, document, exploration_pages(content, *inner_size(sheet)))


def exploration_pages(content: ExplorationContent, width: float, room: float) -> list[Page]:
    """All pages in their order."""
    preview = preview_blocks(content.preview, content.zone, width) if content.preview else []
    channels = [*_channel_blocks(content, width), gap(16), *_day_blocks(content, width)]
    shapes = [*_distribution_blocks(content, width), gap(10), *_correlation_blocks(content, width)]
    sections = [
        ("preview", "Training data", preview),
        ("channels", "Channels, anomalies and gaps", channels),
        ("series", "Key series", _series_blocks(content, width)),
        ("distributions", "Distributions and correlations", shapes),
        ("periods", "Autocorrelation", _period_blocks(content, width)),
    ]
    return [
        page
        for key, title, blocks in sections
        if blocks
        for page in flow_pages(key, title, blocks, room)
    ]


_CHANNEL_COLUMNS = (
    TableColumn("Channel", 1.0),
    TableColumn("Missing", align="right"),
    TableColumn("Lowest", align="right"),
    TableColumn("1 %", align="right"),
    TableColumn("Median", align="right"),
    TableColumn("99 %", align="right"),
    TableColumn("Highest", align="right"),
    TableColumn("Extreme", align="right"),
    TableColumn("Period", align="right"),
)


def overview_text(content: ExplorationContent) -> str:
    """What stands out of all channels, in a sentence."""
    flat = [view.name for view in content.channels if view.summary.is_constant]
    silent = [view.name for view in content.channels if not view.summary.n_known]
    known = np.array([view.summary.missing_share for view in content.channels])
    parts = [f"{share_text(float(1 - known.mean()))} of the readings are there"]
    parts += [f"{joined(flat[:4])} never changes"] * (len(flat) == 1) + [
        f"{joined(flat[:4])} never change"
    ] * (len(flat) > 1)
    parts += [f"{joined(silent[:4])} says nothing"] * bool(silent)
    n_extreme = sum(view.summary.n_extreme for view in content.channels)
    parts += [f"{counted(n_extreme, 'reading')} far out"] * bool(n_extreme)
    return f"{joined(parts)}."


def _channel_blocks(content: ExplorationContent, width: float) -> list[Block]:
    who = counted(len(content.entities), "entity", "entities")
    who += (
        f" of {count_text(content.n_all_entities)}"
        if len(content.entities) < content.n_all_entities
        else ""
    )
    where = (
        "straight from the source table, not ingested yet"
        if content.from_source
        else "as the warehouse has them"
    )
    facts = [
        ("Readings", f"{period_text(content.start_at, content.end_at, content.zone)}, {where}"),
        (
            "Entities",
            f"{who}: {', '.join(content.entities[:8])}{' …' if len(content.entities) > 8 else ''}",
        ),
        ("Step", duration_text(content.step_s)),
        ("Known anomalies", counted(len(content.labels), "label") if content.labels else "none"),
    ]
    text = (
        "Extreme is farther from the median than ten robust standard deviations (the interquartile "
        "range over 1.349). "
        "A period is that of the highest peak of the autocorrelation."
    )
    rows = [Row(_channel_cells(view)) for view in content.channels]
    return [
        finding(overview_text(content), width),
        *facts_blocks(facts),
        gap(8),
        *table_blocks(_CHANNEL_COLUMNS, rows, width, TableLook(gap=8)),
        gap(4),
        paragraph(text, width),
    ]


def _channel_cells(view: ChannelView) -> list[str]:
    found = view.summary
    values = (found.low, found.quantiles[0], found.median, found.quantiles[4], found.high)
    return [
        with_unit(view.name, f"({view.unit})" if view.unit else None),
        share_text(found.missing_share),
        *(figure_text(value) for value in values),
        count_text(found.n_extreme),
        duration_text(view.period_s) if view.period_s else "none",
    ]


def _day_blocks(content: ExplorationContent, width: float) -> list[Block]:
    return [
        finding(_day_finding(content), width),
        *(
            [_day_bars(content, width, content.labelled_share, "share of readings labelled")]
            if content.labels
            else []
        ),
        *(
            []
            if content.n_anomalies is None
            else [_day_bars(content, width, content.n_anomalies, "flagged readings")]
        ),
        *_label_blocks(content, width),
        gap(6),
        _missing_block(content, width),
    ]


def _day_finding(content: ExplorationContent) -> str:
    worst = np.nanmax(content.missing, axis=0) if content.missing.size else np.zeros(0)
    n_bad = int(np.count_nonzero(worst > 0.5))
    labels = (
        f"{counted(len(content.labels), 'known anomaly', 'known anomalies')}"
        if content.labels
        else "No known anomaly"
    )
    gaps = (
        f"{counted(n_bad, 'day')} with a channel mostly missing"
        if n_bad
        else "no day with a channel mostly missing"
    )
    return f"{labels}; {gaps}."


def _day_bars(content: ExplorationContent, width: float, heights: Floats, label: str) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        highest = max(float(np.max(heights, initial=0.0)), 1e-9)
        axes = Axes(
            sheet.left + 84,
            y + 20,
            width - 84,
            70,
            (0.0, float(len(content.days))),
            (0.0, highest * 1.08),
        )
        ticks = value_ticks(axes.y_limits, 3) if np.any(heights > 0) else [(0.0, "0")]
        draw_axes(sheet, axes, _day_ticks(content), ticks, "", label)
        draw_bars(sheet, axes, np.arange(len(content.days) + 1.0), heights, FLAGGED)

    return Block(112, draw)


def _day_ticks(content: ExplorationContent) -> list[tuple[float, str]]:
    every = max(1, -(-len(content.days) // 10))
    return [(i + 0.5, day_text(day)) for i, day in enumerate(content.days) if i % every == 0]


_LABEL_COLUMNS = (
    TableColumn("Kind", 0.5),
    TableColumn("Labels", align="right"),
    TableColumn("Time", align="right"),
    TableColumn("First", 0.5),
)


def _label_blocks(content: ExplorationContent, width: float) -> list[Block]:
    kinds = Counter(label.kind for label in content.labels)
    rows = []
    for kind, n in kinds.most_common(12):
        own = [label for label in content.labels if label.kind == kind]
        seconds = sum((label.end_at - label.start_at).total_seconds() for label in own)
        first = min(own, key=lambda label: label.start_at)
        rows.append(
            Row(
                [
                    kind.replace("_", " "),
                    count_text(n),
                    duration_text(seconds),
                    f"{time_text(first.start_at, content.zone)}, {first.entity}",
                ]
            )
        )
    return table_blocks(_LABEL_COLUMNS, rows, width)


def _missing_block(content: ExplorationContent, width: float) -> Block:
    row_height = min(14.0, 380 / max(len(content.channels), 1))

    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 9, "Missing readings by channel and day", STRONG)
        top, left = y + 18, sheet.left + 84
        side = (width - 84) / max(len(content.days), 1)
        for i, view in enumerate(content.channels):
            sheet.cut(sheet.left, top + (i + 0.5) * row_height + 2.5, view.name, CELL, 78)
            for k, share in enumerate(content.missing[i]):
                box = (left + k * side, top + i * row_height, max(side - 0.6, 0.4), row_height - 1)
                sheet.rect(*box, fill=missing_shade(float(share)))
        bottom = top + len(content.channels) * row_height
        for at, text in _day_ticks(content):
            sheet.text(left + at * side, bottom + 10, text, SMALL, "centre")
        draw_legend(
            sheet,
            bottom + 26,
            [ground_entry(name, missing_shade(share)) for share, name in _SHADES],
        )

    return Block(18 + len(content.channels) * row_height + 34, draw)


_SHADES = (
    (0.0, "all there"),
    (0.01, "a trace missing"),
    (0.2, "some"),
    (0.5, "much"),
    (1.0, "nothing there"),
)


def missing_shade(share: float) -> tuple[float, float, float]:
    """The darker, the more is missing; a complete day is nearly white.

    >>> missing_shade(0.0) == COVERAGE[0], missing_shade(1.0) == HEAT[-1]
    (True, True)
    """
    if share <= 0:
        return COVERAGE[0]
    return HEAT[min(1 + int(share * (len(HEAT) - 2)), len(HEAT) - 1)] if share < 1 else HEAT[-1]


def _series_blocks(content: ExplorationContent, width: float) -> list[Block]:
    if not content.series:
        return []
    one = content.series[0]
    title = (
        f"{joined([series.channel for series in content.series])} of {one.entity} over the range."
    )
    text = "Lowest and highest reading of each stretch; the ground is tinted where an anomaly is known."
    entries = [ground_entry("known anomaly", INCIDENT_GROUND), MISSING_ENTRY]
    legend = Block(20, lambda sheet, y: draw_legend(sheet, y + 8, entries), keep_with_next=True)
    return [
        finding(title, width),
        paragraph(text, width),
        legend,
        *(_series_block(content, each, width) for each in content.series),
    ]


def _series_block(content: ExplorationContent, one: KeySeries, width: float) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        frame = Frame(
            sheet.left + 44,
            y + 14,
            width - 44,
            66,
            content.start_at.timestamp(),
            content.end_at.timestamp(),
        )
        for label in content.labels:
            if label.entity == one.entity:
                _draw_known(sheet, frame, label.start_at.timestamp(), label.end_at.timestamp())
        draw_time_grid(sheet, frame, frame.ticks(content.zone))
        span = frame.values(value_limits(one.values))
        draw_value_axis(sheet, frame, span, 4)
        seconds = unix_s(one.times)
        draw_unknown(sheet, frame, seconds, one.values)
        draw_line(sheet, frame, span, seconds, one.values, np.zeros(len(one.values), bool), ACTUAL)
        sheet.cut(
            frame.x,
            frame.y - 4,
            with_unit(one.channel, f"in {one.unit}" if one.unit else None),
            STRONG,
            width,
        )
        draw_time_labels(sheet, frame, frame.bottom + 10, content.zone)

    return Block(100, draw)


def _draw_known(sheet: Sheet, frame: Frame, started_s: float, ended_s: float) -> None:
    left, right = frame.clip(started_s), frame.clip(ended_s)
    if right > left or frame.start_s <= started_s < frame.end_s:
        sheet.rect(left, frame.y, max(right - left, 1.2), frame.height, fill=INCIDENT_GROUND)


def _distribution_blocks(content: ExplorationContent, width: float) -> list[Block]:
    views = [view for view in content.channels if view.summary.n_known]
    if not views:
        return []
    skewed = [view.name for view in views if _is_skewed(view)]
    title = (
        f"{joined(skewed[:4])} lean to one side."
        if len(skewed) > 1
        else "Distributions of all channels."
    )
    title = f"{skewed[0]} leans to one side." if len(skewed) == 1 else title
    text = "Middle 99.8 % of the readings of all explored entities; the line at each median." + (
        " The outline shows labelled readings, as high as their own highest bar."
        if views[0].labelled is not None
        else ""
    )
    rows = [views[i : i + 3] for i in range(0, len(views), 3)]
    return [
        finding(title, width),
        paragraph(text, width),
        *(_distribution_row(row, width) for row in rows),
    ]


def _is_skewed(view: ChannelView) -> bool:
    low, _, median, _, high = view.summary.quantiles
    below, above = median - low, high - median
    return max(below, above) > 3 * min(below, above) > 0


def _distribution_row(views: Sequence[ChannelView], width: float) -> Block:
    side = (width - 2 * 18) / 3

    def draw(sheet: Sheet, y: float) -> None:
        for i, view in enumerate(views):
            axes = _small_axes(sheet, i, y, side, view.histogram.edges)
            _draw_distribution(sheet, axes, view)

    return Block(118, draw)


def _small_axes(sheet: Sheet, i: int, y: float, side: float, edges: Floats) -> Axes:
    return Axes(
        sheet.left + i * (side + 18),
        y + 22,
        side,
        70,
        (float(edges[0]), float(edges[-1])),
        (0.0, 1.08),
    )


def _draw_distribution(sheet: Sheet, axes: Axes, view: ChannelView) -> None:
    label = with_unit(view.name, f"in {view.unit}" if view.unit else None)
    draw_axes(sheet, axes, value_ticks(axes.x_limits, 4), [], "", "")
    sheet.cut(axes.x, axes.y - 6, label, STRONG, axes.width)
    draw_bars(sheet, axes, view.histogram.edges, _relative(view.histogram.counts), COVERAGE[4])
    if view.labelled is not None and view.labelled.counts.any():
        draw_steps(
            sheet,
            axes,
            view.histogram.edges,
            _relative(view.labelled.counts),
            LineLook(FLAGGED, 1.1),
        )
    draw_upright(sheet, axes, min(max(view.summary.median, axes.x_limits[0]), axes.x_limits[1]), "")


def _relative(counts: NDArray[np.int64]) -> Floats:
    return counts / max(int(counts.max(initial=0)), 1)


def _correlation_blocks(content: ExplorationContent, width: float) -> list[Block]:
    n = len(content.channels)
    if n < 2:
        return []
    pairs = strongest_pairs(content, 8)
    strong = [pair for pair in pairs if abs(pair[2]) >= _STRONG_CORRELATION]
    title = (
        f"{strong[0][0]} and {strong[0][1]} move together ({_signed(strong[0][2])}); "
        f"{counted(len(strong), 'pair')} "
        f"of channels at {_STRONG_CORRELATION:g} or more."
        if strong
        else "No two channels move together closely: at most "
        f"{_signed(pairs[0][2]) if pairs else 'nothing known'}."
    )
    names = [view.name for view in content.channels]
    side = min((width - 84) / n, 30.0)
    matrix = Block(
        n * side + 24,
        lambda sheet, y: draw_correlations(
            sheet, sheet.left, y + 4, width, content.correlations, names
        ),
    )
    text = (
        "Pearson correlations of readings at the same time, median over entities. Channels that "
        "move together back "
        "each other up: a fault in one shows against the others."
    )
    rows = [Row([one, other, _signed(value)]) for one, other, value in pairs]
    columns = (
        TableColumn("Strongest pairs", 0.5),
        TableColumn("", 0.5),
        TableColumn("Correlation", align="right", width=70),
    )
    return [
        finding(title, width),
        paragraph(text, width),
        matrix,
        gap(8),
        *table_blocks(columns, rows, width),
    ]


def strongest_pairs(content: ExplorationContent, n: int) -> list[tuple[str, str, float]]:
    """Pairs of channels by how closely they move together, known ones only."""
    rows, columns = np.tril_indices(len(content.channels), -1)
    values = content.correlations[rows, columns]
    order = np.argsort(-np.abs(np.where(np.isfinite(values), values, 0.0)), kind="stable")
    names = [view.name for view in content.channels]
    return [
        (names[columns[i]], names[rows[i]], float(values[i]))
        for i in order[:n]
        if np.isfinite(values[i])
    ]


def _signed(value: float) -> str:
    return number_text(value, 2)


def _period_blocks(content: ExplorationContent, width: float) -> list[Block]:
    views = [view for view in content.channels if np.isfinite(view.autocorrelation).any()]
    if not views:
        return []
    rows = [views[i : i + 2] for i in range(0, len(views), 2)]
    text = (
        "How much a reading resembles the one so much later, 1 being the same; mean over entities. "
        "The dashed line "
        "marks the dominant period. A detector's window should see a good part of a short period; "
        "long ones are what "
        "hour and weekday as inputs are for."
    )
    return [
        finding(period_text_of(views), width),
        paragraph(text, width),
        *(_period_row(row, width) for row in rows),
    ]


def period_text_of(views: Sequence[ChannelView]) -> str:
    """The periods that most channels have, in a sentence."""
    periods = Counter(duration_text(view.period_s) for view in views if view.period_s)
    if not periods:
        return "No channel repeats itself within eight days."
    (common, n), *_ = periods.most_common(1)
    share = "every channel repeats" if n == len(views) else f"{n} of {len(views)} channels repeat"
    return f"{share[0].upper()}{share[1:]} after {common}."


def _period_row(views: Sequence[ChannelView], width: float) -> Block:
    side = (width - 2 * 26 - 20) / 2

    def draw(sheet: Sheet, y: float) -> None:
        for i, view in enumerate(views):
            hours = np.arange(len(view.autocorrelation)) * view.lag_s / 3600
            x = sheet.left + 26 + i * (side + 46)
            axes = Axes(x, y + 22, side, 66, (0.0, max(float(hours[-1]), 1e-9)), (-1.0, 1.0))
            draw_axes(sheet, axes, _lag_ticks(axes.x_limits), value_ticks(axes.y_limits, 2), "", "")
            sheet.cut(x, axes.y - 6, view.name, STRONG, side)
            sheet.line(x, axes.up.place(0), x + side, axes.up.place(0), RULE, 0.7)
            draw_curve(sheet, axes, hours, view.autocorrelation, LineLook(INK, 0.9))
            if view.period_s:
                draw_upright(sheet, axes, view.period_s / 3600, duration_text(view.period_s))

    return Block(114, draw)


def _lag_ticks(limits: tuple[float, float]) -> list[tuple[float, str]]:
    """Whole days where there are some, else hours."""
    if limits[1] >= 48:
        every = max(1, round(limits[1] / 24 / 8))
        return [(24.0 * day, f"{day} d") for day in range(0, int(limits[1] // 24) + 1, every)]
    return [(value, f"{text} h") for value, text in value_ticks(limits, 6)]


def preview_blocks(preview: TrainingPreview, zone: str, width: float) -> list[Block]:
    """What a training learns from: range, exclusions, extremes, running hours, and both parts'
    distributions.
    """
    return [
        finding(preview_text(preview), width),
        *facts_blocks(_preview_facts(preview, zone)),
        gap(8),
        *_preview_channel_blocks(preview, zone, width),
        gap(10),
        *_excluded_blocks(preview, zone, width),
        gap(10),
        *_jump_blocks(preview, width),
        *_hours_blocks(preview, width),
        gap(8),
        *_preview_distributions(preview, width),
    ]


def preview_text(preview: TrainingPreview) -> str:
    """Whether the training data look as they should, in a sentence."""
    moved = [one.name for one in preview.channels if one.distance > _NEAR * 3]
    n_extreme = sum(one.n_extreme for one in preview.channels)
    parts = [f"{share_text(preview.excluded_share)} of the training range is left out"]
    parts += [
        f"{counted(n_extreme, 'extreme reading')} {'stays' if n_extreme == 1 else 'stay'} in"
    ] * bool(n_extreme)
    parts += [f"{joined(moved[:3])} moved between the two parts"] * bool(moved)
    return f"{joined(parts)}."


def _preview_facts(preview: TrainingPreview, zone: str) -> list[tuple[str, str]]:
    hours = [hours for _, hours in preview.running_hours]
    total = f"{number_text(sum(hours), 0)} running hours of {counted(preview.n_entities, 'entity', 'entities')}"
    used = f"{count_text(preview.n_windows)} of {counted(preview.n_available, 'complete window')}"
    return [
        ("Learned from", f"{_ends(preview.start_at, preview.split_at, zone)}: {total}"),
        (
            "Held out",
            f"{_ends(preview.split_at, preview.end_at, zone)}; the gate uses what comes after "
            f"{time_text(preview.gate_at, zone)}",
        ),
        (
            "Windows",
            f"{used} ({share_text(preview.used_share)}), {counted(preview.window, 'step')} each",
        ),
    ]


def _ends(start_at: datetime, end_at: datetime, zone: str) -> str:
    first, last = (f"{date_text(at, zone)} {clock_text(at, zone)}" for at in (start_at, end_at))
    return f"{first} to {last}"


_PREVIEW_COLUMNS = (
    TableColumn("Channel", 0.4),
    TableColumn("Median", align="right"),
    TableColumn("Farthest reading", align="right"),
    TableColumn("Where", 0.6),
    TableColumn("Extreme", align="right"),
    TableColumn("Moved", align="right"),
)


def _preview_channel_blocks(preview: TrainingPreview, zone: str, width: float) -> list[Block]:
    rows = [Row(_preview_cells(one, zone)) for one in preview.channels]
    text = (
        "Extreme readings lie farther from the median than ten robust standard deviations of their "
        "entity. Moved is "
        "the largest difference of the distributions of both parts, 0 to 1 (Kolmogorov–Smirnov)."
    )
    return [*table_blocks(_PREVIEW_COLUMNS, rows, width), gap(3), paragraph(text, width, SMALL)]


def _preview_cells(one: ChannelPreview, zone: str) -> list[str]:
    where = f"{one.worst_entity}, {time_text(one.worst_at, zone)}" if one.worst_at else "–"
    return [
        one.name,
        value_text(one.median, one.unit),
        value_text(one.worst, one.unit),
        where,
        count_text(one.n_extreme),
        number_text(one.distance, 2) if np.isfinite(one.distance) else "–",
    ]


_EXCLUDED_COLUMNS = (
    TableColumn("Left out because of", 0.4),
    TableColumn("Ranges", align="right"),
    TableColumn("Steps", align="right"),
    TableColumn("First", 0.6),
)


def _excluded_blocks(preview: TrainingPreview, zone: str, width: float) -> list[Block]:
    if not preview.excluded:
        return [
            paragraph(
                "Nothing is left out: no label and no sensor out of order in this range.", width
            )
        ]
    reasons: dict[str, list[ExcludedRange]] = {}
    for one in preview.excluded:
        reasons.setdefault(one.reason, []).append(one)
    ranked = sorted(reasons.items(), key=lambda pair: -sum(one.n_steps for one in pair[1]))
    rows = [
        Row(_excluded_cells(reason, found, zone)) for reason, found in ranked[:_MANY_EXCLUSIONS]
    ]
    return table_blocks(_EXCLUDED_COLUMNS, rows, width)


def _excluded_cells(reason: str, found: Sequence[ExcludedRange], zone: str) -> list[str]:
    first = min(found, key=lambda one: one.start_at)
    n_steps = sum(one.n_steps for one in found)
    return [
        reason,
        count_text(len(found)),
        count_text(n_steps),
        f"{first.entity}, {time_text(first.start_at, zone)}",
    ]


_JUMP_COLUMNS = (
    TableColumn("Moved since the champion was trained", 0.5),
    TableColumn("Entity", 0.4),
    TableColumn("Centre then", align="right"),
    TableColumn("Now", align="right"),
    TableColumn("In its scales", align="right"),
)


def _jump_blocks(preview: TrainingPreview, width: float) -> list[Block]:
    if not preview.jumps:
        return []
    units = {one.name: one.unit for one in preview.channels}
    rows = [Row(_jump_cells(one, units[one.channel])) for one in preview.jumps]
    return [*table_blocks(_JUMP_COLUMNS, rows, width), gap(10)]


def _jump_cells(one: Jump, unit: str) -> list[str]:
    ends = (value_text(one.before, unit), value_text(one.now, unit))
    return [one.channel, one.entity, *ends, signed_text(one.shift, 2)]


def _hours_blocks(preview: TrainingPreview, width: float) -> list[Block]:
    shown = preview.running_hours[:_MANY_ENTITIES]
    if not shown:
        return []
    more = (
        f", the {len(shown)} shortest of {len(preview.running_hours)}"
        if len(shown) < len(preview.running_hours)
        else ""
    )
    bars = [_hours_bar(name, hours, preview.hours_possible) for name, hours in shown]
    return [heading(f"Running hours that are learned from, by entity{more}", SUBHEADING), *bars]


def _hours_bar(name: str, hours: float, possible: float) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        x, width = sheet.left + 110, sheet.inner_width - 110 - 90
        sheet.cut(sheet.left, y + 8, name, CELL, 104)
        sheet.rect(x, y + 2, width, 7, fill=GRID)
        sheet.rect(x, y + 2, width * min(hours / max(possible, 1e-9), 1.0), 7, fill=COVERAGE[4])
        text = f"{number_text(hours, 0)} of {number_text(possible, 0)} h"
        sheet.text(sheet.right, y + 8, text, CELL, "right")

    return Block(12, draw)


def _preview_distributions(preview: TrainingPreview, width: float) -> list[Block]:
    rows = [preview.channels[i : i + 3] for i in range(0, len(preview.channels), 3)]
    legend = Block(
        18,
        lambda sheet, y: draw_legend(
            sheet,
            y + 8,
            [ground_entry("learned from", BAND), line_entry("held out", ACTUAL, 1.2)],
        ),
        keep_with_next=True,
    )
    title = heading("Distributions of what is learned from and what is held out", SUBHEADING)
    return [title, legend, *(_preview_row(row, width) for row in rows)]


def _preview_row(channels: Sequence[ChannelPreview], width: float) -> Block:
    side = (width - 2 * 18) / 3

    def draw(sheet: Sheet, y: float) -> None:
        for i, one in enumerate(channels):
            axes = _small_axes(sheet, i, y, side, one.learned.edges)
            draw_axes(sheet, axes, value_ticks(axes.x_limits, 4), [], "", "")
            sheet.cut(
                axes.x,
                axes.y - 6,
                with_unit(one.name, f"in {one.unit}" if one.unit else None),
                STRONG,
                side,
            )
            draw_bars(sheet, axes, one.learned.edges, _relative(one.learned.counts), BAND)
            draw_steps(
                sheet,
                axes,
                one.learned.edges,
                _relative(one.held_out.counts),
                LineLook(ACTUAL, 1.1),
            )

    return Block(118, draw)
