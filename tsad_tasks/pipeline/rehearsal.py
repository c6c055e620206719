"""A rehearsal: what the pipeline would have said of one's own past, before anything is switched on.

It is a replay under a lineage of its own, `rehearsal`, of which nobody is told; a second one takes
the place of the first. Beside the alarms of the dataset file it counts those of a more and a less
sensitive one: from the same errors, with the limits that the same trainings would have set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.enums import REHEARSAL, Severity, severity_rank
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR, Interval, from_unix_s, hour_ceil, unix_s
from tsad_tasks.base.places import Folder
from tsad_tasks.champions.champions import RegisterSummary
from tsad_tasks.champions.queries import SELECT_MODEL_VERSION
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.registry import load_detector
from tsad_tasks.feedback.faults import Fault
from tsad_tasks.feedback.maintenance import Maintenance, maintenance_of
from tsad_tasks.model.incidents import incident_spans
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import collective_series, combined_scores, flag
from tsad_tasks.pipeline import queries
from tsad_tasks.pipeline.replay import Advance, Replay, Say
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.queries import SELECT_MODEL_DETECTORS
from tsad_tasks.storage.datasets import lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.folders import remove_folder
from tsad_tasks.storage.store import Store
from tsad_tasks.training.held_out import held_out_errors
from tsad_tasks.training.judge import calibrate_model, calibrating_readings
from tsad_tasks.training.reader import training_scopes
from tsad_tasks.training.retrain import Retraining, with_chosen_window
from tsad_tasks.training.survey import Scales

WEEK = timedelta(days=7)
# A budget is made so many times as large, and as many times smaller.
BUDGET_STEP = 4.0
# An incident's peak score that is asked for is raised by a step of severity.
SCORE_STEP = 0.5
N_WORST = 3


class Sensitivity(NamedTuple):
    """How sensitive alarms are, and what of the dataset file makes them so.

    Attributes
    ----------
    is_set : whether the file says so already.
    """

    name: str
    setting: str
    config: DatasetConfig
    is_set: bool = False


def sensitivities(config: DatasetConfig) -> list[Sensitivity]:
    """Three of them, the most sensitive first: by the alarm budget where that sets the limit, else
    by the peak score that an incident must reach.
    """
    policy, found = config.alarm_policy, []

    def made(name: str, changes: dict[str, float], *, is_set: bool = False) -> None:
        changed = config.model_copy(update={"alarm_policy": policy.model_copy(update=changes)})
        said = ", ".join(f"{key}: {value:g}" for key, value in changes.items())
        found.append(Sensitivity(name, f"alarm_policy: {{{said}}}", changed, is_set))

    if config.threshold.kind == "evt":
        for name, times in (("more", BUDGET_STEP), ("as it is", 1.0), ("less", 1 / BUDGET_STEP)):
            per_day = policy.budget_per_day * times
            per_week = policy.budget_per_entity_week * times
            budgets = {"budget_per_day": per_day, "budget_per_entity_week": per_week}
            made(name, budgets, is_set=times == 1)
    else:
        for name, more in (("as it is", 0.0), ("less", SCORE_STEP), ("least", 2 * SCORE_STEP)):
            made(name, {"min_score": policy.min_score + more}, is_set=more == 0)
    return found


class Alarm(NamedTuple):
    """An alarm that would have been raised: its first and last flagged reading."""

    entity: str
    started_at: datetime
    last_flag_at: datetime
    severity: str = Severity.LOW


def is_of(alarm: Alarm, fault: Fault) -> bool:
    """Whether an alarm tells of a fault: it is of its machine, and lasts at any time of it."""
    is_there = alarm.started_at < fault.end_at and alarm.last_flag_at >= fault.start_at
    return alarm.entity == fault.machine and is_there


def is_before(alarm: Alarm, fault: Fault, before: timedelta) -> bool:
    """Whether an alarm of the machine was over by the fault's start, so long before it at most."""
    is_there = fault.start_at - before <= alarm.last_flag_at < fault.start_at
    return alarm.entity == fault.machine and is_there


class FoundFault(NamedTuple):
    """A known fault, and the alarms that tell of it.

    Attributes
    ----------
    delay_s : from the fault's start to that of its first alarm, below 0 where that had begun before
        and still lasted; None: there is none.
    earlier_s : how long before the fault's start an alarm began that was over by then, which may be
        a warning, or chance; None: there is none.
    in_maintenance : whether maintenance of the machine was at any time of it, whose alarms nobody
        hears.
    """

    fault: Fault
    delay_s: float | None
    earlier_s: float | None = None
    in_maintenance: bool = False


