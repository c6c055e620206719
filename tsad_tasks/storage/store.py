"""The warehouse over one connection: transactions, and the statements of sql/queries in one typed way.

A query is declared once, beside what one row of it is, in the room that asks it:

    SELECT_CHAMPIONS = Query("scoring/select_champions", Champion)

and is asked with its parameters by keyword: `store.rows(SELECT_CHAMPIONS, dataset_id=1, ...)`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar, is_typeddict

import numpy as np
from numpy.typing import NDArray
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import Json

from tsad_tasks.base.digest import block_checksums
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.sensor_change import Piece, convert, pieces, salted, salts
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect, path_of, statement_text
from tsad_tasks.storage.rows import (
    AnomalyRows,
    AttributionRows,
    Blocks,
    Champion,
    ChampionAt,
    ChampionScope,
    ChannelEpoch,
    DatasetRow,
    Exclusion,
    Flag,
    FoldStates,
    IncidentRow,
    IngestHour,
    IngestIssue,
    Label,
    Layout,
    LearnedEpoch,
    LearnedScale,
    ModelDecision,
    ModelUse,
    NewModel,
    OpenShadow,
    QualityVerdict,
    ScoreMemo,
    ScoreRows,
    ScoreSteps,
    ScoreWrite,
    StandingIncident,
    TopAttribution,
    TrainedModel,
    UnscaledEntity,
)

Row = TypeVar("Row")
INFINITY = "infinity"
_ALWAYS = datetime(9999, 12, 31, tzinfo=UTC)

INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS incoming_reading
  (entity_id int, hour_at timestamptz, layout_id int, checksum bigint, values float8[]) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS incoming_score
  (entity_id int, hour_at timestamptz, model_id int, errors real[], thresholds real[], scores real[],
   reasons smallint[], channel_errors real[], status text, coverage real, n_needed int, n_seen int,
   window_digest bigint, score_digest bigint)
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS incoming_anomaly
  (entity_id int, at timestamptz, hour_at timestamptz, model_id int, kind text, severity text, error real,
   threshold real, score real, provisional boolean) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS incoming_attribution
  (entity_id int, at timestamptz, model_id int, channel_id int, share real, actual float8, expected float8,
   spread float8, step_shares real[])
  ON COMMIT DELETE ROWS;
"""


@dataclass(frozen=True)
class Statement:
    """A statement of `sql/queries/<path>.sql`, such as `ingest/upsert_labels`."""

    path: str

    @property
    def text(self) -> str:
        """The statement with its comment and its `%(name)s` parameters."""
        return statement_text(self.path)


@dataclass(frozen=True)
class Query(Statement, Generic[Row]):
    """A statement that gives rows, and what one row is.

    Parameters
    ----------
    row : a dataclass or a named tuple, whose fields are the columns in their order; a `TypedDict`
        or `dict`, by the columns' names (for tables that people see); or, where there is one
        column, the type of its value.
    """

    row: type[Row]


