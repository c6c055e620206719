"""Several detectors of windows as one: each member's errors on the calibrated scale, and their
weighted mean.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator

from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import wrong
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    LARGEST,
    Budget,
    Detector,
    DetectorBase,
    DetectorSettings,
    Floats,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingSet,
    as_shares,
)
from tsad_tasks.detectors.fitting import check_time
from tsad_tasks.detectors.registry import (
    MemberSettings,
    build_detector,
    detector_class,
    detector_from_files,
    register,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tsad_tasks.model.tails import ChannelTails


class VoterSettings(MemberSettings):
    """A member of an ensemble."""

    weight: float = Field(1.0, gt=0, description="Weight of the member in the mean.")


class EnsembleSettings(DetectorSettings):
    """Settings of `ensemble`."""

    members: list[VoterSettings] = Field(
        default_factory=lambda: [
            VoterSettings(name=name) for name in ("lstm_autoencoder", "dense_autoencoder")
        ],
        description="At least two detectors of windows that learn without labels, each with name, "
        "params and weight.",
    )

    @field_validator("members")
    @classmethod
    def _vote_alike(cls, members: list[VoterSettings]) -> list[VoterSettings]:
        if len(members) < 2:
            raise wrong("at least two", [member.name for member in members])
        for place, member in enumerate(members):
            found = detector_class(member.name)
            if found.folds or found.supervised or member.name == "ensemble":
                expected = "detectors of windows that learn without labels"
                raise wrong(expected, member.name, place, "name")
        return members


@dataclass(frozen=True)
class Voter:
    """One of the detectors, with its weight in the mean."""

    detector: Detector
    weight: float


@register("ensemble")
class Ensemble(DetectorBase):
    """Registered detectors of windows that vote.

    An error becomes a surprise in nats, by the member's errors of the validation windows
    (`model.tails`); so members of different scales can be averaged. A member that does not know a
    channel does not vote on it.
    """

    settings_model = EnsembleSettings
    settings: EnsembleSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        sizes = {"width": width, "n_channels": n_channels, "n_inputs": n_inputs}
        self.members = [
            Voter(build_detector(member.name, **sizes, params=member.params), member.weight)
            for member in self.settings.members
        ]
        self._tails: list[ChannelTails] = []

    @property
    def n_parameters(self) -> int:
        return sum(member.detector.n_parameters for member in self.members)

    def fit(
        self,
        training: TrainingSet,
        *,
        budget: Budget,
        seed: int,
        progress: Progress | None = None,
        warm_start: Detector | None = None,
    ) -> TrainingHistory:
        from tsad_tasks.model.tails import fit_tails

        if warm_start is not None and (
            not isinstance(warm_start, Ensemble) or self._names() != warm_start._names()
        ):
            expected = f"Expected an {self.name} of {self._names()}."
            raise ConfigError(f"warm_start: {expected} Received: a {warm_start.name}.")
        started, told = time.monotonic(), list[TrainingHistory]()
        for place, member in enumerate(self.members):
            before, start = sum(len(history.loss) for history in told), None
            if warm_start is not None and member.detector.starts_warm:
                start = warm_start.members[place].detector
            history = member.detector.fit(
                training,
                budget=budget,
                seed=seed + place,
                progress=progress and _counted_from(before, progress),
                warm_start=start,
            )
            told.append(history)
            check_time(started, budget, len(training.ends), budget.epochs)
        held_out = training.inputs, training.validation_ends
        errors = [member.detector.reconstruct(*held_out).channel_errors for member in self.members]
        self._tails = [fit_tails(part, gap_steps=self.width) for part in errors]
        early = [history.stopped for history in told if history.stopped != "epochs"]
        return TrainingHistory(
            tuple(loss for history in told for loss in history.loss),
            tuple(loss for history in told for loss in history.validation_loss),
            told[0].n_windows,
            sum(history.seconds for history in told),
            early[0] if early else "epochs",
        )

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        self._check_fitted()
        total, weight = np.zeros((2, len(ends), self.n_channels))
        expected = np.full((len(ends), self.n_channels), np.nan, dtype=np.float32)
        for member, tails in zip(self.members, self._tails, strict=True):
            found = member.detector.reconstruct(inputs, ends)
            surprises = tails.surprises(found.channel_errors)
            known = np.isfinite(surprises)
            total += np.where(known, member.weight * surprises.astype(np.float64), 0.0)
            weight += member.weight * known
            expected = np.where(np.isfinite(expected), expected, found.expected)
        with np.errstate(invalid="ignore"):
            return Reconstruction((total / weight).astype(np.float32), expected)

    @property
    def judges_windows(self) -> bool:
        return any(member.detector.judges_windows for member in self.members)

    def channel_shares(
        self, inputs: Floats, ends: NDArray[np.int64], columns: NDArray[np.bool_] | None = None
    ) -> Floats:
        self._check_fitted()
        total = np.zeros((len(ends), self.n_channels))
        for member, tails in zip(self.members, self._tails, strict=True):
            shares = member.detector.channel_shares(inputs, ends, columns)
            votes = self._votes(member, tails, inputs, ends)
            total += np.nan_to_num(shares, nan=0.0) * votes[:, None]
        return as_shares(total)

    def _votes(
        self, member: Voter, tails: ChannelTails, inputs: Floats, ends: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """A member's part (n_windows,) in the errors of windows."""
        surprises = tails.surprises(member.detector.reconstruct(inputs, ends).channel_errors)
        return np.asarray(member.weight * np.nansum(surprises, axis=1, dtype=np.float64))

    def explain(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        self._check_fitted()
        total = np.zeros((len(ends), self.width, self.n_channels))
        for member, tails in zip(self.members, self._tails, strict=True):
            votes = self._votes(member, tails, inputs, ends)
            shares = member.detector.explain(inputs, ends).astype(np.float64)
            whole = shares.sum(axis=(1, 2))
            scale = np.divide(votes, whole, out=np.zeros_like(whole), where=whole > 0)
            total += shares * scale[:, None, None]
        return np.minimum(total, LARGEST).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        self._check_fitted()
        files = {
            f"member_{place}.{file}": content
            for place, member in enumerate(self.members)
            for file, content in member.detector.to_files().items()
        }
        return files | {DETAILS_FILE: self.details(tails=[one.to_json() for one in self._tails])}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        from tsad_tasks.model.tails import ChannelTails

        ensemble, details = cls.from_details(files)
        ensemble._tails = [ChannelTails.from_json(fields) for fields in details["tails"]]
        for place, member in enumerate(ensemble.members):
            start = f"member_{place}."
            own = {
                name.removeprefix(start): files[name] for name in files if name.startswith(start)
            }
            ensemble.members[place] = Voter(detector_from_files(own), member.weight)
        return ensemble

    def _names(self) -> list[str]:
        return [member.detector.name for member in self.members]

    def _check_fitted(self) -> None:
        if not self._tails:
            raise BadInput(
                "Expected a fitted detector. Received: one that has not learned; call fit or load."
            )


def _counted_from(n_before: int, progress: Progress) -> Progress:
    """Progress of a member, its epochs counted after those of the members before it."""
    return lambda epoch, loss, validation_loss: progress(n_before + epoch, loss, validation_loss)
