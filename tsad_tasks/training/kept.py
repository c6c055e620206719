"""Windows to learn from, and the readings that the tasks after them need, as one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s
from tsad_tasks.base.places import Folder
from tsad_tasks.storage.arrays import arrays_reader, arrays_writer
from tsad_tasks.storage.json_files import from_json_value, json_value
from tsad_tasks.training.fold_groups import fold_groups, fold_start
from tsad_tasks.training.reader import FoldGroup, Read, Scope, TrainingReader
from tsad_tasks.training.survey import Scales
from tsad_tasks.training.windows import (
    EntityWindows,
    PreparedTraining,
    check_any,
    entity_training,
    joined_windows,
)


def prepare_training(reader: TrainingReader, scope: Scope, scales: Scales) -> PreparedTraining:
    """Windows of the range, sampled evenly over entities and time.

    Raises
    ------
    BadInput
        When there is no complete window.
    """
    quota = max(1, reader.config.training.max_windows // len(scope.entities))
    parts = [
        entity_training(reader, key, scales.of(name), quota, values).compacted(reader.spec.width)
        for name, key, values in reader.whole_ranges(scope.entities)
    ]
    return joined_windows(reader.config, parts)


@dataclass(frozen=True)
class Kept:
    """What task `windows` keeps of a scope for the tasks after it, beside the windows.

    Attributes
    ----------
    groups : of entities that share a range; of a folding detector the choice comes first.
    from_at : of each group, where its readings begin that are kept; they end with the range.
    held_out : entities of the first group with such readings; whether known anomalies are there.
    n_windows, n_available : to train on, and that the range offers.
    n_extreme : by entity, as in `PreparedTraining`; empty of a fold, which takes them as they are.
    """

    groups: list[FoldGroup]
    from_at: list[datetime]
    held_out: dict[str, bool]
    n_windows: int
    n_available: int
    n_extreme: list[int]


def keep_readings(
    path: Folder, reader: TrainingReader, scope: Scope, scales: Scales, *, seed: int
) -> Kept:
    """Writes windows to learn from, and the readings that are needed after them, as one file.

    A folding detector has no windows: its steps are counted, and it learns from the readings.

    Raises
    ------
    BadInput
        When there is no complete window.
    """
    config, width, folds = reader.config, reader.spec.width, reader.folds
    quota = max(1, config.training.max_windows // len(scope.entities))
    groups = [FoldGroup(scope.entities, reader.span)]
    if folds:
        groups = fold_groups(reader, scope, scales.running_hours, seed=seed)
    parts: list[EntityWindows] = []
    from_at: list[datetime] = []
    held_out: dict[str, bool] = {}
    facts: dict[str, Any] = {}
    with arrays_writer(path, facts) as write:
        for group in groups:
            of_group = reader.on(group.span)
            from_at.append(of_group.held_out_from)
            if folds:
                from_at[-1] = fold_start(config, len(group.entities), group.span)
            for name, key, values in of_group.whole_ranges(group.entities):
                write(f"readings_{key}", values[reader.step(from_at[-1]) :])
                found = entity_training(reader, key, scales.of(name), quota, values)
                parts.append(found.counts() if folds else found.compacted(width))
                later = values[reader.step(of_group.held_out_from) :]
                part = of_group.held_out(name, key, later) if group is groups[0] else None
                known = part.known if part else None
                held_out |= {} if known is None else {name: bool(known.any())}
        n_windows = sum(len(part.ends) for part in parts)
        check_any(config, n_windows)
        n_extreme = [] if folds else [part.n_extreme for part in parts]
        n_available = sum(part.n_available for part in parts)
        kept = Kept(groups, from_at, held_out, n_windows, n_available, n_extreme)
        if not folds:
            prepared = joined_windows(config, parts)
            for name in ("inputs", "ends", "validation_ends", "labels"):
                write(name, getattr(prepared, name))
            if prepared.fitted is not None:
                write("fitted", prepared.fitted)
        facts |= json_value(kept)
    return kept


@contextmanager
def kept_readings(
    path: Folder, step_s: int
) -> Iterator[tuple[Kept, Read, Mapping[str, NDArray[Any]]]]:
    """What task `windows` kept: its facts, its readings as they were read, and its arrays."""
    with arrays_reader(path) as (arrays, facts):
        kept = from_json_value(facts, Kept)
        starts = {
            key: at
            for group, at in zip(kept.groups, kept.from_at, strict=True)
            for _, key in group.entities
        }

        def read(
            entity_ids: Sequence[int], start_at: datetime, end_at: datetime
        ) -> NDArray[np.float64]:
            parts = []
            for key in entity_ids:
                first, end = (
                    (unix_s(at) - unix_s(starts[key])) // step_s for at in (start_at, end_at)
                )
                if first < 0:
                    raise BadInput(
                        f"Expected readings from {starts[key]} on, which were kept. Received: "
                        f"{start_at}. Clear task windows."
                    )
                parts.append(arrays[f"readings_{key}"][first:end])
            return np.stack(parts)

        yield kept, read, arrays


def kept_windows(kept: Kept, arrays: Mapping[str, NDArray[Any]]) -> PreparedTraining:
    """The windows that task `windows` made."""
    return PreparedTraining(
        arrays["inputs"],
        arrays["ends"],
        arrays["validation_ends"],
        arrays["labels"],
        kept.n_available,
        np.array(kept.n_extreme, np.int64),
        arrays.get("fitted"),
    )
