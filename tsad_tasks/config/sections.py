"""The sections of a dataset file, one class each; counts are steps of the dataset's grid."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from tsad_tasks.base.cpu_limit import cpu_limit
from tsad_tasks.base.enums import NewsEvent
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.settings import DurationS, LastingS, Section, validated, wrong
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
    Params,
    Share,
    StepS,
    Steps,
    TableNames,
    TagsFile,
    Width,
    Word,
    Words,
    ZoneName,
    check_known,
)

# CPU-seconds that a pattern may try one table's name, which takes microseconds.
_MATCHED_S = 1
_MAX_PATTERN_CHARACTERS = 500


class FileSection(Section):
    """Of a dataset file: what stands beneath a field describes it, to editors as well.

    A field of seconds, such as `hold_s`, is a duration in the file, under its name without `_s`.
    """

    model_config = ConfigDict(alias_generator=lambda name: name.removesuffix("_s"))


def _require_one(section: Section, between: str, *names: str) -> None:
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        raise wrong(f"exactly one of {', '.join(names)}", between.join(given) or "none of them")


class TimeColumn(FileSection):
    """The column that says when a reading was taken."""

    column: Named
    """Name of the time column."""
    unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of times that are whole numbers since 1970; omit for timestamps."""
    nanoseconds: Named | None = None
    """Whole-number column with the nanoseconds after the time, where a table keeps them apart."""
    zone: ZoneName = "UTC"
    """Zone of times that name none."""
    ambiguous: Literal["first", "second"] = "first"
    """Which of the two hours a naive time means when clocks are set back."""


class EntitySource(FileSection):
    """Where the name of the machine or host comes from: exactly one of the three; of series the
    tags file says it."""

    ways: ClassVar = ("column", "from_table", "constant")

    column: Named | None = None
    """Column that holds the entity's name."""
    from_table: Named | None = None
    """Regular expression on the table's name; its first group is the entity's name."""
    constant: Named | None = None
    """Name of the one entity of this table."""

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
    """The column that says whether a value is to be trusted."""

    column: Named
    """Name of the column, such as dataintegrity or status."""
    good: Codes
    """Codes of good values, such as 192 or [[192, 255]]; any other, and none, is a bad value, which
    ends the one before it."""


class ChannelSection(FileSection):
    """One sensor of the entity."""

    column: Named | None = None
    """Column (of wide tables) or name in the channel column (of long ones); by default the
    channel's name."""
    unit: str | None = None
    """Unit shown to people, such as °C or bar."""
    aggregate: Literal["last", "mean", "min", "max", "count"] = "mean"
    """How readings that share a grid step become one."""
    no_value: Codes = ()
    """Values, as the source has them, that mean that there is none, such as -9999 or
    [[32767, 65535]]."""
    across: Literal["sum", "mean", "max", "min"] | None = None
    """How several series of one entity become one channel; without it that is an error."""
    hold_s: DurationS = 0
    """How long a value stays valid when none follows."""
    low: float | None = None
    """Lower end of the sensor's range; a value below it is out of range."""
    high: float | None = None
    """Upper end of the sensor's range; a value above it is out of range."""

    @model_validator(mode="after")
    def _low_below_high(self) -> ChannelSection:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise wrong(f"more than low, which is {self.low:g}", f"{self.high:g}", "high")
        return self


