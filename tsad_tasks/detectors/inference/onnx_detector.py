"""What detectors share that are asked through ONNX Runtime, and those that judge windows whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tsad_tasks.base.arrays import Flags, Floats32, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import MODEL_FILE, Detector, Reconstruction, as_shares
from tsad_tasks.detectors.fitting import fitted

if TYPE_CHECKING:
    from tsad_tasks.detectors.inference.onnx_session import OnnxSession


class OnnxDetector(Detector):
    """A detector whose graph is `MODEL_FILE`."""

    files_needed: ClassVar[tuple[str, ...]] = (MODEL_FILE,)
    _graph: bytes | None = None

    @cached_property
    def _session(self) -> OnnxSession:
        from tsad_tasks.detectors.inference.onnx_session import OnnxSession

        return OnnxSession(fitted(self._graph))

    def use_graph(self, graph: bytes) -> None:
        """Score with this graph from now on."""
        self._graph = graph
        self.__dict__.pop("_session", None)

    def to_files(self) -> dict[str, bytes]:
        return super().to_files() | {MODEL_FILE: fitted(self._graph)}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        self.use_graph(files[MODEL_FILE])


class WindowJudge(Detector):
    """One score for a whole window: it counts in every live channel, and nothing is expected.

    A subclass gives `scores_of` and, where scores see something else than the windows themselves,
    `features`; `usual` and `usual_columns` stand in the place of what is taken away.
    """

    @property
    def judges_windows(self) -> bool:
        return True

    def features(self, windows: Floats32) -> Floats32:
        """What is scored of windows (n, width, n_inputs), at most `BATCH_SIZE`: (n, ...)."""
        return windows

    def scores_of(self, features: Floats32) -> Floats32:
        """Scores (n,) of windows with these features."""
        raise NotImplementedError

    @property
    def usual(self) -> Floats32:
        """What stands in an input's place, (n_inputs,)."""
        return np.zeros(self.n_inputs, np.float32)

    def usual_columns(self, columns: Flags) -> tuple[Floats32, Flags]:
        """What stands in a feature's place, (n_features,), and which go with a channel."""
        return self.usual, columns

    def _batches(self, inputs: Floats32, ends: Ints) -> Iterator[tuple[slice, Floats32, Flags]]:
        """Windows batch by batch, and which of their channels (n, n_channels) are live."""
        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE
        from tsad_tasks.model.windows import batches, gather

        for part in batches(len(ends), BATCH_SIZE):
            windows = gather(inputs, ends[part], self.width)
            live = np.isfinite(windows[:, :, : self.n_channels]).all(axis=1)
            yield part, windows, np.asarray(live)

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        errors = np.full((len(ends), self.n_channels), np.nan, dtype=np.float32)
        for part, windows, live in self._batches(inputs, ends):
            scores = self.scores_of(self.features(windows))[:, None]
            errors[part] = np.where(live, scores, np.float32(np.nan))
        return Reconstruction(errors, np.full_like(errors, np.nan))

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        """How far scores fall when one value is taken away; 0 in a dead channel.

        Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, 4.2.
        """
        found = np.zeros((len(ends), self.width, self.n_channels), dtype=np.float32)
        for part, windows, live in self._batches(inputs, ends):
            whole = self.scores_of(self.features(windows))
            for step, channel in np.ndindex(self.width, self.n_channels):
                seen = windows.copy()
                seen[:, step, channel] = self.usual[channel]
                fall = np.maximum(whole - self.scores_of(self.features(seen)), 0)
                found[part, step, channel] = np.where(live[:, channel], fall, np.float32(0))
        return found

    def channel_shares(
        self, inputs: Floats32, ends: Ints, columns: Flags | None = None
    ) -> Floats32:
        """How far scores fall when a channel is taken away; a dead one has no share."""
        alone = np.eye(self.n_channels, self.n_inputs, dtype=bool)
        usual, taken_away = self.usual_columns(alone if columns is None else columns)
        found = np.zeros((len(ends), self.n_channels), dtype=np.float32)
        for part, windows, live in self._batches(inputs, ends):
            seen = self.features(windows)
            whole = self.scores_of(seen)
            falls = [whole - self.scores_of(np.where(taken, usual, seen)) for taken in taken_away]
            found[part] = np.where(live, np.stack(falls, axis=1), np.float32(0))
        return as_shares(found)
