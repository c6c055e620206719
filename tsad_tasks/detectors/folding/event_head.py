"""The event head: all families of surprise fused per channel, and, on request, another detector as
one more member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.detectors.base import Budget, Detector, Floats, Reconstruction, TrainingSet
from tsad_tasks.detectors.folding.fold import Series, State
from tsad_tasks.detectors.folding.series_fold import Arrays, Rows, Units
from tsad_tasks.detectors.folding.surprise_detectors import SurpriseDetector, robust_scale
from tsad_tasks.detectors.registry import build_detector, detector_from_files
from tsad_tasks.model.surprise_families import units_of
from tsad_tasks.model.surprise_fusion import MEMBER, WEIGHTS, Fusion

_MEMBER_FILE = "member_"
_MEMBER_KEYS = {"name", "params", "weight", "width", "epochs"}
_CLIP = 10.0
_UNIT = 2.0**-20
_VALIDATION_SHARE = 0.15


class EventHead(SurpriseDetector):
    """Errors in nats per channel: how surprising a reading is to level, season, change, shape and
    range together.

    Parameters
    ----------
    n_commission : int
        Readings that commission an entity that was not trained on.
    weights : mapping
        Other weights of families than the default; 0 leaves one out.
    range_bonus : float
        Nats for a reading that leaves the past range by more than 5 % of it.
    second_level : bool
        Whether a tenth of the error is how surprising the error itself is.
    member : mapping, optional
        A registered detector of windows as one more family: `name`, `params`, `weight` (0.25),
        `width` (10), `epochs` (10). It learns all training series together; entities that were not
        trained on go without it.
    """

    name = "event_head"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        n_commission: int = 750,
        weights: Mapping[str, float] | None = None,
        range_bonus: float = 6.0,
        second_level: bool = True,
        member: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, n_commission)
        self.chosen, self.member = _checked_weights(weights), _checked_member(member)
        all_weights = (
            WEIGHTS | self.chosen | ({MEMBER: self.member["weight"]} if self.member else {})
        )
        self.fusion = Fusion(all_weights, range_bonus, second_level)
        self._network: Detector | None = None

    @property
    def params(self) -> dict[str, Any]:
        own = {
            "weights": self.chosen,
            "range_bonus": self.fusion.range_bonus,
            "second_level": self.fusion.second_level,
        }
        return own | {"member": self.member}

    @property
    def n_parameters(self) -> int:
        return self._network.n_parameters if self._network else 0

    @property
    def _depth(self) -> int:
        return 2 if self.member else 1

    def empty(self, n_units: int) -> Units:
        units = super().empty(n_units)
        if self.member:
            units["windows"] = {
                "last": np.full((n_units, self.member["width"] - 1), np.nan),
                "center": np.zeros(n_units),
                "scale": np.zeros(n_units),
            }
        return units

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        if self.member:
            self._network = self._trained(_scaled(self._fitted_scales(series), series.values), seed)
        super().fit_series(entities, series, seed=seed)

    def join_series(self, entities: Sequence[str], series: Series) -> Floats:
        if not self.member:
            return super().join_series(entities, series)
        units, windows = self._units(self._fresh(len(entities))), self._fitted_scales(series)
        units["windows"] |= {
            name: array.reshape(-1, *array.shape[2:]) for name, array in windows.items()
        }
        values, half_hours = self._by_unit(self._with_member(units["windows"], series))
        errors = self._commission_all(units, np.arange(len(values)), values, half_hours)
        self._remember(entities, self._state(units, len(entities)))
        return self._by_entity(errors, len(entities))

    def advance(self, state: State, series: Series) -> tuple[State, Reconstruction]:
        return (
            self.fold(*self.with_member_errors(state, series))
            if self.member
            else super().advance(state, series)
        )

    def with_member_errors(self, state: State, series: Series) -> tuple[State, Series]:
        """State and series with the member's errors as further channels, to be folded."""
        windows = {name: np.array(state[f"windows.{name}"]) for name in ("last", "center", "scale")}
        extended = self._with_member(windows, series)
        kept = {
            f"windows.{name}": array.reshape(state[f"windows.{name}"].shape)
            for name, array in windows.items()
        }
        return state | kept, extended

    def fold(self, state: State, extended: Series) -> tuple[State, Reconstruction]:
        """What `advance` gives, of a series that has the member's errors."""
        return super().advance(state, extended)

    def _by_unit(self, series: Series) -> tuple[NDArray[np.float64], Rows]:
        if not self.member:
            return super()._by_unit(series)
        parts = (series.values[:, :, : self.n_channels], series.values[:, :, self.n_channels :])
        pairs = [
            super(EventHead, self)._by_unit(Series(part, series.local_s, series.step_s))
            for part in parts
        ]
        return np.concatenate([pairs[0][0], pairs[1][0]], axis=2), pairs[0][1]

    def _with_member(self, windows: Arrays, series: Series) -> Series:
        """The series with the network's errors as further channels; the last readings go into the
        windows' state.
        """
        n_entities, n_steps, n_channels = series.values.shape
        last = windows["last"].reshape(n_entities, n_channels, -1)
        readings = np.concatenate([last.transpose(0, 2, 1), series.values], axis=1)
        shape = (n_entities, n_channels)
        scaled = _scaled(
            {name: windows[name].reshape(shape) for name in ("center", "scale")}, readings
        )
        errors = np.stack([self._network_errors(part, n_steps) for part in scaled])
        windows["last"][...] = (
            readings[:, n_steps:].transpose(0, 2, 1).reshape(windows["last"].shape)
        )
        return Series(
            np.concatenate([series.values, errors], axis=2), series.local_s, series.step_s
        )

    def _network_errors(self, inputs: Floats, n_steps: int) -> Floats:
        if self._network is None:
            return np.full((n_steps, self.n_channels), np.nan, np.float32)
        ends = np.arange(len(inputs) - n_steps, len(inputs))
        return self._network.reconstruct(inputs, ends).channel_errors

    def _fitted_scales(self, series: Series) -> Arrays:
        n_entities, _, n_channels = series.values.shape
        center, scale = np.zeros((n_entities, n_channels)), np.zeros((n_entities, n_channels))
        for place in np.ndindex(n_entities, n_channels):
            readings = series.values[place[0], :, place[1]]
            known = readings[np.isfinite(readings)]
            if known.size:
                center[place], scale[place] = robust_scale(known)
        return {"center": center, "scale": scale}

    def _trained(self, scaled: Floats, seed: int) -> Detector | None:
        """The member, trained on the windows without a gap; none where there are too few."""
        member, width = self.member, int(self.member["width"])
        training = _training_set(scaled, width)
        if len(training.ends) < width or not len(training.validation_ends):
            return None
        sizes = {"width": width, "n_channels": self.n_channels, "n_inputs": self.n_channels}
        network = build_detector(member["name"], **sizes, params=member["params"])
        network.fit(training, budget=Budget(epochs=member["epochs"], batch_size=64), seed=seed)
        return network

    def to_files(self) -> dict[str, bytes]:
        files = super().to_files()
        of_member = self._network.to_files() if self._network else {}
        return files | {f"{_MEMBER_FILE}{name}": content for name, content in of_member.items()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        detector = super().from_files(files)
        of_member = {
            name[len(_MEMBER_FILE) :]: files[name]
            for name in files
            if name.startswith(_MEMBER_FILE)
        }
        detector._network = detector_from_files(of_member) if of_member else None
        return detector


def _scaled(windows: Arrays, values: NDArray[np.float64]) -> Floats:
    """Values (n_entities, n_steps, n_channels) in scales, within ten; NaN where unknown, or the
    entity has no scale.
    """
    center, scale = windows["center"][:, None, :], windows["scale"][:, None, :]
    with np.errstate(invalid="ignore"):
        units = (
            units_of(np.nan_to_num(values, nan=0.0), center, np.where(scale > 0, scale, 1.0))
            * _UNIT
        )
    known = np.isfinite(values) & (scale > 0)
    return np.where(known, np.clip(units, -_CLIP, _CLIP), np.nan).astype(np.float32)


def _training_set(scaled: Floats, width: int) -> TrainingSet:
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


def _checked_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    chosen = dict(weights or {})
    if set(chosen) - set(WEIGHTS) or any(weight < 0 for weight in chosen.values()):
        raise ConfigError(
            f"detector.params.weights: Expected weights >= 0 of {', '.join(WEIGHTS)}. Received: "
            f"{chosen}."
        )
    return chosen


def _checked_member(member: Mapping[str, Any] | None) -> dict[str, Any]:
    if not member:
        return {}
    chosen: dict[str, Any] = {"params": {}, "weight": 0.25, "width": 10, "epochs": 10} | dict(
        member
    )
    if (
        "name" not in chosen
        or set(chosen) - _MEMBER_KEYS
        or chosen["weight"] <= 0
        or chosen["width"] < 2
    ):
        raise ConfigError(
            "detector.params.member: Expected name, and optionally params, weight above 0, width "
            "from 2, epochs. "
            f"Received: {dict(member)}."
        )
    return chosen
