"""Pages of a report's incidents: errors around each, and by channel what was read beside what was
expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BundleError
from tsad_tasks.base.interval import from_unix_s, hour_ceil, hour_floor, unix_s
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import anomaly_scores, flag
from tsad_tasks.reporting.drawing.series import ChannelSeries, HeatMap, ScoreSeries
from tsad_tasks.reporting.drawing.thinning import thinned
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.reporting.period.models import threshold_words
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS, with_own_page
from tsad_tasks.scoring.expected import ExpectedReadings, expected_in_range
from tsad_tasks.scoring.own_scales import later_scales
from tsad_tasks.storage.artifacts import place
from tsad_tasks.storage.datasets import SELECT_CHANNELS, DatasetRow, select_layouts
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.scores import ScoreSteps, read_score_series
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import count_text, counted, date_text, joined, share_text, time_text

LEAD_OUT = timedelta(minutes=30)
MAX_POINTS = 3000
MAX_BUCKETS = 90
BUCKETS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600)
_BAND_WORDS = "expected range: holds 95 % of normal readings"

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ReportPeriod:
    """What a report is about, and where its rows are. `data_until` is the newest reading, None
    where there is none.
    """

    store: Store
    dataset: DatasetRow
    lineage: str
    start_at: datetime
    end_at: datetime
    data_until: datetime | None

    @property
    def params(self) -> dict[str, Any]:
        """Parameters that the queries of a period share."""
        return {
            "dataset": self.dataset.name,
            "dataset_id": self.dataset.dataset_id,
            "lineage": self.lineage,
            "start_at": self.start_at,
            "end_at": self.end_at,
        }


def incident_pages(
    period: ReportPeriod, rows: Sequence[dict[str, Any]]
) -> tuple[IncidentPage, ...]:
    """Incidents with their errors; those that get a page of their own also by channel."""
    views = [_View.of(period, row) for row in rows]
    pages = [view.page() for view in views]
    own = {page.incident_id for page in with_own_page(pages, DEFAULT_LIMITS)}
    models = Models(period.store)
    return tuple(
        _Explained(view, models).page(page) if page.incident_id in own else page
        for view, page in zip(views, pages, strict=True)
    )


@dataclass(frozen=True)
class _View:
    """One incident and the steps around it.

    Attributes
    ----------
    seconds : int64 (n_steps,), Unix seconds on the grid, from the lead-in to the lead-out.
    raised, collective : bool (n_steps,), flags, and which of them the moving average decided.
    """

    period: ReportPeriod
    row: dict[str, Any]
    seconds: NDArray[np.int64]
    steps: ScoreSteps
    raised: NDArray[np.bool_]
    collective: NDArray[np.bool_]

    @classmethod
    def of(cls, period: ReportPeriod, row: dict[str, Any]) -> _View:
        """The view of a row of `select_period_incidents`."""
        step_s = period.dataset.step_s
        start_s, end_s = _bounds_s(row, step_s, period.data_until)
        seconds = np.arange(start_s, end_s, step_s, dtype=np.int64)
        first_at, last_at = hour_floor(from_unix_s(start_s)), hour_ceil(from_unix_s(end_s))
        found = read_score_series(
            period.store, period.lineage, row["entity_id"], first_at, last_at, 3600 // step_s
        )
        shown = slice(*((at_s - unix_s(first_at)) // step_s for at_s in (start_s, end_s)))
        steps = ScoreSteps(found.errors[shown], found.thresholds[shown], found.scores[shown])
        raised = flag(steps.scores)
        return cls(
            period,
            row,
            seconds,
            steps,
            raised,
            raised & (steps.scores > anomaly_scores(*_pair(steps))),
        )

    @property
    def start_at(self) -> datetime:
        return from_unix_s(int(self.seconds[0]))

    @property
    def end_at(self) -> datetime:
        return from_unix_s(int(self.seconds[-1]) + self.period.dataset.step_s)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Flagged steps of the incident itself."""
        first_s, last_s = unix_s(self.row["started_at"]), unix_s(self.row["last_flag_at"])
        within: NDArray[np.bool_] = (
            self.raised & (self.seconds >= first_s) & (self.seconds <= last_s)
        )
        return within

    def page(self) -> IncidentPage:
        """The page without its channels."""
        row, step = self.row, timedelta(seconds=self.period.dataset.step_s)
        error, threshold = peak_figures(row)
        return IncidentPage(
            incident_id=row["incident_id"],
            entity=row["entity"],
            severity=row["severity"],
            state=row["state"],
            kind=row["kind"],
            started_at=row["started_at"],
            ended_at=None if row["state"] == "open" else row["last_flag_at"] + step,
            sentence=row["sentence"],
            peak_error=error,
            peak_threshold=threshold,
            scores=self._scores(),
            peak_at=row["peak_at"],
            last_flag_at=row["last_flag_at"],
            n_flags=row["n_flags"],
        )

    def _scores(self) -> ScoreSeries:
        kept, times = self.kept(self.steps.errors.astype(np.float64))
        return ScoreSeries(times, self.steps.errors[kept], self._limits()[kept], self.raised[kept])

    def _limits(self) -> NDArray[np.float32]:
        """The threshold that decided each step: where the moving average did, its own limit."""
        if not self.collective.any():
            return self.steps.thresholds
        needed = self.steps.errors[self.collective] / (1 + self.steps.scores[self.collective])
        return np.where(self.collective, needed.min(), self.steps.thresholds).astype(np.float32)

    def kept(self, values: Float) -> tuple[NDArray[np.intp], NDArray[np.datetime64]]:
        """Positions of the steps to be drawn, and their times on a regular grid."""
        width = 2 * -(-len(values) // MAX_POINTS)
        if width == 2:
            return np.arange(len(values)), self.seconds.astype("datetime64[s]")
        kept = thinned(values, self.raised, width)
        times = self.seconds[0] + self.period.dataset.step_s * (width // 2) * np.arange(len(kept))
        return kept, times.astype("datetime64[s]")


def _pair(steps: ScoreSteps) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return steps.errors, steps.thresholds


def _bounds_s(row: dict[str, Any], step_s: int, data_until: datetime | None) -> tuple[int, int]:
    """First step shown, and the end: half its length (or an hour) before, half an hour after where
    data goes so far.
    """
    first_s, end_s = unix_s(row["started_at"]), unix_s(row["last_flag_at"]) + step_s
    start_s = first_s - max(3600, (end_s - first_s) // 2)
    newest_s = unix_s(data_until) + step_s if data_until else end_s
    shown_s = max(end_s, min(end_s + int(LEAD_OUT.total_seconds()), newest_s))
    return start_s - start_s % step_s, shown_s + -shown_s % step_s


def peak_figures(row: dict[str, Any]) -> tuple[float, float]:
    """Error at the peak, and the threshold that decided it; NaN where the flag is no longer known.

    >>> peak_figures({"error": 3.0, "threshold": 5.0, "peak_score": 0.5, "peak_kind": "collective"})
    (3.0, 2.0)
    """
    if row["error"] is None:
        return float("nan"), float("nan")
    if row["peak_kind"] == "collective":
        return row["error"], row["error"] / (1 + row["peak_score"])
    return row["error"], row["threshold"]


@dataclass(frozen=True)
class Model:
    """A registered model; without spec and detector where its bundle cannot be used."""

    record: dict[str, Any]
    spec: ModelSpec | None
    detector: Detector | None


class Models:
    """Models by id, each read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[int, Model] = {}

    def get(self, model_id: int) -> Model:
        """The model of an id; a missing or altered bundle costs the report its expected values, no
        more.
        """
        if model_id not in self._known:
            record = self._store.one(SELECT_MODEL, model_id=model_id)
            try:
                bundle = read_bundle(
                    place(record["artifact_uri"]), expected_sha256=record["sha256"]
                )
            except (BundleError, OSError):
                self._known[model_id] = Model(record, None, None)
            else:
                self._known[model_id] = Model(
                    record, ModelSpec.from_json(bundle.spec), bundle.detector
                )
        return self._known[model_id]


@dataclass(frozen=True)
class FlaggedReadings:
    """Flagged readings of an incident by channel, all (n_flags, n_channels) but for the last three.

    Attributes
    ----------
    shares : of the error; 0 where it was too small to be kept.
    actual, expected : NaN where unknown.
    spread : (n_channels,)
    weights : (n_flags,), how strange each reading was: error divided by threshold.
    seconds : (n_flags,)
    """

    shares: Float
    actual: Float
    expected: Float
    spread: Float
    weights: Float
    seconds: NDArray[np.int64]

    def channel_shares(self) -> Float:
        """Share (n_channels,) of each channel in the incident's error, the strangest readings
        counting most.
        """
        if not self.shares.any():
            return np.full(self.shares.shape[1], np.nan)
        total: Float = (self.shares * self.weights[:, None]).sum(axis=0) / self.weights.sum()
        return total

    def worst(self, channel: int) -> int | None:
        """The flag at which a channel was farthest off, on the side to which it was off most, as in
        the sentence.
        """
        deviation = self.actual[:, channel] - self.expected[:, channel]
        known = np.isfinite(deviation)
        leads = known & (self.shares.argmax(axis=1) == channel)
        chosen = leads if leads.any() else known
        if not chosen.any():
            return None
        side = 1 if deviation[chosen].sum() >= 0 else -1
        return int(np.where(chosen, side * deviation, -np.inf).argmax())


class _Explained:
    """One incident by channel."""

    def __init__(self, view: _View, models: Models) -> None:
        self._view, self._row, self._period = view, view.row, view.period
        self._model = models.get(view.row["model_id"])
        store, dataset = self._period.store, self._period.dataset
        self._layout = select_layouts(store, dataset.dataset_id)[0]
        names: list[str] = self._model.record["card"]["channels"]
        self._names = [name for name in names if name in self._layout.channel_names]
        self._units = {
            name: unit or ""
            for _, name, unit in store.rows(
                SELECT_CHANNELS, dataset_id=self._period.dataset.dataset_id
            )
        }
        self._expected = self._recomputed()
        self._verdicts = self._sensor_verdicts()
        self._values = self._read()

    def _recomputed(self) -> ExpectedReadings | None:
        """What the model expected, from the end of its training on."""
        view, spec, detector = self._view, self._model.spec, self._model.detector
        if spec is None or detector is None:
            return None
        found = expected_in_range(
            self._period.store,
            self._layout,
            spec,
            detector,
            (self._row["entity"], self._row["entity_id"]),
            view.start_at,
            view.end_at,
            hour_ceil(self._model.record["train_end_at"]),
            later_scales(self._period.store, self._row["model_id"], [self._row["entity_id"]])[0],
        )
        learned = view.seconds < unix_s(self._model.record["train_end_at"])
        found.expected[learned], found.channel_errors[learned] = np.nan, np.nan
        return found

    @property
    def _has_one_error(self) -> bool:
        """Whether the error is the same in all channels: what scoring found out of each is
        stored.
        """
        return self._model.detector is not None and self._model.detector.judges_windows

    def _read(self) -> Float:
        """Readings as the model saw them, (n_steps, n_channels)."""
        view, step_s = self._view, self._period.dataset.step_s
        first_at = hour_floor(view.start_at)
        blocks = read_blocks(
            self._period.store,
            self._layout,
            [self._row["entity_id"]],
            first_at,
            hour_ceil(view.end_at),
        )
        first = (unix_s(view.start_at) - unix_s(first_at)) // step_s
        columns = [self._layout.channel_names.index(name) for name in self._names]
        return blocks.values[0, first : first + len(view.seconds)][:, columns]

    def page(self, page: IncidentPage) -> IncidentPage:
        """The page with channels, heat map and words."""
        flagged = self._flagged()
        shares = flagged.channel_shares()
        channels = tuple(
            self._channel(i, float(shares[i]), flagged) for i in range(len(self._names))
        )
        return replace(
            page,
            channels=channels,
            heat=self._heat(),
            nature="sensor suspected" if self._verdicts else "",
            note=self._note(),
            model_line=self._model_line(),
            coverage_line=self._coverage_line(),
        )

    def _flagged(self) -> FlaggedReadings:
        inside = self._view.inside
        if self._expected is None or self._has_one_error:
            return self._stored_flags()
        parts = np.nan_to_num(self._expected.channel_errors[inside].astype(np.float64))
        return FlaggedReadings(
            parts / np.maximum(parts.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny),
            self._expected.actual[inside],
            self._expected.expected[inside],
            self._expected.spread,
            1 + self._view.steps.scores[inside].astype(np.float64),
            self._view.seconds[inside],
        )

    def _stored_flags(self) -> FlaggedReadings:
        """The same from the rows that scoring kept of each flagged reading: its leading
        channels.
        """
        until_at = self._row["last_flag_at"] + timedelta(seconds=1)
        params = {"lineage": self._period.lineage, "entity_id": self._row["entity_id"]}
        params |= {"start_at": self._row["started_at"], "end_at": until_at}
        stored = self._period.store.records("select_incident_attributions", params)
        rows = [row for row in stored if row["channel"] in self._names]
        times = sorted({row["at"] for row in rows})
        table = np.full((3, len(times), len(self._names)), np.nan)
        spread, weights = np.full(len(self._names), np.nan), np.ones(len(times))
        for row in rows:
            at, channel = times.index(row["at"]), self._names.index(row["channel"])
            known = (row["share"], row["actual"], row["expected"])
            table[:, at, channel] = [np.nan if value is None else value for value in known]
            weights[at], spread[channel] = (
                1 + row["score"],
                np.nan if row["spread"] is None else row["spread"],
            )
        seconds = np.array([unix_s(at) for at in times], np.int64)
        return FlaggedReadings(
            np.nan_to_num(table[0]), table[1], table[2], spread, weights, seconds
        )

    def _channel(self, i: int, share: float, flagged: FlaggedReadings) -> ChannelSeries:
        kept, times = self._view.kept(self._values[:, i])
        name = self._names[i]
        series = ChannelSeries(
            name, self._units[name], times, self._values[kept, i], error_share=share
        )
        if self._expected is not None:
            expected, width = self._expected.expected[kept, i], self._expected.spread[i]
            series = replace(
                series, expected=expected, lower=expected - width, upper=expected + width
            )
        worst = flagged.worst(i)
        if worst is None:
            return series
        middle, spread = float(flagged.expected[worst, i]), float(flagged.spread[i])
        return replace(
            series,
            worst_value=float(flagged.actual[worst, i]),
            worst_expected=middle,
            worst_lower=middle - spread,
            worst_upper=middle + spread,
            worst_at=from_unix_s(int(flagged.seconds[worst])),
        )

    def _heat(self) -> HeatMap | None:
        if self._expected is None or self._has_one_error:
            return None
        errors, step_s = self._expected.channel_errors, self._period.dataset.step_s
        bucket_s = bucket_length_s(len(errors) * step_s, step_s)
        n_buckets = -(-len(errors) * step_s // bucket_s)
        padded = np.full((n_buckets * (bucket_s // step_s), errors.shape[1]), -np.inf)
        padded[: len(errors)] = np.where(np.isfinite(errors), errors, -np.inf)
        highest = padded.reshape(n_buckets, -1, errors.shape[1]).max(axis=1).T
        starts = (self._view.seconds[0] + bucket_s * np.arange(n_buckets)).astype("datetime64[s]")
        return HeatMap(starts, bucket_s, np.where(np.isfinite(highest), highest, np.nan))

    def _sensor_verdicts(self) -> list[str]:
        """What was found wrong with the leading sensor itself meanwhile."""
        if self._row["channel"] is None:
            return []
        params = {"entity_id": self._row["entity_id"], "channel": self._row["channel"]}
        until_at = self._row["last_flag_at"] + timedelta(seconds=1)
        params |= {"start_at": hour_floor(self._row["started_at"]), "end_at": until_at}
        verdicts = self._period.store.select("select_incident_quality", params)
        return [verdict.replace("_", " ") for (verdict,) in verdicts]

    def _note(self) -> str:
        notes = []
        if self._verdicts:
            notes.append(
                f"Data quality of {self._row['channel']} meanwhile: {joined(self._verdicts)}."
            )
        if self._expected is None:
            notes.append(
                "No expected values can be shown: the model's bundle is missing or altered."
            )
        if self._row["provisional"]:
            notes.append("Provisional: the entity has no scale of its own yet.")
        if self._row["peak_kind"] == "collective":
            notes.append(
                "It lasted: the moving average of the error decided, against a limit of its own."
            )
        return " ".join(notes)

    def _model_line(self) -> str:
        record, zone = self._model.record, self._period.dataset.site_zone
        trained = (
            f"trained to {date_text(record['train_end_at'], zone)}, sha256 {record['sha256'][:12]}"
        )
        model = f"Model {record['detector']} v{record['version']} ({trained})"
        return " · ".join(
            [model, threshold_words(record["card"]), f"policy {self._row['policy_version']}"]
        )

    def _coverage_line(self) -> str:
        n_scored, n_all = int(np.isfinite(self._view.steps.scores).sum()), len(self._view.seconds)
        parts = [
            f"Scored {count_text(n_scored)} of {counted(n_all, 'reading')} shown "
            f"({share_text(n_scored / n_all)})"
        ]
        if self._period.data_until is not None:
            parts.append(
                f"data up to {time_text(self._period.data_until, self._period.dataset.site_zone)}"
            )
        return " · ".join(parts if self._expected is None else [*parts, _BAND_WORDS])


def bucket_length_s(length_s: int, step_s: int) -> int:
    """Length of a heat map's bucket: a round number of whole steps, so that at most 90 or so cover
    the length.

    >>> bucket_length_s(7200, 60), bucket_length_s(86400, 300), bucket_length_s(600, 900)
    (120, 1800, 900)
    """
    fitting = [bucket_s for bucket_s in BUCKETS_S if bucket_s % step_s == 0]
    return next(
        (bucket_s for bucket_s in fitting if bucket_s * MAX_BUCKETS >= length_s),
        max([step_s, *fitting]),
    )
