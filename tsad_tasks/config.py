"""One YAML file per dataset: what it may say, and a clear error where it says something else.

Importing this module loads neither NumPy nor pandas, since every DAG import pays for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from tsad_tasks.errors import ConfigError

_UNITS_S = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "day": 86400, "days": 86400, "w": 604800}
_DURATION = re.compile(r"^\s*(\d+)\s*([a-z]+)\s*$")
_NAME = r"^[a-z][a-z0-9_]{0,47}$"


def duration_s(text: object) -> int:
    """Seconds of a duration such as `90`, `"5min"`, `"1h"` or `"30d"`.

    >>> duration_s("5min"), duration_s("30d"), duration_s(90)
    (300, 2592000, 90)
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS_S:
        raise ValueError("a duration such as 30s, 5min, 1h, 30d")
    return int(match[1]) * _UNITS_S[match[2]]


def _known_zone(name: object) -> str:
    if name not in available_timezones():
        raise ValueError("an IANA time zone such as UTC or Europe/Berlin")
    return str(name)


DurationS = Annotated[int, BeforeValidator(duration_s)]
ZoneName = Annotated[str, BeforeValidator(_known_zone)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A mapping in a dataset file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TimeColumn(Section):
    """The column that says when a reading was taken."""

    column: str = Field(description="Name of the time column.")
    unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Unit of integer epochs; omit for timestamps."
    )
    zone: ZoneName = Field("UTC", description="Zone of naive timestamps.")
    ambiguous: Literal["first", "second"] = Field(
        "first", description="Which of the two hours a naive time means when clocks are set back."
    )


class EntitySource(Section):
    """Where the name of the machine or host comes from: exactly one of the three."""

    column: str | None = Field(None, description="Column that holds the entity's name.")
    from_table: str | None = Field(None, description="Regular expression on the table's name; its first group is it.")
    constant: str | None = Field(None, description="The one entity of this table.")

    @model_validator(mode="after")
    def _exactly_one(self) -> EntitySource:
        if sum(value is not None for value in (self.column, self.from_table, self.constant)) != 1:
            raise ValueError("exactly one of column, from_table, constant")
        if self.from_table is not None and re.compile(self.from_table).groups < 1:
            raise ValueError("from_table with one group, such as 'machine_(.*)'")
        return self


class Channel(Section):
    """One sensor of the entity."""

    column: str | None = Field(
        None, description="Column (wide) or name in the channel column (long); default: same name."
    )
    unit: str | None = Field(None, description="Unit shown to people, such as °C or bar.")
    aggregate: Literal["last", "mean", "min", "max", "count"] = Field(
        "mean", description="How readings that share a grid step become one."
    )
    hold_s: DurationS = Field(0, alias="hold", description="How long a value stays valid when none follows.")
    low: float | None = Field(None, description="Lower end of the sensor's range; below it the value is out of range.")
    high: float | None = Field(None, description="Upper end of the sensor's range.")


class Source(Section):
    """The sensor tables: where they are and how to read them."""

    connection: str = Field(description="Airflow connection id (or TSAD_CONNECTION_<ID> outside Airflow).")
    tables: str | list[str] = Field(description="Table, list of tables, or a pattern with * such as plant.machine_*.")
    shape: Literal["wide", "long"] = Field("wide", description="wide: a column per channel; long: a row per value.")
    time: TimeColumn
    entity: EntitySource
    channels: dict[str, Channel] = Field(min_length=1)
    channel_column: str | None = Field(None, description="Long tables: column with the channel's name.")
    value_column: str | None = Field(None, description="Long tables: column with the value.")
    updated_at: str | None = Field(
        None, description="Column that grows when a row changes; decides between duplicates."
    )
    label: str | None = Field(None, description="Boolean or 0/1 column with known anomalies.")
    step_s: DurationS = Field(60, alias="step", description="Grid step; divides one hour.")
    settle_s: DurationS = Field(0, alias="settle", description="Wait after an interval's end before it is read.")
    mutability_s: DurationS = Field(10800, alias="mutability", description="How long rows may still arrive or change.")
    statement_timeout_s: DurationS = Field(300, alias="statement_timeout")

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if self.step_s < 1 or 3600 % self.step_s:
            raise ValueError("a step that divides one hour (1s … 1h)")
        if self.shape == "long" and not (self.channel_column and self.value_column):
            raise ValueError("channel_column and value_column for a long table")
        if self.shape == "wide" and (self.channel_column or self.value_column):
            raise ValueError("no channel_column or value_column for a wide table")
        return self

    @property
    def table_names(self) -> tuple[str, ...]:
        return (self.tables,) if isinstance(self.tables, str) else tuple(self.tables)

    def channel_columns(self) -> dict[str, str]:
        """Column (or long name) by channel name."""
        return {name: channel.column or name for name, channel in self.channels.items()}


