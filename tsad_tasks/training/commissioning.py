"""What each channel was like at first, so that a slow fault is not retrained into normal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal, Verdict
from tsad_tasks.base.errors import BundleError
from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.ingest.signals import circle_of
from tsad_tasks.model.circle import Circle, signed_turn
from tsad_tasks.model.features import fit_scaler
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import SELECT_CHANNELS, select_dataset
from tsad_tasks.storage.store import Query, Statement, Store
from tsad_tasks.training.exclusions import StandingVerdict, standing_verdicts
from tsad_tasks.training.reader import Scope, TrainingReader

_COLUMNS = (
    *("entity_id", "channel_id", "median", "spread", "from_at", "to_at", "verdict_id"),
    "meaning",
)


@dataclass(frozen=True)
class Reference:
    """Median and spread of a channel of an entity in [from_at, to_at), in the sensor's unit.

    `meaning` is what the values were (see `meaning_of`), None: not known; `model_id` the model that
    was trained then, 0 while there is none.
    """

    entity_id: int
    channel_id: int
    median: float
    spread: float
    from_at: datetime
    to_at: datetime
    meaning: str | None = None
    model_id: int = 0


class _BundleName(NamedTuple):
    """Where the bundle of a model is."""

    model_id: int
    artifact_uri: str
    sha256: str


def meaning_of(spec: FeatureSpec, channel: str) -> str | None:
    """What values of a channel are to a model: the signal with what it leaves open; None: a model
    of before that was kept does not say.

    >>> spec = FeatureSpec(("a",), (0,), 60, "UTC", 1, 0.5, None, 0, (), (), (), ())
    >>> meaning_of(spec, "a")
    'gauge'
    """
    signal = spec.signal_of[channel]
    return spec.unit_of.get(channel) or (signal if spec.units or signal == Signal.GAUGE else None)


SELECT_REFERENCE_BUNDLES = Query("training/select_reference_bundles", _BundleName)
SELECT_REFERENCES = Query("training/select_references", Reference)
CLOSE_REFERENCES = Statement("training/close_references")
INSERT_REFERENCES = Statement("training/insert_references")


@dataclass(frozen=True)
class Level:
    """A channel in a training range beside its reference.

    Attributes
    ----------
    entity, channel : their names.
    now : of the range, from the reference's own beginning on.
    reference : None: it has none yet.
    verdict_id : of a verdict new_normal later than the reference; `now` takes its place.
    is_other : there is one of values that mean something else by now; `now` takes its place.
    """

    entity: str
    channel: str
    now: Reference
    reference: Reference | None
    verdict_id: int | None
    is_other: bool = False

    @property
    def is_new(self) -> bool:
        """Whether `now` becomes the reference when the training succeeds."""
        return self._then is None

    @property
    def _then(self) -> Reference | None:
        return self.reference if self.verdict_id is None else None

    @property
    def shift(self) -> float | None:
        """Spreads of the reference from its median to the one of now; None: nothing to compare."""
        then = self._then
        return abs(self.now.median - then.median) / then.spread if then else None

    @property
    def widening(self) -> float | None:
        """The spread of now as a multiple of the reference's; None: nothing to compare."""
        return self.now.spread / self._then.spread if self._then else None


