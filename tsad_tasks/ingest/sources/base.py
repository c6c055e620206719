"""What a source is: a file of this folder each, under the name that `source.kind` says.

A source knows the dataset's file and the URI of its connection, and nothing of the warehouse. Such
a file imports nothing slow at its top, since all of them are imported when a dataset file is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import BadInput, Unavailable
from tsad_tasks.base.settings import Section
from tsad_tasks.base.variants import SOURCES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tsad_tasks.config import DatasetConfig

HOUR_US = 3_600_000_000
# Names of entities end here; an index of the warehouse holds 2.7 kB.
MAX_NAME_BYTES = 1_000
# Times that clocks show when they are wrong lie outside of these: 1970, 1980, 2036.
PLAUSIBLE_FROM, PLAUSIBLE_AHEAD = datetime(1990, 1, 1, tzinfo=UTC), timedelta(days=1)
# The parts of a series' id, as one text; from when to when a tag holds that says neither.
SERIES_JOINT = "\x1f"
ALWAYS_US = -(2**62), 2**62
register = SOURCES.register
# URIs of a dataset's connections, one for each source in the order of the file; one for all.
Uris = str | Sequence[str]


# How grave it is, what a person might mend, and the table's title.
Hint = tuple[Literal["error", "warning", "info"], str, str]


class NoSettings(Section):
    """Of a kind without settings of its own."""


@dataclass(frozen=True)
class SourceFault:
    """Something of a table that cannot be used: the issue's name, whom it costs, and what to do."""

    table: str
    issue: Literal["unusable_table", "missing_column", "not_numeric_column"]
    detail: str
    channel: str = ""