class Features(Section):
    """What the detector sees beside the scaled channels. Lags and widths count grid steps."""

    scaling: Literal["robust", "minmax", "standard", "none"] = "robust"
    rolling_mean: list[Annotated[int, Field(ge=2, le=1440)]] = Field(default_factory=list)
    lag: list[Annotated[int, Field(ge=1, le=1440)]] = Field(default_factory=list)
    diff: list[Annotated[int, Field(ge=1, le=1440)]] = Field(default_factory=list)
    cyclic: list[Literal["hour", "weekday"]] = Field(default_factory=list, description="Context inputs, in site time.")
    min_own_scale_s: DurationS = Field(259200, alias="min_own_scale", description="Running time before an own scale.")


class Detector(Section):
    """Which model, and its sizes."""

    name: str = "lstm_autoencoder"
    scope: Literal["dataset", "entity"] = Field("dataset", description="One model for all entities, or one each.")
    window: Annotated[int, Field(ge=2, le=1440)] = 10
    min_coverage: Share = Field(0.5, description="Smallest share of live channels for a score.")
    params: dict[str, Any] = Field(default_factory=dict)


class Threshold(Section):
    """How errors become flags. Counts are grid steps."""

    kind: Literal["percentile", "mean_std", "adaptive"] = "adaptive"
    percentile: Annotated[float, Field(gt=50, lt=100)] = 99.9
    k: Annotated[float, Field(gt=0, le=50)] = 6.0
    look_back: Annotated[int, Field(ge=50, le=20000)] = Field(
        1000, description="Errors that an adaptive threshold sees."
    )
    min_span_s: DurationS = Field(86400, alias="min_span", description="… and at least this much time.")
    min_count: Annotated[int, Field(ge=10)] = Field(
        200, description="With fewer errors the calibrated threshold holds."
    )
    floor: Share = Field(0.5, description="The adaptive threshold never falls below this share of the calibrated one.")
    collective_width: Annotated[int, Field(ge=0, le=1440)] = Field(15, description="Moving average; 0 switches it off.")
    collective_k: Annotated[float, Field(gt=0, le=50)] = 6.0


class AlarmPolicy(Section):
    """How flags become incidents; its hash is the version that incidents carry."""

    merge_gap_s: DurationS = Field(1800, alias="merge_gap", description="Flags closer than this are one incident.")
    max_length_s: DurationS = Field(604800, alias="max_length", description="A longer incident is cut here.")
    consecutive: Annotated[int, Field(ge=1, le=1440)] = Field(1, description="Flags in a row that open an incident.")
    min_score: Annotated[float, Field(ge=0)] = Field(0.0, description="Smallest peak score of an incident.")
    direction: Literal["both", "high", "low"] = "both"
    min_deviation: dict[str, float] = Field(
        default_factory=dict, description="Smallest deviation by channel, in units."
    )

    @property
    def version(self) -> str:
        return config_hash(self.model_dump(mode="json"))[:12]


class Training(Section):
    """What a challenger is trained on, and how much it may cost."""

    range_s: DurationS = Field(2592000, alias="range", description="Rolling training range.")
    schedule: str = Field("0 3 * * 1", description="Cron of the retrain DAG, UTC.")
    max_windows: Annotated[int, Field(ge=100)] = 60_000
    epochs: Annotated[int, Field(ge=1, le=1000)] = 30
    max_minutes: Annotated[float, Field(gt=0)] = 20.0
    patience: Annotated[int, Field(ge=1)] = 5
    batch_size: Annotated[int, Field(ge=1)] = 256
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 5e-3
    loss: Literal["mse", "mae", "huber"] = "mse"
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.2
    seed: int = 7
    min_hours: Annotated[float, Field(ge=1)] = Field(
        24.0, description="Less running time than this stops a retraining."
    )