@dataclass(frozen=True)
class Commissioning:
    """What the channels of a training range are compared with.

    Attributes
    ----------
    channel_ids : by channel name.
    references : by entity and channel id.
    new_normals : the verdicts that replace references.
    """

    channel_ids: Mapping[str, int]
    references: Mapping[tuple[int, int], Reference]
    new_normals: Sequence[StandingVerdict]

    @classmethod
    def of_scope(cls, store: Store, dataset: str, scope: Scope, lineage: str) -> Commissioning:
        """References and verdicts as they are now."""
        dataset_id = select_dataset(store, dataset).dataset_id
        channels = store.rows(SELECT_CHANNELS, dataset_id=dataset_id)
        ids = [key for _, key in scope.entities]
        references = store.rows(SELECT_REFERENCES, lineage=lineage, entity_ids=ids)
        names = {channel.channel_id: channel.name for channel in channels}
        references = _with_meaning(store, references, names)
        verdicts = standing_verdicts(store, dataset_id, lineage)
        return cls(
            {channel.name: channel.channel_id for channel in channels},
            {(one.entity_id, one.channel_id): one for one in references},
            [one for one in verdicts if one.verdict == Verdict.NEW_NORMAL],
        )

    def levels(
        self, reader: TrainingReader, entity: tuple[str, int], clean: NDArray[np.float64]
    ) -> list[Level]:
        """The channels of an entity (name and id) beside their references, if they ran enough.

        Parameters
        ----------
        clean : (n_steps, n_channels) of the range, NaN where it is left out.
        """
        name, key = entity
        found = []
        for position, channel in enumerate(reader.spec.channels):
            if position in reader.spec.unseen:
                continue
            channel_id = self.channel_ids[channel]
            reference = self.references.get((key, channel_id))
            meaning, is_other = meaning_of(reader.spec, channel), False
            if reference is not None and None not in (reference.meaning, meaning):
                is_other = reference.meaning != meaning
            reference = None if is_other else reference
            verdict, since_at = None, reader.span.start_at
            if reference is not None:
                verdict = _rebaselining(self.new_normals, reference)
                since_at = verdict.start_at if verdict else reference.from_at
            circle = circle_of(reader.config.channels.get(channel))
            of_it = (key, channel_id), clean[:, position]
            now = _reference(reader, *of_it, since_at, circle)
            if now is not None and circle is not None and reference is not None:
                # By how far it is turned, the shorter way.
                turn = float(signed_turn(np.array(now.median - reference.median), circle.period))
                now = replace(now, median=reference.median + turn)
            if now is not None:
                verdict_id = verdict.verdict_id if verdict else None
                now = replace(now, meaning=meaning)
                found.append(Level(name, channel, now, reference, verdict_id, is_other))
        return found


def _with_meaning(
    store: Store, references: Sequence[Reference], names: Mapping[int, str]
) -> list[Reference]:
    """The references, those of before it was kept with what their models' bundles say of them."""
    unknown = {one.model_id for one in references if one.meaning is None}
    if not unknown:
        return list(references)
    specs = dict[int, FeatureSpec]()
    for name in store.rows(SELECT_REFERENCE_BUNDLES, model_ids=sorted(unknown)):
        with suppress(BundleError):
            bundle = read_bundle(artifact_path(name.artifact_uri), expected_sha256=name.sha256)
            specs[name.model_id] = ModelSpec.from_json(bundle.spec).features

    def known(one: Reference) -> Reference:
        spec, channel = specs.get(one.model_id), names[one.channel_id]
        if one.meaning is not None or spec is None or channel not in spec.channels:
            return one
        return replace(one, meaning=meaning_of(spec, channel))

    return [known(one) for one in references]


def _rebaselining(said: Sequence[StandingVerdict], reference: Reference) -> StandingVerdict | None:
    """The latest verdict new_normal that the reference does not know of."""
    of_it = (one for one in said if one.entity_id == reference.entity_id)
    of_it = (one for one in of_it if one.channel_id in (None, reference.channel_id))
    newer = (one for one in of_it if one.end_at > reference.to_at)
    return max(newer, key=lambda one: one.start_at, default=None)


def _reference(
    reader: TrainingReader,
    key: tuple[int, int],
    values: NDArray[np.float64],
    since: datetime,
    circle: Circle | None = None,
) -> Reference | None:
    """What a channel is like from a moment on; None where too little is known, or it stood."""
    span, step_s = reader.span, reader.config.step_s
    first = max(0, -(-(unix_s(since) - unix_s(span.start_at)) // step_s))
    chosen = values[first:]
    if np.isfinite(chosen).sum() * step_s < enough_s(reader.config):
        return None
    scale = fit_scaler(chosen[:, None], "robust", circles=[circle])
    if not scale.scale[0]:
        # It never moved: there is no spread to compare with, in whatever unit.
        return None
    from_at = from_unix_s(unix_s(span.start_at) + first * step_s)
    return Reference(*key, scale.center[0], scale.scale[0], from_at, span.end_at)


def enough_s(config: DatasetConfig) -> float:
    """Running seconds from which on a channel has a level of its own."""
    return min(config.features.min_own_scale_s, config.training.range_s / 2)


def freeze_references(store: Store, lineage: str, model_id: int, levels: Sequence[Level]) -> int:
    """References that a successful training made: first ones, and those of a new_normal."""
    new = [vars(one.now) | {"verdict_id": one.verdict_id} for one in levels if one.is_new]
    if not new:
        return 0
    columns = {name: [row[name] for row in new] for name in _COLUMNS}
    closed = {name: columns[name] for name in ("entity_id", "channel_id", "verdict_id", "meaning")}
    is_other = [one.is_other for one in levels if one.is_new]
    store.execute(CLOSE_REFERENCES, lineage=lineage, **closed, is_other=is_other)
    return store.execute(INSERT_REFERENCES, lineage=lineage, model_id=model_id, **columns)
