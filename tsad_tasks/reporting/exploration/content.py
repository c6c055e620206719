"""Everything that an exploration shows, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from tsad_tasks.reporting.drawing.document import DatedContent
from tsad_tasks.reporting.drawing.series import Floats, Times
from tsad_tasks.reporting.exploration.statistics import ChannelSummary, Histogram


@dataclass(frozen=True, eq=False)
class ChannelView:
    """One channel of all explored entities."""

    name: str
    unit: str
    summary: ChannelSummary
    histogram: Histogram
    # Distribution of the labelled readings over the same edges; None without labels
    labelled: Histogram | None
    autocorrelation: Floats  # (n_lags,), mean over entities; `lag_s` is the distance of two lags
    lag_s: float
    period_s: float | None  # the dominant period, None where there is none


@dataclass(frozen=True, eq=False)
class KeySeries:
    """One channel of one entity over the range, thinned; NaN where nothing was read."""

    entity: str
    channel: str
    unit: str
    times: Times
    values: Floats


@dataclass(frozen=True)
class LabelRange:
    """A known anomaly."""

    entity: str
    start_at: datetime
    end_at: datetime
    kind: str


@dataclass(frozen=True)
class ExcludedRange:
    """What a training leaves out, and why."""

    entity: str
    start_at: datetime
    end_at: datetime
    reason: str
    n_steps: int


@dataclass(frozen=True, eq=False)
class ChannelPreview:
    """One channel of the training data: both parts over the same edges, and what stands out."""

    name: str
    unit: str
    learned: Histogram
    held_out: Histogram
    distance: float  # Kolmogorov–Smirnov statistic of the two parts, 0 to 1
    n_extreme: int  # values of the part that is learned from beyond 10 robust standard deviations
    median: float
    # The one farthest from the median, NaN where none is known; `worst_at` and `worst_entity` say
    # where
    worst: float
    worst_entity: str
    worst_at: datetime | None


@dataclass(frozen=True)
class Jump:
    """A channel's centre now and when the champion was trained, and the shift in its scales."""

    entity: str
    channel: str
    before: float
    now: float
    shift: float


@dataclass(frozen=True, eq=False)
class TrainingPreview:
    """What a training would learn from, for a person to approve."""

    start_at: datetime
    split_at: datetime
    gate_at: datetime
    end_at: datetime
    n_windows: int
    n_available: int
    window: int
    excluded: tuple[ExcludedRange, ...]
    excluded_share: float
    running_hours: tuple[tuple[str, float], ...]
    n_entities: int
    hours_possible: float
    channels: tuple[ChannelPreview, ...]
    # Running ones that are not left out; `left_out_share` of the running ones is
    n_readings: int = 0
    left_out_share: float = 0.0
    # The largest against the champion, the farthest first; empty without a champion
    jumps: tuple[Jump, ...] = ()
    # Reason, running steps, and their share of all running steps, the largest first
    left_out: tuple[tuple[str, int, float], ...] = ()
    stops: bool = False  # whether that is so much that the retraining would stop

    @property
    def used_share(self) -> float | None:
        """Share of the complete windows that is learned from."""
        return self.n_windows / self.n_available if self.n_available else None


@dataclass(frozen=True, eq=False, kw_only=True)
class ExplorationContent(DatedContent):
    """A whole exploration."""

    step_s: int
    entities: tuple[str, ...]
    n_all_entities: int
    from_source: bool
    channels: tuple[ChannelView, ...]
    correlations: Floats  # (n_channels, n_channels), median over entities
    days: tuple[date, ...]
    missing: Floats  # (n_channels, n_days), share of steps without a value
    labels: tuple[LabelRange, ...]
    # (n_days,), share of the steps that are labelled anomalies; all 0 without labels
    labelled_share: Floats
    # (n_days,), flagged readings of the champions; None where nothing was scored
    n_anomalies: Floats | None
    series: tuple[KeySeries, ...]
    preview: TrainingPreview | None = None
