"""Principal components: what sensors do together, and what they do apart from it."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tsad_tasks.base.arrays import Arrays, Flags, Floats32, Floats64, Ints
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.extras import require
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import (
    LARGEST,
    WEIGHTS_FILE,
    Detector,
    DetectorSettings,
    Reconstruction,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_fits, check_time, fitted
from tsad_tasks.detectors.registry import register

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH_SIZE = 256
# Limits are those of blocks of the training windows that a model without them judges.
_N_BLOCKS = 5
# A column that moves less than this has no part in what is learned.
_LEAST_SPREAD, _RIDGE = 1e-3, 1e-6


class PcaSettings(DetectorSettings):
    """Settings of `pca`."""

    variance: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Share of the variance that the kept components explain.",
    )
    quantile: float = Field(
        0.99,
        gt=0.5,
        lt=1,
        description="An error of 1 is where this share of training windows, judged by a model of "
        "the others, had less of both statistics.",
    )


@register("pca")
class Pca(Detector):
    """T² of the components that sensors share, and the squared error of what these leave (SPE).

    A window of one step is static PCA, a longer one dynamic PCA. The error of a window is the
    higher of both as a share of its own limit, square root taken, in every live channel. What hour,
    weekday and conditions say of a sensor is taken away first, by least squares.

    Source: Ku, Storer and Georgakis, Disturbance detection and isolation by dynamic principal
    component analysis, 1995; shares by Alcala and Qin, Reconstruction-based contribution, 2009,
    equation 9, of both statistics together.
    """

    settings_model = PcaSettings
    settings: PcaSettings
    least_width: ClassVar[int] = 1
    tells_load: ClassVar[bool] = True
    files_needed: ClassVar[tuple[str, ...]] = (WEIGHTS_FILE,)

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self._weights: Arrays | None = None

    @property
    def judges_windows(self) -> bool:
        return True

    @property
    def noise_power(self) -> int:
        return 1

    @property
    def n_parameters(self) -> int:
        return int(self._weights["loadings"].size) if self._weights else 0

    @property
    def notes(self) -> list[str]:
        """How many components are kept."""
        if not self._weights:
            return []
        n_own, n_kept = self._weights["loadings"].shape
        share = f"{self.settings.variance:.0%} of the variance"
        return [f"{n_kept} components of {n_own} values are kept: {share}."]

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        require("train")
        if plan.warm_start is not None:
            received = f"Received: a {plan.warm_start.name}."
            raise ConfigError(f"warm_start: Expected none, since nothing is iterated. {received}")
        check_fits(training, self)
        started = time.monotonic()
        usual = np.median(training.inputs[training.ends, : self.n_channels], axis=0)
        self._weights = {"usual": usual.astype(np.float32)}
        values = np.concatenate(
            [part for _, part, _ in self._batches(training.inputs, training.ends)]
        )
        blocks = [block for block in np.array_split(values, _N_BLOCKS) if len(block)]
        moments = [_moments(block) for block in blocks]
        n_own, share = self.width * self.n_channels, self.settings.variance
        total = np.asarray(sum(moments), np.float64)
        judged = [
            _components(total - own, n_own, share).statistics(block)
            for own, block in zip(moments, blocks, strict=True)
        ]
        limits = np.quantile(np.concatenate(judged), self.settings.quantile, axis=0)
        learned = _components(total, n_own, share)
        limits = np.maximum(limits, 1e-12)
        kept = vars(learned) | {"limits": limits, "index": _index(learned, limits)}
        # As they are stored, so that a model scores the same after it was.
        self._weights |= {name: array.astype(np.float32) for name, array in kept.items()}
        check_time(started, replace(plan.budget, epochs=1), len(training.ends))
        loss, held_out = (
            float(np.mean(self.reconstruct(training.inputs, ends).channel_errors))
            for ends in (training.ends, training.validation_ends)
        )
        if plan.progress is not None:
            plan.progress(1, loss, held_out)
        seconds = time.monotonic() - started
        return TrainingHistory((loss,), (held_out,), len(training.ends), seconds, "epochs")

    def _batches(self, inputs: Floats32, ends: Ints) -> Iterator[tuple[slice, Floats64, Flags]]:
        """Sensors of all steps, newest last, then the inputs beside them of the last step.

        A dead sensor stands at its usual value; which are live is (n, n_channels).
        """
        from tsad_tasks.model.windows import batches, gather

        usual = fitted(self._weights)["usual"]
        for part in batches(len(ends), _BATCH_SIZE):
            windows = gather(inputs, ends[part], self.width).astype(np.float64)
            sensors = windows[:, :, : self.n_channels]
            live: Flags = np.asarray(np.isfinite(sensors).all(axis=1))
            own = np.where(live[:, None], sensors, usual).reshape(len(windows), -1)
            beside = windows[:, -1, self.n_channels :]
            beside = np.where(np.isfinite(beside), beside, 0.0)
            yield part, np.concatenate([own, beside], axis=1), live

    def _scaled(self, values: Floats64) -> Floats64:
        """What is left of the sensors (n, n_own), in spreads."""
        weights = fitted(self._weights)
        beside, spread = weights["beside"], weights["spread"]
        n_own = len(spread)
        known = _product(values[:, n_own:], beside[:-1]) + beside[-1]
        return np.asarray((values[:, :n_own] - known) / spread)

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        weights = fitted(self._weights)
        loadings, index = weights["loadings"], weights["index"]
        n_channels = self.n_channels
        last = slice(len(loadings) - n_channels, len(loadings))
        errors, expected = np.full((2, len(ends), n_channels), np.nan, np.float32)
        for part, values, live in self._batches(inputs, ends):
            scaled = self._scaled(values)
            moved = _product(scaled, loadings)
            rest = scaled - _product(moved, loadings.T)
            shared = _squares(moved / np.sqrt(weights["variances"])) / weights["limits"][0]
            apart = _squares(rest) / weights["limits"][1]
            error = np.minimum(np.sqrt(np.maximum(shared, apart)), LARGEST)
            errors[part] = np.where(live, error[:, None], np.nan)
            off = _product(scaled, index[:, last]) / np.diag(index)[last] * weights["spread"][last]
            fits = np.clip(values[:, last] - off, -LARGEST, LARGEST)
            expected[part] = np.where(live, fits, np.nan)
        return Reconstruction(errors, expected)

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        """How far both statistics fall when one value is taken back to what fits the others."""
        index = fitted(self._weights)["index"]
        found = np.zeros((len(ends), self.width, self.n_channels), np.float32)
        for part, values, live in self._batches(inputs, ends):
            fall = _product(self._scaled(values), index) ** 2 / np.diag(index)
            by_step = fall.reshape(len(fall), self.width, self.n_channels)
            found[part] = np.where(live[:, None], np.minimum(by_step, LARGEST), 0.0)
        return found

    def to_files(self) -> dict[str, bytes]:
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **fitted(self._weights))
        return super().to_files() | {WEIGHTS_FILE: content.getvalue()}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        with np.load(io.BytesIO(files[WEIGHTS_FILE]), allow_pickle=False) as found:
            self._weights = {name: found[name] for name in found.files}


def _moments(values: Floats64) -> Floats64:
    """Products (d + 1, d + 1) of windows' features (n, d), of which a one is the last."""
    extended = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    return np.asarray(extended.T @ extended)


