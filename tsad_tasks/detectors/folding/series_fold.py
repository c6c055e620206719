"""What detectors with a state share: commissioning, steps, states by entity, files.

A unit is what is judged alone: a channel of an entity, or an entity. It is commissioned on the
training range or, where it was not trained on, on its first `n_commission` readings: both come to
the same state to the bit, since what was collected is then folded as if it had been trained on.
"""

from __future__ import annotations

import base64
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import Field

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import Readings
from tsad_tasks.detectors.base import (
    Detector,
    DetectorSettings,
    Reconstruction,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
)
from tsad_tasks.detectors.folding.fold import (
    Series,
    State,
    at_ends,
    channel_weights,
)
from tsad_tasks.detectors.folding.stored_state import joined_state, states_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATES_FILE = "states.json"
_ALONE = ""
_STEP_S = 60

# Arrays by part and name, first axis the unit.
Units: TypeAlias = "dict[str, Arrays]"
# Errors, expected values, and what a detector adds, all (n_rows, n_columns).
Found: TypeAlias = "tuple[NDArray[np.floating[Any]], ...]"


class FoldSettings(DetectorSettings):
    """What all detectors with a state have in common."""

    n_commission: Readings = Field(
        750, description="Readings that commission an entity that was not trained on."
    )


class FoldDetector(Detector):
    """A detector that carries a state from reading to reading.

    A subclass says `per_channel`, `empty`, `step`, and `commission` or `commission_units`. The fold
    has no use for the width of a window; windows given to `reconstruct` and `explain` have it.

    Attributes
    ----------
    training_errors : float32 (n_entities, n_steps, n_channels), of the last `fit_series`, each
        judged by the readings before it alone: what a threshold's own fold begins with. Not saved.
    learns_alone : from all readings of an entity at once, without a fold and without other
        entities: a fleet of any size is learned part by part, over the whole range.
    least_error : of readings that people are told of, where only those are looked at: what is
        expected of others need not be what an error was about.
    """

    settings_model: ClassVar[type[DetectorSettings]] = FoldSettings
    settings: FoldSettings
    training_errors: Floats32
    least_error: float = 0.0
    least_width: ClassVar[int] = 1
    folds: ClassVar[bool] = True
    per_channel: ClassVar[bool] = True
    learns_alone: ClassVar[bool] = False
    files_needed: ClassVar[tuple[str, ...]] = (STATES_FILE,)
    # What `advance` makes of what `step` finds.
    reconstruction: ClassVar[type[Reconstruction]] = Reconstruction

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self.trained: dict[str, bytes] = {}

    @property
    def noise_power(self) -> int:
        return 1

    @property
    def clock_type(self) -> type[np.integer[Any]]:
        """Of what a reading's time is kept as while it waits for others."""
        return np.int16

    @abstractmethod
    def empty(self, n_units: int) -> Units:
        """State of units that are commissioned and have seen nothing."""

    def commission(self, units: Units, unit: int, readings: Floats64) -> None:
        """Set what a unit learns from its commissioning readings (n_readings, n_columns)."""
        raise NotImplementedError

    def commission_units(self, units: Units, rows: Ints, readings: Floats64) -> None:
        """Commission units, each on what it has read of (n_rows, n_steps, n_columns)."""
        for unit, of_unit in zip(rows.tolist(), readings, strict=True):
            self.commission(units, unit, of_unit[np.isfinite(of_unit).any(axis=1)])

    @abstractmethod
    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        """Errors and expected values (n_rows, n_columns) of readings, which then join the state.

        Readings are (n_rows, n_columns), at least one finite in each row; `half_hour` (n_rows,) is
        of the week.
        """

    @property
    def history(self) -> int:
        return 0

    @property
    def n_parameters(self) -> int:
        return 0

    @property
    def _columns(self) -> int:
        return 1 if self.per_channel else self.n_channels

    @property
    def _depth(self) -> int:
        """Columns of a unit's values: its channels, and what else a step needs."""
        return self._columns

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        """Commission every unit and fold its readings: `start` begins at the end of them."""
        self.trained = {}
        self.training_errors = self.join_series(entities, series)

    def join_series(self, entities: Sequence[str], series: Series) -> Floats32:
        """Commission further entities as `fit_series` did, and give their `training_errors`."""
        units = self._units(self._fresh(len(entities)))
        values, half_hours = self._by_unit(self.extended(units, series))
        errors = self._commission_all(units, np.arange(len(values)), values, half_hours)
        self._remember(entities, self._state(units, len(entities)))
        return self._by_entity(errors, len(entities))

    def extended(self, units: Units, series: Series) -> Series:
        """The series with what else a step needs, as further channels; by default as it is."""
        return series

    def restart(self, entities: Sequence[str], state: State) -> None:
        """Makes these the states that `start` gives: the anchor is where they end."""
        self._remember(entities, state)

    def _remember(self, entities: Sequence[str], state: State) -> None:
        self.trained |= zip(entities, states_bytes(state), strict=True)

    def start(self, entities: Sequence[str]) -> State:
        """States at the anchor; an entity that was not trained on begins with an empty one."""
        if not entities:
            return self._fresh(0)
        unknown = states_bytes(self._fresh(1))[0] if set(entities) - set(self.trained) else b""
        return joined_state([self.trained.get(entity, unknown) for entity in entities])

    def advance(self, state: State, series: Series) -> tuple[State, Reconstruction]:
        """States after a stretch of steps, and what was found, (n_entities, n_steps, n_channels).

        NaN where a value is unknown or the state has seen too little. `state` stays as it is.
        """
        units = self._units(state)
        values, half_hours = self._by_unit(series)
        found = [
            np.full((*values.shape[:2], self._columns), np.nan, np.float32)
            for _ in fields(self.reconstruction)
        ]
        for i in range(values.shape[1]):
            self._take(units, values[:, i], half_hours[:, i], [part[:, i] for part in found])
        n_entities = series.values.shape[0]
        made = (self._by_entity(part, n_entities) for part in found)
        return self._state(units, n_entities), self.reconstruction(*made)

    def _take(
        self, units: Units, readings: Floats64, half_hour: Ints, found: Sequence[Floats32]
    ) -> None:
        fold, known = units["fold"], np.isfinite(readings).any(axis=1)
        rows = np.flatnonzero(known & fold["ready"])
        if rows.size:
            # Unknown where the reading is, whatever the others of the entity say.
            live = np.isfinite(readings[rows, : self._columns])
            judged = self.step(units, rows, readings[rows], half_hour[rows])
            for part, of_step in zip(found, judged, strict=True):
                with np.errstate(over="ignore"):
                    part[rows] = np.where(live, of_step, np.nan)
        rows = np.flatnonzero(known & ~fold["ready"])
        if rows.size:
            n = fold["n_waiting"][rows]
            fold["waiting"][rows, n] = readings[rows]
            fold["waiting_at"][rows, n] = half_hour[rows]
            fold["n_waiting"][rows] = n + 1
            full = rows[n + 1 == self.settings.n_commission]
            if full.size:
                collected = fold["waiting"][full], fold["waiting_at"][full].astype(np.int64)
                self._commission_all(units, full, *collected)
                for name in ("waiting", "waiting_at", "n_waiting"):
                    fold[name][full] = 0

    def _commission_all(
        self, units: Units, rows: Ints, values: Floats64, half_hours: Ints
    ) -> Floats32:
        """Commission units on what is known of (n_units, n_steps, n_columns); errors of a fold."""
        known = np.isfinite(values).any(axis=(1, 2))
        self.commission_units(units, rows[known], values[known])
        units["fold"]["ready"][rows[known]] = True
        return self.replay(units, rows, values, half_hours)

    def replay(self, units: Units, rows: Ints, values: Floats64, half_hours: Ints) -> Floats32:
        """Errors (n_units, n_steps, n_columns) of commissioning, whose readings join the state."""
        errors = np.full((*values.shape[:2], self._columns), np.nan, np.float32)
        for i in range(values.shape[1]):
            now = np.flatnonzero(np.isfinite(values[:, i]).any(axis=1))
            if now.size:
                errors[now, i] = self.step(units, rows[now], values[now, i], half_hours[now, i])[0]
        return errors

    def _fresh(self, n_entities: int) -> State:
        n_units = n_entities * (self.n_channels // self._columns)
        fold = {
            "ready": np.zeros(n_units, np.bool_),
            "n_waiting": np.zeros(n_units, np.int32),
            "waiting": np.zeros((n_units, self.settings.n_commission, self._depth)),
            "waiting_at": np.zeros((n_units, self.settings.n_commission), self.clock_type),
        }
        return self._state(self.empty(n_units) | {"fold": fold}, n_entities)

    def _units(self, state: State) -> Units:
        """A copy to be changed, first axis the unit, by part and name."""
        units: Units = {}
        for path, array in state.items():
            part, _, name = path.partition(".")
            copy = np.array(array, order="C")
            units.setdefault(part, {})[name] = (
                copy.reshape(-1, *copy.shape[2:]) if self.per_channel else copy
            )
        return units

    def _state(self, units: Units, n_entities: int) -> State:
        shape = (n_entities, self.n_channels) if self.per_channel else (n_entities,)
        return {
            f"{part}.{name}": array.reshape(*shape, *array.shape[1:])
            for part, named in units.items()
            for name, array in named.items()
        }

    def _by_unit(self, series: Series) -> tuple[Floats64, Ints]:
        """Values (n_units, n_steps, n_columns) and half hours of the week (n_units, n_steps)."""
        from tsad_tasks.model.surprise_families import half_hour_of_week

        n_entities, n_steps, _ = series.values.shape
        half_hours = np.broadcast_to(half_hour_of_week(series.local_s), (n_entities, n_steps))
        if not self.per_channel:
            return series.values, half_hours
        values = series.values.transpose(0, 2, 1).reshape(-1, n_steps, 1)
        return np.ascontiguousarray(values), np.repeat(half_hours, self.n_channels, axis=0)

    def _by_entity(self, part: Floats32, n_entities: int) -> Floats32:
        if not self.per_channel:
            return part
        by_channel = part.reshape(n_entities, self.n_channels, -1)
        return np.ascontiguousarray(by_channel.transpose(0, 2, 1))

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        """Fold the inputs as one series; `fit_series` is what knows entities and local time."""
        self.fit_series([_ALONE], self._alone(training.inputs), seed=plan.seed)
        return TrainingHistory((), (), len(training.inputs), 0.0, "epochs")

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        """Errors and expected values at `ends`, when `inputs` follow the training."""
        return at_ends(self.advance(self.start([_ALONE]), self._alone(inputs))[1], ends)

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        """A fold judges the last step of a window: all of its error is there."""
        shares = np.zeros((len(ends), self.width, self.n_channels), np.float32)
        found = self.reconstruct(inputs, ends)
        shares[:, -1] = np.nan_to_num(found.channel_errors * channel_weights(found), nan=0.0)
        return shares

    def _alone(self, inputs: Floats32) -> Series:
        values = inputs[None, :, : self.n_channels].astype(np.float64)
        return Series(values, np.arange(len(inputs), dtype=np.int64) * _STEP_S, _STEP_S)

    def to_files(self) -> dict[str, bytes]:
        coded = {
            entity: base64.b64encode(content).decode() for entity, content in self.trained.items()
        }
        states = json.dumps(coded, sort_keys=True, indent=2).encode()
        return super().to_files() | {STATES_FILE: states}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        states = json.loads(files[STATES_FILE])
        self.trained = {entity: base64.b64decode(content) for entity, content in states.items()}
