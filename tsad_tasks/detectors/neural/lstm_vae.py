"""The LSTM variational autoencoder: it knows how sure it is, so that it gives probabilities and
intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Floats, Loss, TrainingSet
from tsad_tasks.detectors.neural.autoencoder import Autoencoder
from tsad_tasks.detectors.neural.keras_training import Objective
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.onnx_session import BATCH_SIZE
from tsad_tasks.detectors.parameters import number, whole_number
from tsad_tasks.model.reliability import anomaly_probability
from tsad_tasks.model.tails import ChannelTails, fit_tails
from tsad_tasks.model.windows import batches, gather, window_errors

# Spreads lie between exp(-4) and exp(4): a constant channel does not make every deviation infinite.
LOG_SPREAD_LIMIT = 4.0
# The square of this is still a float32.
LARGEST_DEVIATION = np.float32(1e19)
LEVELS = (*(round(0.01 * percent, 2) for percent in range(1, 100)), 0.995, 0.999)


class LstmVae(Autoencoder):
    """An LSTM down to the mean and spread of a code, and one back up to the mean and spread of
    every reading.

    It learns the evidence lower bound; scoring goes through the code's mean, so that a score is the
    same every time. The error of a step is that of its standardised deviation from what was
    expected: where the network knows that readings spread, less is strange. `loss` chooses the
    likelihood: mse is normal, mae Laplace's, huber between them. Source: Kingma and Welling,
    Auto-encoding variational Bayes, 2014; Park, Hoshi and Kemp, 2018, for the LSTM.

    Parameters
    ----------
    units : int
        Width of encoder and decoder.
    code : int
        Numbers in the code.
    anomaly_share : float
        Share of anomalies that `probability` expects before it has seen anything.

    >>> LstmVae(width=10, n_channels=1, n_inputs=1).n_parameters
    36754
    """

    name = "lstm_vae"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: int = 64,
        code: int = 8,
        anomaly_share: float = 0.01,
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units, self.code = whole_number("units", units), whole_number("code", code)
        self.anomaly_share = number("anomaly_share", anomaly_share, below=1.0)
        self._tails: ChannelTails | None = None
        self._deviations = np.full((n_channels, len(LEVELS)), np.nan)

    @property
    def params(self) -> dict[str, Any]:
        return {"units": self.units, "code": self.code, "anomaly_share": self.anomaly_share}

    @property
    def n_parameters(self) -> int:
        recurrent = lstm_size(self.n_inputs, self.units) + lstm_size(self.code, self.units)
        return (
            recurrent
            + dense_size(self.units, 2 * self.code)
            + dense_size(self.units, 2 * self.n_channels)
        )

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        seen = lstm(keras, self.units, seed, "encoder", return_sequences=False)(windows)
        code = dense(keras, 2 * self.code, seed + 1, "code")(seen)
        mean, log_variance = code[:, : self.code], code[:, self.code :]
        # Noise only while training: its layer adds normal numbers to zeros then, and nothing later.
        noise = keras.layers.GaussianNoise(1.0, seed=seed + 2, name="noise")(
            keras.ops.zeros_like(mean)
        )
        drawn = mean + keras.ops.exp(0.5 * log_variance) * noise
        repeated = keras.layers.RepeatVector(self.width, name="repeat")(drawn)
        made = lstm(keras, self.units, seed + 3, "decoder", return_sequences=True)(repeated)
        made = dense(keras, 2 * self.n_channels, seed + 4, "sensors")(made)
        expected, raw = made[:, :, : self.n_channels], made[:, :, self.n_channels :]
        log_spread = LOG_SPREAD_LIMIT * keras.ops.tanh(raw / LOG_SPREAD_LIMIT)
        return [keras.ops.concatenate([expected, log_spread], axis=-1), code]

    def objective(self, keras: Any, loss: Loss) -> Objective:
        ops = keras.ops

        def negative_bound(outputs: Any, windows: Any, labels: Any) -> Any:
            expected, log_spread = ops.split(outputs[0], 2, axis=-1)
            mean, log_variance = ops.split(outputs[1], 2, axis=-1)
            deviations = (windows[:, :, : self.n_channels] - expected) * ops.exp(-log_spread)
            surprise = ops.mean(_surprise(ops, deviations, loss) + log_spread)
            distance = 0.5 * ops.mean(
                ops.sum(mean**2 + ops.exp(log_variance) - 1 - log_variance, axis=-1)
            )
            return surprise + distance / (self.width * self.n_channels)

        return negative_bound

    def differences(self, windows: Floats) -> tuple[Floats, Floats]:
        expected, spread = self._expected(windows)
        with np.errstate(over="ignore", invalid="ignore"):
            deviations = (windows[:, :, : self.n_channels] - expected) / spread
        return np.clip(deviations, -LARGEST_DEVIATION, LARGEST_DEVIATION), expected[:, -1]

    def calibrate(self, training: TrainingSet) -> None:
        """How far held-out windows, which the network has not learned from, go."""
        inputs, ends = training.inputs, training.validation_ends
        errors = self.reconstruct(inputs, ends).channel_errors
        self._tails = fit_tails(_window_scores(errors)[:, None], gap_steps=self.width)
        parts = (
            self.differences(gather(inputs, ends[part], self.width))[0]
            for part in batches(len(ends), BATCH_SIZE)
        )
        last = np.abs(np.concatenate([part[:, -1] for part in parts])).astype(np.float64)
        self._deviations = np.quantile(last, LEVELS, axis=0).T

    def probability(self, scores: Floats) -> NDArray[np.float64]:
        """Probability (n,) that windows with these scores are anomalies, from 0 to 1; NaN where
        unknown.
        """
        if self._tails is None:
            raise BadInput(
                "Expected a calibrated detector. Received: one that has not learned; call fit or "
                "load."
            )
        surprises = self._tails.surprises(np.asarray(scores, dtype=np.float32)[:, None])[:, 0]
        return anomaly_probability(surprises, self.anomaly_share)

    def interval(
        self, inputs: Floats, ends: NDArray[np.int64], level: float = 0.95
    ) -> tuple[Floats, Floats]:
        """Bounds (n, n_channels) that hold the last reading with a probability, as often as on
        held-out windows.

        Parameters
        ----------
        level : from 0.01 to 0.999.
        """
        if not LEVELS[0] <= level <= LEVELS[-1]:
            raise BadInput(f"Expected a level from {LEVELS[0]} to {LEVELS[-1]}. Received: {level}.")
        reach = np.array(
            [np.interp(level, LEVELS, column) for column in self._deviations], dtype=np.float32
        )
        expected, spread = self._expected(gather(inputs, ends, self.width))
        return expected[:, -1] - reach * spread[:, -1], expected[:, -1] + reach * spread[:, -1]

    def learned(self) -> dict[str, Any]:
        tails = self._tails.to_json() if self._tails else None
        return {"calibration": {"score_tails": tails, "last_deviations": self._deviations.tolist()}}

    def recall(self, details: Mapping[str, Any]) -> None:
        found = details["calibration"]
        self._tails, self._deviations = (
            ChannelTails.from_json(found["score_tails"]),
            np.array(found["last_deviations"]),
        )

    def _expected(self, windows: Floats) -> tuple[Floats, Floats]:
        """Means and spreads (n, width, n_channels) of readings."""
        made = self.outputs(windows)
        return made[:, :, : self.n_channels], np.exp(made[:, :, self.n_channels :])


def _surprise(ops: Any, deviations: Any, loss: Loss) -> Any:
    """Negative log-likelihood of standardised deviations, up to a constant."""
    size = ops.abs(deviations)
    if loss == "mae":
        return size
    square = 0.5 * deviations**2
    return square if loss == "mse" else ops.where(size <= 1, square, size - 0.5)


def _window_scores(errors: Floats) -> Floats:
    live = np.isfinite(errors)
    return window_errors(np.where(live, errors, np.float32(0)), live)