@dataclass(frozen=True)
class _Components:
    """What is taken away from features, their spreads, loadings and variances of components.

    Attributes
    ----------
    beside : (d - n_own + 1, n_own), what the inputs beside and a one say of the sensors.
    spread : (n_own,)
    loadings : (n_own, n_kept)
    variances : (n_kept,)
    """

    beside: Floats64
    spread: Floats64
    loadings: Floats64
    variances: Floats64

    def statistics(self, values: Floats64) -> Floats64:
        """T² and SPE of features (n, d), (n, 2)."""
        n_own = len(self.spread)
        ones = np.ones((len(values), 1))
        beside = np.concatenate([values[:, n_own:], ones], axis=1)
        scaled = (values[:, :n_own] - beside @ self.beside) / self.spread
        moved = scaled @ self.loadings
        rest = scaled - moved @ self.loadings.T
        return np.stack([(moved**2 / self.variances).sum(axis=1), (rest**2).sum(axis=1)], axis=1)


def _index(learned: _Components, limits: Floats64) -> Floats64:
    """Matrix (n_own, n_own) of the sum of both statistics in limits, a quadratic form.

    Source: Yue and Qin, Reconstruction-based fault identification using a combined index, 2001.
    """
    loadings = learned.loadings
    among = loadings / (learned.variances * limits[0])
    rest = np.eye(len(loadings)) - loadings @ loadings.T
    return np.asarray(among @ loadings.T + rest / limits[1])


def _product(values: Floats64, matrix: Floats64) -> Floats64:
    """(n, k) of (n, m) and (m, k), added term by term.

    A product of matrices adds in an order that depends on its shape.
    """
    found = np.zeros((len(values), matrix.shape[1]))
    for column, row in zip(values.T, matrix, strict=True):
        found += column[:, None] * row
    return found


def _squares(values: Floats64) -> Floats64:
    """Sums (n,) of squares (n, m), added term by term."""
    found = np.zeros(len(values))
    for column in values.T:
        found += column * column
    return found


def _components(products: Floats64, n_own: int, variance: float) -> _Components:
    """Components of windows whose features have these products."""
    n = max(float(products[-1, -1]), 1.0)
    own, beside = slice(0, n_own), slice(n_own, None)
    among = products[beside, beside] + _RIDGE * n * np.eye(len(products) - n_own)
    weights = np.linalg.solve(among, products[beside, own])
    covariance = (products[own, own] - products[own, beside] @ weights) / n
    spread: Floats64 = np.sqrt(np.maximum(np.diag(covariance), 0))
    # What never moved is judged by how far it moves at all, in the unit of the inputs.
    spread = np.where(spread > _LEAST_SPREAD, spread, 1.0)
    lengths: Floats64
    lengths, loadings = np.linalg.eigh(covariance / np.outer(spread, spread))
    lengths, loadings = np.maximum(lengths[::-1], 0), loadings[:, ::-1]
    shares = np.cumsum(lengths) / max(float(lengths.sum()), 1e-300)
    n_kept = min(int(np.searchsorted(shares, variance)) + 1, n_own)
    kept = np.maximum(lengths[:n_kept], 1e-9)
    return _Components(np.asarray(weights, np.float64), spread, loadings[:, :n_kept], kept)
