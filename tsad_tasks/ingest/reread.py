"""Hours that were read by other settings than the dataset file's, and how they are read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.interval import HOUR, from_unix_s, hour_floor
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.read_settings import Difference, differences, read_settings
from tsad_tasks.ingest.series import scales_said
from tsad_tasks.ingest.sources.base import Uris, open_sources
from tsad_tasks.storage.datasets import SELECT_DATASET, Layout, select_entities, select_layouts
from tsad_tasks.storage.fitted import first_values
from tsad_tasks.storage.readings import read_raw_blocks
from tsad_tasks.storage.store import Store

_SHOWN = 5


class OtherHours(NamedTuple):
    """Hours [start_at, end_at), not all of them, that were read by other settings.

    `keys` of the dataset file say something else now. `command` reads them again; it is empty where
    the source has no rows of them any more.
    """

    n_hours: int
    start_at: datetime
    end_at: datetime
    keys: tuple[str, ...]
    command: str

    @property
    def text(self) -> str:
        """What people are told of them."""
        few = ", ".join(self.keys[:_SHOWN])
        n_more = len(self.keys) - _SHOWN
        few += f" and {n_more} more" * (n_more > 0)
        hours = f"{self.n_hours:,} hour{'s' * (self.n_hours > 1)}"
        span = f"{self.start_at:%Y-%m-%d %H:%M} to {self.end_at:%Y-%m-%d %H:%M} UTC"
        said = f"{hours} from {span} {'were' if self.n_hours > 1 else 'was'} read by other settings"
        if self.command:
            return f"{said} ({few}). Read again, as new revisions: {self.command}"
        return f"{said} ({few}); the source has no rows of them any more, so they stay as they are."


def hours_read_otherwise(store: Store, config: DatasetConfig, uris: Uris) -> list[OtherHours]:
    """Hours that the dataset's settings would read otherwise: those that the source still has, and
    those that it has not; none where nothing was read, or by nothing that is known.

    Raises what `open_sources` says.
    """
    with store.transaction():
        has_settings = store.one(queries.SELECT_HAS_SETTINGS)
        dataset = store.first(SELECT_DATASET, name=config.dataset) if has_settings else None
    if dataset is None:
        return []
    dataset_id = dataset.dataset_id
    now = read_settings(config, scales_said(store, config, dataset_id, uris))
    with store.transaction():
        asked = {"dataset_id": dataset_id, "digest": now.digest}
        hours = store.rows(queries.SELECT_OTHER_HOURS, **asked)
        digests = sorted({one.digest for one in hours})
        former = dict(
            store.rows(queries.SELECT_FORMER_SETTINGS, dataset_id=dataset_id, digests=digests)
        )
    if not hours:
        return []
    changed = {digest: differences(said, now.settings) for digest, said in former.items()}
    known = _known_spans(store, config, uris, dataset_id)
    found: dict[_There, list[queries.OtherHour]] = {one: [] for one in _There}
    for hour in hours:
        if of_hour := changed.get(hour.digest):
            found[_there(hour.hour_at, of_hour, known)].append(hour)
    again = _told(config, found[_There.IS], changed, again=True)
    return [*again, *_told(config, found[_There.WAS], changed)]


def _told(
    config: DatasetConfig,
    hours: Sequence[queries.OtherHour],
    changed: Mapping[str, Sequence[Difference]],
    *,
    again: bool = False,
) -> Iterator[OtherHours]:
    if not hours:
        return
    start_at, end_at = hours[0].hour_at, hours[-1].read_until
    digests = {one.digest for one in hours}
    keys = sorted({one.key for digest in digests for one in changed[digest]})
    from_text, to_text = (f"{at:%Y-%m-%dT%H:%MZ}" for at in (start_at, end_at))
    command = f"tsad rescore {config.dataset} --from {from_text} --to {to_text}" if again else ""
    yield OtherHours(len(hours), start_at, end_at, tuple(keys), command)


class _There(Enum):
    """Whether a source has rows of an hour, or had them once, or never had any."""

    IS = auto()
    WAS = auto()
    NEVER = auto()


class _Known(NamedTuple):
    """Of a source: the hour from which on anything was read of it, and the first and the last of
    those that it still has; None: there is none.
    """

    read_from: datetime | None
    first: datetime | None
    last: datetime | None

    def of(self, hour: datetime) -> _There:
        if self.first is not None and self.last is not None and self.first <= hour <= self.last:
            return _There.IS
        # What was never read may have come since; before it began there was nothing.
        is_before = self.read_from is None or hour < self.read_from
        return _There.NEVER if is_before else _There.WAS


def _known_spans(store: Store, config: DatasetConfig, uris: Uris, dataset_id: int) -> list[_Known]:
    """What of each source there is; an hour that its own retention has cut is not there."""
    found, now_at = list[_Known](), store.now()
    with open_sources(uris, config) as parts:
        for part in parts:
            with part.asked() as source:
                bounds = [source.time_bounds(table, now_at) for table in source.tables]
            ends = [at for pair in bounds for at in pair if at is not None]
            with store.transaction():
                read = _Read.of(store, part.config, dataset_id)
                if not ends:
                    found.append(_Known(read.from_at, None, None))
                    continue
                first = hour_floor(min(ends))
                first += HOUR * read.has_before(store, first, min(ends))
            found.append(_Known(read.from_at, first, hour_floor(max(ends))))
    return found


class _Read(NamedTuple):
    """What was read of the channels of a source."""

    entity_ids: list[int]
    layout: Layout
    channels: list[int]
    from_at: datetime | None

    @classmethod
    def of(cls, store: Store, config: DatasetConfig, dataset_id: int) -> _Read:
        layout = select_layouts(store, dataset_id)[0]
        ids = [*select_entities(store, dataset_id).values()]
        names = [name for name in config.channel_names if name in layout.channel_names]
        channels = [layout.channel_names.index(name) for name in names]
        first_s = first_values(store, ids, [layout.channel_ids[at] for at in channels])
        known = first_s[first_s < np.iinfo(np.int64).max]
        from_at = from_unix_s(int(known.min())) if len(known) else None
        return cls(ids, layout, channels, from_at)

    def has_before(self, store: Store, hour_at: datetime, until_at: datetime) -> bool:
        """Whether an hour has readings before the step of a time in it."""
        span = self.entity_ids, hour_at, hour_at + HOUR
        values = read_raw_blocks(store, self.layout, *span).values[:, :, self.channels]
        n_before = (until_at - hour_at) // timedelta(seconds=self.layout.step_s)
        return not bool(np.isnan(values[:, :n_before]).all())


def _there(hour: datetime, changed: Sequence[Difference], known: Sequence[_Known]) -> _There:
    """Whether the sources that are read otherwise now still have rows of an hour; one that has lost
    them decides.
    """
    places = {one.source for one in changed}
    chosen = known if None in places else [known[at] for at in places if at is not None]
    found = {one.of(hour) for one in chosen}
    return next(one for one in (_There.WAS, _There.IS, _There.NEVER) if one in found)
