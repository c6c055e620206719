"""What the feature, window and score tasks hand to one another: files in the run's artifact
folder.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.detectors.base import make_folder
from tsad_tasks.model.scoring import InputSet, Windows
from tsad_tasks.scoring.own_scales import OwnScale
from tsad_tasks.scoring.plan import Job
from tsad_tasks.scoring.queries import Champion

_ABSENT = -1


def write_arrays(path: UPath, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> None:
    """One .npz file with arrays and JSON facts; no pickle."""
    content = io.BytesIO()
    encoded = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    np.savez(content, allow_pickle=False, _facts=encoded, **arrays)
    make_folder(path.parent)
    path.write_bytes(content.getvalue())


def read_arrays(path: UPath) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and facts of a file of `write_arrays`."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    facts: dict[str, Any] = json.loads(arrays.pop("_facts").tobytes())
    return arrays, facts


@dataclass(frozen=True)
class FoldStarts:
    """Where the fold of each entity starts.

    Attributes
    ----------
    hours : int64 (n_entities,), counted from the shard's `errors_at`; past the end where nothing is
        wanted.
    states : the states there; empty at the model's anchor.
    """

    hours: NDArray[np.int64]
    states: tuple[bytes, ...]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The starts as arrays of a file."""
        content = np.frombuffer(b"".join(self.states), np.uint8)
        return {
            "fold_hours": self.hours,
            "fold_states": content,
            "fold_ends": np.cumsum([len(s) for s in self.states]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self | None:
        """The starts of a file; None where the model does not fold."""
        if "fold_hours" not in arrays:
            return None
        content, ends = arrays["fold_states"].tobytes(), arrays["fold_ends"].tolist()
        states = tuple(content[first:end] for first, end in zip([0, *ends], ends, strict=False))
        return cls(arrays["fold_hours"], states)


@dataclass(frozen=True)
class FeatureShard:
    """One job with its features.

    Attributes
    ----------
    values_at : whole hour at which values and features start.
    errors_at : whole hour at which the error series starts (the thresholds' look-back).
    values : float64 (n_entities, n_steps, n_channels) as read, in the model's channels.
    wanted : bool (n_entities, n_hours from errors_at), hours whose errors must be computed.
    digests : int64 (n_entities, n_hours from errors_at), of the blocks that the wanted errors were
        made from.
    folds : where the folds of a folding model start.
    """

    job: Job
    values_at: datetime
    errors_at: datetime
    values: NDArray[np.float64]
    wanted: NDArray[np.bool_]
    digests: NDArray[np.int64]
    features: InputSet
    folds: FoldStarts | None = None

    _ARRAYS: ClassVar[tuple[str, ...]] = ("inputs", "present", "running", "context_ok")

    def save(self, path: UPath) -> None:
        arrays = {"values": self.values, "wanted": self.wanted, "digests": self.digests}
        arrays |= {"targets": self.job.targets, "n_pending": self.job.n_pending}
        arrays |= {name: getattr(self.features, name) for name in self._ARRAYS}
        arrays |= self.folds.to_arrays() if self.folds else {}
        facts = {
            "values_s": unix_s(self.values_at),
            "errors_s": unix_s(self.errors_at),
            "job": _job_facts(self.job),
        }
        write_arrays(path, arrays, facts)

    @classmethod
    def load(cls, path: UPath) -> Self:
        arrays, facts = read_arrays(path)
        job = _job(facts["job"], arrays["targets"], arrays["n_pending"])
        features = InputSet(*(arrays[name] for name in cls._ARRAYS))
        return cls(
            job,
            from_unix_s(facts["values_s"]),
            from_unix_s(facts["errors_s"]),
            arrays["values"],
            arrays["wanted"],
            arrays["digests"],
            features,
            FoldStarts.from_arrays(arrays),
        )


def save_windows(windows: Windows, path: UPath) -> None:
    """Writes the windows of one feature shard."""
    write_arrays(path, {field.name: getattr(windows, field.name) for field in fields(Windows)}, {})


def load_windows(path: UPath) -> Windows:
    """The windows of one feature shard."""
    arrays, _ = read_arrays(path)
    return Windows(arrays["ends"], arrays["live"], arrays["reasons"])


def _job_facts(job: Job) -> dict[str, Any]:
    champion = {field.name: _fact(getattr(job.champion, field.name)) for field in fields(Champion)}
    return {
        "champion": champion,
        "lineage": job.lineage,
        "first_s": unix_s(job.first_at),
        "end_s": unix_s(job.end_at),
        "entities": job.entities,
        "scales": [scale and scale.to_json() for scale in job.scales],
        "is_later": job.is_later,
    }


def _fact(value: Any) -> Any:
    return {"unix_s": unix_s(value)} if isinstance(value, datetime) else value


def _job(facts: dict[str, Any], targets: NDArray[np.bool_], n_pending: NDArray[np.int64]) -> Job:
    champion: dict[str, Any] = {
        name: from_unix_s(v["unix_s"]) if isinstance(v, dict) else v
        for name, v in facts["champion"].items()
    }
    entities = tuple((str(name), int(key)) for name, key in facts["entities"])
    bounds = from_unix_s(facts["first_s"]), from_unix_s(facts["end_s"])
    scales = tuple(OwnScale.from_json(scale) if scale else None for scale in facts["scales"])
    return Job(
        Champion(**champion),
        facts["lineage"],
        *bounds,
        entities,
        targets,
        n_pending,
        scales,
        facts["is_later"],
    )


def entity_shards(names: Sequence[str], n_shards: int) -> list[list[str]]:
    """Entity names dealt out to at most `n_shards` shards of about the same size.

    >>> entity_shards(["a", "b", "c"], 2)
    [['a', 'b'], ['c']]
    """
    parts = np.array_split(np.arange(len(names)), max(1, min(n_shards, len(names))))
    return [[names[i] for i in part] for part in parts]
