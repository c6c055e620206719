"""What the readings look like: distributions, correlations, periods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Ints
from tsad_tasks.reporting.drawing import flow, plots, theme
from tsad_tasks.reporting.drawing.scales import value_ticks
from tsad_tasks.reporting.drawing.series import Floats
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.exploration.content import ChannelView, ExplorationContent
from tsad_tasks.reporting.exploration.statistics import Histogram
from tsad_tasks.text.formats import channel_text, counted, duration_text, joined, number_text

_STRONG_CORRELATION = 0.8
_PER_ROW = 3
_GAP = 18
_PAIR_COLUMNS = (
    flow.TableColumn("Strongest pairs", 0.5),
    flow.TableColumn("", 0.5),
    *flow.figure_columns("Correlation", width=70),
)


@dataclass(frozen=True, eq=False)
class HistogramPlot:
    """A channel's distribution, and another one of it as an outline."""

    title: str
    filled: Histogram
    fill: theme.Colour
    outlined: Histogram | None
    look: plots.LineLook
    marked: float | None = None  # a value with an upright line; None for none

    def draw(self, sheet: Sheet, x: float, y: float, width: float) -> None:
        """Draws it in a width; each distribution is as high as its own highest bar."""
        edges = self.filled.edges
        limits = (float(edges[0]), float(edges[-1]))
        axes = plots.Axes(x, y + 22, width, 70, limits, (0.0, 1.08))
        plots.draw_axes(sheet, axes, value_ticks(limits, 4), [])
        sheet.cut(axes.x, axes.y - 6, self.title, theme.STRONG, width)
        plots.draw_bars(sheet, axes, edges, _relative(self.filled.counts), self.fill)
        if self.outlined is not None:
            plots.draw_steps(sheet, axes, edges, _relative(self.outlined.counts), self.look)
        if self.marked is not None:
            plots.draw_upright(sheet, axes, float(np.clip(self.marked, *limits)), "")


def _relative(counts: Ints) -> Floats:
    return counts / max(int(counts.max(initial=0)), 1)


def histogram_rows(shown: Sequence[HistogramPlot], width: float) -> list[flow.Block]:
    """The plots, three in a row."""
    side = (width - (_PER_ROW - 1) * _GAP) / _PER_ROW

    def row(some: Sequence[HistogramPlot]) -> flow.Block:
        def draw(sheet: Sheet, y: float) -> None:
            for i, plot in enumerate(some):
                plot.draw(sheet, sheet.left + i * (side + _GAP), y, side)

        return flow.Block(118, draw)

    return [row(shown[i : i + _PER_ROW]) for i in range(0, len(shown), _PER_ROW)]


def distribution_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """A histogram of each channel."""
    views = [view for view in content.channels if view.summary.n_known]
    if not views:
        return []
    shown, skewed = [], []
    for view in views:
        low, _, median, _, high = view.summary.quantiles
        below, above = median - low, high - median
        if max(below, above) > 3 * min(below, above) > 0:
            skewed.append(view.name)
        labelled = view.labelled if view.labelled and view.labelled.counts.any() else None
        title, look = channel_text(view.name, view.unit), plots.LineLook(theme.FLAGGED, 1.1)
        shown.append(
            HistogramPlot(title, view.histogram, theme.COVERAGE[4], labelled, look, median)
        )
    title = "Distributions of all channels."
    if skewed:
        title = f"{joined(skewed[:4])} {'leans' if len(skewed) == 1 else 'lean'} to one side."
    text = "Middle 99.8 % of the readings of all explored entities; the line at each median."
    if views[0].labelled is not None:
        text += " The outline shows labelled readings, as high as their own highest bar."
    return [flow.finding(title, width), flow.paragraph(text, width), *histogram_rows(shown, width)]


def correlation_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """How closely channels move together; nothing for one channel."""
    names = [view.name for view in content.channels]
    if len(names) < 2:
        return []
    pairs = strongest_pairs(content, 8)
    strong = [pair for pair in pairs if abs(pair[2]) >= _STRONG_CORRELATION]
    closest = number_text(pairs[0][2], 2) if pairs else "nothing known"
    title = f"No two channels move together closely: at most {closest}."
    if strong:
        title = (
            f"{pairs[0][0]} and {pairs[0][1]} move together ({closest}); "
            f"{counted(len(strong), 'pair')} of channels at {_STRONG_CORRELATION:g} or more."
        )
    text = (
        "Pearson correlations of readings at the same time, median over entities. Channels that "
        "move together back each other up: a fault in one shows against the others."
    )

    def draw(sheet: Sheet, y: float) -> None:
        plots.draw_correlations(sheet, sheet.left, y + 4, width, content.correlations, names)

    rows = [[one, other, number_text(value, 2)] for one, other, value in pairs]
    return [
        flow.finding(title, width),
        flow.paragraph(text, width),
        flow.Block(len(names) * min((width - 84) / len(names), 30.0) + 24, draw),
        flow.gap(8),
        *flow.table_blocks(_PAIR_COLUMNS, rows, width),
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


def period_blocks(content: ExplorationContent, width: float) -> list[flow.Block]:
    """Autocorrelations, and the periods that they show."""
    views = [view for view in content.channels if np.isfinite(view.autocorrelation).any()]
    if not views:
        return []
    text = (
        "How much a reading resembles the one so much later, 1 being the same; mean over entities. "
        "The dashed line marks the dominant period. A detector's window should see a good part of "
        "a short period; long ones are what hour and weekday as inputs are for."
    )
    return [
        flow.finding(period_text_of(views), width),
        flow.paragraph(text, width),
        *(_period_row(views[i : i + 2], width) for i in range(0, len(views), 2)),
    ]


def period_text_of(views: Sequence[ChannelView]) -> str:
    """The periods that most channels have, in a sentence."""
    periods = Counter(duration_text(view.period_s) for view in views if view.period_s)
    if not periods:
        return "No channel repeats itself within eight days."
    (common, n), *_ = periods.most_common(1)
    share = "Every channel repeats" if n == len(views) else f"{n} of {len(views)} channels repeat"
    return f"{share} after {common}."


def _period_row(views: Sequence[ChannelView], width: float) -> flow.Block:
    side = (width - 2 * 26 - 20) / 2

    def draw(sheet: Sheet, y: float) -> None:
        for i, view in enumerate(views):
            hours = np.arange(len(view.autocorrelation)) * view.lag_s / 3600
            x, last = sheet.left + 26 + i * (side + 46), max(float(hours[-1]), 1e-9)
            axes = plots.Axes(x, y + 22, side, 66, (0.0, last), (-1.0, 1.0))
            lags = [(value, f"{text} h") for value, text in value_ticks((0.0, last), 6)]
            if last >= 48:
                days = range(0, int(last // 24) + 1, max(1, round(last / 24 / 8)))
                lags = [(24.0 * day, f"{day} d") for day in days]
            plots.draw_axes(sheet, axes, lags, value_ticks(axes.y_limits, 2))
            sheet.cut(x, axes.y - 6, view.name, theme.STRONG, side)
            sheet.line(x, axes.up.place(0), x + side, axes.up.place(0), theme.RULE, 0.7)
            plots.draw_curve(
                sheet, axes, hours, view.autocorrelation, plots.LineLook(theme.INK, 0.9)
            )
            if view.period_s:
                plots.draw_upright(sheet, axes, view.period_s / 3600, duration_text(view.period_s))

    return flow.Block(114, draw)