def is_maintained(fault: Fault, entity_id: int, windows: Sequence[Maintenance]) -> bool:
    """Whether maintenance of the fault's machine was at any time of the fault."""
    return any(
        one.entity_id in (None, entity_id)
        and one.start_at < fault.end_at
        and one.end_at > fault.start_at
        for one in windows
    )


def found_faults(
    faults: Sequence[Fault],
    alarms: Sequence[Alarm],
    before: timedelta,
    maintained: Collection[Fault] = (),
) -> list[FoundFault]:
    """Each fault with the first alarm that tells of it, and the first one in the time before.

    Parameters
    ----------
    maintained : those during which the machine was in maintenance.

    >>> at = datetime(2026, 3, 1)
    >>> fault = Fault("m", at, at + HOUR)
    >>> alarms = [Alarm("m", at + i * HOUR, at + i * HOUR) for i in (-3, -1, 0)]
    >>> [one[1:] for one in found_faults([fault], alarms, 2 * HOUR)]
    [(0.0, 3600.0, False)]
    >>> lasting = [Alarm("m", at - HOUR, at)]
    >>> [one[1:] for one in found_faults([fault], lasting, 2 * HOUR)]
    [(-3600.0, None, False)]
    """
    found = []
    for fault in faults:
        after = [(one.started_at - fault.start_at) for one in alarms if is_of(one, fault)]
        earlier = [
            fault.start_at - one.started_at for one in alarms if is_before(one, fault, before)
        ]
        delay_s = min(after).total_seconds() if after else None
        earlier_s = max(earlier).total_seconds() if earlier else None
        found.append(FoundFault(fault, delay_s, earlier_s, fault in maintained))
    return found


@dataclass(frozen=True)
class Tried:
    """What one sensitivity would have meant.

    Attributes
    ----------
    n_other : alarms that tell of no known fault, and were in no time before one.
    """

    sensitivity: Sensitivity
    alarms: list[Alarm]
    faults: list[FoundFault]
    n_other: int

    @property
    def n_found(self) -> int:
        return sum(one.delay_s is not None for one in self.faults)

    @property
    def median_delay_s(self) -> float | None:
        """Of the faults found; None where none was."""
        delays = [one.delay_s for one in self.faults if one.delay_s is not None]
        return float(median(delays)) if delays else None


class AlarmingMachine(NamedTuple):
    """A machine, its alarms, and the worst of them."""

    entity: str
    n_alarms: int
    per_week: float
    worst: str


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal found.

    Attributes
    ----------
    scored_share : of the hours of entities in the range.
    tried : the sensitivities, the most sensitive first.
    outside : known faults that do not lie in the range.
    """

    start_at: datetime
    end_at: datetime
    n_entities: int
    n_trained: int
    n_champions: int
    scored_share: float
    tried: list[Tried]
    machines: list[AlarmingMachine]
    worst: list[queries.RehearsedIncident]
    outside: list[Fault]
    notes: list[str]

    @property
    def weeks(self) -> float:
        return (self.end_at - self.start_at) / WEEK

    @property
    def as_set(self) -> Tried:
        """With the dataset file as it is."""
        return next(one for one in self.tried if one.sensitivity.is_set)


def rehearsal_folder(artifacts: Folder, dataset: str) -> Folder:
    """Where the bundles of a dataset's rehearsal are."""
    return artifacts / "rehearsals" / dataset


def remove_rehearsal(store: Store, config: DatasetConfig, artifacts: Folder) -> int:
    """Removes what the last rehearsal of a dataset left, rows and bundles; how many models."""
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        lock_dataset(store, dataset_id, "champion")
        n_models = store.execute(queries.DELETE_REHEARSAL, dataset_id=dataset_id)
    folder = rehearsal_folder(artifacts, config.dataset)
    # There is no folder in an object store; another one may remove it at the same time.
    with suppress(FileNotFoundError):
        remove_folder(folder)
    return n_models


