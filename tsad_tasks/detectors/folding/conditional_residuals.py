"""What the calendar and the other channels do not explain, over several times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tsad_tasks.base.arrays import Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import LastingS, Readings
from tsad_tasks.detectors.base import Reconstruction
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series, State
from tsad_tasks.detectors.folding.series_fold import FoldDetector, FoldSettings, Found, Units
from tsad_tasks.detectors.registry import register

if TYPE_CHECKING:
    from tsad_tasks.model.conditional import Pace

_PARTS = ("model", "profile", "averages")
# Units learn together as far as they have so many readings, each of 240 bytes: half a GB.
VALUES_TOGETHER = 1 << 21
# Three weeks: of models from before it was learned how many times six hours they had seen.
USUAL_BLOCKS = 84.0


class ConditionalResidualsSettings(FoldSettings):
    """Settings of `conditional_residuals`."""

    n_commission: Readings = Field(
        2880, description="Readings that commission an entity that was not trained on."
    )
    memories: list[LastingS] = Field(
        [300, 900, 1800, 3600],
        description="Times over which the other channels are averaged, beside their reading of "
        "now. What is no longer than a step is left out.",
    )
    scales: list[LastingS] = Field(
        [900, 3600, 14400],
        description="Times over which what is left is averaged, beside that of now. What is no "
        "longer than a step is left out.",
    )
    level_memory: LastingS = Field(
        259200,
        description="Time over which the usual level of a channel follows its readings, while they "
        "are not strange.",
    )
    accept_after: LastingS = Field(
        86400,
        description="What is strange for so long is a new regime: the level then follows within "
        "a quarter of this time.",
    )


@register("conditional_residuals")
class ConditionalResiduals(FoldDetector):
    """What the calendar, and then the other channels, do not explain, at once and over hours.

    An error is how far the strangest of these is beyond the highest of usual six hours, in nats:
    channels, times and entities compare as they are.
    """

    settings_model = ConditionalResidualsSettings
    settings: ConditionalResidualsSettings
    per_channel: ClassVar[bool] = False
    learns_alone: ClassVar[bool] = True
    on_one_scale: ClassVar[bool] = True
    follows_noise: ClassVar[bool] = True
    folds_under: ClassVar[bool] = True
    reconstruction: ClassVar[type[Reconstruction]] = AssetReconstruction

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self.step_s, self.n_blocks, self.n_conditions = 60, USUAL_BLOCKS, 0
        self.knows_noise = self.knows_restless = self.forgets = True
        self.knows_cycles = self.knows_holidays = True

    @property
    def noise_power(self) -> int:
        return 0

    @property
    def clock_type(self) -> type[np.integer[Any]]:
        return np.int32 if self.knows_holidays else np.int16

    @property
    def pace(self) -> Pace:
        """How fast averages follow on the step of the readings."""
        from tsad_tasks.model.conditional import Pace

        mine = self.settings
        times = mine.memories, mine.scales, mine.level_memory, mine.accept_after
        return Pace.of(*times, self.step_s)

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        from tsad_tasks.model.blocks import block_steps

        self.step_s = series.step_s
        self.n_conditions = 0 if series.conditions is None else series.conditions.shape[2]
        n_known = np.isfinite(series.values).any(axis=2).sum(axis=1)
        n_blocks = [n / block_steps(n, series.step_s) for n in n_known[n_known > 0].tolist()]
        self.n_blocks = float(np.median(n_blocks)) if n_blocks else USUAL_BLOCKS
        super().fit_series(entities, series, seed=seed)

    def usual_error(self, per_day: float) -> float | None:
        """Of what six hours bring there are four a day, of each channel, kind and time; widths are
        as uncertain as so few times of six hours leave them.
        """
        from tsad_tasks.model.blocks import as_seldom

        n_statistics = 2 * (1 + len(self.pace.scales)) * self.n_channels
        return as_seldom(math.log(max(4 * n_statistics / per_day, math.e)), self.n_blocks)

    @property
    def notes(self) -> list[str]:
        """What is known of the calendar, where it is less than weekdays."""
        from tsad_tasks.model.calendar_profile import KNOWN_OF_DAYS

        if not self.trained:
            return []
        known = self.start(sorted(self.trained))["profile.known_of_days"]
        counts = zip(KNOWN_OF_DAYS, np.bincount(known.ravel(), minlength=4).tolist(), strict=True)
        said = ", ".join(f"{what}: {n}" for what, n in counts if n)
        return [f"What channels' usual values know of the calendar, by how many channels: {said}."]

    def empty(self, n_units: int) -> Units:
        from tsad_tasks.model.calendar_profile import RESTLESS_PARTS, no_profile
        from tsad_tasks.model.conditional import no_averages, no_model
        from tsad_tasks.model.cycles import no_cycles, no_phases
        from tsad_tasks.model.driven import no_driven_averages, no_driven_model

        model = no_model(n_units, self.n_channels, self.pace)
        averages = no_averages(n_units, self.n_channels, self.pace)
        if not self.knows_noise:
            for name, part in (("noise", model), ("sources", model), ("noise", averages)):
                part.pop(name)
        if not self.forgets:
            averages.pop("unseen")
        if not self.knows_cycles:
            for name in no_cycles(0, 1):
                model.pop(name)
            for name in no_phases(0, 1):
                averages.pop(name)
        if self.n_conditions:
            more = len(self.pace.driven)
            model |= no_driven_model(n_units, self.n_channels, self.n_conditions, more)
            averages |= no_driven_averages(n_units, self.n_conditions, more)
        profile = no_profile(n_units, self.n_channels)
        if not self.knows_restless:
            for name in RESTLESS_PARTS:
                profile.pop(name)
        if not self.knows_holidays:
            profile.pop("holidays")
        return {"model": model, "profile": profile, "averages": averages}

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        found = self._judged(units, rows, readings[:, None], half_hour[:, None])
        return tuple(part[:, 0] for part in found)

    def advance(self, state: State, series: Series) -> tuple[State, Reconstruction]:
        """As that of every fold, but for all steps at once."""
        units = self._units(state)
        values, minutes = self._by_unit(series)
        noise = None if series.noise is None else series.noise.astype(np.float64)
        found = [np.full(series.values.shape, np.nan, np.float32) for _ in range(3)]
        ready = units["fold"]["ready"].copy()
        for unit in np.flatnonzero(~ready).tolist():
            first = self._wait(units, unit, values[unit], minutes[unit])
            rows, rest = np.array([unit]), slice(first, None)
            if units["fold"]["ready"][unit]:
                its = None if noise is None else noise[rows, rest]
                made = self._judged(units, rows, values[rows, rest], minutes[rows, rest], its)
                for part, of_unit in zip(found, made, strict=True):
                    part[rows, rest] = of_unit
        rows = np.flatnonzero(ready)
        if rows.size:
            its = None if noise is None else noise[rows]
            made = self._judged(units, rows, values[rows], minutes[rows], its)
            for part, of_units in zip(found, made, strict=True):
                part[rows] = of_units
        return self._state(units, len(values)), AssetReconstruction(*found)

    def _wait(self, units: Units, unit: int, values: Floats64, minutes: Ints) -> int:
        """Collect readings (n_steps, n_columns) of a unit; from which step on it is judged."""
        fold = units["fold"]
        known = np.flatnonzero(np.isfinite(values[:, : self.n_channels]).any(axis=1))
        before, n = int(fold["n_waiting"][unit]), self.settings.n_commission
        taken = known[: n - before]
        after = before + len(taken)
        fold["waiting"][unit, before:after] = values[taken]
        fold["waiting_at"][unit, before:after] = minutes[taken]
        fold["n_waiting"][unit] = after
        if after < n:
            return len(values)
        collected = fold["waiting"][[unit]], fold["waiting_at"][[unit]].astype(np.int64)
        self._commission_all(units, np.array([unit]), *collected)
        for name in ("waiting", "waiting_at", "n_waiting"):
            fold[name][unit] = 0
        return int(taken[-1]) + 1

    def _judged(
        self,
        units: Units,
        rows: Ints,
        readings: Floats64,
        minutes: Ints,
        noise: Floats64 | None = None,
    ) -> tuple[Floats32, Floats32, Floats32]:
        """Errors, expected values and what explains errors, (n_rows, n_steps, n_channels)."""
        from tsad_tasks.model.conditional import judged

        model, profile, averages = (
            {name: array[rows] for name, array in units[part].items()} for part in _PARTS
        )
        of = model, profile, averages, self.pace
        readings, conditions = self._apart(readings)
        found = judged(*of, readings, minutes, noise, self.least_error, conditions)
        for name, array in averages.items():
            units["averages"][name][rows] = array
        live = np.isfinite(readings)
        errors = np.where(live, found.errors[..., None], np.nan).astype(np.float32)
        with np.errstate(over="ignore"):
            expected = np.where(live, found.expected, np.nan).astype(np.float32)
        return errors, expected, np.where(live, found.explained, 0.0).astype(np.float32)

    def _commission_all(
        self, units: Units, rows: Ints, values: Floats64, half_hours: Ints
    ) -> Floats32:
        """Each unit learns from what it has read; nothing of that is judged."""
        from tsad_tasks.model.conditional_fit import fit_units
        from tsad_tasks.model.windows import batches

        known = np.asarray(np.isfinite(values[..., : self.n_channels]).any(axis=2))
        read = np.flatnonzero(known.any(axis=1))
        for part in batches(len(read), max(1, VALUES_TOGETHER // max(1, values[0].size))):
            chosen = read[part]
            readings = [values[i, known[i]] for i in chosen.tolist()]
            at = [half_hours[i, known[i]] for i in chosen.tolist()]
            pairs = [self._apart(rows) for rows in readings]
            own, under = [rows for rows, _ in pairs], [one for _, one in pairs if one is not None]
            learned = fit_units(own, at, self.pace, self.step_s, under or None)
            for name, arrays in zip(_PARTS, learned, strict=True):
                for of_part, array in units[name].items():
                    array[rows[chosen]] = arrays[of_part]
            units["fold"]["ready"][rows[chosen]] = True
        return np.full((*values.shape[:2], self.n_channels), np.nan, np.float32)

    @property
    def _depth(self) -> int:
        return self.n_channels + self.n_conditions

    def _apart(self, values: Floats64) -> tuple[Floats64, Floats64 | None]:
        """Readings, and conditions (…, n_conditions), if there are any."""
        conditions = values[..., self.n_channels :] if self.n_conditions else None
        return values[..., : self.n_channels], conditions

    def _by_unit(self, series: Series) -> tuple[Floats64, Ints]:
        """Values, then conditions, and minutes of the week (n_units, n_steps).

        While a condition is unknown, so is what the channels should be: they count as not read.
        """
        from tsad_tasks.model.calendar_profile import WEEK_MINUTES, minutes_at

        minutes = minutes_at(series.local_s, series.weekdays_at)
        if not self.knows_holidays:
            minutes = minutes % WEEK_MINUTES
        at = np.broadcast_to(minutes, series.values.shape[:2])
        if not self.n_conditions:
            return series.values, at
        shape = (*series.values.shape[:2], self.n_conditions)
        conditions = np.full(shape, np.nan) if series.conditions is None else series.conditions
        is_told = np.isfinite(conditions).all(axis=2, keepdims=True)
        values = np.where(is_told, series.values, np.nan)
        return np.concatenate([values, conditions], axis=2), at

    def learned(self) -> dict[str, Any]:
        sizes = ("step_s", "n_blocks", "n_conditions")
        knows = ("knows_noise", "knows_restless", "knows_cycles", "knows_holidays", "forgets")
        return {name: getattr(self, name) for name in (*sizes, *knows)}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        self.step_s = details["step_s"]
        # Models from before that was learned keep their states as they are.
        self.knows_noise = details.get("knows_noise", False)
        self.knows_restless = details.get("knows_restless", False)
        self.knows_cycles = details.get("knows_cycles", False)
        self.forgets = details.get("forgets", False)
        self.knows_holidays = details.get("knows_holidays", False)
        self.n_blocks = details.get("n_blocks", USUAL_BLOCKS)
        self.n_conditions = details.get("n_conditions", 0)
