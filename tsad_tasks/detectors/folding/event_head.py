"""The event head: all families of surprise fused per channel, with or without a further member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import wrong
from tsad_tasks.detectors.base import Budget, Detector, Reconstruction, TrainingSet
from tsad_tasks.detectors.folding.fold import Series, State
from tsad_tasks.detectors.folding.series_fold import FoldSettings, Units
from tsad_tasks.detectors.folding.surprise import SurpriseDetector
from tsad_tasks.detectors.registry import (
    MemberSettings,
    build_detector,
    detector_from_files,
    files_after,
    register,
)

_MEMBER_FILE = "member_"
_CLIP = 10.0
_VALIDATION_SHARE = 0.15


class FamilySettings(MemberSettings):
    """A detector of windows as one more family, for entities that were trained on."""

    weight: float = Field(0.25, gt=0, description="Weight of the member among the families.")
    width: int = Field(10, ge=2, description="Steps in a window of the member.")
    epochs: int = Field(10, ge=1, description="Epochs that the member is trained for.")


class EventHeadSettings(FoldSettings):
    """Settings of `event_head`."""

    weights: Annotated[
        dict[str, Annotated[float, Field(ge=0)]], BeforeValidator(lambda given: given or {})
    ] = Field(
        default_factory=dict,
        examples=[{"change": 0.5, "novelty": 0}],
        description="Other weights of families than the default; 0 leaves one out.",
    )
    range_bonus: float = Field(
        6.0, description="Nats for a reading that leaves the past range by more than 5 % of it."
    )
    second_level: bool = Field(
        True, description="Whether a tenth of the error is how surprising the error itself is."
    )
    member: Annotated[FamilySettings | None, BeforeValidator(lambda given: given or None)] = Field(
        None,
        examples=[
            {"name": "dense_autoencoder", "params": {}, "weight": 0.25, "width": 10, "epochs": 10}
        ],
        description="A registered detector of windows as one more family, with name, params, "
        "weight, width (its steps) and epochs. By default there is none.",
    )

    @field_validator("weights")
    @classmethod
    def _of_families(cls, weights: dict[str, float]) -> dict[str, float]:
        from tsad_tasks.model.surprise_fusion import WEIGHTS

        if unknown := sorted(set(weights) - set(WEIGHTS)):
            raise wrong(f"one of the families {', '.join(WEIGHTS)}", unknown[0], unknown[0])
        return weights


@register("event_head")
class EventHead(SurpriseDetector):
    """Errors in nats per channel: surprise of level, season, change, shape and range together."""

    settings_model = EventHeadSettings
    settings: EventHeadSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        from tsad_tasks.model.surprise_fusion import MEMBER, WEIGHTS, Fusion

        super().__init__(width, n_channels, n_inputs, **params)
        self.member, chosen = self.settings.member, self.settings.weights
        weights = WEIGHTS | chosen | ({MEMBER: self.member.weight} if self.member else {})
        self.fusion = Fusion(weights, self.settings.range_bonus, self.settings.second_level)
        self._network: Detector | None = None

    @property
    def params(self) -> dict[str, Any]:
        params = super().params
        return params | {"member": params["member"] or {}}

    @property
    def n_parameters(self) -> int:
        return self._network.n_parameters if self._network else 0

    @property
    def _depth(self) -> int:
        return 2 if self.member else 1

    def empty(self, n_units: int) -> Units:
        units = super().empty(n_units)
        if self.member:
            last = np.full((n_units, self.member.width - 1), np.nan)
            scales = {"center": np.zeros(n_units), "scale": np.zeros(n_units)}
            units["windows"] = {"last": last, **scales}
        return units

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        if self.member:
            # Trained on the windows without a gap; there is none where there are too few.
            self._network, width = None, self.member.width
            training = _training_set(_scaled(_fitted_scales(series), series.values), width)
            if len(training.ends) >= width and len(training.validation_ends):
                sizes = {"width": width, "n_channels": self.n_channels, "n_inputs": self.n_channels}
                network = build_detector(self.member.name, **sizes, params=self.member.params)
                budget = Budget(epochs=self.member.epochs, batch_size=64)
                network.fit(training, budget=budget, seed=seed)
                self._network = network
        super().fit_series(entities, series, seed=seed)

    def extended(self, units: Units, series: Series) -> Series:
        if not self.member:
            return series
        units["windows"] |= {name: part.ravel() for name, part in _fitted_scales(series).items()}
        return self._with_member(units["windows"], series)

    def advance(self, state: State, series: Series) -> tuple[State, Reconstruction]:
        if self.member:
            return self.fold(*self.with_member_errors(state, series))
        return super().advance(state, series)

    def with_member_errors(self, state: State, series: Series) -> tuple[State, Series]:
        """State and series with the member's errors as further channels, to be folded."""
        windows = {name: np.array(state[f"windows.{name}"]) for name in ("last", "center", "scale")}
        extended = self._with_member(windows, series)
        return state | {f"windows.{name}": part for name, part in windows.items()}, extended

    def fold(self, state: State, extended: Series) -> tuple[State, Reconstruction]:
        """What `advance` gives, of a series that has the member's errors."""
        return super().advance(state, extended)

    def _by_unit(self, series: Series) -> tuple[Floats64, Ints]:
        if not self.member:
            return super()._by_unit(series)
        both = np.split(series.values, [self.n_channels], axis=2)
        own, errors = (replace(series, values=part) for part in both)
        values, half_hours = super()._by_unit(own)
        return np.concatenate([values, super()._by_unit(errors)[0]], axis=2), half_hours

    def _with_member(self, windows: Arrays, series: Series) -> Series:
        """The series with the network's errors as channels; `windows` keeps the last readings."""
        n_entities, n_steps, n_channels = series.values.shape
        last = windows["last"].reshape(n_entities, n_channels, -1)
        readings = np.concatenate([last.transpose(0, 2, 1), series.values], axis=1)
        scales = {
            name: windows[name].reshape(n_entities, n_channels) for name in ("center", "scale")
        }
        errors = np.full(series.values.shape, np.nan, np.float32)
        if self._network is not None:
            ends = np.arange(readings.shape[1] - n_steps, readings.shape[1])
            for entity, inputs in enumerate(_scaled(scales, readings)):
                errors[entity] = self._network.reconstruct(inputs, ends).channel_errors
        kept = readings[:, n_steps:].transpose(0, 2, 1)
        windows["last"][...] = kept.reshape(windows["last"].shape)
        extended = np.concatenate([series.values, errors], axis=2)
        return replace(series, values=extended)

    def to_files(self) -> dict[str, bytes]:
        files = super().to_files()
        of_member = self._network.to_files() if self._network else {}
        return files | {f"{_MEMBER_FILE}{name}": content for name, content in of_member.items()}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        of_member = files_after(_MEMBER_FILE, files)
        self._network = detector_from_files(of_member) if of_member else None


