"""Several detectors of windows as one: each member's errors on the calibrated scale, and their
weighted mean.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    Budget,
    Detector,
    Floats,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingSet,
    WindowScores,
    as_shares,
)
from tsad_tasks.detectors.fitting import check_sizes, check_time
from tsad_tasks.detectors.neural.network import NeuralDetector
from tsad_tasks.detectors.parameters import number
from tsad_tasks.detectors.registry import build_detector, detector_class, detector_from_files
from tsad_tasks.model.tails import ChannelTails, fit_tails

DEFAULT_MEMBERS = ({"name": "lstm_autoencoder"}, {"name": "dense_autoencoder"})


@dataclass(frozen=True)
class Member:
    """One of the detectors, with its weight in the mean."""

    detector: Detector
    weight: float


class Ensemble(WindowScores):
    """Registered detectors of windows that vote.

    An error becomes a surprise in nats, by the member's errors of the validation windows
    (`core.tails`); so members of different scales can be averaged. A member that does not know a
    channel does not vote on it.

    Parameters
    ----------
    members : list of {name, params, weight}
        Detectors that learn without labels; params are theirs, the weight is 1 by default.
    """

    name = "ensemble"

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        members: Sequence[Mapping[str, Any]] = DEFAULT_MEMBERS,
    ) -> None:
        check_sizes(width, n_channels, n_inputs)
        self.width, self.n_channels, self.n_inputs = width, n_channels, n_inputs
        self.params = {"members": [dict(fields) for fields in _member_fields(members)]}
        self.members = [self._member(fields) for fields in self.params["members"]]
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
        started, told = time.monotonic(), list[TrainingHistory]()
        for place, (member, start) in enumerate(
            zip(self.members, self._starts(warm_start), strict=True)
        ):
            tell = _later(progress, sum(len(history.loss) for history in told))
            told.append(
                member.detector.fit(
                    training, budget=budget, seed=seed + place, progress=tell, warm_start=start
                )
            )
            check_time(started, budget, len(training.ends), budget.epochs)
        errors = [
            member.detector.reconstruct(training.inputs, training.validation_ends).channel_errors
            for member in self.members
        ]
        self._tails = [fit_tails(part, gap_steps=self.width) for part in errors]
        return _one_history(told)

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
            total += (
                np.nan_to_num(shares, nan=0.0) * self._votes(member, tails, inputs, ends)[:, None]
            )
        return as_shares(total)

    def _votes(
        self, member: Member, tails: ChannelTails, inputs: Floats, ends: NDArray[np.int64]
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
            total += (
                shares
                * np.divide(votes, whole, out=np.zeros_like(whole), where=whole > 0)[:, None, None]
            )
        return np.minimum(total, np.finfo(np.float32).max).astype(np.float32)

    def to_files(self) -> dict[str, bytes]:
        self._check_fitted()
        details = {
            "name": self.name,
            "width": self.width,
            "n_channels": self.n_channels,
            "n_inputs": self.n_inputs,
        }
        details |= {"params": self.params, "tails": [tails.to_json() for tails in self._tails]}
        files = {
            f"{_prefix(place)}{file}": content
            for place, member in enumerate(self.members)
            for file, content in member.detector.to_files().items()
        }
        return files | {DETAILS_FILE: json.dumps(details, sort_keys=True, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        details = json.loads(files[DETAILS_FILE])
        ensemble = cls(
            *(details[key] for key in ("width", "n_channels", "n_inputs")), **details["params"]
        )
        ensemble._tails = [ChannelTails.from_json(fields) for fields in details["tails"]]
        ensemble.members = [
            Member(detector_from_files(_of_member(files, place)), member.weight)
            for place, member in enumerate(ensemble.members)
        ]
        return ensemble

    def _member(self, fields: Mapping[str, Any]) -> Member:
        sizes = {"width": self.width, "n_channels": self.n_channels, "n_inputs": self.n_inputs}
        return Member(
            build_detector(fields["name"], **sizes, params=fields["params"]), fields["weight"]
        )

    def _starts(self, warm_start: Detector | None) -> list[Detector | None]:
        """The detector that each member begins with; trees grow anew."""
        if warm_start is None:
            return [None] * len(self.members)
        if not isinstance(warm_start, Ensemble) or self._names() != warm_start._names():
            raise ConfigError(
                f"warm_start: Expected an {self.name} of {self._names()}. Received: a "
                f"{warm_start.name}."
            )
        return [
            other.detector if isinstance(other.detector, NeuralDetector) else None
            for other in warm_start.members
        ]

    def _names(self) -> list[str]:
        return [member.detector.name for member in self.members]

    def _check_fitted(self) -> None:
        if not self._tails:
            raise BadInput(
                "Expected a fitted detector. Received: one that has not learned; call fit or load."
            )


def _member_fields(members: Any) -> list[dict[str, Any]]:
    fields = [_checked(one) for one in members] if isinstance(members, Sequence) else []
    if len(fields) < 2:
        raise ConfigError(f"detector.params.members: Expected at least two. Received: {members}.")
    return fields


def _checked(fields: Any) -> dict[str, Any]:
    if (
        not isinstance(fields, Mapping)
        or "name" not in fields
        or set(fields) - {"name", "params", "weight"}
    ):
        raise ConfigError(
            f"detector.params.members: Expected name, params and weight. Received: {fields}."
        )
    found = detector_class(fields["name"])
    if found.folds or found.supervised or fields["name"] == Ensemble.name:
        wanted = "detectors of windows that learn without labels"
        raise ConfigError(
            f"detector.params.members: Expected {wanted}. Received: {fields['name']}."
        )
    weight = number("members.weight", fields.get("weight", 1.0))
    return {"name": fields["name"], "params": dict(fields.get("params") or {}), "weight": weight}


def _prefix(place: int) -> str:
    return f"member_{place}."


def _of_member(files: Mapping[str, bytes], place: int) -> dict[str, bytes]:
    start = _prefix(place)
    return {
        file.removeprefix(start): content
        for file, content in files.items()
        if file.startswith(start)
    }


def _later(progress: Progress | None, n_before: int) -> Progress | None:
    """Progress of a member, its epochs counted after those of the members before it."""
    if progress is None:
        return None
    return lambda epoch, loss, validation_loss: progress(n_before + epoch, loss, validation_loss)


def _one_history(told: Sequence[TrainingHistory]) -> TrainingHistory:
    early = [history.stopped for history in told if history.stopped != "epochs"]
    return TrainingHistory(
        tuple(loss for history in told for loss in history.loss),
        tuple(loss for history in told for loss in history.validation_loss),
        told[0].n_windows,
        sum(history.seconds for history in told),
        early[0] if early else "epochs",
    )
