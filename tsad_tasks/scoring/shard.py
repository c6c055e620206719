"""What feature, window and score tasks hand to one another: files of the run's artifact folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.places import Folder
from tsad_tasks.model.scoring import InputSet
from tsad_tasks.scoring.fitted import FittedSince
from tsad_tasks.scoring.own_scales import OwnScale
from tsad_tasks.scoring.plan import Job
from tsad_tasks.scoring.queries import Champion
from tsad_tasks.storage.arrays import read_arrays, write_arrays
from tsad_tasks.storage.json_files import from_json_value, json_value


@dataclass(frozen=True)
class FoldStarts:
    """Where the fold of each entity starts.

    Attributes
    ----------
    hours : int64 (n_entities,) from the shard's `errors_at`; past the end: nothing is wanted.
    states : the states there; empty at the model's anchor.
    """

    hours: NDArray[np.int64]
    states: tuple[bytes, ...]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The starts as arrays of a file."""
        content = np.frombuffer(b"".join(self.states), np.uint8)
        ends = np.cumsum([len(state) for state in self.states])
        return {"fold_hours": self.hours, "fold_states": content, "fold_ends": ends}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self | None:
        """The starts of a file; None where the model does not fold."""
        if "fold_hours" not in arrays:
            return None
        content, ends = arrays["fold_states"].tobytes(), arrays["fold_ends"].tolist()
        states = tuple(content[first:end] for first, end in zip([0, *ends], ends, strict=False))
        return cls(arrays["fold_hours"], states)


@dataclass(frozen=True)
class ShardFacts:
    """What is no array of a shard: see `FeatureShard` and `Job`."""

    values_at: datetime
    errors_at: datetime
    champion: Champion
    lineage: str
    first_at: datetime
    end_at: datetime
    entities: tuple[tuple[str, int], ...]
    scales: tuple[OwnScale | None, ...]
    fitted: tuple[FittedSince | None, ...]
    is_later: bool


# What the job keeps beside arrays.
_OF_JOB = [field.name for field in fields(Job) if field.name not in ("targets", "n_pending")]


@dataclass(frozen=True)
class FeatureShard:
    """One job with its features.

    Attributes
    ----------
    values_at : whole hour at which values and features start.
    errors_at : whole hour at which the error series starts (the thresholds' look-back).
    values : float64 (n_entities, n_steps, n_channels) as read, in the model's channels.
    wanted : bool (n_entities, n_hours from errors_at), hours whose errors must be computed.
    digests : int64 (n_entities, n_hours from errors_at), of what the wanted errors are made from.
    folds : where the folds of a folding model start.
    looked_back : bool as `wanted`, hours whose errors are stored, and computed once more since
        their channels are looked back at; None: there is none.
    growth : float32 (n_entities, n_steps, n_channels), by how much errors grow since steps have
        fewer readings than were learned from, or their noise where the detector follows that
        (`ModelSpec.noise_power`); None: not at all.
    """

    job: Job
    values_at: datetime
    errors_at: datetime
    values: NDArray[np.float64]
    wanted: NDArray[np.bool_]
    digests: NDArray[np.int64]
    features: InputSet
    folds: FoldStarts | None = None
    growth: NDArray[np.float32] | None = None
    looked_back: NDArray[np.bool_] | None = None

    @property
    def kept(self) -> NDArray[np.bool_]:
        """bool as `wanted`, hours whose errors are to be stored."""
        return self.wanted if self.looked_back is None else self.wanted & ~self.looked_back

    _ARRAYS: ClassVar[tuple[str, ...]] = (
        "inputs",
        "present",
        "running",
        "context_ok",
        "fitted_from",
        "moved",
        "radians",
        "experience",
    )

    def save(self, path: Folder) -> None:
        arrays = {"values": self.values, "wanted": self.wanted, "digests": self.digests}
        arrays |= {"targets": self.job.targets, "n_pending": self.job.n_pending}
        arrays |= {name: getattr(self.features, name) for name in self._ARRAYS}
        arrays |= self.folds.to_arrays() if self.folds else {}
        arrays |= {} if self.growth is None else {"growth": self.growth}
        arrays |= {} if self.looked_back is None else {"looked_back": self.looked_back}
        of_job = {name: getattr(self.job, name) for name in _OF_JOB}
        facts = ShardFacts(self.values_at, self.errors_at, **of_job)
        write_arrays(path, arrays, json_value(facts))

    @classmethod
    def load(cls, path: Folder) -> Self:
        arrays, content = read_arrays(path)
        facts = from_json_value(content, ShardFacts)
        of_job = {name: getattr(facts, name) for name in _OF_JOB}
        job = Job(**of_job, targets=arrays["targets"], n_pending=arrays["n_pending"])
        features = InputSet(*(arrays[name] for name in cls._ARRAYS))
        made: dict[str, Any] = {name: arrays[name] for name in ("values", "wanted", "digests")}
        made |= {"features": features, "folds": FoldStarts.from_arrays(arrays)}
        made |= {name: arrays.get(name) for name in ("growth", "looked_back")}
        return cls(job, facts.values_at, facts.errors_at, **made)


def entity_shards(names: Sequence[str], n_shards: int) -> list[list[str]]:
    """Entity names dealt out to at most `n_shards` shards of about the same size.

    >>> entity_shards(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    parts = np.array_split(np.arange(len(names)), max(1, min(n_shards, len(names))))
    return [[names[i] for i in part] for part in parts]
