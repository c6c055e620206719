"""The context-aware bidirectional LSTM classifier: it learns from labels which windows end in an
anomaly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Floats, Loss, Reconstruction, Schedule, TrainingSet
from tsad_tasks.detectors.neural.keras_training import Objective
from tsad_tasks.detectors.neural.network import NeuralDetector
from tsad_tasks.detectors.neural.oversampling import interpolated, repeated, window_labels
from tsad_tasks.detectors.neural.seeded_layers import (
    bidirectional_lstm,
    dense,
    dense_size,
    lstm_size,
)
from tsad_tasks.detectors.occlusion import (
    channels_taken_away,
    occluded,
    one_score_each,
    own_columns,
)
from tsad_tasks.detectors.parameters import choice, number, share, sizes


class BilstmClassifier(NeuralDetector):
    """Two bidirectional LSTM layers over the sensors, merged with the last step's context, and
    dense layers.

    It gives the probability p that the last step of a window is an anomaly. Its error is −ln(1 −
    p), the same for every live channel, so that it can stand beside other detectors' errors.
    Training makes the binary cross-entropy small; the learning rate is halved on a plateau. Only
    what is trained on is oversampled. Source: Graves and Schmidhuber, Framewise phoneme
    classification with bidirectional LSTM, 2005.

    Parameters
    ----------
    units : (int, int)
        Width of the two LSTM layers, in each direction.
    dense_units : (int, ...)
        Widths of the dense layers after the merge.
    dropout : float
        Share of values that is dropped while training, after each LSTM layer and dense layer.
    oversampling : float, optional
        How many anomalous windows there shall be for each normal one; null leaves them as they are.
    sampler : random or smote
        Whether known windows are repeated, or new ones made between them.

    >>> BilstmClassifier(width=10, n_channels=1, n_inputs=3).n_parameters
    77569
    """

    name = "bilstm_classifier"
    supervised: ClassVar[bool] = True
    schedule: ClassVar[Schedule | None] = "plateau"

    @property
    def drops_out(self) -> bool:
        return self.dropout > 0

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        units: Sequence[int] = (64, 32),
        dense_units: Sequence[int] = (32,),
        dropout: float = 0.2,
        oversampling: float | None = 0.3,
        sampler: str = "random",
        input_limit: float = 2.0,
        error: Loss | None = None,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, input_limit, error)
        self.units, self.dense_units = sizes("units", units, 2), sizes("dense_units", dense_units)
        self.dropout, self.sampler = (
            share("dropout", dropout),
            choice("sampler", sampler, ("random", "smote")),
        )
        self.oversampling = None if oversampling is None else number("oversampling", oversampling)

    @property
    def params(self) -> dict[str, Any]:
        return {
            "units": list(self.units),
            "dense_units": list(self.dense_units),
            "dropout": self.dropout,
            "oversampling": self.oversampling,
            "sampler": self.sampler,
        }

    @property
    def n_parameters(self) -> int:
        outer, inner = self.units
        recurrent = 2 * lstm_size(self.n_channels, outer) + 2 * lstm_size(2 * outer, inner)
        normalised = 2 * (2 * outer + 2 * inner)
        widths = [2 * inner + self.n_inputs - self.n_channels, *self.dense_units, 1]
        return recurrent + normalised + sum(map(dense_size, widths, widths[1:]))

    def network(self, keras: Any, windows: Any, seed: int) -> Any:
        layers, (outer, inner) = keras.layers, self.units
        seen = bidirectional_lstm(keras, outer, seed, "outer", return_sequences=True)(
            windows[:, :, : self.n_channels]
        )
        seen = layers.Dropout(self.dropout, seed=seed + 2, name="outer_dropout")(seen)
        seen = layers.BatchNormalization(name="outer_norm")(seen)
        seen = bidirectional_lstm(keras, inner, seed + 3, "inner", return_sequences=False)(seen)
        seen = layers.Dropout(self.dropout, seed=seed + 5, name="inner_dropout")(seen)
        seen = layers.BatchNormalization(name="inner_norm")(seen)
        merged = keras.ops.concatenate([seen, windows[:, -1, self.n_channels :]], axis=-1)
        for place, units in enumerate(self.dense_units):
            merged = dense(keras, units, seed + 10 + 2 * place, f"dense_{place}", "relu")(merged)
            merged = layers.Dropout(
                self.dropout, seed=seed + 11 + 2 * place, name=f"dense_{place}_dropout"
            )(merged)
        return dense(keras, 1, seed + 6, "logit")(merged)

    def objective(self, keras: Any, loss: Loss) -> Objective:
        def cross_entropy(logits: Any, windows: Any, labels: Any) -> Any:
            # ln(1 + exp(x)) - y x: the cross-entropy of sigmoid(x), without its rounding to 0 or 1.
            return keras.ops.mean(keras.ops.softplus(logits[:, 0]) - labels * logits[:, 0])

        return cross_entropy

    def prepared(self, training: TrainingSet, seed: int) -> TrainingSet:
        window_labels(training)
        if self.oversampling is None:
            return training
        made = repeated if self.sampler == "random" else interpolated
        return made(training, self.oversampling, seed)

    def seen(self, inputs: Floats) -> Floats:
        # An implausible value is what this detector looks for: it is cut off at the limit, and not
        # taken for dead.
        return np.clip(
            np.where(np.isfinite(inputs), inputs, np.float32(0)), -self.limits, self.limits
        )

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        return one_score_each(inputs, ends, self.width, self.n_channels, self._errors)

    def probability(self, scores: Floats) -> NDArray[np.float64]:
        """Probability that windows with these scores are anomalies, from 0 to 1, of the same shape;
        NaN stays.
        """
        return -np.expm1(-np.asarray(scores, dtype=np.float64))

    @property
    def judges_windows(self) -> bool:
        return True

    def channel_shares(
        self, inputs: Floats, ends: NDArray[np.int64], columns: NDArray[np.bool_] | None = None
    ) -> Floats:
        columns = own_columns(self.n_channels, self.n_inputs) if columns is None else columns
        usual = np.zeros(self.n_inputs, np.float32)
        return channels_taken_away(
            inputs, ends, self.width, usual, columns, lambda windows: windows, self._errors
        )

    def explain(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        return occluded(
            inputs, ends, self.width, np.zeros(self.n_channels, dtype=np.float32), self._errors
        )

    def _errors(self, windows: Floats) -> Floats:
        """−ln(1 − p) of windows, (n,), float32."""
        return np.logaddexp(np.float32(0), self.outputs(windows)[:, 0])