def _fitted_scales(series: Series) -> Arrays:
    """Centre and scale of channels, (n_entities, n_channels); scale 0 where nothing is known."""
    from tsad_tasks.model.drift import scale_of

    n_entities, _, n_channels = series.values.shape
    center, scale = np.zeros((2, n_entities, n_channels))
    for place in np.ndindex(n_entities, n_channels):
        readings = series.values[place[0], :, place[1]]
        known = readings[np.isfinite(readings)]
        if known.size:
            center[place], scale[place] = scale_of(known, 25)
    return {"center": center, "scale": scale}


def _scaled(windows: Arrays, values: Floats64) -> Floats32:
    """Values (n_entities, n_steps, n_channels) in scales, within ten; NaN where one is unknown."""
    from tsad_tasks.model.surprise_families import UNIT, units_of

    center, scale = windows["center"][:, None, :], windows["scale"][:, None, :]
    known_scale = np.where(scale > 0, scale, 1.0)
    with np.errstate(invalid="ignore"):
        units = units_of(np.nan_to_num(values, nan=0.0), center, known_scale) * UNIT
    known = np.isfinite(values) & (scale > 0)
    return np.where(known, np.clip(units, -_CLIP, _CLIP), np.nan).astype(np.float32)


def _training_set(scaled: Floats32, width: int) -> TrainingSet:
    """Windows of all entities laid end to end; the last ones of each validate."""
    n_channels = scaled.shape[2]
    known = np.isfinite(scaled).all(axis=2)
    runs = np.lib.stride_tricks.sliding_window_view(
        np.pad(known, ((0, 0), (width - 1, 0))), width, axis=1
    ).all(axis=2)
    n_known = runs.cumsum(axis=1)
    is_last = n_known > np.floor(n_known[:, -1:] * (1 - _VALIDATION_SHARE))
    ends, validation_ends = (
        np.flatnonzero(runs & chosen).astype(np.int64) for chosen in (~is_last, is_last)
    )
    inputs = np.nan_to_num(scaled, nan=0.0).reshape(-1, n_channels)
    return TrainingSet(inputs, ends, validation_ends, n_channels, width)