class Store:
    """The warehouse over one connection. Not shared between threads or processes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._has_incoming = False

    @classmethod
    def connect(cls, uri: str) -> Store:
        """A store over a new connection; see `database.connect` for what it raises."""
        return cls(connect(uri))

    @classmethod
    def open(cls, uri: str) -> Store:
        """A store over a warehouse that has been migrated.

        Raises
        ------
        BadInput
            When the warehouse has no schema yet. `database.connect` says what else.
        """
        store = cls.connect(uri)
        if store.has_schema():
            return store
        store.close()
        raise BadInput(
            "Expected a warehouse with the schema tsad. Received: one without. Run: tsad migrate"
        )

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._connection:
            yield

    def rollback(self) -> None:
        """Forgets what was not committed."""
        self._connection.rollback()

    def rows(self, query: Query[Row], /, **params: object) -> list[Row]:
        """All rows of a query."""
        with self._asked(query, params) as cursor:
            names = [column.name for column in cursor.description or ()]
            return _as_rows(query.row, names, cursor.fetchall())

    def first(self, query: Query[Row], /, **params: object) -> Row | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(query, **params)), None)

    def one(self, query: Query[Row], /, **params: object) -> Row:
        """The row of a query that always gives one.

        Raises
        ------
        LookupError
            When it gave none, or more.
        """
        rows = self.rows(query, **params)
        if len(rows) != 1:
            raise LookupError(f"Expected one row of {query.path}. Received: {len(rows)}.")
        return rows[0]

    def execute(
        self, statement: Statement | str, known: Mapping[str, Any] | None = None, /, **params: Any
    ) -> int:
        """Rows that a statement touched."""
        if isinstance(statement, str):
            statement = _named(statement)
        with self._asked(statement, {**(known or {}), **params}) as cursor:
            return int(cursor.rowcount)

    @contextmanager
    def _asked(self, statement: Statement, params: Mapping[str, Any]) -> Iterator[Cursor]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement.text, params)
            yield cursor

    def select(self, name: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Rows of the statement of that name: the former way, until all rooms declare theirs."""
        with self._asked(_named(name), params) as cursor:
            return list(cursor.fetchall())

    def records(self, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows by column name: the former way, until all rooms declare theirs."""
        with self._asked(_named(name), params) as cursor:
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _copy_out(
        self, name: str, params: Mapping[str, Any], columns: Sequence[binary.Field]
    ) -> dict[str, NDArray[Any]]:
        stream = io.BytesIO()
        with self._connection.cursor() as cursor:
            inner = cursor.mogrify(_named(name).text, params).decode()
            cursor.copy_expert(f"COPY ({inner}) TO STDOUT (FORMAT binary)", stream)
        return binary.decode(stream.getvalue(), columns)

    def _copy_in(self, table: str, columns: Sequence[binary.Column]) -> None:
        with self._connection.cursor() as cursor:
            if not self._has_incoming:
                cursor.execute(INCOMING)
                self._has_incoming = True
            cursor.execute(f"TRUNCATE pg_temp.{table}")
            cursor.copy_expert(
                f"COPY pg_temp.{table} FROM STDIN (FORMAT binary)",
                io.BytesIO(binary.encode(columns)),
            )

    def has_schema(self) -> bool:
        """Whether the warehouse has been migrated."""
        with self.transaction():
            return bool(self.select("select_schema", {})[0][0])

    def upsert_dataset(self, config: DatasetConfig) -> DatasetRow:
        """The dataset's row, registered or brought up to date."""
        policy = config.alarm_policy
        content = Json(config.model_dump(mode="json"))
        params: dict[str, Any] = {
            "name": config.dataset,
            "description": config.description,
            "site_zone": config.site_zone,
        }
        params |= {
            "step_s": config.source.step_s,
            "policy_version": policy.version,
            "merge_gap_s": policy.merge_gap_s,
        }
        self.execute("upsert_dataset", params | {"config": content})
        return self.select_dataset(config.dataset)

    def select_dataset(self, name: str) -> DatasetRow:
        """The dataset of a name.

        Raises
        ------
        BadInput
            When no step has ever registered it.
        """
        rows = self.select("select_dataset", {"name": name})
        if not rows:
            raise BadInput(f"Expected a dataset that was ingested before. Received: {name!r}.")
        dataset_id, known_name, step_s, merge_gap_s, site_zone, retired_before = rows[0]
        return DatasetRow(
            dataset_id, known_name, step_s, merge_gap_s, site_zone, _finite(retired_before)
        )

    def ensure_entities(self, dataset_id: int, names: Sequence[str]) -> dict[str, int]:
        """Entity ids by name, of all entities of the dataset; `names` are registered when new."""
        known = self.select_entities(dataset_id)
        new = sorted(set(names) - set(known))
        if new:
            self.execute("insert_entities", {"dataset_id": dataset_id, "names": new})
            known = self.select_entities(dataset_id)
        return known

    def select_entities(self, dataset_id: int) -> dict[str, int]:
        """Entity ids by name, oldest first."""
        return {
            name: entity_id
            for entity_id, name in self.select("select_entities", {"dataset_id": dataset_id})
        }

    def ensure_layout(self, dataset_id: int, config: DatasetConfig) -> Layout:
        """The layout in use, grown when the configuration names new channels. Needs the dataset's
        row, upserted.
        """
        names = config.channel_names
        units = [config.source.channels[name].unit for name in names]
        channels = {"dataset_id": dataset_id, "names": list(names), "units": units}
        n_changed = self.execute("upsert_channels", channels)
        ids = {
            name: channel_id
            for channel_id, name, _ in self.select("select_channels", {"dataset_id": dataset_id})
        }
        old = max(
            (layout.channel_ids for layout in self.select_layouts(dataset_id)), key=len, default=()
        )
        wanted = (*old, *(ids[name] for name in names if ids[name] not in old))
        params = {
            "dataset_id": dataset_id,
            "step_s": config.source.step_s,
            "channel_ids": list(wanted),
        }
        if self.execute("insert_layout", params) or n_changed:
            self.select("refresh_dataset_view", {"dataset_id": dataset_id})
        return self.select_layouts(dataset_id)[0]

    def select_layouts(self, dataset_id: int) -> list[Layout]:
        """All layouts of a dataset, the one in use first."""
        names = {
            channel_id: name
            for channel_id, name, _ in self.select("select_channels", {"dataset_id": dataset_id})
        }
        rows = self.select("select_layouts", {"dataset_id": dataset_id})
        return [
            Layout(key, step_s, tuple(ids), tuple(names[i] for i in ids))
            for key, step_s, ids in rows
        ]

    def lock_hours(
        self, dataset_id: int, hours: Sequence[datetime], *, seen: Sequence[datetime] = ()
    ) -> None:
        """Takes the locks of (dataset, hour), ascending, until the transaction ends; shared for
        hours only `seen`.
        """
        params = {
            name: [unix_s(hour) // 3600 for hour in some]
            for name, some in (("hours", hours), ("seen", seen))
        }
        self.select("lock_hours", {"dataset_id": dataset_id} | params)

    def lock_champions(self, dataset_id: int) -> None:
        """Keeps champions as they are until the transaction ends; many may hold this at once."""
        self.select("lock_champions", {"dataset_id": dataset_id})

    def lock_dataset(self, dataset_id: int, purpose: str) -> None:
        """Takes the dataset's advisory lock for one purpose until the transaction ends."""
        self.select("lock_dataset", {"dataset_id": dataset_id, "purpose": purpose})

    def _ensure_partitions(self, parent: str, hours_s: NDArray[np.int64]) -> None:
        months = {
            from_unix_s(int(hour)).replace(day=1, hour=0)
            for hour in np.unique(hours_s // 86400) * 86400
        }
        self.select("ensure_partitions", {"parent": parent, "months": sorted(months)})

    def select_decided_at(self) -> datetime:
        """The server's clock, for revisions decided under locks."""
        decided_at: datetime = self.select("select_decided_at", {})[0][0]
        return decided_at

    def read_blocks(
        self, layout: Layout, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> Blocks:
        """Readings of [start_at, end_at) (whole hours) in the columns of `layout`, as the pipeline
        sees them.

        Older layouts are included, and what changed sensors send is converted or unknown, as the
        checksums tell.
        """
        epochs = self.select_channel_epochs(entity_ids, end_at)
        return _converted(
            self.read_raw_blocks(layout, entity_ids, start_at, end_at),
            layout,
            entity_ids,
            start_at,
            epochs,
        )

    def read_blocks_before(
        self,
        layout: Layout,
        entity_id: int,
        start_at: datetime,
        end_at: datetime,
        epochs: Sequence[ChannelEpoch],
    ) -> Blocks:
        """The same of one entity as if there were only these changes of its sensors."""
        return _converted(
            self.read_raw_blocks(layout, [entity_id], start_at, end_at),
            layout,
            [entity_id],
            start_at,
            epochs,
        )

    def select_channel_epochs(
        self, entity_ids: Sequence[int], before_at: datetime
    ) -> list[ChannelEpoch]:
        """Changes of sensors that hold and began before a moment, oldest first."""
        params = {"entity_ids": list(entity_ids), "before_at": before_at}
        return [ChannelEpoch(*row) for row in self.select("select_channel_epochs", params)]

    def read_raw_blocks(
        self, layout: Layout, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> Blocks:
        """Readings of [start_at, end_at) as they came."""
        n_hours = (unix_s(end_at) - unix_s(start_at)) // 3600
        values = np.full(
            (len(entity_ids), n_hours, layout.n_steps, len(layout.channel_ids)), np.nan
        )
        checksums = np.zeros((len(entity_ids), n_hours), np.int64)
        params = {"entity_ids": list(entity_ids), "start_at": start_at, "end_at": end_at}
        for stored in self._layouts_like(layout):
            shape = (stored.n_steps, len(stored.channel_ids))
            columns = [
                binary.Field("entity_id", "i4"),
                binary.Field("hour_at", "i8"),
                binary.Field("checksum", "i8"),
            ]
            columns.append(binary.Field("values", "f8", shape))
            rows = self._copy_out(
                "read_reading_blocks", params | {"layout_id": stored.layout_id}, columns
            )
            at = _positions(rows, entity_ids, start_at)
            values[at] = _in_columns(rows["values"], stored, layout)
            checksums[at] = rows["checksum"]
        return Blocks(values.reshape(len(entity_ids), -1, len(layout.channel_ids)), checksums)

    def _layouts_like(self, layout: Layout) -> list[Layout]:
        dataset = self.select("select_layout_dataset", {"layout_id": layout.layout_id})[0][0]
        return [stored for stored in self.select_layouts(dataset) if stored.step_s == layout.step_s]

    def read_checksums(
        self, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> NDArray[np.int64]:
        """Checksums (n_entities, n_hours) of blocks of [start_at, end_at) as the pipeline sees
        them; 0: none.
        """
        raw = self._read_raw_checksums(entity_ids, start_at, end_at)
        return _salted(raw, entity_ids, start_at, self.select_channel_epochs(entity_ids, end_at))

    def read_checksums_before(
        self, entity_id: int, start_at: datetime, end_at: datetime, epochs: Sequence[ChannelEpoch]
    ) -> NDArray[np.int64]:
        """Checksums (1, n_hours) of one entity as if there were only these changes of its
        sensors.
        """
        return _salted(
            self._read_raw_checksums([entity_id], start_at, end_at), [entity_id], start_at, epochs
        )

    def _read_raw_checksums(
        self, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> NDArray[np.int64]:
        checksums = np.zeros(
            (len(entity_ids), (unix_s(end_at) - unix_s(start_at)) // 3600), np.int64
        )
        columns = [
            binary.Field("entity_id", "i4"),
            binary.Field("hour_at", "i8"),
            binary.Field("checksum", "i8"),
        ]
        params = {"entity_ids": list(entity_ids), "start_at": start_at, "end_at": end_at}
        rows = self._copy_out("read_reading_checksums", params, columns)
        checksums[_positions(rows, entity_ids, start_at)] = rows["checksum"]
        return checksums

    def update_channel_epoch(self, learned: LearnedEpoch) -> int:
        """Whether what was learned of a changed sensor is new."""
        return self.execute("update_channel_epoch", asdict(learned))

    def select_unscaled_entities(self, dataset_id: int) -> list[UnscaledEntity]:
        """Entities that a champion of the dataset has no scale for."""
        return [
            UnscaledEntity(*row)
            for row in self.select("select_unscaled_entities", {"dataset_id": dataset_id})
        ]

    def upsert_entity_scale(self, learned: LearnedScale) -> int:
        """Whether what was learned of a new entity is new."""
        return self.execute("upsert_entity_scale", asdict(learned))

    def write_blocks(
        self,
        layout: Layout,
        entity_ids: Sequence[int],
        hours: Sequence[datetime],
        values: NDArray[np.float64],
    ) -> int:
        """Rows changed by writing one block per (entity, hour); values (n, steps, channels). Needs
        the hours' locks.
        """
        if not len(entity_ids):
            return 0
        hours_s = np.array([unix_s(hour) for hour in hours], np.int64)
        self._ensure_partitions("reading_block", hours_s)
        self._copy_in(
            "incoming_reading",
            [
                binary.number(entity_ids, "i4"),
                binary.timestamptz(hours_s),
                binary.number(np.full(len(entity_ids), layout.layout_id), "i4"),
                binary.number(block_checksums(values, layout.channel_ids), "i8"),
                binary.array(values, "f8"),
            ],
        )
        return self.execute("upsert_reading_blocks", {})

    def select_ingest_hours(
        self, dataset_id: int, start_at: datetime, end_at: datetime
    ) -> list[IngestHour]:
        """The ledger of [start_at, end_at)."""
        params = {"dataset_id": dataset_id, "start_at": start_at, "end_at": end_at}
        return [IngestHour(*row) for row in self.select("select_ingest_hours", params)]

    def upsert_ingest_hours(self, dataset_id: int, rows: Sequence[IngestHour]) -> None:
        """Writes the ledger."""
        self.execute("upsert_ingest_hours", {"dataset_id": dataset_id} | columns(rows, IngestHour))

    def replace_ingest_issues(
        self, dataset_id: int, hours: Sequence[datetime], rows: Sequence[IngestIssue]
    ) -> None:
        """Replaces the counted issues of `hours`."""
        self.execute("delete_ingest_issues", {"dataset_id": dataset_id, "hours": list(hours)})
        if rows:
            self.execute(
                "insert_ingest_issues", {"dataset_id": dataset_id} | columns(rows, IngestIssue)
            )

    def replace_quality(
        self, entity_ids: Sequence[int], hours: Sequence[datetime], rows: Sequence[QualityVerdict]
    ) -> None:
        """Replaces the verdicts on sensors of `entity_ids` × `hours`."""
        self.execute("delete_quality", {"entity_ids": list(entity_ids), "hours": list(hours)})
        if rows:
            self.execute("insert_quality", columns(rows, QualityVerdict))

    def upsert_labels(self, rows: Sequence[Label]) -> int:
        """Labels that were new."""
        return self.execute("upsert_labels", columns(rows, Label)) if rows else 0

    def select_labels(self, dataset_id: int, start_at: datetime, end_at: datetime) -> list[Label]:
        """Known anomalies that touch [start_at, end_at)."""
        params = {"dataset_id": dataset_id, "start_at": start_at, "end_at": end_at}
        return [Label(*row) for row in self.select("select_labels", params)]

    def select_champions(
        self, dataset_id: int, lineage: str, start_at: datetime, end_at: datetime
    ) -> list[Champion]:
        """Champion periods that touch [start_at, end_at)."""
        params = {
            "dataset_id": dataset_id,
            "lineage": lineage,
            "start_at": start_at,
            "end_at": end_at,
        }
        return [Champion(*row) for row in self.select("select_champions", params)]

    def read_score_memo(
        self,
        model_id: int,
        entity_ids: Sequence[int],
        start_at: datetime,
        end_at: datetime,
        n_steps: int,
    ) -> ScoreMemo:
        """What is stored of one model's errors in [start_at, end_at) (whole hours of `n_steps`)."""
        shape = (len(entity_ids), (unix_s(end_at) - unix_s(start_at)) // 3600)
        columns = [
            binary.Field("entity_id", "i4"),
            binary.Field("hour_at", "i8"),
            binary.Field("window_digest", "i8"),
        ]
        columns.append(binary.Field("errors", "f4", (n_steps,)))
        params = {
            "model_id": model_id,
            "entity_ids": list(entity_ids),
            "start_at": start_at,
            "end_at": end_at,
        }
        rows = self._copy_out("read_score_memo", params, columns)
        errors = np.full((*shape, n_steps), np.nan, np.float32)
        memo = ScoreMemo(errors, np.zeros(shape, np.int64), np.zeros(shape, bool))
        at = _positions(rows, entity_ids, start_at)
        memo.errors[at], memo.window_digests[at], memo.stored[at] = (
            rows["errors"],
            rows["window_digest"],
            True,
        )
        return memo

    def read_window_digests(
        self, model_id: int, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which hours of [start_at, end_at) have errors of this model, and digests: (n_entities,
        n_hours) each.
        """
        return self._read_digests("read_window_digests", model_id, entity_ids, start_at, end_at)

    def read_score_digests(
        self, model_id: int, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which hours of [start_at, end_at) have scores of this model, and digests: (n_entities,
        n_hours) each.
        """
        return self._read_digests("read_score_digests", model_id, entity_ids, start_at, end_at)

    def _read_digests(
        self,
        name: str,
        model_id: int,
        entity_ids: Sequence[int],
        start_at: datetime,
        end_at: datetime,
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        shape = (len(entity_ids), (unix_s(end_at) - unix_s(start_at)) // 3600)
        found, digests = np.zeros(shape, bool), np.zeros(shape, np.int64)
        columns = [
            binary.Field("entity_id", "i4"),
            binary.Field("hour_at", "i8"),
            binary.Field("digest", "i8"),
        ]
        params = {
            "model_id": model_id,
            "entity_ids": list(entity_ids),
            "start_at": start_at,
            "end_at": end_at,
        }
        rows = self._copy_out(name, params, columns)
        at = _positions(rows, entity_ids, start_at)
        found[at], digests[at] = True, rows["digest"]
        return found, digests

    def read_fold_digests(
        self, model_id: int, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """After which hours of [start_at, end_at) a state is remembered, and digests: (n_entities,
        n_hours) each.
        """
        return self._read_digests("select_fold_states", model_id, entity_ids, start_at, end_at)

    def read_fold_states(
        self, model_id: int, entity_ids: Sequence[int], hours: Sequence[datetime]
    ) -> dict[int, bytes]:
        """States by entity after one hour each."""
        params = {"model_id": model_id, "entity_ids": list(entity_ids), "hours": list(hours)}
        return (
            {key: bytes(state) for key, state in self.select("read_fold_states", params)}
            if entity_ids
            else {}
        )

    def write_fold_states(self, model_id: int, rows: FoldStates, forget_before: datetime) -> None:
        """Remembers states; of those before a moment only the last of each day stay."""
        if rows.entity_ids:
            self.execute("upsert_fold_states", {"model_id": model_id} | vars(rows))
            params = {
                "model_id": model_id,
                "entity_ids": rows.entity_ids,
                "before_at": forget_before,
            }
            self.execute("delete_fold_states", params)

    def write_scores(
        self, rows: ScoreRows, anomalies: AnomalyRows, attributions: AttributionRows
    ) -> ScoreWrite:
        """Replaces what the model says of these hours; unchanged content writes nothing. Needs the
        hours' locks.
        """
        if not len(rows.entity_ids):
            return ScoreWrite(0, 0, 0)
        self._ensure_partitions("score_block", rows.hours_s)
        self._copy_scores(rows)
        self._copy_anomalies(anomalies, rows.model_id)
        self._copy_attributions(attributions, rows.model_id)
        decided = {"decided_at": self.select_decided_at()}
        n_new, n_superseded = self.execute("insert_scores", decided), 0
        # In a live hour all rows are new, and nothing has to be compared.
        if n_new < len(rows.entity_ids):
            self.execute("refresh_score_digests", decided)
            self.execute("delete_score_memos", decided)
            n_superseded = self.execute("supersede_scores", decided)
            n_new += self.execute("insert_scores", decided)
        self.execute("supersede_anomalies", decided)
        n_anomalies = self.execute("insert_anomalies", decided)
        self.execute("delete_attributions", decided)
        self.execute("insert_attributions", decided)
        return ScoreWrite(n_new, n_superseded, n_anomalies)

    def _copy_scores(self, rows: ScoreRows) -> None:
        self._copy_in(
            "incoming_score",
            [
                binary.number(rows.entity_ids, "i4"),
                binary.timestamptz(rows.hours_s),
                binary.number(np.full(len(rows.entity_ids), rows.model_id), "i4"),
                binary.array(rows.errors, "f4", nullable=True),
                binary.array(rows.thresholds, "f4", nullable=True, absent=rows.memo),
                binary.array(rows.scores, "f4", nullable=True, absent=rows.memo),
                binary.array(rows.reasons, "i2"),
                binary.array(rows.channel_errors, "f4", nullable=True, absent=~rows.has_flags),
                binary.text(rows.status),
                binary.number(rows.coverage, "f4"),
                binary.number(rows.n_needed, "i4"),
                binary.number(rows.n_seen, "i4"),
                binary.number(rows.window_digests, "i8"),
                binary.number(rows.score_digests, "i8"),
            ],
        )

    def _copy_anomalies(self, rows: AnomalyRows, model_id: int) -> None:
        self._copy_in(
            "incoming_anomaly",
            [
                binary.number(rows.entity_ids, "i4"),
                binary.timestamptz(rows.times_s),
                binary.timestamptz(rows.times_s - rows.times_s % 3600),
                binary.number(np.full(len(rows.entity_ids), model_id), "i4"),
                binary.text(rows.kind),
                binary.text(rows.severity),
                binary.number(rows.error, "f4"),
                binary.number(rows.threshold, "f4"),
                binary.number(rows.score, "f4"),
                binary.number(rows.provisional, "i1"),
            ],
        )

    def _copy_attributions(self, rows: AttributionRows, model_id: int) -> None:
        self._copy_in(
            "incoming_attribution",
            [
                binary.number(rows.entity_ids, "i4"),
                binary.timestamptz(rows.times_s),
                binary.number(np.full(len(rows.entity_ids), model_id), "i4"),
                binary.number(rows.channel_ids, "i4"),
                binary.number(rows.share, "f4"),
                binary.number(rows.actual, "f8"),
                binary.number(rows.expected, "f8"),
                binary.number(rows.spread, "f8"),
                binary.array(rows.step_shares, "f4"),
            ],
        )

    def write_unscored_hours(
        self,
        lineage: str,
        entity_ids: Sequence[int],
        hours: Sequence[datetime],
        status: Sequence[str | None],
        detail: str,
    ) -> int:
        """Marks hours (element by element) that no model scored; a status of None takes the mark
        back.
        """
        if not len(entity_ids):
            return 0
        params: dict[str, Any] = {
            "lineage": lineage,
            "entity_id": list(entity_ids),
            "hour_at": list(hours),
        }
        params |= {
            "status": list(status),
            "detail": [detail] * len(entity_ids),
            "decided_at": self.select_decided_at(),
        }
        self.execute("supersede_unscored_hours", params)
        return self.execute("insert_unscored_hours", params) if any(status) else 0

    def select_flags(
        self, lineage: str, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> list[Flag]:
        """Flagged readings in [start_at, end_at), by entity and time."""
        params = {
            "lineage": lineage,
            "entity_ids": list(entity_ids),
            "start_at": start_at,
            "end_at": end_at,
        }
        return [Flag(*row) for row in self.select("select_flags", params)]

    def select_top_attributions(
        self, flags: Sequence[Flag]
    ) -> dict[tuple[int, datetime], TopAttribution]:
        """The leading channel of some flagged readings."""
        params = {
            name: [getattr(flag, name) for flag in flags]
            for name in ("entity_id", "at", "model_id")
        }
        rows = [TopAttribution(*row) for row in self.select("select_top_attributions", params)]
        return {(row.entity_id, row.at): row for row in rows}

    def select_incidents(
        self, lineage: str, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> list[StandingIncident]:
        """Incidents that stand and touch [start_at, end_at)."""
        params = {
            "lineage": lineage,
            "entity_ids": list(entity_ids),
            "start_at": start_at,
            "end_at": end_at,
        }
        return [StandingIncident(*row) for row in self.select("select_incidents", params)]

    def upsert_incidents(
        self, lineage: str, policy_version: str, rows: Sequence[IncidentRow]
    ) -> int:
        """Incidents that were new or changed."""
        params = {"lineage": lineage, "policy_version": policy_version}
        return self.execute("upsert_incidents", params | columns(rows, IncidentRow)) if rows else 0

    def withdraw_incidents(self, superseded_by: Mapping[str, str | None]) -> int:
        """Incidents taken back; each names what took its place, or None."""
        params = {"incident_id": list(superseded_by), "superseded_by": list(superseded_by.values())}
        return self.execute("withdraw_incidents", params) if superseded_by else 0

    def select_trained_model(self, model: NewModel) -> TrainedModel | None:
        """The registered model of the same training, if any: not refused by its gate, or of the
        same bundle.
        """
        rows = self.select("select_trained_model", asdict(model) | {"card": None})
        return TrainedModel(*rows[0]) if rows else None

    def insert_model(self, model: NewModel) -> TrainedModel:
        """The registered model; the same training again gives the same one.

        After a model that the gate refused another bundle is a model of its own, with a version of
        its own.
        """
        self.lock_dataset(model.dataset_id, "model")
        self.select_or_none("insert_model", asdict(model) | {"card": Json(model.card)})
        registered = self.select_trained_model(model)
        assert registered is not None
        return registered

    def select_model_uses(self, dataset_id: int) -> list[ModelUse]:
        """What still refers to each model of a dataset, by version."""
        return [
            ModelUse(*row) for row in self.select("select_model_uses", {"dataset_id": dataset_id})
        ]

    def select_or_none(self, name: str, params: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """First row of a statement, or None."""
        return next(iter(self.select(name, params)), None)

    def select_champion_at(
        self, dataset_id: int, scope_entity_id: int, lineage: str, at: datetime
    ) -> ChampionAt | None:
        """The champion of a scope at one moment."""
        params = {
            "dataset_id": dataset_id,
            "scope_entity_id": scope_entity_id,
            "lineage": lineage,
            "at": at,
        }
        row = self.select_or_none("select_champion_at", params)
        return ChampionAt(*row) if row else None

    def insert_exclusions(self, model_id: int, rows: Sequence[Exclusion]) -> None:
        """Writes what a training left out."""
        if rows:
            self.execute("insert_exclusions", {"model_id": model_id} | columns(rows, Exclusion))

    def select_latest_scored_hour(
        self, dataset_id: int, scope_entity_id: int | None, lineage: str
    ) -> datetime | None:
        """The newest hour that champions have scored, those of one scope or (None) of all."""
        params = {"dataset_id": dataset_id, "scope_entity_id": scope_entity_id, "lineage": lineage}
        hour_at: datetime | None = self.select("select_latest_scored_hour", params)[0][0]
        return hour_at

    def promote(
        self,
        scope: ChampionScope,
        model_id: int,
        *,
        valid_from: datetime,
        reason: str,
        valid_to: datetime | None = None,
    ) -> None:
        """Makes a model champion from `valid_from` on; the period that holds that moment ends
        there.
        """
        self.lock_dataset(scope.dataset_id, "champion")
        self.execute("close_champion_period", asdict(scope) | {"at": valid_from})
        period = {
            "model_id": model_id,
            "valid_from": valid_from,
            "valid_to": valid_to or INFINITY,
            "reason": reason,
        }
        self.execute("insert_champion_period", asdict(scope) | period)

    def end_champions(self, scope: ChampionScope, at: datetime) -> int:
        """Periods that ended because nobody is champion from `at` on."""
        self.lock_dataset(scope.dataset_id, "champion")
        return self.execute("close_champion_periods", asdict(scope) | {"at": at})

    def select_shadows(self, dataset_id: int, lineage: str) -> list[OpenShadow]:
        """The challengers that are scored beside a lineage's champions now."""
        params = {"dataset_id": dataset_id, "lineage": lineage}
        return [OpenShadow(*row) for row in self.select("select_shadows", params)]

    def insert_model_decision(self, decision: ModelDecision) -> None:
        """Writes what was decided on a model."""
        self.execute("insert_model_decision", asdict(decision))

    def upsert_run_status(self, row: Mapping[str, Any]) -> None:
        """Writes what a step of a run did."""
        self.execute("upsert_run_status", {**row, "counts": Json(row["counts"], dumps=_dumps)})

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All reads see one moment, and nothing can be written; not inside another transaction."""
        with self._connection:
            with self._connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    def read_score_series(
        self, lineage: str, entity_id: int, start_at: datetime, end_at: datetime, n_steps: int
    ) -> ScoreSteps:
        """What a lineage's champions made of one entity in [start_at, end_at) (whole hours of
        `n_steps`).
        """
        names = ("errors", "thresholds", "scores")
        columns = [
            binary.Field("hour_at", "i8"),
            *(binary.Field(name, "f4", (n_steps,)) for name in names),
        ]
        params = {
            "lineage": lineage,
            "entity_id": entity_id,
            "start_at": start_at,
            "end_at": end_at,
        }
        rows = self._copy_out("read_score_series", params, columns)
        hours = (binary.unix_s(rows["hour_at"]) - unix_s(start_at)) // 3600
        series = np.full(
            (3, (unix_s(end_at) - unix_s(start_at)) // 3600, n_steps), np.nan, np.float32
        )
        for position, name in enumerate(names):
            series[position, hours] = rows[name]
        return ScoreSteps(*series.reshape(3, -1))

    def delete_reading_blocks(
        self, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> int:
        """Blocks of readings removed from [start_at, end_at). Needs the hours' locks."""
        return self._delete_blocks("delete_reading_blocks", entity_ids, start_at, end_at)

    def delete_score_blocks(
        self, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> int:
        """Blocks of scores removed from [start_at, end_at). Needs the hours' locks."""
        return self._delete_blocks("delete_score_blocks", entity_ids, start_at, end_at)

    def _delete_blocks(
        self, name: str, entity_ids: Sequence[int], start_at: datetime, end_at: datetime
    ) -> int:
        return self.execute(
            name, {"entity_ids": list(entity_ids), "start_at": start_at, "end_at": end_at}
        )


def _named(name: str) -> Statement:
    return Statement(path_of(name))


def _as_rows(row: Any, names: Sequence[str], found: Sequence[tuple[Any, ...]]) -> list[Any]:
    if row is dict or is_typeddict(row):
        return [dict(zip(names, values, strict=True)) for values in found]
    if is_dataclass(row) or issubclass(row, tuple):
        return [row(*values) for values in found]
    return [value for (value,) in found]


def columns(rows: Sequence[Any], row: type) -> dict[str, list[Any]]:
    """The fields of dataclass rows as a list each, for statements that `unnest` them."""
    return {field.name: [getattr(item, field.name) for item in rows] for field in fields(row)}


def _dumps(value: Any) -> str:
    return json.dumps(value, default=str)


def _finite(at: datetime | None) -> datetime | None:
    return None if at is None or at.year <= 1 else at


def _positions(
    rows: Mapping[str, NDArray[Any]], entity_ids: Sequence[int], start_at: datetime
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    order = np.argsort(np.asarray(entity_ids))
    entity = order[np.searchsorted(np.asarray(entity_ids), rows["entity_id"], sorter=order)]
    return entity, (binary.unix_s(rows["hour_at"]) - unix_s(start_at)) // 3600


def _pieces(epochs: Sequence[ChannelEpoch], entity_id: int) -> list[Piece]:
    began = [
        (
            one.channel_id,
            unix_s(one.from_at),
            unix_s(one.usable_at) if one.usable_at else None,
            one.scale,
            one.offset,
        )
        for one in epochs
        if one.entity_id == entity_id
    ]
    return pieces(began)


def _converted(
    blocks: Blocks,
    layout: Layout,
    entity_ids: Sequence[int],
    start_at: datetime,
    epochs: Sequence[ChannelEpoch],
) -> Blocks:
    """Blocks as the pipeline sees them; the values are changed in place."""
    changed = {one.entity_id for one in epochs}
    for position in (i for i, key in enumerate(entity_ids) if key in changed):
        found = _pieces(epochs, entity_ids[position])
        for column, channel_id in enumerate(layout.channel_ids):
            parts = [part for part in found if part.channel_id == channel_id]
            convert(blocks.values[position, :, column], parts, unix_s(start_at), layout.step_s)
    return Blocks(blocks.values, _salted(blocks.checksums, entity_ids, start_at, epochs))


def _salted(
    checksums: NDArray[np.int64],
    entity_ids: Sequence[int],
    start_at: datetime,
    epochs: Sequence[ChannelEpoch],
) -> NDArray[np.int64]:
    hours_s = unix_s(start_at) + 3600 * np.arange(checksums.shape[1], dtype=np.int64)
    changed = {one.entity_id for one in epochs}
    for position in (i for i, key in enumerate(entity_ids) if key in changed):
        parts = _pieces(epochs, entity_ids[position])
        checksums[position] = salted(checksums[position], salts(parts, hours_s))
    return checksums


def _in_columns(values: NDArray[np.float64], stored: Layout, layout: Layout) -> NDArray[np.float64]:
    """Blocks (n, steps, channels) of one layout in the columns of another, NaN where it has no such
    channel.
    """
    if stored.channel_ids == layout.channel_ids:
        return values
    wide = np.full((*values.shape[:2], len(layout.channel_ids)), np.nan)
    shared = [channel_id for channel_id in layout.channel_ids if channel_id in stored.channel_ids]
    columns = [stored.channel_ids.index(channel_id) for channel_id in shared]
    wide[:, :, [layout.channel_ids.index(channel_id) for channel_id in shared]] = values[
        :, :, columns
    ]
    return wide


def whole_hours(start_at: datetime, end_at: datetime) -> tuple[datetime, datetime]:
    """The whole hours that cover [start_at, end_at)."""
    start_s, end_s = unix_s(start_at), unix_s(end_at)
    return from_unix_s(start_s - start_s % 3600), from_unix_s(end_s + -end_s % 3600)


def hours_later(at: datetime, n_hours: int) -> datetime:
    """`at` and so many hours."""
    return at + timedelta(hours=n_hours)
