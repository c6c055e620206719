"""The bidirectional LSTM classifier: it learns from labels which windows end in an anomaly."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from tsad_tasks.base.arrays import Floats32, Floats64
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import Loss, Objective, Schedule, TrainingSet
from tsad_tasks.detectors.inference.onnx_detector import WindowJudge
from tsad_tasks.detectors.neural.network import NetworkSettings, NeuralDetector, Sizes, TwoSizes
from tsad_tasks.detectors.neural.seeded_layers import (
    bidirectional_lstm,
    dense,
    dense_size,
    lstm_size,
)
from tsad_tasks.detectors.registry import register


class BilstmClassifierSettings(NetworkSettings):
    """Settings of `bilstm_classifier`."""

    units: TwoSizes = Field(
        [64, 32], description="Width of the two LSTM layers, in each direction."
    )
    dense_units: Sizes = Field([32], description="Widths of the dense layers after the merge.")
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of values that is dropped while training, after each LSTM and dense "
        "layer.",
    )
    oversampling: float | None = Field(
        0.3,
        gt=0,
        description="How many anomalous windows there shall be for each normal one; null leaves "
        "them as they are.",
    )
    sampler: Literal["random", "smote"] = Field(
        "random",
        description="Whether known windows are repeated (random), or new ones made between them "
        "(smote).",
    )


@register("bilstm_classifier")
class BilstmClassifier(WindowJudge, NeuralDetector):
    """Bidirectional LSTM layers over the sensors, dense layers over them and the last context.

    It gives the probability p that the last step of a window is an anomaly. Its error is −ln(1 −
    p), the same for every live channel, so that it can stand beside other detectors' errors.
    Training makes the binary cross-entropy small; the learning rate is halved on a plateau. Only
    what is trained on is oversampled. Source: Graves and Schmidhuber, Framewise phoneme
    classification with bidirectional LSTM, 2005.

    >>> BilstmClassifier(width=10, n_channels=1, n_inputs=3).n_parameters
    77569
    """

    settings_model = BilstmClassifierSettings
    settings: BilstmClassifierSettings
    supervised: ClassVar[bool] = True
    schedule: ClassVar[Schedule | None] = "plateau"

    @property
    def drops_out(self) -> bool:
        return self.settings.dropout > 0

    @property
    def n_parameters(self) -> int:
        outer, inner = self.settings.units
        recurrent = 2 * lstm_size(self.n_channels, outer) + 2 * lstm_size(2 * outer, inner)
        normalised = 2 * (2 * outer + 2 * inner)
        n_merged = 2 * inner + self.n_inputs - self.n_channels
        widths = [n_merged, *self.settings.dense_units, 1]
        return recurrent + normalised + sum(map(dense_size, widths, widths[1:]))

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        layers, (outer, inner), share = keras.layers, self.settings.units, self.settings.dropout
        sensors, context = windows[:, :, : self.n_channels], windows[:, -1, self.n_channels :]
        seen = bidirectional_lstm(keras, outer, seed, "outer", return_sequences=True)(sensors)
        seen = layers.Dropout(share, seed=seed + 2, name="outer_dropout")(seen)
        seen = layers.BatchNormalization(name="outer_norm")(seen)
        seen = bidirectional_lstm(keras, inner, seed + 3, "inner", return_sequences=False)(seen)
        seen = layers.Dropout(share, seed=seed + 5, name="inner_dropout")(seen)
        seen = layers.BatchNormalization(name="inner_norm")(seen)
        merged = keras.ops.concatenate([seen, context], axis=-1)
        for place, units in enumerate(self.settings.dense_units):
            name, first = f"dense_{place}", seed + 10 + 2 * place
            merged = dense(keras, units, first, name, "relu")(merged)
            merged = layers.Dropout(share, seed=first + 1, name=f"{name}_dropout")(merged)
        return dense(keras, 1, seed + 6, "logit")(merged)

    def objective(self, keras: Any, loss: Loss) -> Objective:
        def cross_entropy(logits: Any, windows: Any, labels: Any, fitted: Any) -> Any:
            # ln(1 + exp(x)) - y x: the cross-entropy of sigmoid(x), without its rounding to 0 or 1.
            return keras.ops.mean(keras.ops.softplus(logits[:, 0]) - labels * logits[:, 0])

        return cross_entropy

    def prepared(self, training: TrainingSet, seed: int) -> TrainingSet:
        from tsad_tasks.detectors.neural.training import oversampling

        oversampling.window_labels(training)
        if self.settings.oversampling is None:
            return training
        is_random = self.settings.sampler == "random"
        oversample = oversampling.repeated if is_random else oversampling.interpolated
        return oversample(training, self.settings.oversampling, seed)

    def seen(self, inputs: Floats32) -> Floats32:
        # An implausible value is what this detector looks for: it is cut off at the limit, and not
        # taken for dead.
        known = np.where(np.isfinite(inputs), inputs, np.float32(0))
        return np.clip(known, -self.limits, self.limits)

    def scores_of(self, features: Floats32) -> Floats32:
        """−ln(1 − p) of windows, (n,), float32."""
        return np.logaddexp(np.float32(0), self.outputs(features)[:, 0])

    def probability(self, scores: Floats32) -> Floats64:
        """Probability that windows with these scores are anomalies, of their shape; NaN stays."""
        return -np.expm1(-np.asarray(scores, dtype=np.float64))
