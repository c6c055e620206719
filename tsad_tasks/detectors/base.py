"""What every detector is: it learns from windows, reconstructs, scores, explains; it never decides.

A detector sees scaled inputs of shape (n_steps, n_inputs): first the `n_channels` sensors, then
context and derived columns, which it uses but does not reconstruct. A window is named by its last
step and reaches `history` steps back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self

from pydantic import ConfigDict, ValidationError

from tsad_tasks.base.arrays import Flags, Floats32, Ints
from tsad_tasks.base.errors import BadInput, BundleError, ConfigError
from tsad_tasks.base.files import make_folder, write_whole
from tsad_tasks.base.lazy import np
from tsad_tasks.base.places import Folder
from tsad_tasks.base.settings import Section, problems

if TYPE_CHECKING:
    from numpy.typing import NDArray

Loss = Literal["mse", "mae", "huber"]
Schedule = Literal["cosine", "plateau", "constant"]
Stopped = Literal["epochs", "patience", "diverged"]
Progress = Callable[[int, float, float], None]
# Scalar loss of (outputs of the network, windows, labels, fitted inputs), all tensors; the last one
# is None where all entities have all inputs.
Objective = Callable[[Any, Any, Any, Any], Any]

DETAILS_FILE, MODEL_FILE, WEIGHTS_FILE = "detector.json", "model.onnx", "weights.npz"
LARGEST = 3.4028234663852886e38  # the largest float32


class DetectorSettings(Section):
    """What a dataset file says in `detector.params`; kinds of values are taken as they are."""

    # Built when a detector is first asked for: finding all of them takes no more than it must.
    model_config = ConfigDict(strict=True, defer_build=True)


@dataclass(frozen=True)
class TrainingSet:
    """Windows to learn from, as an index into the inputs of all entities, one after the other.

    Parameters
    ----------
    inputs : (n_steps, n_inputs), scaled and finite: what was NaN is 0.
    ends, validation_ends : (n_windows,), last steps of windows, each within one entity.
    labels : (n_steps,), known anomalies; only supervised detectors get windows that hold them.
    fitted : (n_steps, n_inputs), the inputs that an entity has, the same in all steps of a window;
        the others are 0 and no part of what is learned. None: all entities have all.
    """

    inputs: Floats32
    ends: Ints
    validation_ends: Ints
    n_channels: int
    width: int
    labels: Flags | None = None
    fitted: Flags | None = None


@dataclass(frozen=True)
class Budget:
    """How much and how a detector may learn; `schedule` says how the learning rate falls.

    No clock is part of it, lest a busy machine makes another model: `timeout_s` is an error.
    """

    epochs: int = 30
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 5e-3
    loss: Loss = "mse"
    schedule: Schedule = "cosine"
    timeout_s: float = 43200.0


@dataclass(frozen=True)
class TrainingHistory:
    """What happened while learning: one loss and one validation loss per epoch.

    `stopped` says why it ended: all epochs done, patience used up, or a loss that is not finite.
    """

    loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    n_windows: int
    seconds: float
    stopped: Stopped


@dataclass(frozen=True)
class Reconstruction:
    """What a detector made of windows: (n_windows, n_channels), NaN where a channel is not finite.

    `channel_errors` are means over the window, `expected` is the last step, scaled.
    """

    channel_errors: Floats32
    expected: Floats32


class TrainingPlan(NamedTuple):
    """How a detector learns: see `Detector.fit`."""

    budget: Budget
    seed: int
    progress: Progress | None = None
    warm_start: Detector | None = None


class Detector(Protocol):
    """A model of what is normal, with settings, scores and files.

    A subclass gives `n_parameters`, `learn`, `reconstruct` and `explain`; what it learns is kept by
    `learned` or `to_files`, and taken again by `recall`.

    Attributes
    ----------
    width : steps in a window.
    n_channels, n_inputs : sensors, and sensors plus context and derived columns.
    supervised : learns from labels.
    starts_warm : may begin with what another one has learned.
    folds : carries a state from reading to reading (`folding.series_fold`).
    tells_load : it expects what fits the other channels at their load, so that a strange reading
        that is as expected is a change of load.
    follows_noise : it judges steps of fewer readings by the noise that these have itself.
    folds_under : it folds, sees the conditions that entities are run under, and waits for them.
    on_one_scale : errors of all channels and entities compare as they are, without `model.tails`.
    files_needed : beside `DETAILS_FILE`, by `from_files`.

    Raises
    ------
    ConfigError
        Where no window can have these sizes, or a setting is wrong.
    """

    settings_model: ClassVar[type[DetectorSettings]] = DetectorSettings
    supervised: ClassVar[bool] = False
    starts_warm: ClassVar[bool] = False
    folds: ClassVar[bool] = False
    follows_noise: ClassVar[bool] = False
    folds_under: ClassVar[bool] = False
    on_one_scale: ClassVar[bool] = False
    tells_load: ClassVar[bool] = False
    least_width: ClassVar[int] = 2
    files_needed: ClassVar[tuple[str, ...]] = ()
    settings: DetectorSettings
    name: str
    width: int
    n_channels: int
    n_inputs: int

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        if width < self.least_width or not 1 <= n_channels <= n_inputs:
            expected = f"width >= {self.least_width} and 1 <= n_channels <= n_inputs"
            received = f"width {width}, n_channels {n_channels}, n_inputs {n_inputs}"
            raise ConfigError(f"Expected {expected}. Received: {received}.")
        self.width, self.n_channels, self.n_inputs = width, n_channels, n_inputs
        try:
            self.settings = self.settings_model.model_validate(params)
        except ValidationError as error:
            wrong = problems(error, self.settings_model)
            lines = [f"detector.params.{problem}" for problem in wrong]
            raise ConfigError(*lines) from error

    @property
    def params(self) -> dict[str, Any]:
        """The settings, JSON: what another detector of this kind is made with."""
        return self.settings.model_dump(mode="json")

    @property
    def history(self) -> int:
        """Readings needed before the first score."""
        return self.width - 1

    @property
    def n_parameters(self) -> int:
        """Trainable numbers."""

    @property
    def judges_windows(self) -> bool:
        """Whether a window has one error, the same in all its live channels."""
        return False

    def usual_error(self, per_day: float) -> float | None:
        """The error that a healthy entity exceeds so often, where the detector's scale says that.

        None where held-out errors alone say how high they are.
        """
        return None

    @property
    def notes(self) -> list[str]:
        """Sentences on what was learned, and what not, for the card of a model."""
        return []

    @property
    def noise_power(self) -> int:
        """Errors grow with this power of the readings' noise; 0: not in proportion to it."""
        return 0

    def fit(
        self,
        training: TrainingSet,
        *,
        budget: Budget,
        seed: int,
        progress: Progress | None = None,
        warm_start: Detector | None = None,
    ) -> TrainingHistory:
        """Learn; `progress` gets epoch (from 1) and both losses, `warm_start` gives first weights.

        Raises
        ------
        BadInput
            Where the training set does not fit the detector or holds a non-finite value.
        """
        return self.learn(training, TrainingPlan(budget, seed, progress, warm_start))

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        """What `fit` does."""

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        """Errors and expected values of the windows that end at `ends`."""

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        """What each step and channel added to errors, (n_windows, width, n_channels), 0 and up."""

    def channel_shares(
        self, inputs: Floats32, ends: Ints, columns: Flags | None = None
    ) -> Floats32:
        """Channels' shares in errors of windows, (n_windows, n_channels), of sum 1; NaN: unknown.

        `columns` (n_channels, n_inputs) says which inputs go with a channel, those derived from it
        included; None: it alone.
        """
        return as_shares(np.asarray(self.explain(inputs, ends).sum(axis=1, dtype=np.float64)))

    def score(self, readings: Floats32, context: Floats32 | None = None) -> Floats32:
        """Scores (n_readings,), higher is stranger; NaN in `history` and without live channel."""
        from tsad_tasks.model.windows import window_errors

        errors = self._of_series(readings, context).channel_errors
        live = np.isfinite(errors)
        return window_errors(np.where(live, errors, np.float32(0)), live)

    def residuals(self, readings: Floats32, context: Floats32 | None = None) -> Floats32:
        """Reading minus expected value, (n_readings, n_channels); NaN where unknown."""
        expected = self._of_series(readings, context).expected
        with np.errstate(invalid="ignore"):
            return np.asarray(readings - expected, dtype=np.float32)

    def _of_series(self, readings: Floats32, context: Floats32 | None) -> Reconstruction:
        """Reconstruction of every reading's window; NaN for the first `history`."""
        parts = [readings] if context is None else [readings, context]
        n_readings, n_context = len(readings), self.n_inputs - self.n_channels
        fits = readings.ndim == 2 and readings.shape[1] == self.n_channels
        fits &= n_context == 0 if context is None else context.shape == (n_readings, n_context)
        if not fits:
            more = f" and context of (n, {n_context})" if n_context else ""
            expected, received = f"(n, {self.n_channels}){more}", [part.shape for part in parts]
            raise BadInput(f"Expected readings of shape {expected}. Received: {received}.")
        inputs = np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")
        unknown = np.full((2, n_readings, self.n_channels), np.nan, dtype=np.float32)
        found = Reconstruction(*unknown)
        if n_readings > self.history:
            known = self.reconstruct(inputs, np.arange(self.history, n_readings, dtype=np.int64))
            found.channel_errors[self.history :] = known.channel_errors
            found.expected[self.history :] = known.expected
        return found

    def save(self, folder: Folder) -> None:
        """Write the files into an existing or new folder."""
        make_folder(folder)
        for name, content in self.to_files().items():
            write_whole(folder / name, content)

    @classmethod
    def load(cls, folder: Folder) -> Self:
        """The detector saved in a folder."""
        return cls.from_files({path.name: path.read_bytes() for path in folder.iterdir()})

    def to_files(self) -> dict[str, bytes]:
        """Content by file name: everything that `from_files` needs."""
        sizes = {"width": self.width, "n_channels": self.n_channels, "n_inputs": self.n_inputs}
        fields = {"name": self.name, "params": self.params} | sizes | self.learned()
        return {DETAILS_FILE: json.dumps(fields, sort_keys=True, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """The detector that wrote these files.

        Raises
        ------
        BundleError
            Where a file that is needed is missing.
        """
        if missing := sorted({DETAILS_FILE, *cls.files_needed} - set(files)):
            expected = " and ".join((*cls.files_needed, DETAILS_FILE))
            raise BundleError(f"Expected {expected}. Missing: {', '.join(missing)}.")
        details = json.loads(files[DETAILS_FILE])
        sizes = (details[key] for key in ("width", "n_channels", "n_inputs"))
        detector = cls(*sizes, **details["params"])
        detector.recall(details, files)
        return detector

    def learned(self) -> dict[str, Any]:
        """What `DETAILS_FILE` says beside name, sizes and settings, JSON."""
        return {}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Take what was learned from the details and the files."""


def channel_errors(observed: Floats32, expected: Floats32, kind: Loss) -> Floats32:
    """Mean error over each window of `observed` and `expected`, (n_windows, n_channels).

    NaN where the window holds a non-finite value; never Inf, so that Inf cannot come out of finite
    readings.

    >>> observed = np.array([[[1.0], [3.0]], [[1.0], [np.inf]]], dtype=np.float32)
    >>> channel_errors(observed, np.zeros((2, 2, 1), dtype=np.float32), "mse").tolist()
    [[5.0], [nan]]
    """
    n_windows, width, n_channels = observed.shape
    total = np.zeros((n_windows, n_channels), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        # Step by step, because NumPy's own mean adds in an order that depends on the shape of the
        # batch.
        for step in range(width):
            total += step_errors(observed[:, step] - expected[:, step], kind)
    bounded = np.minimum(total / np.float32(width), LARGEST)
    return np.where(np.isfinite(observed).all(axis=1), bounded, np.float32(np.nan))


def as_shares(parts: NDArray[np.floating[Any]]) -> Floats32:
    """Each part's share of the sum of its row, (n, n_parts); what is negative counts nothing.

    NaN in rows without anything above 0: where an error comes from is unknown then.

    >>> as_shares(np.array([[3, 1, -2], [0, 0, 0]], np.float32)).tolist()
    [[0.75, 0.25, 0.0], [nan, nan, nan]]
    """
    counted = np.maximum(np.nan_to_num(parts, nan=0.0).astype(np.float64), 0)
    total = counted.sum(axis=1, keepdims=True)
    shares = np.divide(counted, total, out=np.full_like(counted, np.nan), where=total > 0)
    return np.asarray(shares, np.float32)


def step_errors(difference: Floats32, kind: Loss) -> Floats32:
    """Errors of differences, of their shape: squared, absolute, or Huber's with its bend at 1."""
    if kind == "mse":
        return difference * difference
    size = np.abs(difference)
    if kind == "mae":
        return size
    return np.where(size <= 1, np.float32(0.5) * size * size, size - np.float32(0.5))