class Gate(Section):
    """What a challenger must reach before it may become champion."""

    min_point_share: Share = 0.9
    min_contextual_share: Share = 0.5
    min_collective_share: Share = 0.7
    max_false_alarm_share: Share = 0.01
    tolerance: Share = Field(0.05, description="How much worse than the champion a share may be.")
    n_injected: Annotated[int, Field(ge=10, le=1000)] = 60


class Report(Section):
    """The weekly PDF."""

    schedule: str = "0 6 * * 1"
    period_s: DurationS = Field(604800, alias="period")
    page_size: Literal["A4", "letter"] = "A4"


class Retention(Section):
    """Off by default; counts from the dataset's newest reading."""

    readings_s: DurationS | None = Field(None, alias="readings")
    scores_s: DurationS | None = Field(None, alias="scores")


class DatasetConfig(Section):
    """One dataset: its tables, how they are read, what detects, what alarms."""

    dataset: str = Field(pattern=_NAME)
    description: str = ""
    site_zone: ZoneName = Field("UTC", description="Zone of pages, PDFs, and of hour and weekday.")
    interval_s: Literal[300, 900, 3600] = 3600
    source: Source
    running_when: str | None = Field(None, description="Expression over channels, such as 'speed > 100 and power > 1'.")
    startup_grace_s: DurationS = Field(0, alias="startup_grace")
    features: Features = Features()
    detector: Detector = Detector()
    threshold: Threshold = Threshold()
    alarm_policy: AlarmPolicy = AlarmPolicy()
    training: Training = Training()
    gate: Gate = Gate()
    report: Report = Report()
    retention: Retention = Retention()

    @model_validator(mode="before")
    @classmethod
    def _score_every(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or "score_every" not in fields:
            return fields
        rest = {key: value for key, value in fields.items() if key != "score_every"}
        return rest | {"interval_s": duration_s(fields["score_every"])}

    @model_validator(mode="after")
    def _step_fits(self) -> DatasetConfig:
        if self.source.step_s > self.interval_s:
            raise ValueError("a step no longer than the interval (score_every)")
        return self

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(self.source.channels)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site_zone)

    @property
    def model_hash(self) -> str:
        """Hash of everything that affects errors, scores and flags of a model trained now."""
        parts = self.model_dump(mode="json", include={"features", "detector", "threshold", "running_when", "training"})
        parts |= {"startup_grace_s": self.startup_grace_s, "channels": self.channel_names, "step_s": self.source.step_s}
        return config_hash(parts)


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
    try:
        text = path.read_text(encoding="utf-8")
        fields = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: Expected a readable YAML file. Received: {_one_line(error)}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}:1: Expected a mapping with dataset and source. Received: {type(fields).__name__}.")
    try:
        return DatasetConfig.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(_explain(path, text, error)) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _explain(path: Path, text: str, error: ValidationError) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return "\n".join(_explain_one(path, root, dict(found)) for found in error.errors())


def _explain_one(path: Path, root: Any, found: dict[str, Any]) -> str:
    loc = [part for part in found["loc"] if not str(part).startswith(("function-", "list[", "str"))]
    field = ".".join(str(part) for part in loc) or "(file)"
    received = "nothing" if found["type"] == "missing" else _shorten(found["input"])
    return f"{path}:{_line(root, loc)}: {field}: Expected {_expected(found)}. Received: {received}."


def _expected(found: dict[str, Any]) -> str:
    if found["type"] == "missing":
        return "this field"
    if found["type"] == "extra_forbidden":
        return "a known field (this one is not; check the spelling)"
    return str(found["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _line(node: Any, loc: list[Any]) -> int:
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
    schema["properties"]["score_every"] = {"enum": ["5min", "15min", "1h"], "default": "1h"}
    schema["properties"].pop("interval_s", None)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
