"""One YAML file per dataset: what it may say, and a clear error where it says something else.

Importing this module loads neither NumPy nor pandas, since every DAG import pays for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.rule import rules_of
from tsad_tasks.base.settings import (
    DURATION_JSON,
    DurationS,
    LastingS,
    Problem,
    Section,
    counts_of_readings,
    duration_s,
    n_readings,
    problems,
    wrong,
)
from tsad_tasks.base.variants import CHANNELS, SOURCES
from tsad_tasks.detectors.registry import DETECTORS

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_CONNECTION = re.compile(r"[A-Za-z0-9_.-]+")
_HOLIDAY_YEARS = (1990, 2061)
_SUNDAY = 6
_SCORE_EVERY = {"5min": 300, "15min": 900, "1h": 3600}
_VIEW_COLUMNS = ("entity", "hour_at", "at")
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?")


def _step_s(text: object) -> int:
    seconds = duration_s(text)
    if seconds < 1 or 3600 % seconds:
        raise ValueError("a step that divides one hour, such as 1s, 1min, 5min, 1h")
    return seconds


def _interval_s(text: object) -> int:
    if duration_s(text) not in _SCORE_EVERY.values():
        raise ValueError("5min, 15min or 1h")
    return duration_s(text)


_all_zones = cache(available_timezones)


def _known_zone(name: object) -> str:
    if not isinstance(name, str) or name not in _all_zones():
        raise ValueError("an IANA time zone such as UTC or Europe/Berlin")
    return name


def _dataset_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("a name of up to 48 small letters, digits and _, a letter first")
    return name


def _connection_id(name: object) -> str:
    if not isinstance(name, str) or not _CONNECTION.fullmatch(name):
        raise wrong(
            "the id of a connection (letters, digits, _ . -)",
            "something else (not shown, it may hold a password)",
        )
    return name


def _table_names(tables: object) -> object:
    names = [tables] if isinstance(tables, str) else tables
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(name, str) and name.strip() for name in names)
    ):
        raise ValueError("a table, a list of tables, or a pattern with * such as plant.machine_*")
    return tables


def _channel_name(name: str) -> str:
    if not 1 <= len(name.encode()) <= 63 or not name.isprintable() or name in _VIEW_COLUMNS:
        raise ValueError(
            "a channel's name of 1 to 63 bytes, printable, not entity, hour_at or at "
            "(use column: for the source's name)"
        )
    return name


def _cron(text: object) -> str:
    """The text, if it is a cron expression of five fields.

    >>> _cron("30 3,15 * * 1-5")
    '30 3,15 * * 1-5'
    """
    fields = text.split() if isinstance(text, str) else []
    if len(fields) != 5 or not all(map(_is_cron_field, fields, _CRON_RANGES)):
        raise ValueError(
            "a cron expression: minute hour day month weekday, in numbers, such as '0 3 * * 1'"
        )
    return str(text)


def _is_cron_field(field: str, ends: tuple[int, int]) -> bool:
    return all(_is_cron_part(part, *ends) for part in field.split(","))


def _is_cron_part(part: str, low: int, high: int) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None:
        return False
    first, last = int(match[1] or low), int(match[2] or match[1] or high)
    return low <= first <= last <= high


def _json_values(params: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("text, finite numbers, true, false, lists and mappings only") from None
    return params


def _detector_name(name: str) -> str:
    if name not in DETECTORS:
        raise wrong(f"one of {', '.join(DETECTORS)}", name)
    return name


def _country(code: str) -> str:
    if not holidays_of(code)[0]:
        raise wrong("a country such as DE or US, or a region of it such as DE-BY", code)
    return code


@cache
def holidays_of(code: str) -> tuple[tuple[int, ...], int]:
    """Holidays of a country or region as days since 1970, and its weekly day of rest (0 is Monday).

    Without any holiday, nobody knows the code.

    >>> days, rest_weekday = holidays_of("DE")
    >>> (date(2024, 12, 25) - date(1970, 1, 1)).days in days, rest_weekday, holidays_of("XX")[0]
    (True, 6, ())
    """
    # Imported here, since most datasets name no country.
    import holidays

    country, _, region = code.partition("-")
    try:
        found = holidays.country_holidays(
            country, subdiv=region or None, years=range(*_HOLIDAY_YEARS)
        )
    except NotImplementedError:
        return (), _SUNDAY
    days = sorted((day - date(1970, 1, 1)).days for day in found)
    return tuple(days), max(found.weekend, default=_SUNDAY)


ZoneName = Annotated[str, BeforeValidator(_known_zone), WithJsonSchema({"type": "string"})]
Cron = Annotated[str, BeforeValidator(_cron), WithJsonSchema({"type": "string"})]
Named = Annotated[str, Field(min_length=1)]
Cyclic = Literal["hour", "weekday"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class TimeColumn(Section):
    """The column that says when a reading was taken."""

    column: Named = Field(description="Name of the time column.")
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Unit of integer epochs; omit for timestamps."
    )
    zone: ZoneName = Field("UTC", description="Zone of naive timestamps.")
    ambiguous: Literal["first", "second"] = Field(
        "first", description="Which of the two hours a naive time means when clocks are set back."
    )


class EntitySource(Section):
    """Where the name of the machine or host comes from: exactly one of the three."""

    column: Named | None = Field(None, description="Column that holds the entity's name.")
    from_table: Named | None = Field(
        None, description="Regular expression on the table's name; its first group is it."
    )
    constant: Named | None = Field(None, description="The one entity of this table.")

    @model_validator(mode="after")
    def _exactly_one(self) -> EntitySource:
        given = [
            name for name in ("column", "from_table", "constant") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise wrong(
                "exactly one of column, from_table, constant", ", ".join(given) or "none of them"
            )
        if self.from_table is not None and _n_groups(self.from_table) < 1:
            raise wrong(
                "a regular expression with one group, such as 'machine_(.*)'",
                repr(self.from_table),
                "from_table",
            )
        return self


def _n_groups(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error:
        return 0


class Channel(Section):
    """One sensor of the entity."""

    column: Named | None = Field(
        None, description="Column (wide) or name in the channel column (long); default: same name."
    )
    unit: str | None = Field(None, description="Unit shown to people, such as °C or bar.")
    aggregate: Literal["last", "mean", "min", "max", "count"] = Field(
        "mean", description="How readings that share a grid step become one."
    )
    hold_s: DurationS = Field(
        0, alias="hold", description="How long a value stays valid when none follows."
    )
    low: float | None = Field(
        None, description="Lower end of the sensor's range; below it the value is out of range."
    )
    high: float | None = Field(None, description="Upper end of the sensor's range.")

    @model_validator(mode="after")
    def _low_below_high(self) -> Channel:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise wrong(f"more than low, which is {self.low:g}", f"{self.high:g}", "high")
        return self


class Source(Section):
    """The sensor tables: where they are and how to read them."""

    connection: Annotated[str, BeforeValidator(_connection_id)] = Field(
        description="Airflow connection id (or TSAD_CONNECTION_<ID> outside Airflow)."
    )
    kind: Named = Field("postgres", description="What the connection leads to.")
    params: Annotated[dict[str, Any], AfterValidator(_json_values)] = Field(
        default_factory=dict, description="Settings of the kind's own; postgres has none."
    )
    tables: Annotated[str | list[str], BeforeValidator(_table_names)] = Field(
        description="Table, list of tables, or a pattern with * such as plant.machine_*."
    )
    shape: Literal["wide", "long"] = Field(
        "wide", description="wide: a column per channel; long: a row per value."
    )
    time: TimeColumn
    entity: EntitySource
    channels: dict[Annotated[str, AfterValidator(_channel_name)], Channel] = Field(min_length=1)
    channel_column: Named | None = Field(
        None, description="Long tables: column with the channel's name."
    )
    value_column: Named | None = Field(None, description="Long tables: column with the value.")
    updated_at: Named | None = Field(
        None, description="Column that grows when a row changes; decides between duplicates."
    )
    label: Named | None = Field(None, description="Boolean or 0/1 column with known anomalies.")
    step_s: Annotated[int, BeforeValidator(_step_s), WithJsonSchema(DURATION_JSON)] = Field(
        60, alias="step", description="Grid step; divides one hour."
    )
    settle_s: DurationS = Field(
        0, alias="settle", description="Wait after an interval's end before it is read."
    )
    mutability_s: DurationS = Field(
        10800, alias="mutability", description="How long rows may still arrive or change."
    )
    statement_timeout_s: LastingS = Field(300, alias="statement_timeout")

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        for name in ("channel_column", "value_column"):
            is_given = getattr(self, name) is not None
            if self.shape == "long" and not is_given:
                raise wrong("this field, since the table is long", "nothing", name)
            if self.shape == "wide" and is_given:
                raise wrong(
                    "no such field, since the table is wide (or say shape: long)",
                    getattr(self, name),
                    name,
                )
        if self.kind not in SOURCES:
            raise wrong(f"one of {', '.join(SOURCES)}", self.kind, "kind")
        model = SOURCES[self.kind].settings_model
        try:
            model.model_validate(self.params)
        except ValidationError as error:
            first = problems(error, model)[0]
            raise wrong(first.expected, first.received, "params", *first.field) from None
        return self

    @property
    def table_names(self) -> tuple[str, ...]:
        return (self.tables,) if isinstance(self.tables, str) else tuple(self.tables)

    def channel_columns(self) -> dict[str, str]:
        """Column (or long name) by channel name."""
        return {name: channel.column or name for name, channel in self.channels.items()}


def _every_cycle() -> list[Cyclic]:
    return ["hour", "weekday"]


class Features(Section):
    """What the detector sees beside the scaled channels. Lags and widths count grid steps."""

    scaling: Literal["robust", "minmax", "standard", "none"] = "robust"
    rolling_mean: list[Annotated[int, Field(ge=2, le=1440)]] = Field(default_factory=list)
    lag: list[Annotated[int, Field(ge=1, le=1440)]] = Field(default_factory=list)
    diff: list[Annotated[int, Field(ge=1, le=1440)]] = Field(default_factory=list)
    cyclic: list[Cyclic] = Field(
        default_factory=_every_cycle, description="Context inputs, in site time."
    )
    holidays: Annotated[str, AfterValidator(_country)] | None = Field(
        None,
        description="Country, such as DE, or region, such as DE-BY, whose holidays are days of "
        "rest.",
    )
    min_own_scale_s: DurationS = Field(
        259200, alias="min_own_scale", description="Running time before an own scale."
    )
    rebaseline_after_s: LastingS = Field(
        86400,
        alias="rebaseline_after",
        description="Running time from which the level of a replaced sensor is learned.",
    )


DEFAULT_WINDOW = 10


class Detector(Section):
    """Which model, and its sizes."""

    name: Annotated[str, AfterValidator(_detector_name)] = "lstm_autoencoder"
    scope: Literal["dataset", "entity"] = Field(
        "dataset", description="One model for all entities, or one each."
    )
    window: Annotated[int, Field(ge=2, le=1440)] | Literal["auto"] = Field(
        DEFAULT_WINDOW,
        description="Steps; auto: the readings' period, if one of 5 to 60 steps stands out, else "
        "10.",
    )
    min_coverage: Share = Field(0.5, description="Smallest share of live channels for a score.")
    params: Annotated[dict[str, Any], AfterValidator(_json_values)] = Field(
        default_factory=dict,
        description="The detector's own. What counts readings in those with a state may be a "
        "duration, such as 6h.",
    )

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


class Threshold(Section):
    """How errors become flags. Counts are grid steps."""

    kind: Literal[
        "evt",
        "percentile",
        "rolling_percentile",
        "mean_std",
        "adaptive",
        "training",
        "f1_best",
        "conformal",
        "ranked",
        "hysteresis",
    ] = Field(
        "evt",
        description="evt keeps to the alarm policy's budget; the others are limits as their names "
        "say.",
    )
    combine: Literal["top_k", "mean", "max"] | None = Field(
        None,
        description="top_k: the mean of the most surprising channels, calibrated (default of evt "
        "and conformal); "
        "mean: of all channels' errors as they are (default of the others); max: the highest of "
        "them (default of "
        "ranked and hysteresis).",
    )
    top_k: Annotated[int, Field(ge=1, le=1000)] = Field(
        2, description="Channels that top_k takes the mean of."
    )
    percentile: Annotated[float, Field(gt=50, lt=100)] = 99.9
    k: Annotated[float, Field(gt=0, le=50)] = 6.0
    look_back: Annotated[int, Field(ge=50, le=20000)] = Field(
        1000, description="Errors that a rolling threshold sees."
    )
    min_span_s: DurationS = Field(
        86400, alias="min_span", description="… and at least this much time."
    )
    min_count: Annotated[int, Field(ge=10)] = Field(
        200, description="With fewer errors the calibrated threshold holds."
    )
    floor: Share = Field(
        0.5, description="A rolling threshold never falls below this share of the calibrated one."
    )
    collective_width: Annotated[int, Field(ge=0, le=1440)] = Field(
        15, description="Moving average; 0 switches it off."
    )
    collective_k: Annotated[float, Field(gt=0, le=50)] = 6.0
    rule: dict[str, float | str] = Field(
        default_factory=dict,
        description="Of ranked: limit, penalty, event_error, event_gap; of hysteresis: limit, "
        "leave, leave_share, "
        "longest, recent. Counts are readings, or durations such as 6h.",
    )

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
_POLICY_OF_MODELS = (*_BUDGET, "merge_gap_s", "consecutive", "min_score")


class AlarmPolicy(Section):
    """How flags become incidents; its hash, but for the budget, is the version that incidents
    carry.
    """

    budget_per_day: Annotated[float, Field(gt=0)] = Field(
        5.0,
        description="Incidents a day that the whole dataset may raise while nothing is wrong "
        "(threshold.kind evt).",
    )
    budget_per_entity_week: Annotated[float, Field(gt=0)] = Field(
        1.0, description="… and one entity in a week; what is lower holds."
    )
    merge_gap_s: DurationS = Field(
        1800,
        alias="merge_gap",
        description="Flags closer than this, or than two steps, are one incident.",
    )
    max_length_s: LastingS = Field(
        604800, alias="max_length", description="A longer incident is cut here."
    )
    consecutive: Annotated[int, Field(ge=1, le=1440)] = Field(
        1, description="Flags in a row that open an incident."
    )
    min_score: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Smallest peak score of an incident."
    )
    refractory_s: DurationS = Field(
        0,
        alias="refractory",
        description="Flags this long after an alarm are part of it; 0: merge_gap alone decides.",
    )
    escalation: Annotated[float, Field(gt=0)] = Field(
        2.0, description="… but an error higher by this than all since the alarm is a new one."
    )
    direction: Literal["both", "high", "low"] = "both"
    min_deviation: dict[str, float] = Field(
        default_factory=dict, description="Smallest deviation by channel, in units."
    )

    @property
    def version(self) -> str:
        return config_hash(self.model_dump(mode="json", exclude=set(_BUDGET)))[:12]


class Training(Section):
    """What a challenger is trained on, and how much it may cost."""

    range_s: LastingS = Field(2592000, alias="range", description="Rolling training range.")
    schedule: Cron = Field("0 3 * * 1", description="Cron of the retrain DAG, UTC.")
    max_windows: Annotated[int, Field(ge=100)] = 60_000
    max_fold_values: Annotated[int, Field(ge=1000)] = Field(
        16_000_000,
        description="Entities × channels × steps that a folding detector learns from, the newest "
        "of the range: nine "
        "minutes on one core. Three days are never cut. As many may be held out: in a larger fleet "
        "a choice of "
        "entities is judged, at least 24, and the others calibrate on a day.",
    )
    epochs: Annotated[int, Field(ge=1, le=1000)] = 30
    timeout_s: LastingS = Field(
        43200,
        alias="timeout",
        description="A safeguard: longer than this is an error that says what to lower, and never "
        "a model. "
        "What ends a training is windows × epochs, or patience.",
    )
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Deprecated, and ignored: a model would depend on how busy the machine was. "
        "In its place: max_windows, epochs and timeout.",
        json_schema_extra={"deprecated": True},
    )
    patience: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-3
    loss: Literal["mse", "mae", "huber"] = "mse"
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.3, description="Held out: a week, or half of it, to calibrate on, the rest for the gate."
    )
    max_excluded_share: Share = Field(
        0.1,
        description="A larger share of the running steps left out stops a retraining; labels teach "
        "a classifier.",
    )
    high_score_lasting_s: LastingS = Field(
        3600,
        alias="high_score_lasting",
        description="What the champion scored HIGH for so long is not learned.",
    )
    dead_channel_share: Share = Field(
        0.2,
        description="Share of windows in which one channel is made dead, so that a dead sensor "
        "upsets no other.",
    )
    seed: int = 7
    min_hours: Annotated[float, Field(ge=1)] = Field(
        24.0, description="Less running time than this stops a retraining."
    )
    warm_start_from: str | None = Field(
        None,
        description="Begin with the weights of this dataset's champion; `champion` means the own "
        "one.",
    )
    preview: Literal["automatic", "manual"] = Field(
        "automatic",
        description="manual: a person sees, on a form in Airflow, what will be learned, and may "
        "stop it.",
    )
    answer_within_s: DurationS = Field(
        86400, alias="answer_within", description="How long the form waits."
    )
    unanswered: Literal["train", "stop"] = Field(
        "stop", description="What happens when nobody answers."
    )


class Gate(Section):
    """What a challenger must reach before it may become champion."""

    min_point_share: Share = 0.9
    min_contextual_share: Share = 0.5
    min_collective_share: Share = 0.7
    max_false_alarm_share: Share = 0.01
    max_incidents_per_entity_week: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="False alarms on clean held-out readings; default, with kind evt: twice the "
        "alarm budget.",
    )
    min_known_share: Share = Field(
        0.5, description="Share of known anomalies in held-out readings to be found."
    )
    min_known: Annotated[int, Field(ge=1)] = Field(
        3, description="Fewer known anomalies than this decide nothing."
    )
    margin: Share = Field(
        0.1, description="A share this far below its limit fails, even where chance may explain it."
    )
    max_excess: Annotated[float, Field(ge=1)] = Field(
        2.0,
        description="False alarms of so many times their limit fail, even where chance may explain "
        "them.",
    )
    tolerance: Share = Field(0.05, description="How much worse than the champion a share may be …")
    min_pairs: Annotated[int, Field(ge=1)] = Field(
        200,
        description="… where so many anomalies were injected; with fewer, only what chance does "
        "not explain fails.",
    )
    n_injected: Annotated[int, Field(ge=10, le=1000)] = 60
    max_score_drift: Annotated[float, Field(gt=0)] = Field(
        0.25,
        description="PSI of scores against the champion's above which the report says so; it "
        "decides nothing.",
    )
    max_latency_ms: Annotated[float, Field(gt=0)] = Field(
        50.0,
        description="CPU time per window, median; a machine with a hundred entities has 36 s an "
        "hour each.",
    )
    max_commissioning_shift: Annotated[float, Field(gt=0)] = Field(
        3.0, description="Spreads by which a channel may have left its commissioning reference."
    )
    max_commissioning_spread: Annotated[float, Field(gt=1)] = Field(
        3.0, description="How many times wider than at commissioning a channel may scatter."
    )
    limits: dict[str, float] = Field(
        default_factory=dict,
        description="Other limits of rules that bring one of their own, by the rule's name.",
    )


class Shadow(Section):
    """How long a challenger that passed the gate is scored beside the champion, and what it must
    show there.
    """

    hours: Annotated[int, Field(ge=0, le=720)] = Field(
        24,
        description="Hours that both must have scored; 0: what passes the gate is champion at "
        "once.",
    )
    min_windows: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="… and steps, idle time lengthens the shadow; null: half of those that one "
        "entity has in these "
        "hours, at most 500.",
    )
    approve: Literal["automatic", "manual"] = Field(
        "automatic",
        description="manual: a person promotes or rejects, on a form in Airflow that shows the "
        "numbers.",
    )
    answer_within_s: DurationS = Field(
        86400, alias="answer_within", description="How long the form waits."
    )
    unanswered: Literal["promote", "reject"] = Field(
        "reject", description="What happens when nobody answers."
    )
    max_alert_ratio: Annotated[float, Field(ge=1)] = Field(
        2.0,
        description="Incidents, as a multiple of the champion's, that a challenger may surely not "
        "exceed.",
    )
    max_flag_share: Share = Field(
        0.01, description="Share of steps it may flag, or twice the champion's."
    )
    min_agreement: Share = Field(
        0.9, description="Smallest share of steps that both flag, or neither."
    )
    limits: dict[str, float] = Field(
        default_factory=dict,
        description="Other limits of rules that bring one of their own, by the rule's name.",
    )


class Drift(Section):
    """What follows when readings leave the training range; it is measured in any case."""

    retrain_above: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="PSI of a channel's week above which the report DAG starts a retraining; 0.25 "
        "is a large shift.",
    )


class Report(Section):
    """The weekly PDF."""

    schedule: Cron = "0 6 * * 1"
    period_s: LastingS = Field(604800, alias="period")
    page_size: Literal["A4", "letter"] = "A4"


def _mail_address(text: object) -> str:
    CHANNELS["email"]().check_address(text if isinstance(text, str) else "")
    return str(text)


NewsName = Literal["gate_failed", "shadow_failed", "training_stopped", "promoted", "rolled_back"]
_BAD_NEWS: tuple[NewsName, ...] = (
    "gate_failed",
    "shadow_failed",
    "training_stopped",
    "rolled_back",
)


class NotificationTarget(Section):
    """Who is told: e-mail addresses, a webhook, or addresses of another channel."""

    email: (
        list[Annotated[str, BeforeValidator(_mail_address), WithJsonSchema({"type": "string"})]]
        | None
    ) = Field(None, min_length=1, description="Addresses; each gets messages of its own.")
    webhook: (
        Annotated[str, BeforeValidator(_connection_id), WithJsonSchema({"type": "string"})] | None
    ) = Field(None, description="Id of the connection that holds the URL.")
    channel: Named | None = Field(
        None, description="Another channel of notifications, with its addresses in `to`."
    )
    to: list[Named] | None = Field(
        None, min_length=1, description="Addresses of `channel`, if it has any."
    )
    connection: Annotated[
        str, BeforeValidator(_connection_id), WithJsonSchema({"type": "string"})
    ] = Field("smtp_default", description="Id of the connection of the mail server or channel.")
    news: list[NewsName] = Field(
        list(_BAD_NEWS),
        description="What it is told of models, beside incidents; []: nothing. Default: all but "
        "promoted.",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> NotificationTarget:
        names = ("email", "webhook", "channel")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            received = " and ".join(given) or "none of them"
            raise wrong("exactly one of email, webhook, channel", received)
        if self.to is not None and self.channel is None:
            raise wrong("no such field without channel", ", ".join(self.to), "to")
        if self.channel is None:
            return self
        if self.channel not in CHANNELS:
            raise wrong(f"one of {', '.join(CHANNELS)}", self.channel, "channel")
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


class Notifications(Section):
    """Who is told what becomes of live incidents and models. Without targets nobody is."""

    targets: list[NotificationTarget] = Field(default_factory=list)
    max_age_s: LastingS = Field(
        172800,
        alias="max_age",
        description="An incident whose last flag is older opens none; older decisions are no news.",
    )
    max_per_run: Annotated[int, Field(ge=1, le=1000)] = Field(
        20, description="More events in one run are told in one digest."
    )


class Retention(Section):
    """Off by default; counts from the dataset's newest reading."""

    readings_s: LastingS | None = Field(None, alias="readings")
    scores_s: LastingS | None = Field(None, alias="scores")
    models_s: LastingS | None = Field(
        None,
        alias="models",
        description="Bundles that nothing refers to any more; rows and decisions stay.",
    )
    notifications_s: LastingS | None = Field(
        None,
        alias="notifications",
        description="Alerts that have ended, at least 60 days, and their messages.",
    )


