"""Incidents of a report: errors around each, and by channel what was read and expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.base.enums import Severity
from tsad_tasks.base.errors import BundleError
from tsad_tasks.base.interval import from_unix_s, hour_ceil, hour_floor, unix_s
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.circle import signed_turn
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import anomaly_scores, flag
from tsad_tasks.reporting.drawing.scales import thinned
from tsad_tasks.reporting.drawing.series import (
    NO_SCORES,
    ChannelSeries,
    Floats,
    HeatMap,
    ScoreSeries,
)
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.reporting.period.models import threshold_words
from tsad_tasks.reporting.period.queries import (
    SELECT_INCIDENT_ATTRIBUTIONS,
    SELECT_INCIDENT_QUALITY,
    SELECT_SENSOR_RANGES,
    PeriodIncident,
    ReportPeriod,
    SensorRange,
)
from tsad_tasks.reporting.period.ranking import (
    BRIEF,
    ReportLimits,
    as_counted,
    with_own_page,
    worst_first,
)
from tsad_tasks.scoring.expected import ExpectedReadings, expected_in_range
from tsad_tasks.scoring.own_scales import later_scales
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import SELECT_CHANNELS, Layout, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.scores import ScoreSteps, read_score_series
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import count_text, counted, date_text, joined, share_text, time_text

LEAD_OUT_S = 1800
# A page holds no more rows of incidents.
MOST_ROWS_OF_PAGE = 28
MAX_POINTS = 3000
MAX_BUCKETS = 90
BUCKETS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)


def incident_pages(
    period: ReportPeriod,
    rows: Sequence[PeriodIncident],
    limits: ReportLimits = BRIEF,
) -> tuple[IncidentPage, ...]:
    """Incidents, groups as one: those that are listed with their errors, and those that get a page
    of their own also by channel.
    """
    pages = as_counted([bare_page(period, row) for row in rows])
    by_id = {row.incident_id: row for row in rows}
    n_listed = MOST_ROWS_OF_PAGE if limits.n_incidents is None else limits.n_incidents
    own = {page.incident_id for page in with_own_page(pages, limits)}
    listed = {page.incident_id for page in worst_first(pages)[:n_listed]}
    model_of = cache(partial(registered_model, period.store))

    def drawn(page: IncidentPage) -> IncidentPage:
        row = by_id[page.incident_id]
        if page.incident_id not in own | listed:
            return page
        view = _View.of(period, row)
        if page.incident_id in own:
            return _Explained(view, model_of(row.model_id)).page(view.page(page))
        return view.page(page)

    return tuple(map(drawn, pages))


def bare_page(period: ReportPeriod, row: PeriodIncident) -> IncidentPage:
    """An incident without any series."""
    error, threshold = peak_figures(row.peak_kind, row.error, row.threshold, row.peak_score)
    return IncidentPage(
        incident_id=row.incident_id,
        entity=row.entity,
        severity=Severity(row.severity),
        state=row.state,
        kind=row.kind,
        started_at=row.started_at,
        ended_at=None if row.state == "open" else row.end_at,
        sentence=row.sentence,
        peak_error=error,
        peak_threshold=threshold,
        scores=NO_SCORES,
        peak_at=row.peak_at,
        last_flag_at=row.last_flag_at,
        flagged_until=row.end_at,
        n_flags=row.n_flags,
        verdict=row.verdict,
        group_id=row.group_id,
        headline=row.headline or "",
        priority=row.priority,
        n_parts=row.n_parts,
    )


@dataclass(frozen=True)
class _View:
    """One incident and the steps around it."""

    period: ReportPeriod
    row: PeriodIncident
    # Int64 (n_steps,), unix seconds on the grid, from the lead-in to the lead-out
    seconds: Ints
    steps: ScoreSteps
    # raised and collective: bool (n_steps,), flags, and which of them the moving average decided
    raised: Flags
    collective: Flags

    @classmethod
    def of(cls, period: ReportPeriod, row: PeriodIncident) -> _View:
        """From half its length (an hour to a day) before it to half an hour after, at most to the
        end.
        """
        step_s, data_until = period.dataset.step_s, period.data_until
        first_s, last_s = unix_s(row.started_at), unix_s(row.end_at)
        start_s = first_s - min(max(3600, (last_s - first_s) // 2), 86400)
        start_s -= start_s % step_s
        newest_s = unix_s(data_until) + step_s if data_until else last_s
        end_s = max(last_s, min(last_s + LEAD_OUT_S, newest_s))
        end_s += -end_s % step_s
        first_at, last_at = hour_floor(from_unix_s(start_s)), hour_ceil(from_unix_s(end_s))
        hours = read_score_series(
            period.store, period.lineage, row.entity_id, first_at, last_at, 3600 // step_s
        )
        shown = slice(*((at_s - unix_s(first_at)) // step_s for at_s in (start_s, end_s)))
        steps = ScoreSteps(hours.errors[shown], hours.thresholds[shown], hours.scores[shown])
        raised = flag(steps.scores)
        collective = raised & (steps.scores > anomaly_scores(steps.errors, steps.thresholds))
        seconds = np.arange(start_s, end_s, step_s, dtype=np.int64)
        return cls(period, row, seconds, steps, raised, collective)

    @property
    def start_at(self) -> datetime:
        return from_unix_s(int(self.seconds[0]))

    @property
    def end_at(self) -> datetime:
        return from_unix_s(int(self.seconds[-1]) + self.period.dataset.step_s)

    @property
    def inside(self) -> Flags:
        """Flagged steps of the incident itself."""
        began, ended = (unix_s(at) for at in (self.row.started_at, self.row.last_flag_at))
        return np.asarray(self.raised & (self.seconds >= began) & (self.seconds <= ended))

    def page(self, page: IncidentPage) -> IncidentPage:
        """The page with its errors, without its channels."""
        thresholds = self.steps.thresholds
        if self.collective.any():
            # The threshold that decided a step: where the moving average did, its own limit.
            needed = self.steps.errors[self.collective] / (1 + self.steps.scores[self.collective])
            thresholds = np.where(self.collective, needed.min(), thresholds).astype(np.float32)
        kept, times = self.kept(self.steps.errors.astype(np.float64))
        scores = ScoreSeries(times, self.steps.errors[kept], thresholds[kept], self.raised[kept])
        return replace(page, scores=scores)

    def kept(self, values: Floats64) -> tuple[NDArray[np.intp], NDArray[np.datetime64]]:
        """Positions of the steps to be drawn, and their times on a regular grid."""
        width = 2 * -(-len(values) // MAX_POINTS)
        if width == 2:
            return np.arange(len(values)), self.seconds.astype("datetime64[s]")
        kept = thinned(values, self.raised, width)
        times = self.seconds[0] + self.period.dataset.step_s * (width // 2) * np.arange(len(kept))
        return kept, times.astype("datetime64[s]")


def peak_figures(
    kind: str | None, error: float | None, threshold: float | None, score: float
) -> tuple[float, float]:
    """Error at the peak, and the threshold that decided it; NaN where the flag is no longer known.

    >>> peak_figures("collective", 3.0, 5.0, 0.5)
    (3.0, 2.0)
    """
    if error is None or threshold is None:
        return float("nan"), float("nan")
    return error, error / (1 + score) if kind == "collective" else threshold


@dataclass(frozen=True)
class RegisteredModel:
    """A model by its row; without spec and detector where its bundle cannot be used."""

    record: dict[str, Any]
    spec: ModelSpec | None = None
    detector: Detector | None = None

    @property
    def has_one_error(self) -> bool:
        """Whether all channels have the same error: scoring stores what it found of each."""
        return self.detector is not None and self.detector.judges_windows


def registered_model(store: Store, model_id: int) -> RegisteredModel:
    """The model of an id; a missing or altered bundle only costs the expected values."""
    record = store.one(SELECT_MODEL, model_id=model_id)
    uri = artifact_path(record["artifact_uri"])
    try:
        bundle = read_bundle(uri, expected_sha256=record["sha256"])
    except (BundleError, OSError):
        return RegisteredModel(record)
    return RegisteredModel(record, ModelSpec.from_json(bundle.spec), bundle.detector)


@dataclass(frozen=True)
class FlaggedReadings:
    """Flagged readings of an incident by channel, (n_flags, n_channels) but for the last three."""

    shares: Floats64  # of the error; 0 where it was too small to be kept
    actual: Floats64  # actual and expected: NaN where unknown
    expected: Floats64
    spread: Floats64  # (n_channels,)
    weights: Floats64  # (n_flags,), how strange each reading was: error divided by threshold
    seconds: Ints  # (n_flags,)

    @classmethod
    def stored(cls, period: ReportPeriod, row: PeriodIncident, names: list[str]) -> FlaggedReadings:
        """What scoring kept of each flagged reading: its leading channels."""
        asked = {"lineage": period.lineage, "entity_id": row.entity_id} | row.span
        every = period.store.rows(SELECT_INCIDENT_ATTRIBUTIONS, **asked)
        kept = [one for one in every if one.channel in names]
        times = sorted({one.at for one in kept})
        places = {at: place for place, at in enumerate(times)}
        table = np.full((3, len(times), len(names)), np.nan)
        spread, weights = np.full(len(names), np.nan), np.ones(len(times))
        for one in kept:
            at, channel = places[one.at], names.index(one.channel)
            # What is None becomes NaN.
            table[:, at, channel] = np.array([one.share, one.actual, one.expected], np.float64)
            weights[at], spread[channel] = 1 + one.score, np.array(one.spread, np.float64)
        seconds = np.array([unix_s(at) for at in times], np.int64)
        return cls(np.nan_to_num(table[0]), table[1], table[2], spread, weights, seconds)

    def channel_shares(self) -> Floats64:
        """Share (n_channels,) of each channel in the error; the strangest readings count most."""
        if not self.shares.any():
            return np.full(self.shares.shape[1], np.nan)
        total: Floats64 = (self.shares * self.weights[:, None]).sum(axis=0) / self.weights.sum()
        return total

    def deviations(self, channel: int, period: float | None = None) -> Floats64:
        """How far a channel was from what was expected, (n_flags,); an angle the shorter way."""
        deviation = self.actual[:, channel] - self.expected[:, channel]
        return deviation if period is None else signed_turn(deviation, period)

    def worst(self, channel: int, period: float | None = None) -> int | None:
        """The flag at which a channel was farthest off, on the side of the sentence."""
        deviation = self.deviations(channel, period)
        known = np.isfinite(deviation)
        leads = known & (self.shares.argmax(axis=1) == channel)
        chosen = leads if leads.any() else known
        if not chosen.any():
            return None
        side = 1 if deviation[chosen].sum() >= 0 else -1
        return int(np.where(chosen, side * deviation, -np.inf).argmax())


class _Explained:
    """One incident by channel: what was read and expected, and what was wrong with the sensor.

    Attributes
    ----------
    values : (n_steps, n_channels), readings as the model saw them.
    expected : None where the model's bundle cannot be used.
    verdicts : what was found wrong with the leading sensor itself meanwhile.
    ends : (2, n_channels), between which a sensor can be expected; infinite: there is none.
    """

    def __init__(self, view: _View, model: RegisteredModel) -> None:
        self.view, self.row, self.period, self.model = view, view.row, view.period, model
        store, dataset, entity_id = self.period.store, self.period.dataset, self.row.entity_id
        layout = select_layouts(store, dataset.dataset_id)[0]
        in_model: list[str] = self.model.record["card"]["channels"]
        self.names = [name for name in in_model if name in layout.channel_names]
        channels = store.rows(SELECT_CHANNELS, dataset_id=dataset.dataset_id)
        self.units = {name: unit or "" for _, name, unit in channels}
        ranges = store.rows(SELECT_SENSOR_RANGES, dataset_id=dataset.dataset_id)
        self.ends = _ends(ranges, self.names)
        self.expected = self._expectation(layout)
        span = self.row.span | {"start_at": hour_floor(self.row.started_at)}
        self.verdicts = [
            verdict.replace("_", " ")
            for verdict in store.rows(
                SELECT_INCIDENT_QUALITY, entity_id=entity_id, channel=self.row.channel, **span
            )
        ]
        first_at = hour_floor(view.start_at)
        blocks = read_blocks(store, layout, [entity_id], first_at, hour_ceil(view.end_at))
        first = (unix_s(view.start_at) - unix_s(first_at)) // dataset.step_s
        columns = [layout.channel_names.index(name) for name in self.names]
        self.values = blocks.values[0, first : first + len(view.seconds)][:, columns]

    def _expectation(self, layout: Layout) -> ExpectedReadings | None:
        """What the model expected, from the end of its training on."""
        view, spec, detector = self.view, self.model.spec, self.model.detector
        if spec is None or detector is None:
            return None
        learned_until = self.model.record["train_end_at"]
        found = expected_in_range(
            self.period.store,
            layout,
            self.row.model_id,
            spec,
            detector,
            (self.row.entity, self.row.entity_id),
            view.start_at,
            view.end_at,
            hour_ceil(learned_until),
            later_scales(self.period.store, self.row.model_id, [self.row.entity_id])[0],
            float(np.min(view.steps.errors[view.raised], initial=np.inf)),
        )
        learned = view.seconds < unix_s(learned_until)
        found.expected[learned], found.channel_errors[learned] = np.nan, np.nan
        return replace(found, expected=np.clip(found.expected, *self.ends))

    def page(self, page: IncidentPage) -> IncidentPage:
        """The page with channels, heat map and words."""
        view, expected = self.view, self.expected
        heat = None
        if expected is None or self.model.has_one_error:
            flagged = FlaggedReadings.stored(self.period, self.row, self.names)
            flagged = replace(flagged, expected=np.clip(flagged.expected, *self.ends))
        else:
            parts = np.nan_to_num(expected.channel_errors[view.inside].astype(np.float64))
            smallest = np.finfo(np.float64).tiny
            flagged = FlaggedReadings(
                parts / np.maximum(parts.sum(axis=1, keepdims=True), smallest),
                expected.actual[view.inside],
                expected.expected[view.inside],
                expected.spread,
                1 + view.steps.scores[view.inside].astype(np.float64),
                view.seconds[view.inside],
            )
            heat = heat_map(
                expected.channel_errors, int(view.seconds[0]), self.period.dataset.step_s
            )
        record, trained_to = self.model.record, self.model.record["train_end_at"]
        learned = f"trained to {date_text(trained_to, self.period.dataset.site_zone)}"
        name = f"Model {record['detector']} v{record['version']}"
        name += f" ({learned}, sha256 {record['sha256'][:12]})"
        model = [name, threshold_words(record["card"]), f"policy {self.row.policy_version}"]
        return replace(
            page,
            channels=tuple(self._channel(i, flagged) for i in range(len(self.names))),
            heat=heat,
            nature="sensor suspected" if self.verdicts else "",
            note=self._note(),
            model_line=" · ".join(model),
            coverage_line=self._coverage_line(),
        )

    def _channel(self, i: int, flagged: FlaggedReadings) -> ChannelSeries:
        kept, times = self.view.kept(self.values[:, i])
        name, share = self.names[i], float(flagged.channel_shares()[i])
        series = ChannelSeries(
            name, self.units[name], times, self.values[kept, i], error_share=share
        )
        if self.expected is not None:
            middle, half = self.expected.expected[kept, i], self.expected.spread[i]
            lower, upper = self._band(i, middle, half)
            series = replace(series, expected=middle, lower=lower, upper=upper)
        period = self._period(name)
        worst = flagged.worst(i, period)
        if worst is None:
            return series
        wanted = float(flagged.expected[worst, i])
        lower, upper = self._band(i, flagged.expected[worst, i], flagged.spread[i])
        return replace(
            series,
            worst_value=float(flagged.actual[worst, i]),
            worst_expected=wanted,
            worst_lower=float(lower),
            worst_upper=float(upper),
            worst_at=from_unix_s(int(flagged.seconds[worst])),
            worst_difference=float(flagged.deviations(i, period)[worst]),
        )

    def _band(self, i: int, middle: Floats64, half: Floats64) -> tuple[Floats64, Floats64]:
        """Between what a channel is expected, as far as its sensor can show it."""
        least, most = self.ends[:, i]
        return np.maximum(middle - half, least), np.minimum(middle + half, most)

    def _period(self, name: str) -> float | None:
        """Once around, of a channel that is an angle to the model."""
        spec = self.model.spec
        if spec is None or not spec.pooled_scaler.circles or name not in spec.features.channels:
            return None
        circle = spec.pooled_scaler.circles[spec.features.channels.index(name)]
        return circle.period if circle else None

    def _note(self) -> str:
        notes = []
        if self.verdicts:
            found = joined(self.verdicts)
            notes.append(f"Data quality of {self.row.channel} meanwhile: {found}.")
        if self.expected is None:
            notes.append(
                "No expected values can be shown: the model's bundle is missing or altered."
            )
        if self.row.provisional:
            notes.append("Provisional: the entity has no scale of its own yet.")
        if self.row.peak_kind == "collective":
            notes.append(
                "It was flagged because it lasted: the moving average of the error exceeded a "
                "limit of its own."
            )
        return " ".join(notes)

    def _coverage_line(self) -> str:
        n_scored = int(np.isfinite(self.view.steps.scores).sum())
        n_all, data_until = len(self.view.seconds), self.period.data_until
        shown = f"{counted(n_all, 'reading')} shown ({share_text(n_scored / n_all)})"
        parts = [f"Scored {count_text(n_scored)} of {shown}"]
        if data_until is not None:
            parts.append(f"data up to {time_text(data_until, self.period.dataset.site_zone)}")
        if self.expected is not None:
            parts.append("expected range: holds 95 % of normal readings")
        return " · ".join(parts)


def _ends(ranges: Sequence[SensorRange], names: Sequence[str]) -> Floats64:
    """The ends of channels (2, n_channels), infinite where there is none.

    >>> _ends([SensorRange("cpu", 0.0, None)], ["load", "cpu"]).tolist()
    [[-inf, 0.0], [inf, inf]]
    """
    found = {one.channel: one for one in ranges}
    ends = np.full((2, len(names)), np.inf)
    ends[0] = -np.inf
    for i, name in enumerate(names):
        if (one := found.get(name)) is not None:
            ends[0, i] = -np.inf if one.least is None else one.least
            ends[1, i] = np.inf if one.most is None else one.most
    return ends


def heat_map(errors: Floats, start_s: int, step_s: int) -> HeatMap:
    """The largest error of each channel in round stretches of time.

    Parameters
    ----------
    errors : (n_steps, n_channels), NaN where unknown.
    """
    bucket_s = bucket_length_s(len(errors) * step_s, step_s)
    n_buckets = -(-len(errors) * step_s // bucket_s)
    padded = np.full((n_buckets * (bucket_s // step_s), errors.shape[1]), -np.inf)
    padded[: len(errors)] = np.where(np.isfinite(errors), errors, -np.inf)
    highest = padded.reshape(n_buckets, -1, errors.shape[1]).max(axis=1).T
    starts = (start_s + bucket_s * np.arange(n_buckets)).astype("datetime64[s]")
    return HeatMap(starts, bucket_s, np.where(np.isfinite(highest), highest, np.nan))


def bucket_length_s(length_s: int, step_s: int) -> int:
    """Length of a heat map's bucket: round, in whole steps, about 90 of them at most.

    >>> bucket_length_s(7200, 60), bucket_length_s(86400, 300), bucket_length_s(600, 900)
    (120, 1800, 900)
    """
    fitting = [bucket_s for bucket_s in BUCKETS_S if bucket_s % step_s == 0]
    long_enough = (bucket_s for bucket_s in fitting if bucket_s * MAX_BUCKETS >= length_s)
    return next(long_enough, max([step_s, *fitting]))
