"""What a detector makes of columns, as what it makes of channels: an angle is two columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats32, Floats64, Ints
from tsad_tasks.config.dataset import OTHER, StateColumn
from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.model.features import circle_values
from tsad_tasks.model.scoring import InputSet, of_channels
from tsad_tasks.model.spec import FeatureSpec

Made = TypeVar("Made", bound=Reconstruction)


def channel_errors(spec: FeatureSpec, detector: Detector, errors: NDArray[Any]) -> NDArray[Any]:
    """Errors (..., n_channels) from those of columns (..., n_columns); NaN in unseen channels.

    What a network leaves of sine and cosine adds up to the squared distance of two points on the
    circle; of what is judged column by column, or of windows as a whole, the larger one counts.
    """
    if spec.is_plain:
        return errors
    alone = detector.folds or detector.judges_windows or detector.on_one_scale
    return _joined(spec, errors, np.maximum if alone else np.add)


def _joined(
    spec: FeatureSpec, columns: NDArray[Any], join: Callable[..., NDArray[Any]]
) -> NDArray[Any]:
    """One number of each channel, (..., n_channels), from those of its columns."""
    found = of_channels(spec, columns, np.float32(np.nan))
    if len(spec.angles):
        with np.errstate(over="ignore"):
            found[..., spec.angles] = join(found[..., spec.angles], columns[..., len(spec.seen) :])
    return found


def scaled_values(spec: FeatureSpec, columns: NDArray[Any], radians: Floats64) -> NDArray[Any]:
    """Scaled values (..., n_channels) that columns (..., n_columns) stand for.

    Parameters
    ----------
    radians : (..., n_angles) or broadcast to it, as `radians_of` gives them.
    """
    if spec.is_plain:
        return columns
    found = of_channels(spec, columns, np.float32(np.nan))
    if len(spec.angles):
        pair = found[..., spec.angles], columns[..., len(spec.seen) :]
        first, second = (part.astype(np.float64) for part in pair)
        found[..., spec.angles] = circle_values(first, second, radians)
    return found


def in_channels(spec: FeatureSpec, detector: Detector, found: Made, radians: Floats64) -> Made:
    """What was found of columns, of channels; errors and expected values alike.

    Parameters
    ----------
    radians : as of `scaled_values`.
    """
    if spec.is_plain:
        return found
    parts = vars(found) | {
        "channel_errors": channel_errors(spec, detector, found.channel_errors),
        "expected": scaled_values(spec, found.expected, radians),
    }
    if "deviations" in parts:
        parts["deviations"] = _joined(spec, parts["deviations"], np.maximum)
    return type(found)(**parts)


def of_windows(
    spec: FeatureSpec, detector: Detector, found: Made, features: InputSet, ends: Ints
) -> Made:
    """The same of windows (n_windows, n_columns) that end at positions in all entities' steps laid
    end to end.
    """
    if spec.is_plain:
        return found
    radians = features.radians[ends // features.inputs.shape[1]]
    return in_channels(spec, detector, found, radians)


def channel_values(spec: FeatureSpec, features: InputSet) -> Floats32:
    """Scaled values (n_entities, n_steps, n_channels) that inputs stand for, 0 where unknown."""
    sensed = features.inputs[..., : spec.n_columns]
    if spec.is_plain:
        return sensed
    found = scaled_values(spec, sensed, features.radians[:, None])
    return np.asarray(np.nan_to_num(found, nan=0.0), np.float32)


def channel_shares(spec: FeatureSpec, detector: Detector, inputs: Floats32, ends: Ints) -> Floats32:
    """Channels' shares in errors of windows, (n_windows, n_channels): `Detector.channel_shares`."""
    if spec.is_plain:
        return detector.channel_shares(inputs, ends, spec.channel_inputs)
    return _added(spec, detector.channel_shares(inputs, ends, spec.column_inputs))


def explained(spec: FeatureSpec, detector: Detector, inputs: Floats32, ends: Ints) -> Floats32:
    """What steps and channels added, (n_windows, width, n_channels), as `Detector.explain`."""
    found = detector.explain(inputs, ends)
    return found if spec.is_plain else _added(spec, found)


def _added(spec: FeatureSpec, columns: Floats32) -> Floats32:
    """What columns (..., n_columns) add up to of channels, 0 of those that are unseen."""
    return np.asarray(np.nan_to_num(_joined(spec, columns, np.add), nan=0.0), np.float32)


def is_share(names: Sequence[str]) -> NDArray[np.bool_]:
    """Which channels (n_channels,) of a model are shares of states.

    >>> is_share(["x=1", "valve=open", "valve=other", "valve changes"]).tolist()
    [False, True, True, False]
    """
    known, bases = {*names}, [name.rpartition("=")[0] for name in names]
    beside = [{StateColumn(one, OTHER).name, StateColumn(one, None).name} for one in bases]
    return np.array([bool(one) and of <= known for one, of in zip(bases, beside, strict=True)])


def state_columns(names: Sequence[str]) -> list[tuple[int, ...]]:
    """Positions of the channels that tell the states of one, by what they are of.

    >>> state_columns(["x=1", "valve=open", "valve=other", "valve changes"])
    [(1, 2)]
    """
    found: dict[str, list[int]] = {}
    for position in np.flatnonzero(is_share(names)).tolist():
        found.setdefault(names[position].rpartition("=")[0], []).append(position)
    return [tuple(positions) for positions in found.values()]


def within_shares(expected: Floats64, shares: NDArray[np.bool_]) -> Floats64:
    """What is expected (..., n), where `shares` are from 0 to 1, whatever was computed.

    >>> within_shares(np.array([1.046, 1.046, -0.2]), np.array([False, True, True])).tolist()
    [1.046, 1.0, 0.0]
    """
    return np.where(shares, np.clip(expected, 0.0, 1.0), expected) if shares.any() else expected