class DatasetConfig(Section):
    """One dataset: its tables, how they are read, what detects, what alarms."""

    dataset: Annotated[
        str,
        BeforeValidator(_dataset_name),
        WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
    ]
    description: str = ""
    site_zone: ZoneName = Field("UTC", description="Zone of pages, PDFs, and of hour and weekday.")
    interval_s: Annotated[
        int, BeforeValidator(_interval_s), WithJsonSchema({"enum": list(_SCORE_EVERY)})
    ] = Field(3600, alias="score_every", description="How often the score DAG runs.")
    source: Source
    running_when: str | None = Field(
        None, description="Expression over channels, such as 'speed > 100 and power > 1'."
    )
    startup_grace_s: DurationS = Field(0, alias="startup_grace")
    features: Features = Features()
    detector: Detector = Detector()
    threshold: Threshold = Threshold()
    alarm_policy: AlarmPolicy = AlarmPolicy()
    training: Training = Training()
    gate: Gate = Gate()
    shadow: Shadow = Shadow()
    drift: Drift = Drift()
    report: Report = Report()
    notifications: Notifications = Notifications()
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _consistent(self) -> DatasetConfig:
        if self.source.step_s > self.interval_s:
            raise wrong(
                "a step no longer than score_every", f"{self.source.step_s} s", "source", "step"
            )
        for name in self.alarm_policy.min_deviation:
            if name not in self.source.channels:
                raise wrong(
                    f"one of the channels {', '.join(self.channel_names)}",
                    name,
                    "alarm_policy",
                    "min_deviation",
                    name,
                )
        if self.running_when is not None:
            _check_expression(self.running_when, self.channel_names)
        self._count_readings()
        self._check_look_back()
        self._check_rule()
        self._check_limits()
        self._widen_merge_gap()
        return self

    def _count_readings(self) -> None:
        """Durations become numbers of readings, so that 6h and 360 of a minute are the same
        model.
        """
        detector, step_s = self.detector, self.source.step_s
        model = DETECTORS[detector.name].settings_model
        counts = counts_of_readings(model)
        params = _counted(detector.params, counts, step_s, "detector", "params")
        try:
            model.model_validate(params)
        except ValidationError as error:
            first = problems(error, model)[0]
            place = "detector", "params", *first.field
            raise wrong(first.expected, first.received, *place) from None
        counted = _counted(self.threshold.rule, COUNTED_IN_RULES, step_s, "threshold", "rule")
        rule = {
            name: value if isinstance(value, str) else float(value)
            for name, value in counted.items()
        }
        # Frozen for everybody else; this is still a part of making it.
        self.__dict__["detector"] = detector.model_copy(update={"params": params})
        self.__dict__["threshold"] = self.threshold.model_copy(update={"rule": rule})

    def _check_look_back(self) -> None:
        threshold = self.threshold
        look_back = max(threshold.look_back, -(-threshold.min_span_s // self.source.step_s))
        if threshold.is_rolling and threshold.min_count > look_back:
            expected = f"at most the {look_back} errors that the look-back holds"
            raise wrong(expected, threshold.min_count, "threshold", "min_count")

    def _check_rule(self) -> None:
        threshold, name = self.threshold, self.detector.name
        known = FOLDING_THRESHOLDS.get(threshold.kind, ())
        if known and not DETECTORS[name].folds:
            folding = [other for other in DETECTORS if DETECTORS[other].folds]
            expected = f"another kind, or a detector of {', '.join(folding)}"
            raise wrong(expected, f"{threshold.kind} with {name}", "threshold", "kind")
        unknown = sorted(set(threshold.rule) - set(known))
        if unknown:
            raise wrong(
                f"parameters of {threshold.kind}: {', '.join(known) or 'none'}",
                unknown[0],
                "threshold",
                "rule",
            )
        for key, value in threshold.rule.items():
            if isinstance(value, str):
                raise wrong("a number", value, "threshold", "rule", key)

    def _check_limits(self) -> None:
        for stage in Stage:
            given: dict[str, float] = getattr(self, stage).limits
            if not given:
                continue
            known = [rule.name for rule in rules_of(stage) if isinstance(rule.limit, float)]
            for name in given.keys() - set(known):
                expected = f"a rule with a limit of its own: {', '.join(known) or 'none'}"
                raise wrong(expected, name, str(stage), "limits", name)

    def _widen_merge_gap(self) -> None:
        """Flags of neighbouring steps belong together, however coarse the grid."""
        if self.alarm_policy.merge_gap_s < 2 * self.source.step_s:
            policy = self.alarm_policy.model_copy(update={"merge_gap_s": 2 * self.source.step_s})
            # Frozen for everybody else; this is still a part of making it.
            self.__dict__["alarm_policy"] = policy

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(self.source.channels)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site_zone)

    @property
    def shadow_windows(self) -> int:
        """Steps that challenger and champion must both have scored before a decision."""
        if self.shadow.min_windows is not None:
            return self.shadow.min_windows
        return min(500, self.shadow.hours * 3600 // self.source.step_s // 2)

    @property
    def model_hash(self) -> str:
        """Hash of everything that affects errors, scores and flags of a model trained now."""
        parts = self.model_dump(
            mode="json", include={"features", "detector", "threshold", "running_when", "training"}
        )
        # These say whether a model is trained, not how; and how a sensor is seen, whatever the
        # model.
        for name in (
            "max_excluded_share",
            "timeout_s",
            "max_minutes",
            "preview",
            "answer_within_s",
            "unanswered",
        ):
            del parts["training"][name]
        del parts["features"]["rebaseline_after_s"]
        parts |= {
            "startup_grace_s": self.startup_grace_s,
            "channels": self.channel_names,
            "step_s": self.source.step_s,
        }
        if self.threshold.kind == "evt":
            parts |= self.alarm_policy.model_dump(mode="json", include=set(_POLICY_OF_MODELS))
        return config_hash(parts)


def _counted(
    params: Mapping[str, Any], names: Sequence[str], step_s: int, *field: str
) -> dict[str, Any]:
    """The parameters, with numbers of readings in place of those durations that may be given so."""
    return {
        name: n_readings(value, step_s, *field, name)
        if name in names and isinstance(value, str)
        else value
        for name, value in params.items()
    }


def _check_expression(text: str, channel_names: Sequence[str]) -> None:
    # Imported here, since it loads NumPy, and most datasets have no such expression.
    from tsad_tasks.base.expression import compile_expression

    try:
        compile_expression(text, channel_names)
    except ConfigError as error:
        expected, received = (
            str(error).removeprefix("Expected ").removesuffix(".").split(". Received: ", 1)
        )
        raise wrong(expected, received, "running_when") from None


def config_hash(parts: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def load_config(path: Path) -> DatasetConfig:
    """The dataset of one YAML file.

    Raises
    ------
    ConfigError
        With file, line, field, what was expected and what was received.
    """
    text = _text(path)
    root = _composed(path, text)
    if not isinstance(root, yaml.MappingNode):
        raise _error(
            path,
            1,
            "(file)",
            "a mapping with dataset and source",
            "nothing" if root is None else root.tag[18:],
        )
    for node in _nodes(root, set()):
        _check_node(path, node)
    try:
        return DatasetConfig.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise _yaml_error(path, error) from error
    except ValidationError as error:
        found = problems(error, DatasetConfig)
        lines = (f"{path}:{_line(root, problem.field)}: {problem}" for problem in found)
        raise ConfigError("\n".join(lines)) from error


def deprecations(config: DatasetConfig, path: Path | None = None) -> list[str]:
    """A line on each field that is read and counts no more: where it is, and what to use in its
    place.

    Parameters
    ----------
    path : of the dataset's file, if it has one.
    """
    if config.training.max_minutes is None:
        return []
    loc = ("training", "max_minutes")
    where = config.dataset if path is None else f"{path}:{_line(_composed(path, _text(path)), loc)}"
    expected = (
        "training.max_windows and training.epochs, which end a training however busy the machine is"
    )
    received = f"{config.training.max_minutes:g}, which is deprecated and ignored"
    return [
        f"{where}: {'.'.join(loc)}: Expected {expected}. Received: {received}. Remove it; see "
        "training.timeout."
    ]


def _error(path: Path, line: int, field: str, expected: str, received: str) -> ConfigError:
    return ConfigError(f"{path}:{line}: {Problem((field,), expected, received)}")


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _error(path, 1, "(file)", "a file that can be read", str(error.strerror)) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _error(
            path, line, "(file)", "a file in UTF-8", f"the byte {content[error.start]:#x}"
        ) from error


def _composed(path: Path, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise _error(
            path, line, "(file)", "text without control characters", repr(text[error.position])
        ) from error
    except yaml.YAMLError as error:
        raise _yaml_error(path, error) from error
    except RecursionError as error:
        raise _error(
            path, 1, "(file)", "a mapping a few levels deep", "one too deep to be read"
        ) from error


def _yaml_error(path: Path, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return _error(
        path, mark.line + 1 if mark else 1, "(file)", "YAML, indented with spaces", problem
    )


def _nodes(node: Any, seen: set[int]) -> Iterator[Any]:
    """All nodes below one, each once, however often and deep anchors refer to it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    below = (
        [part for pair in node.value for part in pair]
        if isinstance(node, yaml.MappingNode)
        else node.value
    )
    for child in below if isinstance(node, yaml.CollectionNode) else ():
        yield from _nodes(child, seen)


def _check_node(path: Path, node: Any) -> None:
    """YAML lets a second key replace the first without a word, and Postgres takes no NUL
    character.
    """
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
        raise _error(path, line, "(file)", "text without control characters", repr(node.value))
    keys = [(key.value, key) for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    for i, (name, key) in enumerate(keys):
        if isinstance(key, yaml.ScalarNode) and name in [other for other, _ in keys[:i]]:
            raise _error(path, key.start_mark.line + 1, name, "each key once", "a second one")


def _line(node: Any, loc: Sequence[Any]) -> int:
    line: int = node.start_mark.line + 1
    for part in loc:
        child = _child(node, part)
        if child is None:
            return line
        key, node = child
        line = key.start_mark.line + 1
    return line


def _child(node: Any, part: Any) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def json_schema() -> str:
    """JSON schema of a dataset file, for editors."""
    schema = DatasetConfig.model_json_schema(by_alias=True)
    schema["properties"]["score_every"]["default"] = "1h"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
