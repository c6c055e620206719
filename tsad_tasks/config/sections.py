"""The sections of a dataset file, one class each; counts are steps of the dataset's grid."""

from __future__ import annotations

import hashlib
import json
import re
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from tsad_tasks.base.cpu_limit import cpu_limit
from tsad_tasks.base.enums import (
    Criticality,
    NewsEvent,
    ReportDetail,
    Role,
    Severity,
    Signal,
    priority_of,
)
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.settings import (
    DurationS,
    LastingS,
    Section,
    UsualTime,
    renamed,
    validated,
    wrong,
)
from tsad_tasks.base.shown import shown
from tsad_tasks.base.variants import CHANNELS, SOURCES
from tsad_tasks.config.checks import (
    ChannelName,
    Codes,
    ConnectionId,
    Country,
    Cron,
    Cyclic,
    DetectorName,
    MailAddress,
    Named,
    Numbers,
    PageUrl,
    Params,
    Period,
    SensorRange,
    Share,
    States,
    StepS,
    Steps,
    TableNames,
    TagsFile,
    ValidFor,
    WallTime,
    Width,
    Word,
    Words,
    WrapsAt,
    ZoneName,
    check_known,
)

# CPU-seconds that a pattern may try one table's name, which takes microseconds.
_MATCHED_S = 1
_MAX_PATTERN_CHARACTERS = 500
_SILENCE_S = 3600
# Of a channel's `sensor_range`, when it was two fields.
FORMER_ENDS = ("low", "high")
_PER_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_PER_UNIT = {"second": "s", "minute": "min", "hour": "h", "day": "d", "step": "step"}


class FileSection(Section):
    """Of a dataset file: what stands beneath a field describes it, to editors as well.

    A field of seconds, such as `step_s`, is a duration in the file, under its name without `_s`.
    """

    model_config = ConfigDict(alias_generator=lambda name: name.removesuffix("_s"))