@dataclass
class Rehearsal:
    """A rehearsal of [start_at, end_at): scored from there on, by models of what lies before.

    Where readings do not reach a training range back, it begins with the first model that there
    would have been.

    Attributes
    ----------
    every : time between trainings.
    before : so long before a fault an alarm is told beside it.
    trained : told of each model, when it was trained.
    """

    store: Store
    config: DatasetConfig
    start_at: datetime
    end_at: datetime
    artifacts: Folder
    every: timedelta = WEEK
    before: timedelta = timedelta(days=1)
    say: Say = print
    advance: Advance = lambda _at: None
    trained: Any = lambda: None
    limits: dict[int, list[ModelSpec]] = field(default_factory=dict)

    def replay(self) -> Replay:
        """The replay that it is, of the readings that there are.

        Raises
        ------
        BadInput
            When there are no readings before the end, or too few for a training.
        """
        range_s = timedelta(seconds=self.config.training.range_s)
        asked = Interval(self.start_at - range_s, self.end_at)._asdict()
        with self.store.transaction():
            dataset = select_dataset(self.store, self.config.dataset)
            ledger = self.store.one(
                queries.SELECT_LEDGER_SPAN, dataset_id=dataset.dataset_id, **asked
            )
        if ledger.first_at is None:
            span = f"{asked['start_at']:%Y-%m-%d %H:%M} to {self.end_at:%Y-%m-%d %H:%M} UTC"
            raise BadInput(f"Expected readings from {span}. Received: none in the warehouse.")
        first_at = max(hour_ceil(asked["start_at"]), ledger.first_at)
        made = Replay(
            self.store,
            self.config,
            first_at,
            self.end_at,
            rehearsal_folder(self.artifacts, self.config.dataset),
            self.every,
            say=self.say,
            advance=self.advance,
            lineage=REHEARSAL,
            trained=self._keep_limits,
            in_youth=first_at > hour_ceil(asked["start_at"]),
        )
        if made.begins_at >= self.end_at:
            needed = made.begins_at - first_at
            raise BadInput(
                f"Expected more than {needed / timedelta(days=1):g} days of readings before --to, "
                f"to learn from. Received: readings from {first_at:%Y-%m-%d %H:%M} to "
                f"{self.end_at:%Y-%m-%d %H:%M} UTC."
            )
        return made

    def run(self, faults: Sequence[Fault] = ()) -> Rehearsed:
        """Takes the place of the last rehearsal, and says what was found."""
        remove_rehearsal(self.store, self.config, self.artifacts)
        replay = self.replay()
        replay.run()
        start_at = max(hour_ceil(self.start_at), replay.begins_at)
        return self._found(replay, faults, start_at)

    def _found(self, replay: Replay, faults: Sequence[Fault], start_at: datetime) -> Rehearsed:
        span = Interval(start_at, self.end_at)
        with self.store.transaction():
            dataset_id = select_dataset(self.store, self.config.dataset).dataset_id
            entities = select_entities(self.store, dataset_id)
            windows = maintenance_of(self.store, dataset_id, *span)
            incidents = self.store.rows(
                queries.SELECT_REHEARSED_INCIDENTS, dataset_id=dataset_id, **span._asdict()
            )
        inside = [one for one in faults if one.start_at < self.end_at and one.end_at > start_at]
        maintained = [one for one in inside if is_maintained(one, entities[one.machine], windows)]
        chosen = sensitivities(self.config)
        alarms: list[list[Alarm]] = [[] for _ in chosen]
        n_hours = 0
        for name, key in sorted(entities.items()):
            with self.store.transaction():
                asked = {"entity_id": key} | span._asdict()
                hours = self.store.rows(queries.SELECT_REHEARSED_ERRORS, **asked)
            n_hours += sum(any(one is not None for one in hour.scores) for hour in hours)
            if not hours:
                continue
            series = _Series.of(hours, self.config.step_s)
            held = [one for one in windows if one.entity_id in (None, key)]
            for number, sensitivity in enumerate(chosen):
                scores = self._scores(series, name, number, is_set=sensitivity.is_set)
                alarms[number] += _alarms(name, series, scores, sensitivity.config, held)
        # What is told of incidents is of those that were made, sentence and all.
        as_made = [
            Alarm(one.entity, one.started_at, one.last_flag_at, one.severity) for one in incidents
        ]
        tried = []
        for sensitivity, raised in zip(chosen, alarms, strict=True):
            counted = as_made if sensitivity.is_set else raised
            n_other = sum(
                not any(is_of(one, it) or is_before(one, it, self.before) for it in inside)
                for one in counted
            )
            of_faults = found_faults(inside, counted, self.before, maintained)
            tried.append(Tried(sensitivity, counted, of_faults, n_other))
        return Rehearsed(
            start_at,
            self.end_at,
            len(entities),
            len(replay.registered),
            len(replay.promoted) + sum(one.promoted for one in replay.registered),
            n_hours / max(1, len(entities) * (span.end_at - span.start_at) // HOUR),
            tried,
            _alarming(as_made, (self.end_at - start_at) / WEEK),
            incidents[:N_WORST],
            [one for one in faults if one not in inside],
            self._notes(),
        )

    def _notes(self) -> list[str]:
        policy = self.config.alarm_policy
        if policy.direction == "both" and not any(policy.min_deviation.values()):
            return []
        what = "alarm_policy.direction and min_deviation"
        return [f"Alarms of the other sensitivities are counted without {what}: a few too many."]

    def _keep_limits(self, run: Retraining, summary: RegisterSummary) -> None:
        """Keeps the limits that a training would have set for each sensitivity."""
        self.trained()
        if self.config.threshold.kind != "evt":
            return
        with self.store.transaction():
            of = {"dataset_id": select_dataset(self.store, self.config.dataset).dataset_id}
            kinds = {one.model_id: one for one in self.store.rows(SELECT_MODEL_DETECTORS, **of)}
            key = {"dataset": self.config.dataset, "version": None, "model_id": summary.model_id}
            model = self.store.one(SELECT_MODEL_VERSION, **key)
        detector_name, made = kinds[summary.model_id].detector, with_chosen_window(run)
        n_entities = sum(len(one.entities) for one in training_scopes(self.store, self.config))
        for scope, _ in made.scopes():
            if scope.entity_id != model.scope_entity_id:
                continue
            part = made
            # What stands in for a refused one has files of its own.
            if made.of(scope).config.detector.name != detector_name:
                part = made.instead(scope, detector_name)
            folder, of_scope = part.folder_of(scope), part.of(scope)
            detector = load_detector(folder.path / "detector")
            scales = folder.read("scales", Scales)
            with folder.kept(of_scope.config) as (kept, read, _):
                reader = of_scope.reader(read, folder)
                held_out = calibrating_readings(reader, kept)
                errors = held_out_errors(reader.spec, scales.of, detector, held_out)
                found = [
                    calibrate_model(
                        of_scope.config.model_copy(
                            update={"alarm_policy": one.config.alarm_policy}
                        ),
                        scales,
                        detector,
                        held_out,
                        n_entities=n_entities,
                        known=errors,
                    )
                    for one in sensitivities(self.config)
                ]
            self.limits[summary.model_id] = found

    def _scores(self, series: _Series, name: str, number: int, *, is_set: bool) -> Floats32:
        """Scores of an entity under a sensitivity, (n_steps,)."""
        if is_set or self.config.threshold.kind != "evt":
            return series.scores
        scores, base = np.full(series.errors.shape, np.nan, np.float32), _set_at(self.config)
        for model_id in sorted(set(series.models.tolist()) - {0}):
            specs = self.limits[model_id]
            is_its = series.models == model_id
            made, usual = specs[number].calibration(name), specs[base].calibration(name)
            thresholds = series.thresholds * np.float32(made.limit / usual.limit)
            average = collective_series(series.errors, made, specs[number].threshold)
            found, _ = combined_scores(series.errors, thresholds, average, made.collective_limit)
            scores[is_its] = found[is_its]
        return scores


def _set_at(config: DatasetConfig) -> int:
    return [one.is_set for one in sensitivities(config)].index(True)


@dataclass(frozen=True)
class _Series:
    """An entity's scored steps from `start_s` on, (n_steps,); NaN: unknown, model 0: no model's."""

    start_s: int
    step_s: int
    errors: Floats32
    thresholds: Floats32
    scores: Floats32
    models: Any

    @classmethod
    def of(cls, hours: Sequence[queries.RehearsedHour], step_s: int) -> _Series:
        start_s, n_of_hour = unix_s(hours[0].hour_at), max(1, 3600 // step_s)
        n = (unix_s(hours[-1].hour_at) - start_s) // step_s + n_of_hour
        made = {name: np.full(n, np.nan, np.float32) for name in ("errors", "thresholds", "scores")}
        models = np.zeros(n, np.int64)
        for hour in hours:
            at = (unix_s(hour.hour_at) - start_s) // step_s
            models[at : at + n_of_hour] = hour.model_id
            for name, values in made.items():
                values[at : at + n_of_hour] = np.array(getattr(hour, name), np.float32)
        return cls(start_s, step_s, **made, models=models)


def _alarms(
    name: str,
    series: _Series,
    scores: Floats32,
    config: DatasetConfig,
    windows: Sequence[Maintenance],
) -> list[Alarm]:
    """Alarms of an entity's scores (n_steps,), but for those that maintenance holds."""
    at = np.flatnonzero(flag(scores))
    times_s, rule = series.start_s + at * series.step_s, incident_rule(config.alarm_policy)
    spans = incident_spans(times_s, scores[at], rule, series.step_s, series.errors[at])
    found = [
        Alarm(name, from_unix_s(int(times_s[one.first])), from_unix_s(int(times_s[one.last])))
        for one in spans
    ]
    return [
        one
        for one in found
        if not any(w.start_at <= one.started_at and one.last_flag_at <= w.end_at for w in windows)
    ]


def _alarming(alarms: Sequence[Alarm], weeks: float) -> list[AlarmingMachine]:
    """Machines with alarms, those with most first."""
    counts = Counter(one.entity for one in alarms)
    worst: Mapping[str, str] = {
        name: max((one.severity for one in alarms if one.entity == name), key=severity_rank)
        for name in counts
    }
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [AlarmingMachine(name, n, n / weeks, worst[name]) for name, n in ordered]
