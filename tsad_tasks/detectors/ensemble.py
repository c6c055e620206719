"""Detectors of windows as one: the weighted mean of their errors on the calibrated scale."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, field_validator

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import wrong
from tsad_tasks.detectors.base import (
    LARGEST,
    Detector,
    DetectorSettings,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
    as_shares,
)
from tsad_tasks.detectors.fitting import check_time, fitted
from tsad_tasks.detectors.registry import (
    MemberSettings,
    build_detector,
    detector_class,
    detector_from_files,
    files_after,
    register,
)

if TYPE_CHECKING:
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


class Voter(NamedTuple):
    """One of the detectors, with its weight in the mean."""

    detector: Detector
    weight: float


@register("ensemble")
class Ensemble(Detector):
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

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        from tsad_tasks.model.tails import fit_tails

        first = plan.warm_start
        if first is not None and not (
            isinstance(first, Ensemble) and self._names() == first._names()
        ):
            expected = f"Expected an {self.name} of {self._names()}."
            raise ConfigError(f"warm_start: {expected} Received: a {first.name}.")
        started, told = time.monotonic(), list[TrainingHistory]()
        for place, (detector, _) in enumerate(self.members):
            before = sum(len(history.loss) for history in told)
            warm = first.members[place].detector if first and detector.starts_warm else None
            heard = plan.progress and _counted_from(before, plan.progress)
            own = TrainingPlan(plan.budget, plan.seed + place, heard, warm)
            told.append(detector.learn(training, own))
            check_time(started, plan.budget, len(training.ends), plan.budget.epochs)
        held_out = training.inputs, training.validation_ends
        errors = [member.detector.reconstruct(*held_out).channel_errors for member in self.members]
        if training.fitted is not None:
            known = training.fitted[training.validation_ends, : self.n_channels]
            errors = [np.where(known, part, np.float32(np.nan)) for part in errors]
        self._tails = [fit_tails(part, gap_steps=self.width) for part in errors]
        early = [history.stopped for history in told if history.stopped != "epochs"]
        return TrainingHistory(
            tuple(loss for history in told for loss in history.loss),
            tuple(loss for history in told for loss in history.validation_loss),
            told[0].n_windows,
            sum(history.seconds for history in told),
            early[0] if early else "epochs",
        )

    def reconstruct(self, inputs: Floats32, ends: Ints) -> Reconstruction:
        fitted(self._tails)
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
        self, inputs: Floats32, ends: Ints, columns: Flags | None = None
    ) -> Floats32:
        fitted(self._tails)
        total = np.zeros((len(ends), self.n_channels))
        for member, tails in zip(self.members, self._tails, strict=True):
            shares = member.detector.channel_shares(inputs, ends, columns)
            votes = self._votes(member, tails, inputs, ends)
            total += np.nan_to_num(shares, nan=0.0) * votes[:, None]
        return as_shares(total)

    def _votes(self, member: Voter, tails: ChannelTails, inputs: Floats32, ends: Ints) -> Floats64:
        """A member's part (n_windows,) in the errors of windows."""
        surprises = tails.surprises(member.detector.reconstruct(inputs, ends).channel_errors)
        return np.asarray(member.weight * np.nansum(surprises, axis=1, dtype=np.float64))

    def explain(self, inputs: Floats32, ends: Ints) -> Floats32:
        fitted(self._tails)
        total = np.zeros((len(ends), self.width, self.n_channels))
        for member, tails in zip(self.members, self._tails, strict=True):
            votes = self._votes(member, tails, inputs, ends)
            shares = member.detector.explain(inputs, ends).astype(np.float64)
            whole = shares.sum(axis=(1, 2))
            scale = np.divide(votes, whole, out=np.zeros_like(whole), where=whole > 0)
            total += shares * scale[:, None, None]
        return np.minimum(total, LARGEST).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        fitted(self._tails)
        return super().to_files() | {
            f"member_{place}.{file}": content
            for place, member in enumerate(self.members)
            for file, content in member.detector.to_files().items()
        }

    def learned(self) -> dict[str, Any]:
        return {"tails": [one.to_json() for one in self._tails]}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        from tsad_tasks.model.tails import ChannelTails

        self._tails = [ChannelTails.from_json(fields) for fields in details["tails"]]
        for place, member in enumerate(self.members):
            own = files_after(f"member_{place}.", files)
            self.members[place] = Voter(detector_from_files(own), member.weight)

    def _names(self) -> list[str]:
        return [member.detector.name for member in self.members]


def _counted_from(n_before: int, progress: Progress) -> Progress:
    """Progress of a member, its epochs counted after those of the members before it."""
    return lambda epoch, loss, validation_loss: progress(n_before + epoch, loss, validation_loss)