def _listed(names: str | list[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


class SourceSection(FileSection):
    """The sensor tables: where they are and how to read them."""

    connection: ConnectionId
    """Airflow connection id (or TSAD_CONNECTION_<ID> outside Airflow)."""
    kind: Named = "postgres"
    """What the connection leads to."""
    params: Params = Field(default_factory=dict)
    """Settings of the kind's own; postgres has none."""
    tables: TableNames | None = None
    """Table, list of tables, or a pattern with * such as plant.machine_*."""
    tables_except: TableNames | None = None
    """Tables that the pattern matches and that are none of the dataset's."""
    query: Named | None = None
    """One SELECT in place of tables. Its columns are read as those of a table are; leave times and
    values as they are stored, since a time that is computed keeps an index from being used."""
    rows_where: dict[Named, Word | list[Word]] = Field(default_factory=dict)
    """Rows to read, by column: the value that it has, or a list of values."""
    series: Named | list[Named] = Field(default_factory=list)
    """Column, or columns, that hold the source's own id of a series; tags says what each id is."""
    tags: TagsFile | None = None
    """CSV file beside this one: what the source calls a series, its entity and channel, and how
    its values are scaled."""
    shape: Literal["wide", "long"] = "wide"
    """Wide tables have a column per channel, long ones a row per value."""
    time: TimeColumn
    entity: EntitySource = EntitySource()
    channels: dict[ChannelName, ChannelSection] = Field(min_length=1)
    channel_column: Named | None = None
    """Column of a long table with the channel's name."""
    value_column: Named | list[Named] | None = None
    """Column of a long table with the value; of several the first that is not NULL counts."""
    words: Words = Field(default_factory=dict)
    """Numbers for words in value columns, such as on: 1; null for words that mean no value."""
    quality: QualityColumn | None = None
    """Column that says whether the value of a row is good."""
    updated_at: Named | None = None
    """Column that grows when a row changes; decides between duplicates."""
    label: Named | None = None
    """Boolean or 0/1 column with known anomalies."""
    step_s: StepS = 60
    """Distance of two readings on the grid; it divides one hour."""
    settle_s: DurationS = 0
    """Wait after an interval's end before it is read."""
    mutability_s: DurationS = 10800
    """How long rows may still arrive or change."""
    statement_timeout_s: LastingS = 300
    """A query of the source that lasts longer fails."""

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
        for name in ("tables", "tables_except", "rows_where"):
            if self.query is not None and getattr(self, name):
                raise wrong("no such field beside query", shown(getattr(self, name)), name)
        if bool(self.series) != (self.tags is not None):
            name = "tags" if self.series else "series"
            raise wrong("both series and tags", "the other alone", name)
        for name, channel in self.channels.items():
            if channel.across is not None and not self.series:
                raise wrong("series, which across is about", "none", "channels", name, "across")
        self._check_names()
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

    def _check_names(self) -> None:
        """Names of entities and channels come from columns, or from tags, and not from both."""
        if self.series:
            if self.shape == "wide":
                raise wrong("long, since series are", "wide", "shape")
            for name in ("entity", "channel_column"):
                if name in self.model_fields_set:
                    expected = "no such field, since the tags file says it"
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
    def table_names(self) -> tuple[str, ...]:
        return _listed(self.tables)

    @property
    def select(self) -> str:
        """The query without the semicolon at its end; empty where there are tables."""
        return (self.query or "").strip().rstrip(";")

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
    """What the detector sees beside the scaled channels. Lags and widths count grid steps."""

    scaling: Literal["robust", "minmax", "standard", "none"] = "robust"
    """How the channels of machines are brought to one scale."""
    rolling_mean: list[Width] = Field(default_factory=list)
    """Widths of moving averages of all channels, as inputs."""
    lag: list[Steps] = Field(default_factory=list)
    """Steps by which channels are seen late, as inputs."""
    diff: list[Steps] = Field(default_factory=list)
    """Steps over which the change of channels is taken, as inputs."""
    cyclic: list[Cyclic] = Field(default_factory=lambda: list[Cyclic](["hour", "weekday"]))
    """Hour and day of the week in site time, as inputs."""
    holidays: Country | None = None
    """Country, such as DE, or region, such as DE-BY, whose holidays are days of rest."""
    min_own_scale_s: DurationS = 259200
    """Running time before an own scale."""
    rebaseline_after_s: LastingS = 86400
    """Running time from which the level of a replaced sensor is learned."""


DEFAULT_WINDOW = 10


class DetectorSection(FileSection):
    """Which model, and its sizes."""

    name: DetectorName = "lstm_autoencoder"
    """A detector of docs/guides/detectors."""
    scope: Literal["dataset", "entity"] = "dataset"
    """One model for all entities, or one each."""
    window: Width | Literal["auto"] = DEFAULT_WINDOW
    """Steps of a window; auto takes the readings' period, if one of 5 to 60 steps stands out, else
    10."""
    min_coverage: Share = 0.5
    """Smallest share of live channels for a score."""
    params: Params = Field(default_factory=dict)
    """The detector's own settings, see its guide. Those that count readings may be durations, such
    as 6h."""

    @property
    def n_steps(self) -> int:
        """Steps of a window; before a training has chosen it, what it is without a period."""
        return DEFAULT_WINDOW if self.window == "auto" else self.window


# Thresholds that carry a state, as the detectors that they belong to do.
FOLDING_THRESHOLDS = {
    "ranked": ("limit", "penalty", "event_error", "event_gap"),
    "hysteresis": ("limit", "leave", "leave_share", "longest", "recent"),
}
# Of these the ones that count readings: a duration will do, too.
COUNTED_IN_RULES = ("event_gap", "longest", "recent")


class ThresholdSection(FileSection):
    """How errors become flags. Counts are grid steps."""

    kind: Literal[
        "evt", "percentile", "rolling_percentile", "mean_std", "adaptive",
        "training", "f1_best", "conformal", "ranked", "hysteresis",
    ] = "evt"  # fmt: skip
    """Threshold evt keeps to the alarm policy's budget; the others are limits as their names
    say."""
    combine: Literal["top_k", "mean", "max"] | None = None
    """How channels become one error. The mean of the most surprising ones, calibrated (top_k,
    default of evt and conformal), the mean of all errors as they are (mean, default of the others),
    or the highest (max, default of ranked and hysteresis)."""
    top_k: int = Field(2, ge=1, le=1000)
    """Channels that top_k takes the mean of."""
    percentile: float = Field(99.9, gt=50, lt=100)
    """Percentile of errors that is the limit; see the kinds."""
    k: float = Field(6.0, gt=0, le=50)
    """Standard deviations above the mean."""
    look_back: int = Field(1000, ge=50, le=20000)
    """Errors that a rolling threshold sees."""
    min_span_s: DurationS = 86400
    """A rolling threshold sees at least this much time."""
    min_count: int = Field(200, ge=10)
    """With fewer errors the calibrated threshold holds."""
    floor: Share = 0.5
    """A rolling threshold never falls below this share of the calibrated one."""
    collective_width: int = Field(15, ge=0, le=1440)
    """Steps of the moving average of errors that has a threshold of its own; 0 switches it off."""
    collective_k: float = Field(6.0, gt=0, le=50)
    """Standard deviations above the mean, of moving averages."""
    rule: dict[str, float | str] = Field(default_factory=dict)
    """Settings of ranked (limit, penalty, event_error, event_gap) and of hysteresis (limit, leave,
    leave_share, longest, recent). Counts are readings, or durations such as 6h."""

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
    """

    budget_per_day: float = Field(5.0, gt=0)
    """Incidents a day that the whole dataset may raise while nothing is wrong (threshold.kind
    evt)."""
    budget_per_entity_week: float = Field(1.0, gt=0)
    """Incidents a week that one entity may raise while nothing is wrong; of the two budgets the
    lower one holds."""
    merge_gap_s: DurationS = 1800
    """Flags closer than this, or than two steps, are one incident."""
    max_length_s: LastingS = 604800
    """A longer incident is cut here, and again at each multiple; parts say what they continue."""
    consecutive: Steps = 1
    """Flags in a row that open an incident."""
    min_score: float = Field(0.0, ge=0)
    """Smallest peak score of an incident."""
    refractory_s: DurationS = 0
    """Flags this long after an alarm are part of it; with 0 merge_gap decides."""
    escalation: float = Field(2.0, gt=0)
    """Within the refractory time an error higher by this than all since the alarm is a new one."""
    direction: Literal["both", "high", "low"] = "both"
    """Whether readings above, below or on either side of what is expected count."""
    min_deviation: dict[str, float] = Field(default_factory=dict)
    """Smallest deviation by channel, in units."""

    @property
    def version(self) -> str:
        return config_hash(self.model_dump(mode="json", exclude=set(_BUDGET)))[:12]


class TrainingSection(FileSection):
    """What a challenger is trained on, and how much it may cost."""

    range_s: LastingS = 2592000
    """Rolling training range."""
    schedule: Cron = "0 3 * * 1"
    """Cron of the retrain DAG, UTC."""
    max_windows: int = Field(60_000, ge=100)
    """Windows that a detector learns from, at most."""
    max_fold_values: int = Field(16_000_000, ge=1000)
    """Entities × channels × steps that a folding detector learns from, the newest of the range:
    nine minutes on one core. Three days are never cut. As many may be held out: in a larger fleet a
    choice of entities is judged, at least 24, and the others calibrate on a day."""
    epochs: int = Field(30, ge=1, le=1000)
    """How often a network sees each window."""
    timeout_s: LastingS = 43200
    """A safeguard: longer than this is an error that says what to lower, and never a model. What
    ends a training is windows × epochs, or patience."""
    max_minutes: float | None = Field(None, gt=0, json_schema_extra={"deprecated": True})
    """Deprecated, and ignored: a model would depend on how busy the machine was. In its place:
    max_windows, epochs and timeout."""
    patience: int = Field(5, ge=1)
    """Epochs without a smaller validation loss that end a training."""
    batch_size: int = Field(64, ge=1)
    """Windows that a network learns from at once."""
    learning_rate: float = Field(5e-3, gt=0, lt=1)
    """Learning rate at the start."""
    loss: Literal["mse", "mae", "huber"] = "mse"
    """What training makes small, and how errors are measured."""
    validation_share: float = Field(0.3, gt=0.0, lt=0.5)
    """Share held out: a week, or half of it, to calibrate on, the rest for the gate."""
    max_excluded_share: Share = 0.1
    """A larger share of the running steps left out stops a retraining; labels teach a
    classifier."""
    high_score_lasting_s: LastingS = 3600
    """What the champion scored HIGH for so long is not learned."""
    dead_channel_share: Share = 0.2
    """Share of windows in which one channel is made dead, so that a dead sensor upsets no other."""
    seed: int = Field(7, ge=0)
    """Seed of weights, batches and injections."""
    min_hours: float = Field(24.0, ge=1)
    """Less running time than this stops a retraining."""
    warm_start_from: str | None = None
    """Begin with the weights of this dataset's champion; `champion` means the own one."""
    preview: Literal["automatic", "manual"] = "automatic"
    """With manual, a person sees, on a form in Airflow, what will be learned, and may stop it."""
    answer_within_s: DurationS = 86400
    """How long the form waits."""
    unanswered: Literal["train", "stop"] = "stop"
    """What happens when nobody answers."""


class GateSection(FileSection):
    """What a challenger must reach before it may become champion."""

    min_point_share: Share = 0.9
    """Share of injected outliers of one reading to be found."""
    min_contextual_share: Share = 0.5
    """Share of injected readings at the wrong time to be found."""
    min_collective_share: Share = 0.7
    """Share of injected stretches of odd readings to be found."""
    max_false_alarm_share: Share = 0.01
    """Share of clean held-out steps that may be flagged."""
    max_incidents_per_entity_week: float | None = Field(None, gt=0)
    """False alarms on clean held-out readings; default, with kind evt: twice the alarm budget."""
    min_known_share: Share = 0.5
    """Share of known anomalies in held-out readings to be found."""
    min_known: int = Field(3, ge=1)
    """Fewer known anomalies than this decide nothing."""
    margin: Share = 0.1
    """A share this far below its limit fails, even where chance may explain it."""
    max_excess: float = Field(2.0, ge=1)
    """False alarms of so many times their limit fail, even where chance may explain them."""
    tolerance: Share = 0.05
    """How much worse than the champion a share may be where min_pairs anomalies were injected."""
    min_pairs: int = Field(200, ge=1)
    """With fewer injected anomalies than this, only what chance does not explain fails."""
    n_injected: int = Field(60, ge=10, le=1000)
    """Anomalies of each kind that are injected."""
    max_score_drift: float = Field(0.25, gt=0)
    """PSI of scores against the champion's above which the report says so; it decides nothing."""
    max_latency_ms: float = Field(50.0, gt=0)
    """CPU time per window, median; a machine with a hundred entities has 36 s an hour each."""
    max_commissioning_shift: float = Field(3.0, gt=0)
    """Spreads by which a channel may have left its commissioning reference."""
    max_commissioning_spread: float = Field(3.0, gt=1)
    """How many times wider than at commissioning a channel may scatter."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Other limits of rules that bring one of their own, by the rule's name."""


class ShadowSection(FileSection):
    """How long a challenger that passed the gate is scored beside the champion, and what it must
    show there.
    """

    hours: int = Field(24, ge=0, le=720)
    """Hours that both must have scored; with 0, what passes the gate is champion at once."""
    min_windows: int | None = Field(None, ge=0)
    """Steps that both must have scored, so that idle time lengthens the shadow; null is half of
    those that one entity has in its hours, at most 500."""
    approve: Literal["automatic", "manual"] = "automatic"
    """With manual, a person promotes or rejects, on a form in Airflow that shows the numbers."""
    answer_within_s: DurationS = 86400
    """How long the form waits."""
    unanswered: Literal["promote", "reject"] = "reject"
    """What happens when nobody answers."""
    max_alert_ratio: float = Field(2.0, ge=1)
    """Incidents, as a multiple of the champion's, that a challenger may surely not exceed."""
    max_flag_share: Share = 0.01
    """Share of steps it may flag, or twice the champion's."""
    min_agreement: Share = 0.9
    """Smallest share of steps that both flag, or neither."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Other limits of rules that bring one of their own, by the rule's name."""


class DriftSection(FileSection):
    """What follows when readings leave the training range; it is measured in any case."""

    retrain_above: float | None = Field(None, gt=0)
    """PSI of a channel's week above which the report DAG starts a retraining; 0.25 is a large
    shift."""


class ReportSection(FileSection):
    """The weekly PDF."""

    schedule: Cron = "0 6 * * 1"
    """Cron of the report DAG, UTC."""
    period_s: LastingS = 604800
    """Time that a report is about."""
    page_size: Literal["A4", "letter"] = "A4"
    """Size of the PDF's pages."""


class NotificationTarget(FileSection):
    """Who is told: e-mail addresses, a webhook, or addresses of another channel."""

    email: list[MailAddress] | None = Field(None, min_length=1)
    """Addresses; each gets messages of its own."""
    webhook: ConnectionId | None = None
    """Id of the connection that holds the URL."""
    channel: Named | None = None
    """Another channel of notifications, with its addresses in `to`."""
    to: list[Named] | None = Field(None, min_length=1)
    """Addresses of `channel`, if it has any."""
    connection: ConnectionId = "smtp_default"
    """Id of the connection of the mail server or channel."""
    news: list[NewsEvent] = Field([one for one in NewsEvent if one is not NewsEvent.PROMOTED])
    """What it is told of models, beside incidents: all but promoted by default, and nothing with
    []."""

    @model_validator(mode="after")
    def _exactly_one(self) -> NotificationTarget:
        _require_one(self, " and ", "email", "webhook", "channel")
        if self.to is not None and self.channel is None:
            raise wrong("no such field without channel", ", ".join(self.to), "to")
        if self.channel is None:
            return self
        check_known(self.channel, CHANNELS, "channel")
        if "connection" not in self.model_fields_set:
            default = CHANNELS[self.channel].default_connection
            if default is None:
                raise wrong("the id of the channel's connection", "nothing", "connection")
            # Frozen for everybody else; this is still a part of making it.
            self.__dict__["connection"] = default
        for i, address in enumerate(self.to or ()):
            try:
                CHANNELS[self.channel]().check_address(address)
            except ValueError as error:
                raise wrong(str(error), address, "to", str(i)) from None
        return self

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


class NotificationsSection(FileSection):
    """Who is told what becomes of live incidents and models. Without targets nobody is."""

    targets: list[NotificationTarget] = Field(default_factory=list)
    """Who is told; without any, nobody is."""
    max_age_s: LastingS = 172800
    """An incident whose last flag is older opens none; older decisions are no news."""
    max_per_run: int = Field(20, ge=1, le=1000)
    """More events in one run are told in one digest."""


class RetentionSection(FileSection):
    """Off by default; counts from the dataset's newest reading."""

    readings_s: LastingS | None = None
    """Older readings are removed."""
    scores_s: LastingS | None = None
    """Older scores are removed."""
    models_s: LastingS | None = None
    """Older bundles that nothing refers to are removed; rows and decisions stay."""
    notifications_s: LastingS | None = None
    """Alerts that ended earlier, at least 60 days ago, are removed with their messages."""


def config_hash(parts: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
