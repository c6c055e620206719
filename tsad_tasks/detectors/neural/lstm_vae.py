"""The LSTM variational autoencoder: it knows how sure it is; it gives probabilities, intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tsad_tasks.base.arrays import Floats32, Floats64, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import Loss, Objective, TrainingSet
from tsad_tasks.detectors.neural.autoencoder import Autoencoder, mean_of_fitted
from tsad_tasks.detectors.neural.network import NetworkSettings, Size
from tsad_tasks.detectors.neural.seeded_layers import dense, dense_size, lstm, lstm_size
from tsad_tasks.detectors.registry import register

if TYPE_CHECKING:
    from tsad_tasks.model.tails import ChannelTails

# Spreads lie between exp(-4) and exp(4): a constant channel does not make every deviation infinite.
LOG_SPREAD_LIMIT = 4.0
# The square of this is still a float32.
LARGEST_DEVIATION = 1e19
LEVELS = (*(round(0.01 * percent, 2) for percent in range(1, 100)), 0.995, 0.999)


class LstmVaeSettings(NetworkSettings):
    """Settings of `lstm_vae`."""

    units: Size = Field(64, description="Width of encoder and decoder.")
    code: Size = Field(8, description="Numbers in the code.")
    anomaly_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of anomalies that a probability expects before anything was seen.",
    )


@register("lstm_vae")
class LstmVae(Autoencoder):
    """An LSTM down to mean and spread of a code, and one back up to those of every reading.

    It learns the evidence lower bound; scoring goes through the code's mean, so that a score is the
    same every time. The error of a step is that of its standardised deviation from what was
    expected: where the network knows that readings spread, less is strange. `loss` chooses the
    likelihood: mse is normal, mae Laplace's, huber between them. Source: Kingma and Welling,
    Auto-encoding variational Bayes, 2014; Park, Hoshi and Kemp, 2018, for the LSTM.

    >>> LstmVae(width=10, n_channels=1, n_inputs=1).n_parameters
    36754
    """

    settings_model = LstmVaeSettings
    settings: LstmVaeSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self._tails: ChannelTails | None = None
        self._deviations = np.full((n_channels, len(LEVELS)), np.nan)

    @property
    def n_parameters(self) -> int:
        units, n_code = self.settings.units, self.settings.code
        recurrent = lstm_size(self.n_inputs, units) + lstm_size(n_code, units)
        return recurrent + dense_size(units, 2 * n_code) + dense_size(units, 2 * self.n_channels)

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        units, n_code = self.settings.units, self.settings.code
        seen = lstm(keras, units, seed, "encoder", return_sequences=False)(windows)
        code = dense(keras, 2 * n_code, seed + 1, "code")(seen)
        mean, log_variance = code[:, :n_code], code[:, n_code:]
        # Noise only while training: its layer adds normal numbers to zeros then, and nothing later.
        noise_layer = keras.layers.GaussianNoise(1.0, seed=seed + 2, name="noise")
        noise = noise_layer(keras.ops.zeros_like(mean))
        drawn = mean + keras.ops.exp(0.5 * log_variance) * noise
        repeated = keras.layers.RepeatVector(self.width, name="repeat")(drawn)
        made = lstm(keras, units, seed + 3, "decoder", return_sequences=True)(repeated)
        made = dense(keras, 2 * self.n_channels, seed + 4, "sensors")(made)
        expected, raw = made[:, :, : self.n_channels], made[:, :, self.n_channels :]
        log_spread = LOG_SPREAD_LIMIT * keras.ops.tanh(raw / LOG_SPREAD_LIMIT)
        return [keras.ops.concatenate([expected, log_spread], axis=-1), code]

    def objective(self, keras: Any, loss: Loss) -> Objective:
        ops = keras.ops

        def negative_bound(outputs: Any, windows: Any, labels: Any, fitted: Any) -> Any:
            expected, log_spread = ops.split(outputs[0], 2, axis=-1)
            mean, log_variance = ops.split(outputs[1], 2, axis=-1)
            deviations = (windows[:, :, : self.n_channels] - expected) * ops.exp(-log_spread)
            surprises = _surprise(ops, deviations, loss) + log_spread
            surprise = (
                ops.mean(surprises) if fitted is None else mean_of_fitted(ops, surprises, fitted)
            )
            of_code = ops.sum(mean**2 + ops.exp(log_variance) - 1 - log_variance, axis=-1)
            distance = 0.5 * ops.mean(of_code)
            return surprise + distance / (self.width * self.n_channels)

        return negative_bound

    def differences(self, windows: Floats32) -> tuple[Floats32, Floats32]:
        expected, spread = self._expected(windows)
        with np.errstate(over="ignore", invalid="ignore"):
            deviations = (windows[:, :, : self.n_channels] - expected) / spread
        limit = np.float32(LARGEST_DEVIATION)
        return np.clip(deviations, -limit, limit), expected[:, -1]

    def calibrate(self, training: TrainingSet) -> None:
        """How far held-out windows, which the network has not learned from, go."""
        from tsad_tasks.model.tails import fit_tails
        from tsad_tasks.model.windows import window_errors

        inputs, ends = training.inputs, training.validation_ends
        errors = self.reconstruct(inputs, ends).channel_errors
        live = np.isfinite(errors)
        parts = self._by_batch(lambda windows: self.differences(windows)[0][:, -1], inputs, ends)
        last = np.abs(np.concatenate(parts)).astype(np.float64)
        if training.fitted is not None:
            fitted = training.fitted[ends, : self.n_channels]
            live, last = live & fitted, np.where(fitted, last, np.nan)
        scores = window_errors(np.where(live, errors, np.float32(0)), live)
        self._tails = fit_tails(scores[:, None], gap_steps=self.width)
        known = (column[np.isfinite(column)] for column in last.T)
        unknown = np.full(len(LEVELS), np.nan)
        self._deviations = np.stack(
            [np.quantile(column, LEVELS) if column.size else unknown for column in known]
        )

    def probability(self, scores: Floats32) -> Floats64:
        """Probability (n,) that windows with these scores are anomalies; NaN: unknown."""
        from tsad_tasks.model.reliability import anomaly_probability

        if self._tails is None:
            expected = "Expected a calibrated detector."
            raise BadInput(f"{expected} Received: one that has not learned; call fit or load.")
        surprises = self._tails.surprises(np.asarray(scores, dtype=np.float32)[:, None])[:, 0]
        return anomaly_probability(surprises, self.settings.anomaly_share)

    def interval(
        self, inputs: Floats32, ends: Ints, level: float = 0.95
    ) -> tuple[Floats32, Floats32]:
        """Bounds (n, n_channels) that hold the last reading as often as on held-out windows.

        `level` is from 0.01 to 0.999.
        """
        if not LEVELS[0] <= level <= LEVELS[-1]:
            raise BadInput(f"Expected a level from {LEVELS[0]} to {LEVELS[-1]}. Received: {level}.")
        from tsad_tasks.model.windows import gather

        deviations = [np.interp(level, LEVELS, column) for column in self._deviations]
        expected, spread = self._expected(gather(inputs, ends, self.width))
        last, reach = expected[:, -1], np.array(deviations, dtype=np.float32) * spread[:, -1]
        return last - reach, last + reach

    def learned(self) -> dict[str, Any]:
        tails = self._tails.to_json() if self._tails else None
        found = {"score_tails": tails, "last_deviations": self._deviations.tolist()}
        return super().learned() | {"calibration": found}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        from tsad_tasks.model.tails import ChannelTails

        super().recall(details, files)
        found = details["calibration"]
        self._tails = ChannelTails.from_json(found["score_tails"])
        self._deviations = np.array(found["last_deviations"])

    def _expected(self, windows: Floats32) -> tuple[Floats32, Floats32]:
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