@dataclass(frozen=True)
class SourceTable:
    """A table, file or stream that can be read.

    Attributes
    ----------
    entity : all of it is of this entity; None: each row says its own.
    channels : positions of the dataset's channels that it has.
    faults : what of it cannot be used.
    unused : columns that the dataset does not read, such as a sensor that was added.
    """

    title: str
    entity: str | None = None
    channels: tuple[int, ...] = ()
    faults: tuple[SourceFault, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tag:
    """A series while it is one channel of one entity.

    Attributes
    ----------
    series : what the source's columns say, in the order of `source.series`.
    scale, offset : value = raw × scale + offset.
    start_us, end_us : valid in [start, end), microseconds since 1970.
    line : of the file; 0: it is from elsewhere.
    """

    series: tuple[str, ...]
    entity: str
    channel: str
    scale: float
    offset: float
    start_us: int = ALWAYS_US[0]
    end_us: int = ALWAYS_US[1]
    line: int = 0


def series_title(name: str) -> str:
    """The parts of a series' id that are one text, as people see it.

    >>> series_title(SERIES_JOINT.join(["7", "rx"]))
    '7/rx'
    """
    return name.replace(SERIES_JOINT, "/")


class InventoryRow(NamedTuple):
    """What a source says of an entity: whether it is gone for good, and what carries its readings;
    empty: nothing is said of that.
    """

    entity: str
    is_retired: bool
    carrier: str


@dataclass(frozen=True)
class SourceRows:
    """Rows of all tables of a dataset in a time range, in any order.

    Attributes
    ----------
    times_us : (n_rows,) microseconds since 1970, UTC; before the range where a row is one of the
        last of its series that decide what is in it.
    entity : (n_rows,) position in `entity_names`; -1 where the source has none.
    updated_us : (n_rows,) grows when a row changes; equal everywhere when there is no such column.
    label : (n_rows,) known anomalies.
    values : (n_rows, n_channels) of wide tables, (n_rows,) of long ones; NaN is NULL, +Infinity was
        NaN or infinite, -Infinity was no number at all: a mark costs only itself.
    channel : (n_rows,) of long tables: position in `channel_names`, -1 where the source has none.
    table : (n_rows,) position in `tables`.
    offered : (n_tables, n_channels) channels that the table has.
    ambiguous, nonexistent : (n_rows,) naive times that occur twice, or never.
    channel_names : the dataset's channels, then names that only the source knows.
    unknown_label : (n_rows,) rows whose label says neither yes nor no; None: there is none.
    label_words : some of those labels.
    faults : of tables that were found and could not be read.
    bad : (n_rows,) rows whose quality is not good; None: all are.
    tag : (n_rows,) of series: position in `tags`, -1 for times at which no tag holds; None: entity
        and channel have names of their own, and values are as they are to be.
    tags : what series are, by which `values` are to be scaled.
    event : (n_rows,) what stands for the event's id, 0 where a row has none; None: no row has.
    state_words : by position of a discrete channel, some of its texts that are no state.
    """

    times_us: NDArray[np.int64]
    entity: NDArray[np.intp]
    updated_us: NDArray[np.int64]
    label: NDArray[np.bool_]
    values: NDArray[np.float64]
    channel: NDArray[np.intp] | None
    table: NDArray[np.intp]
    offered: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    nonexistent: NDArray[np.bool_]
    entity_names: tuple[str, ...]
    channel_names: tuple[str, ...]
    tables: tuple[SourceTable, ...]
    unknown_label: NDArray[np.bool_] | None = None
    label_words: tuple[str, ...] = ()
    faults: tuple[SourceFault, ...] = ()
    bad: NDArray[np.bool_] | None = None
    tag: NDArray[np.intp] | None = None
    tags: tuple[Tag, ...] = ()
    event: NDArray[np.int64] | None = None
    state_words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def plain_rows(
    config: DatasetConfig,
    table: SourceTable,
    times_us: NDArray[np.int64],
    entities: Sequence[str],
    values: NDArray[np.float64],
) -> SourceRows:
    """Rows of one table with a column for each channel, without labels and times of change.

    Parameters
    ----------
    times_us : (n_rows,) microseconds since 1970, UTC.
    entities : (n_rows,) names.
    values : (n_rows, n_channels), NaN where nothing was read.
    """
    import numpy as np

    names, entity = np.unique(np.asarray(entities, dtype=object), return_inverse=True)
    nothing = np.zeros(len(times_us), bool)
    offered = np.isin(np.arange(len(config.channel_names)), table.channels)
    zeros = np.zeros(len(times_us), np.int64)
    return SourceRows(
        times_us, entity, zeros, nothing, values, None, zeros.astype(np.intp), offered[None],
        nothing, nothing, tuple(map(str, names)), config.channel_names, (table,),
    )  # fmt: skip


@dataclass(frozen=True)
class HourCount:
    """What the source holds of one hour at this moment."""

    n_rows: int
    updated_at: datetime | None = None

    def __add__(self, other: HourCount) -> HourCount:
        updates = [at for at in (self.updated_at, other.updated_at) if at is not None]
        return HourCount(self.n_rows + other.n_rows, max(updates, default=None))


class Source(Protocol):
    """The sensor tables of one dataset, looked at anew when it is opened.

    A class of this kind takes the connection's URI and the dataset's file. Opening and reading
    raise `AccessDenied` (the login was refused), `Unavailable` (no answer: trying again may help),
    `Interrupted` (a smaller read may help) or `SourceError` (not what the dataset file says).

    Attributes
    ----------
    settings_model : what `source.params` of a dataset file may say.
    tables : those that can be read.
    faults : of those that cannot be.
    """

    settings_model: ClassVar[type[Section]] = NoSettings
    tables: tuple[SourceTable, ...]
    faults: tuple[SourceFault, ...] = ()

    def __init__(self, uri: str, config: DatasetConfig) -> None: ...

    @classmethod
    def tags_said(cls, uri: str, config: DatasetConfig) -> tuple[Tag, ...]:
        """What its series are called now, by series and time.

        A kind that has series takes the tags by which it is to read as its third argument.
        """
        return ()

    @classmethod
    def inventory_said(cls, uri: str, config: DatasetConfig) -> tuple[InventoryRow, ...]:
        """What it says of its entities themselves, where the dataset file asks for that."""
        return ()

    def close(self) -> None:
        """Nothing is read any more."""

    def read(self, start_us: int, end_us: int, known_entities: Iterable[str] = ()) -> SourceRows:
        """Rows with a time in [start_us, end_us), of all tables, as of one moment.

        `known_entities` are names that the source probably uses. Where values stay valid
        (`valid_for` of a channel), the last row of each series before the range is there, too; of
        counters that have rows in it the last `N_BEFORE` totals (see `ingest/counter.py`).
        """
        ...

    def refuses(self, start_us: int) -> str | None:
        """Why the hour from `start_us` on is not to be read, where the dataset file must say so."""
        return None

    def now(self) -> datetime:
        """What the source's clock shows, where it has one."""
        return utc_now()

    def behind_since(self) -> datetime | None:
        """The time from which on a copy of the source may lack rows that the source has; None: it
        lacks none.
        """
        return None

    def time_bounds(
        self, table: SourceTable, now_at: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Oldest and newest plausible time of one table, in UTC; None where there is none."""
        ...

    def count_hours(self, start_us: int, end_us: int) -> dict[int, HourCount]:
        """Rows of the source by hour (microseconds since 1970), of hours that have any."""
        import numpy as np

        times_us = self.read(start_us, end_us).times_us
        hours_us = times_us[times_us >= start_us] // HOUR_US * HOUR_US
        found, n_rows = np.unique(hours_us, return_counts=True)
        return {int(at_us): HourCount(int(n)) for at_us, n in zip(found, n_rows, strict=True)}

    def count_null_times(self, *, cheaply: bool = False) -> int:
        """Rows without a time; `cheaply` leaves out tables of which this is slow to say."""
        return 0

    def implausible_times(self, now_at: datetime, *, cheaply: bool = False) -> dict[str, int]:
        """Rows by entity before `PLAUSIBLE_FROM` or later than `PLAUSIBLE_AHEAD` from `now_at`.

        `cheaply` leaves out tables of which this is slow to say.
        """
        return {}

    def hints(self) -> list[Hint]:
        """What a person might mend."""
        return []

    def advice(self, start_us: int, end_us: int) -> list[Hint]:
        """What a person might mend, as rows of an hour show it."""
        return []

    def fitting_unit(self, now_at: datetime) -> str | None:
        """The unit in which times are plausible, where that of the dataset file is not it."""
        return None


@dataclass(frozen=True)
class OpenPart:
    """One of a dataset's sources, open.

    Attributes
    ----------
    config : the dataset as this source has it.
    name : what people are told of it.
    is_alone : the dataset has no other.
    """

    config: DatasetConfig
    source: Source
    name: str
    is_alone: bool

    @property
    def title(self) -> str:
        """What it is called within a sentence."""
        return "source" if self.is_alone else f"source {self.name}"

    @contextmanager
    def asked(self) -> Iterator[Source]:
        """The source; what goes wrong says which of several it was."""
        with _named("" if self.is_alone else self.name):
            yield self.source


def tags_said(uri: str, config: DatasetConfig, name: str = "") -> tuple[Tag, ...]:
    """What the series of the dataset's source are called now; raises what `Source` says.

    `name` is what people are told of the source, where the dataset has several.
    """
    with _named(name):
        said: tuple[Tag, ...] = SOURCES[config.source.kind].tags_said(uri, config)
    return said


def inventory_said(uri: str, config: DatasetConfig, name: str = "") -> tuple[InventoryRow, ...]:
    """What the dataset's source says of its entities now; raises what `Source` says."""
    with _named(name):
        said: tuple[InventoryRow, ...] = SOURCES[config.source.kind].inventory_said(uri, config)
    return said


@contextmanager
def open_source(
    uri: str, config: DatasetConfig, tags: Sequence[Tag] | None = None
) -> Iterator[Source]:
    """The dataset's source, by its kind, its series read by `tags`, or by what is said of them now.

    Raises what `Source` says.
    """
    given = () if tags is None else (tags,)
    source: Source = SOURCES[config.source.kind](uri, config, *given)
    try:
        yield source
    finally:
        source.close()


@contextmanager
def open_sources(
    uris: Uris, config: DatasetConfig, tags: Sequence[Sequence[Tag] | None] | None = None
) -> Iterator[tuple[OpenPart, ...]]:
    """All sources of a dataset in the order of its file, read by the `tags` of each, as above.

    Raises what `Source` says; of several sources it says which one.
    """
    is_alone, opened = len(config.parts) == 1, list[OpenPart]()
    given = tags or [None] * len(config.parts)
    with ExitStack() as stack:
        for (part, uri, name), own in zip(uris_of(uris, config), given, strict=True):
            with _named("" if is_alone else name):
                source = stack.enter_context(open_source(uri, part, own))
            opened.append(OpenPart(part, source, name, is_alone))
        yield tuple(opened)


def uris_of(uris: Uris, config: DatasetConfig) -> list[tuple[DatasetConfig, str, str]]:
    """The dataset as each source has it, the URI of its connection, and what it is called."""
    every = [uris] * len(config.parts) if isinstance(uris, str) else uris
    return list(zip(config.parts, every, config.source_names, strict=True))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Each line of what goes wrong begins with the source's name, if there is one."""
    try:
        yield
    except (BadInput, Unavailable) as error:
        if name:
            error.args = tuple(f"Source {name}: {line}" for line in error.args)
        raise