def _require_one(section: Section, between: str, *names: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        raise wrong(f"exactly one of {', '.join(names)}", between.join(given) or "none of them")


class TimeColumn(FileSection):
    """The column that says when a reading was taken.

    Examples
    --------
    source:
      time: {column: read_at, zone: Europe/Berlin, ambiguous: second}

    source:
      time: {column: epoch_ms, unit: ms}

    source:
      time: {column: clock, unit: s, nanoseconds: ns}
    """

    column: Named
    """This column of the table holds the time of a reading."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """This is the unit of times that are whole or fractional numbers since 1970. By default times
    are timestamps or dates."""
    nanoseconds: Named | None = None
    """This whole-number column holds the nanoseconds after the time, where a table keeps them
    apart. By default there is none."""
    zone: ZoneName = "UTC"
    """Times that name no zone or offset are read on the clock of this IANA zone."""
    ambiguous: Literal["first", "second"] = "first"
    """When clocks are set back an hour occurs twice, and a time without an offset means this one of
    the two."""


class EntitySource(FileSection):
    """Where the name of the machine or host comes from: exactly one of the three;
    where series are read, the tags file says it instead.

    Examples
    --------
    source:
      entity: {column: machine}

    source:
      tables: plant.pump_*
      entity: {from_table: "pump_(.*)"}

    source:
      entity: {constant: compressor}
    """

    ways: ClassVar = ("column", "from_table", "constant")

    column: Named | None = None
    """This column holds the entity's name. By default no column does, and one of the other two keys
    says it."""
    from_table: Named | None = None
    """This regular expression must match the whole name of a table; its first group is the entity's
    name. By default tables say nothing of entities."""
    constant: Named | None = None
    """The tables are about this one entity. By default they are not."""

    @model_validator(mode="after")
    def _at_most_one(self) -> EntitySource:
        if self.n_given > 1:
            _require_one(self, ", ", *self.ways)
        if self.from_table is not None:
            expected = "a regular expression with one group, such as 'machine_(.*)'"
            if len(self.from_table) > _MAX_PATTERN_CHARACTERS:
                expected += f", of at most {_MAX_PATTERN_CHARACTERS} characters"
                raise wrong(expected, f"{len(self.from_table):,} characters", "from_table")
            try:
                n_groups = re.compile(self.from_table).groups
            except (re.error, RecursionError, OverflowError):
                n_groups = 0
            if not n_groups:
                raise wrong(expected, repr(self.from_table), "from_table")
        return self

    @property
    def n_given(self) -> int:
        return sum(getattr(self, name) is not None for name in self.ways)

    def name_in(self, table: str) -> str | None:
        """The entity's name that `from_table` finds in a table's; None where it does not match.

        Raises `ConfigError` where the pattern goes on trying for longer than `_MATCHED_S`.

        >>> EntitySource(from_table="pump_(.*)").name_in("pump_7")
        '7'
        """
        rule = f"a pattern that is matched within {_MATCHED_S} s"
        received = f"{shown(self.from_table)}, not done with the table {shown(table)}"
        error = ConfigError(f"source.entity.from_table: Expected {rule}. Received: {received}.")
        with cpu_limit(_MATCHED_S, error):
            match = re.fullmatch(self.from_table or "", table)
        return str(match[1]) if match else None


class QualityColumn(FileSection):
    """The column that says whether a value is to be trusted.

    Examples
    --------
    source:
      quality: {column: dataintegrity, good: [[192, 255]]}
    """

    column: Named
    """This column holds the codes, such as dataintegrity or status."""
    good: Codes
    """These codes are good; a list in the list is a range. A value with any other code, or none, is
    read as no value."""


# What only values of one signal have.
_OF_SIGNAL = {
    "per": Signal.COUNTER,
    "wraps_at": Signal.COUNTER,
    "max_rate": Signal.COUNTER,
    "event_id": Signal.EVENT_COUNT,
}
# What would change nothing of a signal, and why; of `_SAID` the default as well.
_SAID = {"aggregate"}
# An angle that counts on, up to so far; else the period is forgotten.
_MOST_HALF_TURNS = 6.02
_BY_STEP = "has what its rows say of each step"
_NOT_OF_SIGNAL: dict[Signal, dict[str, str]] = {
    Signal.COUNTER: {
        "aggregate": "a counter has what was consumed in each step",
        "valid_for_s": f"a counter {_BY_STEP}",
        "hold_s": f"a counter {_BY_STEP}",
        "sensor_range": "totals have no range (max_rate says what is plausible)",
    },
    Signal.EVENT_COUNT: {
        "aggregate": "an event_count has how many rows each step has",
        "valid_for_s": f"an event_count {_BY_STEP}",
        "hold_s": f"an event_count {_BY_STEP}",
        "no_value": "each row is an event, whatever its column holds",
        "sensor_range": "each row is an event, whatever its column holds",
    },
    Signal.ANGLE: {"alert_on": "a direction neither rises nor falls"},
    Signal.DISCRETE: {
        "sensor_range": "states says which values there are",
        "alert_on": "states neither rise nor fall",
    },
}


class ChannelSection(FileSection):
    """One sensor of the entity.

    Examples
    --------
    source:
      channels:
        flow: {unit: m³/h, aggregate: last, valid_for: 5min}
        pressure: {column: PRESS_OUT, unit: bar, sensor_range: [0, 16]}
        valve: {valid_for: until_changed}
        level: {no_value: [-9999, [32767, 65535]]}
        energy: {unit: kWh, signal: counter, per: hour, max_rate: 40}
        packets: {signal: counter, wraps_at: 2^32}
        logins: {signal: event_count, event_id: login_id}
        door: {signal: discrete, valid_for: until_changed}
        mode: {signal: discrete, states: {"off": 0, manual: 1, auto: 2}}
        wind_from: {unit: °, signal: angle}
        yaw: {unit: rad, signal: angle, period: 2pi, sensor_range: [-3.1416, 3.1416]}
        target: {unit: °C, role: setpoint, settles_within: 30min}
        vibration: {unit: mm/s, alert_on: rise}

    source:
      series: tagid
      tags: station.tags.csv
      channels:
        inflow: {across: sum}
    """

    column: Named | None = None
    """This is the column of a wide table, or the name in the channel column of a long one. By
    default it is the channel's name."""
    unit: str | None = None
    """This unit is shown to people, such as °C or bar. By default none is shown."""
    aggregate: Literal["last", "mean", "min", "max", "count"] = "mean"
    """This says how readings that share a grid step become one."""
    signal: Signal = Signal.GAUGE
    """This says what the values are: a level (gauge), a total that counts up (counter), a direction
    (angle), a state or mode (discrete), or rows that are events (event_count)."""
    per: Literal["second", "minute", "hour", "day", "step"] = "second"
    """What a counter counts is stored as a rate, per this time."""
    wraps_at: WrapsAt | None = None
    """A counter that would reach this begins at 0 again, such as 2^32. By default none does."""
    max_rate: float | None = Field(None, gt=0)
    """A counter never counts faster than this, as a rate per the time that per says: a total that
    does is that of another meter. By default what is usual for each meter says what is
    plausible."""
    event_id: Named | None = None
    """This column says which event a row is of: of several rows of an hour with the same one the
    first counts. By default each row is an event."""
    period: Period | None = None
    """So far an angle goes until it is once around: 360, 2pi, 400 (gon), or 24 of hours of the day.
    It begins at 0, or where sensor_range begins below that, as in [-180, 180]; one that counts on
    past its end says so by sensor_range, as in [0, 540]. By default it is 360."""
    states: States = Field(default_factory=dict)
    """These are the states of a discrete channel: their numbers, or their numbers by name, which is
    also what a text of this channel stands for. By default they are 0 and 1."""
    role: Role = Role.MEASURED
    """A measured channel is judged. A setpoint, a load and an ambient condition are what the others
    are judged under: they raise nothing themselves."""
    alert_on: Literal["rise", "fall", "both"] = "both"
    """People are told of incidents that this channel leads where it rose, fell, or either; of what
    is neither they are told in any case. Incidents are found all the same."""
    settles_within_s: DurationS = 0
    """So long after each change of a setpoint the machine is on its way: it is neither scored nor
    learned from, as after a start."""
    no_value: Numbers = ()
    """These values, as the source has them, mean that there is none; a list in the list is a range.
    By default every number is a value."""
    across: Literal["sum", "mean", "max", "min"] | None = None
    """Several series of one entity, also of several sources, become this channel so; a sum is known
    where all of them are. By default several are an error."""
    valid_for_s: ValidFor = 0
    """So long a value stays valid when none follows and no row says that there is none; 0s means
    for its own step alone. With until_changed it does so as long as any channel of its entity is
    heard of, see silent_after."""
    hold_s: DurationS = Field(0, json_schema_extra={"deprecated": True})
    """This is deprecated: in its place use valid_for. So long a model that is trained takes the
    last value for one that is missing, or that a row says there is none."""
    sensor_range: SensorRange = (None, None)
    """The sensor can measure from the first to the second of these, in its unit; either may be
    null. A value outside is out of range. This is no limit of alarms. By default no end is
    known."""

    @model_validator(mode="before")
    @classmethod
    def _range_of_ends(cls, given: Any) -> Any:
        """What was once called low and high, as the range that they are."""
        if not isinstance(given, dict) or not given.keys() & {*FORMER_ENDS}:
            return given
        if "sensor_range" in given:
            both = " and ".join(["sensor_range", *(name for name in FORMER_ENDS if name in given)])
            raise wrong(f"sensor_range alone, once called {' and '.join(FORMER_ENDS)}", both)
        ends = [given.get(name) for name in FORMER_ENDS]
        rest = {name: value for name, value in given.items() if name not in FORMER_ENDS}
        return rest | {"sensor_range": ends}

    @model_validator(mode="after")
    def _consistent(self) -> ChannelSection:
        if self.valid_for_s and self.hold_s:
            raise wrong("valid_for alone, which is its new name", "both", "hold")
        if self.settles_within_s and self.role is not Role.SETPOINT:
            raise wrong("role: setpoint, whose changes it is about", self.role.value, "role")
        if self.alert_on != "both" and self.role is not Role.MEASURED:
            raise wrong("role: measured, as others raise no alert", self.role.value, "role")
        low, high = self.sensor_range
        if low is not None and high is not None and low >= high:
            expected = "its lower end first, as in [0, 100]"
            raise wrong(expected, f"[{low:g}, {high:g}]", "sensor_range")
        self.check_signal()
        return self

    def check_signal(self, *place: str | int) -> None:
        """Raises an error about the field that does not go with what the values are."""
        for name, signal in _OF_SIGNAL.items():
            if self._says(name) and self.signal is not signal:
                expected = f"no such field, or signal: {signal}"
                raise wrong(expected, shown(getattr(self, name)), *place, name)
        for name, why in _NOT_OF_SIGNAL.get(self.signal, {}).items():
            given = getattr(self, name)
            # Rows are counted with that aggregate as well.
            is_meant = (name, given, self.signal) == ("aggregate", "count", Signal.EVENT_COUNT)
            if self._says(name) and not is_meant:
                key = name.removesuffix("_s")
                raise wrong(f"no such field, since {why}", shown(given), *place, key)
        if self.signal == Signal.ANGLE:
            self._check_angle(*place)
        elif self.period is not None:
            expected = "no such field, since the channel is no angle"
            raise wrong(expected, f"{self.period:g}", *place, "period")
        if self.signal == Signal.DISCRETE:
            self._check_discrete(*place)
        elif self.states:
            expected = "no such field, since the channel is not discrete"
            raise wrong(expected, ", ".join(self.states), *place, "states")

    def _says(self, name: str) -> bool:
        """Whether the file says something by this field; of `_SAID`, also the default."""
        is_default = getattr(self, name) == type(self).model_fields[name].default
        return name in self.model_fields_set and (name in _SAID or not is_default)

    def _check_discrete(self, *place: str | int) -> None:
        if "aggregate" in self.model_fields_set and self.aggregate != "last":
            expected = "last or no such field, since states have no mean, and none is the greatest"
            raise wrong(expected, self.aggregate, *place, "aggregate")
        if self.across is not None:
            expected = "no such field, since the states of several series are not one"
            raise wrong(expected, self.across, *place, "across")

    @property
    def state_codes(self) -> dict[str, float]:
        """Numbers of a discrete channel's states by name; empty: it is not discrete."""
        if self.signal != Signal.DISCRETE:
            return {}
        return self.states or {"0": 0.0, "1": 1.0}

    @property
    def state_words(self) -> dict[str, float]:
        """Numbers of a discrete channel's states by the texts that stand for them."""
        return {name.strip().lower(): code for name, code in self.state_codes.items()}

    @property
    def has_plain_states(self) -> bool:
        """Whether states are 0 and 1 without names of their own: yes and no are words for them."""
        codes = self.state_codes
        return {*codes.values()} == {0.0, 1.0} and {*codes} == {"0", "1"}

    @property
    def is_counter(self) -> bool:
        """Whether values are totals that count up."""
        return self.signal is Signal.COUNTER

    @property
    def counts_events(self) -> bool:
        """Whether rows are events."""
        return self.signal is Signal.EVENT_COUNT

    def unit_s(self, step_s: int) -> int:
        """Seconds that a counter's rates are per."""
        return step_s if self.per == "step" else _PER_S[self.per]

    def signal_unit(self, step_s: int) -> str:
        """What the numbers of a counter or an angle mean, as people read it; empty: of others.

        >>> ChannelSection(signal="counter", per="step").signal_unit(600)
        'counter per 600 s'
        >>> ChannelSection(signal="angle").signal_unit(600)
        'angle of period 360'
        """
        if self.is_counter:
            names = {seconds: name for name, seconds in _PER_S.items()}
            unit_s = self.unit_s(step_s)
            return f"counter per {names.get(unit_s, f'{unit_s} s')}"
        return f"angle of period {self.circle[0]:g}" if self.circle else ""

    @property
    def shown_unit(self) -> str | None:
        """The unit of what is stored, as people see it.

        >>> ChannelSection(unit="kWh", signal="counter", per="hour").shown_unit
        'kWh/h'
        """
        if self.counts_events and self.unit == "1":
            return None
        if not self.is_counter or self.unit is None:
            return self.unit
        return f"{self.unit}/{_PER_UNIT[self.per]}"

    def _check_angle(self, *place: str | int) -> None:
        if self.aggregate not in ("mean", "last"):
            expected = "mean or last, since on a circle nothing is greatest or least"
            raise wrong(expected, self.aggregate, *place, "aggregate")
        if self.across not in (None, "mean"):
            expected = "mean, since directions have no sum, and none is greatest or least"
            raise wrong(expected, self.across, *place, "across")
        if self.alert_on != "both" and self.role is not Role.MEASURED:
            raise wrong("role: measured, as others raise no alert", self.role.value, "role")
        low, high = self.sensor_range
        if low is not None and high is not None and self._counts_on:
            # A range of 400 is that of gon rather than of degrees that are counted on.
            period = self.period or 360.0
            n_halves = 2 * (high - low) / period
            if abs(n_halves - round(n_halves)) > 0.02 or n_halves > _MOST_HALF_TURNS:
                expected = f"ends at most a period of {period:g} apart (say period), or whole half "
                expected += "turns, three turns at most"
                raise wrong(expected, f"[{low:g}, {high:g}]", *place, "sensor_range")

    @property
    def _counts_on(self) -> bool:
        """Whether an angle goes on past once around, as from 0 to 540."""
        low, high = self.sensor_range
        is_known = low is not None and high is not None
        return is_known and high - low > 1.01 * (self.period or 360.0)  # type: ignore[operator]

    @property
    def circle(self) -> tuple[float, float] | None:
        """Of an angle the period and where it begins; None: the values are on no circle."""
        if self.signal != Signal.ANGLE:
            return None
        low, _ = self.sensor_range
        return self.period or 360.0, 0.0 if self._counts_on else min(low or 0.0, 0.0)

    @property
    def angles_between(self) -> tuple[float, float]:
        """Between which values an angle is one: once around, down to half a turn below 0, and as
        far as `sensor_range` says.

        >>> ChannelSection(signal="angle").angles_between
        (-180.0, 360.0)
        >>> ChannelSection(signal="angle", sensor_range=[0, 540]).angles_between
        (-180.0, 540.0)
        """
        (period, start), (low, high) = self.circle or (0.0, 0.0), self.sensor_range
        least, most = min(start, -period / 2), max(start + period, period)
        return min(least, least if low is None else low), max(most, most if high is None else high)


def _listed(names: str | list[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


class SourceSection(FileSection):
    """The sensor tables: where they are and how to read them.

    Examples
    --------
    source:
      connection: plant_db
      kind: postgres
      params: {}
      tables: plant.pump_*
      shape: wide
      time: {column: at}
      entity: {from_table: "pump_(.*)"}
      channels:
        flow: {unit: m³/h, valid_for: 5min}
        pressure: {unit: bar, sensor_range: [0, 16]}
      updated_at: changed_at
      label: is_fault
      step: 1min
      wait_for_rows: 5min
      late_rows_within: 6h
      late: 14d
      silent_after: 2h
      statement_timeout: 10min
      max_connections: 2
      full_scan: true

    source:
      connection: plant_db
      tables: plant.log
      shape: long
      channel_column: sensor
      value_column: value
      time: {column: at}
      entity: {column: room}
      step: 5min
      channels:
        temperature: {column: TEMP_AIR, unit: °C}

    source:
      query: SELECT tagid, t_stamp, intvalue, floatvalue, dataintegrity FROM sqlt_data_1_2026_11
      series: tagid
      tags: boiler.tags.csv
      time: {column: t_stamp, unit: ms}
      value_column: [floatvalue, intvalue]
      quality: {column: dataintegrity, good: 192}

    source:
      tables: history
      series: itemid
      dictionary: SELECT itemid, host AS entity, key_ AS channel FROM items NATURAL JOIN hosts
      inventory: SELECT host AS entity, status = 1 AS retired FROM hosts
      channels: {load: {column: "system.cpu.load[all,avg1]"}}

    source:
      tables: telegraf.*
      tables_except: telegraf.*_tag
      rows_where: {cpu: cpu-total}
      words: {"on": 1, "off": 0, unavailable: null}
    """

    connection: ConnectionId
    """This is the id of an Airflow connection; outside Airflow its URI is in
    TSAD_CONNECTION_<ID>."""
    kind: Named = "postgres"
    """This says what the connection leads to."""
    params: Params = Field(default_factory=dict)
    """These are settings of the kind's own."""
    tables: TableNames | None = None
    """These tables or views are read: one name, a list of names, or a pattern with
    * such as `plant.machine_*`. By default none is, and a query must be given."""
    tables_except: TableNames | None = None
    """Of the tables that a pattern matches these are not read, nor those that these patterns match.
    By default all are."""
    query: Named | None = None
    """This one SELECT is read in place of tables, its columns as those of a table are. Times and
    values stand there as they are stored: a time that is computed keeps an index from being used.
    By default tables are read."""
    rows_where: dict[Named, Word | list[Word]] = Field(default_factory=dict)
    """Of the tables those rows are read that have this value, or one of these, in each of these
    columns. By default all are."""
    series: Named | list[Named] = Field(default_factory=list)
    """This column, or these together, hold the source's own id of a series, and the tags file says
    what each id is. By default columns name entity and channel."""
    tags: TagsFile | None = None
    """This CSV file beside the dataset's says of each series its entity and channel, and how its
    values are scaled. By default there is none."""
    dictionary: Named | None = None
    """This one SELECT on the source says in place of a tags file what each series is, in the
    columns that a tags file has; channels are those of the source. It is asked before each run. By
    default there is none."""
    inventory: Named | None = None
    """This one SELECT on the source says of entities whether they are gone for good (retired) and
    what carries their readings (carrier), such as a gateway. It is asked before each run. By
    default nothing says it."""
    shape: Literal["wide", "long"] = "wide"
    """Wide tables have a column for each channel, long ones a row for each value."""
    time: TimeColumn
    """This says when a reading was taken."""
    entity: EntitySource = EntitySource()
    """This says which machine or host a reading is of. By default the tags file says it."""
    channels: dict[ChannelName, ChannelSection] = Field(min_length=1)
    """These are the sensors of an entity, by the names that people and SQL
    see; at least one."""
    channel_column: Named | None = None
    """This column of a long table holds the channel's name; a long table must have it, but
    for series. By default there is none."""
    value_column: Named | list[Named] | None = None
    """This column of a long table holds the value; of several the first that is not NULL counts. A
    long table must have it. By default there is none."""
    words: Words = Field(default_factory=dict)
    """In columns of values these words, whatever their capitals, are these numbers, or null for no
    value. By default a text that is no number is no value, and counted."""
    quality: QualityColumn | None = None
    """This says whether the value of a row is good. By default all are."""
    updated_at: Named | None = None
    """This column grows when a row changes, and decides between duplicates. By default there is
    none, and the greatest value wins."""
    label: Named | None = None
    """This column, of truths or of 0 and 1, holds known anomalies. By default there is none."""
    step_s: StepS = 60
    """This is the distance of two readings on the grid; it divides one hour."""
    wait_for_rows_s: DurationS = renamed("wait_for_rows", "settle", 0)
    """An interval is read no sooner than so long after its end."""
    late_rows_within_s: DurationS = renamed("late_rows_within", "mutability", 10800)
    """So long rows may still arrive or change; meanwhile each run reads those hours again."""
    late_s: DurationS = 604800
    """So long hours in which an entity was silent are counted again, for rows that come all the
    same: at once when it speaks again, ever more rarely after that, and once a day while it is
    silent. Where rows have come the hours are read and scored anew, and incidents in them are told
    as found late. 0 turns it off."""
    silent_after_s: LastingS | None = None
    """An entity none of whose channels is heard of for so long is silent, and its values that are
    valid until_changed are none meanwhile. By default it is 1h, or three steps where they are
    longer."""
    statement_timeout_s: LastingS = 300
    """A query of the source that lasts longer is ended, and fewer hours are asked for at a time."""
    full_scan: bool = False
    """A table of more than a million rows is read although no key of it finds those of an hour:
    each run looks at all of them."""
    max_connections: int = Field(4, ge=1, le=100)
    """So many runs read at once from this connection, over all datasets; others wait."""

    @model_validator(mode="before")
    @classmethod
    def _series_are_long(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("series"):
            return {"shape": "long", **given}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> SourceSection:
        if self.tables is None and self.query is None:
            raise wrong("this field, or a query", "nothing", "tables")
        if self.query is not None and not self.select:
            raise wrong("one SELECT", shown(self.query), "query")
        for name in ("tables", "tables_except", "rows_where"):
            if self.query is not None and getattr(self, name):
                raise wrong("no such field beside query", shown(getattr(self, name)), name)
        if self.dictionary is not None and (self.tags is not None or not self.names_select):
            received = "tags, too" if self.tags is not None else shown(self.dictionary)
            raise wrong("one SELECT, and no tags", received, "dictionary")
        if self.inventory is not None and not self.inventory_select:
            raise wrong("one SELECT", shown(self.inventory), "inventory")
        if bool(self.series) != (self.tags is not None or self.dictionary is not None):
            name = "tags" if self.series else "series"
            raise wrong("both series and tags (or a dictionary)", "the other alone", name)
        self._check_words()
        of_column: dict[str, str] = {}
        for name, column in self.channel_columns().items():
            if not self.series and of_column.setdefault(column, name) != name:
                expected = f"a column of its own, since {of_column[column]} is {shown(column)}"
                raise wrong(expected, shown(column), "channels", name)
        self._check_names()
        ids = {name: one.event_id for name, one in self.channels.items() if one.counts_events}
        for name, event_id in ids.items():
            if event_id != self.event_id:
                expected = f"{shown(self.event_id)}, as its other channels say"
                raise wrong(expected, shown(event_id), "channels", name, "event_id")
        if self.shape == "long" and self.value_column is None:
            raise wrong("this field, since the table is long", "nothing", "value_column")
        if self.shape == "wide":
            for name in ("channel_column", "value_column"):
                if (given := getattr(self, name)) is not None:
                    expected = "no such field, since the table is wide (or say shape: long)"
                    raise wrong(expected, shown(given), name)
        check_known(self.kind, SOURCES, "kind")
        validated(SOURCES[self.kind].settings_model, self.params, "params")
        return self

    def _check_words(self) -> None:
        """A text that is a number in all of a source is no other one as a state."""
        for name, channel in self.channels.items():
            for word, code in channel.states.items():
                if (said := self.words.get(word.strip().lower(), code)) != code:
                    expected = f"{'null' if said is None else f'{said:g}'}, as words have it"
                    raise wrong(expected, f"{code:g}", "channels", name, "states", word)

    def _check_names(self) -> None:
        """Names of entities and channels come from columns, or from tags, and not from both."""
        if self.series:
            if self.shape == "wide":
                raise wrong("long, since series are", "wide", "shape")
            for name in ("entity", "channel_column"):
                if name in self.model_fields_set:
                    expected = f"no such field, since {self.names_from} says it"
                    raise wrong(expected, shown(getattr(self, name)), name)
            return
        if "entity" not in self.model_fields_set:
            raise wrong("this field", "nothing", "entity")
        if not self.entity.n_given:
            expected = f"exactly one of {', '.join(self.entity.ways)}"
            raise wrong(expected, "none of them", "entity")
        if self.shape == "long" and self.channel_column is None:
            raise wrong("this field, since the table is long", "nothing", "channel_column")
        if self.query is not None and self.entity.from_table is not None:
            raise wrong("no such field, since a query has no table's name", "a pattern", "entity")

    @property
    def silence_s(self) -> int:
        """Seconds without any row after which an entity is silent."""
        return self.silent_after_s or max(_SILENCE_S, 3 * self.step_s)

    @property
    def longest_valid_s(self) -> int:
        """Seconds for which a value may stay valid after its entity was last heard of."""
        given = (channel.valid_for_s for channel in self.channels.values())
        return max(self.silence_s if isinstance(one, str) else one for one in given)

    @property
    def has_validity(self) -> bool:
        """Whether a value of any channel stays valid beyond its step."""
        return any(channel.valid_for_s for channel in self.channels.values())

    @property
    def has_counters(self) -> bool:
        """Whether values of any channel are totals."""
        return any(channel.is_counter for channel in self.channels.values())

    @property
    def needs_before(self) -> bool:
        """Whether rows before a range decide what is in it."""
        return self.has_validity or self.has_counters

    @property
    def event_id(self) -> str | None:
        """The column that says which event a row is of, where one does."""
        given = (channel.event_id for channel in self.channels.values())
        return next((name for name in given if name is not None), None)

    @property
    def table_names(self) -> tuple[str, ...]:
        return _listed(self.tables)

    @property
    def tables_not_read(self) -> tuple[str, ...]:
        return _listed(self.tables_except)

    @property
    def select(self) -> str:
        """The query without the semicolon at its end; empty where there are tables."""
        return (self.query or "").strip().rstrip(";")

    @property
    def names_select(self) -> str:
        """The dictionary's query, likewise; empty where there is none."""
        return (self.dictionary or "").strip().rstrip(";")

    @property
    def inventory_select(self) -> str:
        """The inventory's query, likewise."""
        return (self.inventory or "").strip().rstrip(";")

    @property
    def names_from(self) -> str:
        """What says of series what they are, for people."""
        return self.tags or "the dictionary"

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Those of long tables."""
        return _listed(self.value_column)

    @property
    def series_columns(self) -> tuple[str, ...]:
        """Those that together name a series; empty where columns name entity and channel."""
        return _listed(self.series)

    def channel_columns(self) -> dict[str, str]:
        """Column (or long name) by channel name."""
        return {name: channel.column or name for name, channel in self.channels.items()}


class FeaturesSection(FileSection):
    """What the detector sees beside the scaled channels. Lags and widths count grid steps.

    Examples
    --------
    features:
      scaling: robust
      rolling_mean: [15]
      lag: [60]
      diff: [5]
      cyclic: [hour, weekday]
      holidays: DE-BY
      min_own_scale: 3d
      rebaseline_after: 1d
      learned_after: 24h
    """

    scaling: Literal["robust", "minmax", "standard", "none"] = "robust"
    """This is how the channels of all machines are brought to one scale: by median and spread
    (robust), by least and greatest value (minmax), by mean and standard deviation (standard), or
    not at all (none)."""
    rolling_mean: list[Width] = Field(default_factory=list)
    """The detector also sees moving averages of all channels over so many steps each."""
    lag: list[Steps] = Field(default_factory=list)
    """The detector also sees all channels as they were so many steps ago."""
    diff: list[Steps] = Field(default_factory=list)
    """The detector also sees how all channels have changed over so many steps."""
    cyclic: list[Cyclic] = Field(default_factory=lambda: list[Cyclic](["hour", "weekday"]))
    """The detector also sees the hour and the day of the week on the clock of site_zone."""
    holidays: Country | None = None
    """Holidays of this country, such as DE, or region, such as DE-BY, count as the weekly day of
    rest, and to conditional_residuals as those that it has seen. By default there are none."""
    min_own_scale_s: DurationS = 259200
    """A machine gets a scale of its own after so much running time; until then that of all machines
    holds, and its scores are provisional."""
    rebaseline_after_s: LastingS = 86400
    """The level of a replaced sensor is learned from so much running time."""
    learned_after_s: LastingS = Field(86400, le=604800)
    """A setpoint, load or ambient condition that has been outside of what training saw for so long
    without a break is no longer outside. At most 7d."""


DEFAULT_WINDOW = 10
DEFAULT_DETECTOR = "conditional_residuals"


class DetectorSection(FileSection):
    """Which model, and its sizes.

    Examples
    --------
    detector:
      name: lstm_autoencoder
      scope: dataset
      window: auto
      min_coverage: 0.5
      params: {units: [32, 16]}
    """

    name: DetectorName = DEFAULT_DETECTOR
    """This is the detector, one of docs/guides/detectors."""
    scope: Literal["dataset", "entity"] = "dataset"
    """With dataset there is one model for all entities, with entity there is one for each."""
    window: Width | Literal["auto"] = DEFAULT_WINDOW
    """A window has so many steps; auto takes the readings' period, if one of 5 to 60 steps stands
    out, else 10."""
    min_coverage: Share = 0.5
    """A reading gets a score when at least this share of its entity's channels is live."""
    params: Params = Field(default_factory=dict)
    """These are the detector's own settings. Those that count readings may be durations, such as
    6h."""

    @property
    def n_steps(self) -> int:
        """Steps of a window; before a training has chosen it, what it is without a period."""
        return DEFAULT_WINDOW if self.window == "auto" else self.window


# Thresholds that carry a state, as the detectors that they belong to do.
FOLDING_THRESHOLDS = {
    "ranked": ("limit", "penalty", "event_error", "event_gap", "memory"),
    "hysteresis": ("limit", "leave", "leave_share", "longest", "recent", "fresh"),
}
# Of these the ones that count readings: a duration will do, too.
COUNTED_IN_RULES = ("event_gap", "memory", "longest", "recent", "fresh")
# What these are where a rule says nothing, as in the detector's own settings; an event
# of months ago is no reason to keep quiet.
USUAL_IN_RULES = {
    "longest": UsualTime(36_000, least=200),
    "recent": UsualTime(5400, least=10),
    "fresh": UsualTime(1800, least=10),
    "memory": UsualTime(90 * 86_400, most=10**9),
}


class ThresholdSection(FileSection):
    """How errors become flags. Counts are grid steps.

    Examples
    --------
    threshold:
      kind: evt
      combine: top_k
      top_k: 2
      collective_width: 15
      collective_k: 6

    threshold:
      kind: adaptive
      k: 6
      look_back: 1000
      min_span: 1d
      min_count: 200
      floor: 0.5

    threshold: {kind: percentile, percentile: 99.5}

    detector: {name: state_head}
    threshold:
      kind: hysteresis
      rule: {limit: 5, leave: 2.5, longest: 6h}
    """

    kind: Literal[
        "evt", "percentile", "rolling_percentile", "mean_std", "adaptive",
        "training", "f1_best", "conformal", "ranked", "hysteresis",
    ] = "evt"  # fmt: skip
    """This is how the limit is found: from the alarm policy's budget (evt), as a percentile of
    held-out errors (percentile) or of the last errors (rolling_percentile), as mean and standard
    deviations of held-out errors (mean_std) or of the last ones (adaptive), from the training's own
    errors (training), by the best F1 on labels (f1_best), as a quantile with a guarantee
    (conformal), or by the rule of a detector with a state (ranked, hysteresis)."""
    combine: Literal["top_k", "mean", "max"] | None = None
    """Channels become one error as the mean of the most surprising ones, calibrated (top_k), as the
    mean of all errors as they are (mean), or as the highest (max). By default it is top_k for evt
    and conformal, max for ranked and hysteresis, and mean for the others."""
    top_k: int = Field(2, ge=1, le=1000)
    """So many channels are averaged where combine is top_k."""
    percentile: float = Field(99.9, gt=50, lt=100)
    """This percentile of errors is the limit, for the kinds percentile, rolling_percentile,
    conformal and training."""
    k: float = Field(6.0, gt=0, le=50)
    """The limit lies so many standard deviations above the mean, for the kinds mean_std and
    adaptive."""
    look_back: int = Field(1000, ge=50, le=20000)
    """A rolling threshold sees so many errors, or more where min_span says so."""
    min_span_s: DurationS = 86400
    """A rolling threshold sees at least so much time."""
    min_count: int = Field(200, ge=10)
    """A rolling threshold with fewer errors than this leaves it to the calibrated one."""
    floor: Share = 0.5
    """A rolling threshold never falls below this share of the calibrated one."""
    collective_width: int = Field(15, ge=0, le=1440)
    """The moving average of errors over so many steps has a threshold of its own; 0 switches it
    off."""
    collective_k: float = Field(6.0, gt=0, le=50)
    """The threshold of the moving average lies so many standard deviations above its mean."""
    rule: dict[str, float | str] = Field(default_factory=dict)
    """These are settings of ranked (limit, penalty, event_error, event_gap, memory) and of
    hysteresis (limit, leave, leave_share, longest, recent, fresh). Counts are readings, or
    durations such as 6h."""

    @property
    def combination(self) -> Literal["top_k", "mean", "max"]:
        """How channels become one error."""
        if self.kind in FOLDING_THRESHOLDS:
            return self.combine or "max"
        return self.combine or ("top_k" if self.kind in ("evt", "conformal") else "mean")

    @property
    def is_rolling(self) -> bool:
        """Whether thresholds follow the errors before them."""
        return self.kind in ("adaptive", "rolling_percentile")


_BUDGET = ("budget_per_day", "budget_per_entity_week")
# What of the alarm policy decides how high a threshold with a budget is.
POLICY_OF_MODELS = (*_BUDGET, "merge_gap_s", "consecutive", "min_score")


class AlarmPolicy(FileSection):
    """How flags become incidents; its hash, but for the budget, is the version that incidents
    carry.

    Examples
    --------
    alarm_policy:
      budget_per_day: 5
      budget_per_entity_week: 1
      merge_gap: 30min
      max_length: 7d
      consecutive: 3
      min_score: 0.25
      refractory: 6h
      escalation: 2
      direction: both
      min_deviation: {pressure: 0.5}
    """

    budget_per_day: float = Field(5.0, gt=0)
    """The whole dataset may raise so many incidents a day while nothing is wrong (threshold.kind
    evt)."""
    budget_per_entity_week: float = Field(1.0, gt=0)
    """One entity may raise so many incidents a week while nothing is wrong; of the two budgets the
    lower one holds."""
    merge_gap_s: DurationS = 1800
    """Flags closer than this are one incident. By default it is 30min, or two steps where they are
    longer."""
    max_length_s: LastingS = 604800
    """A longer incident is cut here, and again at each multiple; parts say what they continue."""
    consecutive: Steps = 1
    """So many flags in a row open an incident."""
    min_score: float = Field(0.0, ge=0)
    """An incident has a peak score of at least this."""
    refractory_s: DurationS = 0
    """Flags so long after an alarm are part of it; with 0s merge_gap decides."""
    escalation: float = Field(2.0, gt=0)
    """Within the refractory time an error higher by this than all since the alarm is a new one."""
    direction: Literal["both", "high", "low"] = "both"
    """Readings above what is expected count (high), those below (low), or both."""
    min_deviation: dict[str, float] = Field(default_factory=dict)
    """A channel counts only where it is at least so far from what is expected, in its unit."""

    @property
    def version(self) -> str:
        return config_hash(self.model_dump(mode="json", exclude=set(_BUDGET)))[:12]


class CriticalitySection(FileSection):
    """How much depends on machines and channels. With the severity it makes the priority of an
    incident, 1 to 5: HIGH is 2, MEDIUM 3 and LOW 4, one less where much depends on it, one more
    where little does.

    Examples
    --------
    criticality:
      entities: {"pump-7": normal, "pump-*": high, "test-*": low}
      channels: {flow: high}
    """

    entities: dict[Named, Criticality] = Field(default_factory=dict)
    """So much depends on these entities: low, normal or high; * stands for any characters, and the
    first that fits counts. By default it is normal."""
    channels: dict[Named, Criticality] = Field(default_factory=dict)
    """So much depends on what these channels of the dataset say, of incidents that they lead; as of
    entities. Machine and channel count together: high and low are normal."""

    @property
    def is_said(self) -> bool:
        """Whether anything is; else priorities are severities."""
        return bool(self.entities or self.channels)

    def of_entity(self, name: str) -> Criticality:
        """How much depends on an entity."""
        return _first_fitting(self.entities, name)

    def of_channel(self, name: str | None) -> Criticality:
        """How much depends on a channel; None: nobody knows which."""
        return Criticality.NORMAL if name is None else _first_fitting(self.channels, name)

    def priority(self, severity: str, entity: str, channel: str | None) -> int:
        """The priority of an incident."""
        return priority_of(severity, self.of_entity(entity), self.of_channel(channel))


def _first_fitting(said: dict[str, Criticality], name: str) -> Criticality:
    fitting = (level for pattern, level in said.items() if fnmatchcase(name, pattern))
    return next(fitting, Criticality.NORMAL)


class TrainingSection(FileSection):
    """What a challenger is trained on, and how much it may cost.

    Examples
    --------
    training:
      range: 30d
      schedule: "0 3 * * MON"
      max_windows: 60000
      max_fold_values: 16000000
      epochs: 30
      timeout: 12h
      patience: 5
      batch_size: 64
      learning_rate: 0.005
      loss: mse
      validation_share: 0.3
      max_excluded_share: 0.1
      high_score_lasting: 1h
      dead_channel_share: 0.2
      seed: 7
      min_hours: 24
      young_from: 7d
      young_until: 5w
      young_detector: isolation_forest
      fallback: [seasonal_profile, level]
      warm_start_from: champion
      preview: manual
      answer_within: 1d
      unanswered: stop
    """

    range_s: LastingS = 2592000
    """A training learns from so much time before its end."""
    schedule: Cron = "0 3 * * 1"
    """This is the cron expression of the retrain DAG, in UTC."""
    max_windows: int = Field(60_000, ge=100)
    """A detector learns from at most so many windows, taken evenly over entities and time."""
    max_fold_values: int = Field(16_000_000, ge=1000)
    """A folding detector learns from at most so many values (entities × channels × steps), the
    newest of the range: nine minutes on one core. Three days are never cut, and
    conditional_residuals learns from the whole range, entity by entity. As many may be held out: in
    a larger fleet a choice of entities is judged, at least 24, and the others calibrate on a
    day."""
    epochs: int = Field(30, ge=1, le=1000)
    """A network sees each window at most so many times."""
    timeout_s: LastingS = 43200
    """This is a safeguard: a training that lasts longer is an error that says what to lower, and
    never a model. What ends a training is windows × epochs, or patience."""
    max_minutes: float | None = Field(None, gt=0, json_schema_extra={"deprecated": True})
    """This is deprecated, and ignored: a model would depend on how busy the machine was. In its
    place: max_windows, epochs and timeout. By default there is none."""
    patience: int = Field(5, ge=1)
    """So many epochs without a smaller validation loss end a training."""
    batch_size: int = Field(64, ge=1)
    """A network learns from so many windows at once."""
    learning_rate: float = Field(5e-3, gt=0, lt=1)
    """This is the learning rate at the start."""
    loss: Literal["mse", "mae", "huber"] = "mse"
    """This is what training makes small, and how errors are measured: squared (mse), absolute
    (mae), or squared near 0 and absolute beyond (huber)."""
    validation_share: float = Field(0.3, gt=0.0, lt=0.5)
    """This share of the range is held out: a week, or half of it, to calibrate on, the rest for the
    gate."""
    max_excluded_share: Share = 0.1
    """When a larger share of the running steps is left out, the retraining stops; labels teach
    a classifier."""
    high_score_lasting_s: LastingS = 3600
    """What the champion scored HIGH for longer than this is not learned."""
    dead_channel_share: Share = 0.2
    """In this share of windows one channel is made dead, so that a dead sensor upsets no other."""
    seed: int = Field(7, ge=0)
    """This is the seed of weights, batches and injections; the same seed gives the same model."""
    min_hours: float = Field(24.0, ge=1)
    """With less running time than so many hours a retraining stops."""
    young_from_s: LastingS = 604800
    """From so much time after its first reading on a dataset whose readings do not fill range is
    trained on what there is, every day; its models are young while some weekday was seen fewer than
    three times. Where range is no longer than this, nothing is ever young."""
    young_until_s: LastingS = 3024000
    """So long after the first reading nothing is young any more, whichever weekdays were seen; nor
    is it once its readings fill range."""
    young_detector: DetectorName = "dense_autoencoder"
    """This is the detector of young models, with its own defaults; the dataset's follows."""
    fallback: list[DetectorName] = Field(["seasonal_profile", "level"])
    """Where there is no champion and the gate refuses the challenger, these detectors are trained
    one after the other, with their own defaults, until one passes; the simplest comes last. With
    [] nothing is scored then."""
    warm_start_from: str | None = None
    """A network begins with the weights of this dataset's champion; champion means the dataset's
    own, where it is of the same detector. By default it begins anew."""
    preview: Literal["automatic", "manual"] = "automatic"
    """With manual, a person sees, on a form in Airflow, what will be learned, and may stop it."""
    answer_within_s: DurationS = 86400
    """The form waits so long."""
    unanswered: Literal["train", "stop"] = "stop"
    """This happens when nobody answers in time."""


class GateSection(FileSection):
    """What a challenger must reach before it may become champion.

    Examples
    --------
    gate:
      min_point_share: 0.6
      min_contextual_share: 0.5
      min_collective_share: 0.7
      max_false_alarm_share: 0.01
      max_incidents_per_entity_week: 2
      min_known_share: 0.5
      min_known: 3
      margin: 0.1
      max_excess: 2
      tolerance: 0.05
      min_pairs: 200
      n_injected: 60
      max_score_drift: 0.25
      max_latency_ms: 50
      max_commissioning_shift: 3
      max_commissioning_spread: 3
      limits: {}
    """

    min_point_share: Share = 0.6
    """At least this share of injected outliers of one reading is found. Detectors that look at
    windows or means find what lasts, and few of these."""
    min_contextual_share: Share = 0.5
    """At least this share of injected readings at the wrong time is found."""
    min_collective_share: Share = 0.7
    """At least this share of injected stretches of odd readings is found."""
    max_false_alarm_share: Share = 0.01
    """At most this share of clean held-out steps is flagged."""
    max_incidents_per_entity_week: float | None = Field(None, gt=0)
    """At most so many false alarms a week are raised by an entity on clean held-out readings. By
    default it is, with threshold.kind evt, twice the alarm budget, and without a limit
    otherwise."""
    min_known_share: Share = 0.5
    """At least this share of known anomalies in held-out readings is found."""
    min_known: int = Field(3, ge=1)
    """Fewer known anomalies than this decide nothing."""
    margin: Share = 0.1
    """A share this far below its limit fails, even where chance may explain it."""
    max_excess: float = Field(2.0, ge=1)
    """False alarms of so many times their limit fail, even where chance may explain them."""
    tolerance: Share = 0.05
    """A share may be this much worse than the champion's where min_pairs anomalies were
    injected."""
    min_pairs: int = Field(200, ge=1)
    """With fewer injected anomalies than this, only what chance does not explain fails."""
    n_injected: int = Field(60, ge=10, le=1000)
    """So many anomalies are injected: a quarter of each of point, contextual and collective, and
    the rest slow ramps, decoupled channels and other weekdays' values."""
    max_score_drift: float = Field(0.25, gt=0)
    """When the PSI of scores against the champion's is above this, the report says so; it decides
    nothing."""
    max_latency_ms: float = Field(50.0, gt=0)
    """The median CPU time for a window is at most so many milliseconds; a machine with a hundred
    entities has 36 s an hour each."""
    max_commissioning_shift: float = Field(3.0, gt=0)
    """A channel has left its commissioning reference by at most so many spreads."""
    max_commissioning_spread: float = Field(3.0, gt=1)
    """A channel scatters at most so many times as widely as at commissioning."""
    limits: dict[str, float] = Field(default_factory=dict)
    """These are other limits of rules that bring one of their own, by the rule's name."""


class ShadowSection(FileSection):
    """How long a challenger that passed the gate is scored beside the champion, and what it must
    show there.

    Examples
    --------
    shadow:
      hours: 48
      min_windows: 500
      approve: manual
      answer_within: 1d
      unanswered: reject
      max_alert_ratio: 2
      max_flag_share: 0.01
      min_agreement: 0.9
      limits: {}
    """

    hours: int = Field(24, ge=0, le=720)
    """Champion and challenger must both have scored so many hours; with 0, what passes the gate is
    champion at once."""
    min_windows: int | None = Field(None, ge=0)
    """Both must have scored so many steps, so that idle time lengthens the shadow. By default it is
    half of the steps that one entity has in those hours, at most 500."""
    approve: Literal["automatic", "manual"] = "automatic"
    """With manual, a person promotes or rejects, on a form in Airflow that shows the numbers."""
    answer_within_s: DurationS = 86400
    """The form waits so long."""
    unanswered: Literal["promote", "reject"] = "reject"
    """This happens when nobody answers in time."""
    max_alert_ratio: float = Field(2.0, ge=1)
    """A challenger may surely not raise more incidents than so many times the champion's."""
    max_flag_share: Share = 0.01
    """A challenger may flag at most this share of steps, or twice the champion's."""
    min_agreement: Share = 0.9
    """Both flag, or neither does, in at least this share of steps."""
    limits: dict[str, float] = Field(default_factory=dict)
    """These are other limits of rules that bring one of their own, by the rule's name."""


class DriftSection(FileSection):
    """What follows when readings leave the training range; it is measured in any case.

    Examples
    --------
    drift: {retrain_above: 0.25}
    """

    retrain_above: float | None = Field(None, gt=0)
    """When the PSI of a channel's week is above this, the report DAG starts a retraining; 0.25 is a
    large shift. By default drift starts none."""


class ReportSection(FileSection):
    """The weekly PDF.

    Examples
    --------
    report:
      schedule: "0 6 * * MON"
      period: 7d
      page_size: A4
      detail: brief
    """

    schedule: Cron = "0 6 * * 1"
    """This is the cron expression of the report DAG, in UTC."""
    period_s: LastingS = 604800
    """A report is about so much time before its end."""
    page_size: Literal["A4", "letter"] = "A4"
    """This is the size of the PDF's pages."""
    detail: ReportDetail = ReportDetail.BRIEF
    """With brief the PDF has at most 8 pages, of which the first says what needs a decision; full
    adds a page for each of up to 50 incidents, every rule with its numbers, and single flagged
    readings."""


class QuietHours(FileSection):
    """A time of each day in which messages wait, on the clock of the site.

    Examples
    --------
    notifications:
      targets:
        - email: [shift@example.com]
          quiet_hours: {start: "22:00", end: "06:00", still_told: HIGH}
    """

    start: WallTime
    """They begin at this time of day."""
    end: WallTime
    """They end at this time of day, of the next one where it is not after the start."""
    still_told: Severity | None = None
    """Incidents of at least this severity are told all the same. By default none are."""

    @model_validator(mode="after")
    def _lasts(self) -> QuietHours:
        if self.start == self.end:
            raise wrong("another time than the start", f"{self.end:%H:%M}", "end")
        return self


class NotificationTarget(FileSection):
    """Who is told: e-mail addresses, a webhook, or addresses of another channel.

    Examples
    --------
    notifications:
      targets:
        - {email: [shift@example.com], connection: smtp_default}
        - {webhook: plant_chat, news: []}
        - {channel: email, to: [models@example.com], news: [gate_failed, promoted]}
        - {channel: slack, connection: pumps_chat, entities: ["P-*"], channels: ["*pressure*"]}
        - {channel: pagerduty, connection: pager, least_severity: HIGH, taken: true}
        - {webhook: control_room, least_priority: 2}
        - email: [plant@example.com]
          digest: "0 5 * * *"
          quiet_hours: {start: "22:00", end: "06:00", still_told: HIGH}
    """

    email: list[MailAddress] | None = Field(None, min_length=1)
    """Each of these addresses gets messages of its own. By default there are none."""
    webhook: ConnectionId | None = None
    """This is the id of the connection that holds the webhook's URL. By default there is none."""
    channel: Named | None = None
    """Messages go by this notification channel, to the addresses in `to`. By
    default the channel
    follows from email or webhook."""
    to: list[Named] | None = Field(None, min_length=1)
    """These are addresses of the notification channel, if it has any. By default there are none."""
    connection: ConnectionId = "smtp_default"
    """This is the id of the connection of the mail server or notification channel. By default it is
    smtp_default for email, and the one that another notification channel says of itself."""
    least_severity: Severity = Severity.LOW
    """It is told of incidents that are, or become, of at least this severity."""
    least_priority: int = Field(5, ge=1, le=5)
    """It is told of incidents of at least this priority, 1 the most urgent, see criticality."""
    entities: list[Named] | None = Field(None, min_length=1)
    """It is told of these entities; * stands for any characters. By default it is told of all."""
    channels: list[Named] | None = Field(None, min_length=1)
    """It is told of incidents that one of these channels of the dataset leads; * stands for any
    characters. By default it is told of all."""
    quiet_hours: QuietHours | None = None
    """In this time of day its messages wait, and leave together at the end. By default none
    wait."""
    digest: Cron | None = None
    """Its messages wait for these moments, a cron expression in UTC, and leave together. By default
    they leave at once."""
    taken: bool | None = None
    """It is told who has taken an incident in hand. By default it is where the notification channel
    keeps each alert open until it hears that it ended."""
    news: list[NewsEvent] = Field([one for one in NewsEvent if one is not NewsEvent.PROMOTED])
    """It is told these news of models, beside incidents, and nothing with []. By default it is told
    all but promoted, and none where the notification channel keeps each alert open until it hears
    that it ended."""

    @model_validator(mode="after")
    def _exactly_one(self) -> NotificationTarget:
        _require_one(self, " and ", "email", "webhook", "channel")
        if self.to is not None and self.channel is None:
            raise wrong("no such field without channel", ", ".join(self.to), "to")
        if self.channel is None:
            return self
        check_known(self.channel, CHANNELS, "channel")
        if "news" not in self.model_fields_set and CHANNELS[self.channel].keeps_state:
            # News never end. Frozen for everybody else; this is still a part of making it.
            self.__dict__["news"] = []
        if "connection" not in self.model_fields_set:
            default = CHANNELS[self.channel].default_connection
            if default is None:
                raise wrong("the id of the channel's connection", "nothing", "connection")
            self.__dict__["connection"] = default
        for i, address in enumerate(self.to or ()):
            try:
                CHANNELS[self.channel]().check_address(address)
            except ValueError as error:
                raise wrong(str(error), address, "to", str(i)) from None
        return self

    @property
    def tells_taken(self) -> bool:
        """Whether it is told who has taken an incident in hand."""
        return CHANNELS[self.medium].keeps_state if self.taken is None else self.taken

    @property
    def medium(self) -> str:
        """Name of the channel."""
        return self.channel or ("webhook" if self.webhook is not None else "email")

    @property
    def connection_id(self) -> str:
        """Id of the connection that the channel sends over."""
        return self.connection if self.webhook is None else self.webhook

    @property
    def addresses(self) -> tuple[str, ...]:
        """To whom; one empty text where the connection says it all."""
        return tuple(self.email or self.to or ("",))


class HeartbeatSection(FileSection):
    """A sign of life, sent after each interval that was scored, for a monitor that misses it.

    Examples
    --------
    notifications:
      heartbeat: {connection: healthchecks, method: get}
    """

    connection: ConnectionId
    """This is the id of the connection that holds the URL, as that of a webhook."""
    method: Literal["get", "post", "metrics"] = "get"
    """With get the URL is asked for, which healthchecks.io and Uptime Kuma take; post sends JSON;
    metrics posts what a Prometheus Pushgateway takes."""


class NotificationsSection(FileSection):
    """Who is told what becomes of live incidents and models. Without targets nobody is.

    Examples
    --------
    notifications:
      targets:
        - {email: [shift@example.com]}
      silence: true
      outside_experience: true
      sensors: true
      heartbeat: {connection: healthchecks}
      owner: ada@example.com
      mode: live
      max_age: 2d
      max_per_run: 20
      base_url: https://airflow.example.com/plugin/anomalies/tsad
    """

    targets: list[NotificationTarget] = Field(default_factory=list)
    """These are told; without any, nobody is."""
    base_url: PageUrl | None = None
    """This is the address of the page *Anomalies*, to which messages carry a link: in Airflow's
    frame it ends with /plugin/anomalies/tsad, without the frame with /tsad. By default messages
    carry none."""
    owner: MailAddress | None = None
    """This one person is asked by e-mail when a training stops, and reminded each week until one
    goes on, and told of sensors that are out of order. By default nobody is asked by name, and
    those who are told of training_stopped are reminded."""
    mode: Literal["live", "rehearsal"] = "live"
    """With rehearsal, every message goes to the owner alone at once, marked as one of a rehearsal;
    nothing is sent to targets."""
    max_age_s: LastingS = 172800
    """An incident whose last flag is older than this opens no alert, and older decisions and
    silences are no news."""
    heartbeat: HeartbeatSection | None = None
    """A sign of life is sent here after each interval that was scored, with or without targets.
    By default there is none."""
    silence: bool = True
    """Targets are told once of a machine that usually reports and has stopped, and once when it is
    back; machines that one thing carries, in one message."""
    outside_experience: bool = True
    """Targets are told once each time that a setpoint, a load or an ambient condition goes outside
    of what training saw."""
    sensors: bool = True
    """The owner, and targets with a digest, are told once of a sensor that is out of order for
    three hours: dead, stuck or constant. Where there is neither, all targets are."""
    max_per_run: int = Field(20, ge=1, le=1000)
    """When one run has more events than this, they are told in one digest."""

    @model_validator(mode="after")
    def _has_owner(self) -> NotificationsSection:
        if self.mode == "rehearsal" and self.owner is None:
            raise wrong("an owner, who gets the messages of a rehearsal", "none", "owner")
        return self

    @property
    def is_told(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.targets or self.owner)

    @property
    def owner_connection(self) -> str:
        """Id of the connection to the owner's mail server: that of the first e-mail target."""
        mails = [one.connection_id for one in self.targets if one.medium == "email"]
        return mails[0] if mails else "smtp_default"


class RetentionSection(FileSection):
    """Off by default; counts from the dataset's newest reading.

    Examples
    --------
    retention:
      readings: 400d
      scores: 400d
      models: 90d
      notifications: 365d
    """

    readings_s: LastingS | None = None
    """Readings older than this are removed. By default none are."""
    scores_s: LastingS | None = None
    """Scores older than this are removed. By default none are."""
    models_s: LastingS | None = None
    """Bundles older than this that nothing refers to are removed; rows and decisions stay. By
    default none are."""
    notifications_s: LastingS | None = None
    """Alerts that ended earlier than this, and at least 60 days ago, are removed with their
    messages. By default none are."""


def config_hash(parts: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
