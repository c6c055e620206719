"""A dataset file that cannot be used is one line with file, line, field, what was expected and what
was received.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.places import project_folder
from tsad_tasks.base.settings import DurationS, LastingS, counts_of_readings, duration_s
from tsad_tasks.config import (
    DatasetConfig,
    deprecations,
    holidays_of,
    json_schema,
    load_config,
)
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.ingest.held import valid_us_of
from tsad_tasks.training.reader import feature_spec_of

GOOD = """\
dataset: room
site_zone: Europe/Berlin
source:
  connection: plant
  tables: plant.metrics
  time: {column: at}
  entity: {column: host}
  channels:
    cpu: {unit: "%", sensor_range: [0, 100]}
    load: {}
"""
DATASETS = project_folder() / "dags" / "datasets"
BAD_INPUT = project_folder() / "docs" / "bad_input.md"

# What is wrong, (text, its replacement) or an addition at the end, and what is said after the
# file's name.
CASES = [
    (
        "a key twice",
        "load: {}",
        "cpu: {}",
        ":10: cpu: Expected each key once. Received: a second one.",
    ),
    (
        "an unknown field",
        "site_zone:",
        "sitezone:",
        ":2: sitezone: Expected one of dataset, description, site_zone, score_every, source, "
        "running_when, "
        "startup_grace, "
        "features, detector, threshold, alarm_policy, criticality, training, gate, shadow, drift, "
        "report, notifications, retention "
        "(did you mean site_zone?). "
        "Received: 'Europe/Berlin'.",
    ),
    (
        "an unknown field further down",
        'unit: "%"',
        'units: "%"',
        ":9: source.channels.cpu.units: Expected one of column, unit, aggregate, signal, per, "
        "wraps_at, max_rate, event_id, period, states, role, alert_on, settles_within, "
        "no_value, across, valid_for, sensor_range (did you mean unit?). Received: '%'.",
    ),
    (
        "a missing field",
        "  connection: plant\n",
        "",
        ":3: source.connection: Expected this field. Received: nothing.",
    ),
    (
        "a name that is none",
        "dataset: room",
        "dataset: Room 1",
        ":1: dataset: Expected a name of up to 48 small letters, digits and _, a letter first. "
        "Received: 'Room 1'.",
    ),
    (
        "an unknown zone",
        "Europe/Berlin",
        "Berlin",
        ":2: site_zone: Expected an IANA time zone such as UTC or Europe/Berlin. Received: "
        "'Berlin'.",
    ),
    (
        "a zone that is a list",
        "Europe/Berlin",
        "[UTC]",
        ":2: site_zone: Expected an IANA time zone such as UTC or Europe/Berlin. Received: "
        "['UTC'].",
    ),
    (
        "a password in the file",
        "connection: plant",
        "connection: postgresql://me:secret@host/plant",
        ":4: source.connection: Expected the id of a connection (letters, digits, _ . -). "
        "Received: something else (not shown, it may hold a password).",
    ),
    (
        "no table",
        "plant.metrics",
        "[]",
        ":5: source.tables: Expected a table, a list of tables, or a pattern with * such as "
        "plant.machine_*. "
        "Received: [].",
    ),
    (
        "two sources of the entity's name",
        "{column: host}",
        "{column: host, constant: a}",
        ":7: source.entity: Expected exactly one of column, from_table, constant. Received: "
        "column, constant.",
    ),
    (
        "no source of the entity's name",
        "{column: host}",
        "{}",
        ":7: source.entity: Expected exactly one of column, from_table, constant. Received: none "
        "of them.",
    ),
    (
        "a broken regular expression",
        "{column: host}",
        "{from_table: 'machine_('}",
        ":7: source.entity.from_table: Expected a regular expression with one group, such as "
        "'machine_(.*)'. "
        "Received: 'machine_('.",
    ),
    (
        "a regular expression without a group",
        "{column: host}",
        "{from_table: 'machine_.*'}",
        ":7: source.entity.from_table: Expected a regular expression with one group, such as "
        "'machine_(.*)'. "
        "Received: 'machine_.*'.",
    ),
    (
        "no channel",
        '    cpu: {unit: "%", sensor_range: [0, 100]}\n    load: {}\n',
        "    {}\n",
        ":8: source.channels: Expected at least one. Received: {}.",
    ),
    (
        "a channel without braces",
        "load: {}",
        "load:",
        ":10: source.channels.load: Expected a mapping. Received: None.",
    ),
    (
        "a channel's name that the dataset's view needs itself",
        "load:",
        "at:",
        ":10: source.channels.at: Expected a channel's name of 1 to 63 bytes, printable, not "
        "entity, hour_at or at "
        "(use column: for the source's name). Received: 'at'.",
    ),
    (
        "a channel's name that YAML takes for a number",
        "load:",
        "5:",
        ":10: source.channels.5: Expected text (in quotes, where YAML would see a number, a date "
        "or a truth). "
        "Received: 5.",
    ),
    (
        "a range upside down",
        "[0, 100]",
        "[200, 100]",
        ":9: source.channels.cpu.sensor_range: Expected its lower end first, as in [0, 100]. "
        "Received: [200, 100].",
    ),
    (
        "a limit that is no number",
        "[0, 100]",
        "[.nan, 100]",
        ":9: source.channels.cpu.sensor_range.0: Expected a finite number. Received: nan.",
    ),
    (
        "text where a number belongs",
        "[0, 100]",
        "[none, 100]",
        ":9: source.channels.cpu.sensor_range.0: Expected a number. Received: 'none'.",
    ),
    (
        "an unknown word",
        "load: {}",
        "load: {aggregate: median}",
        ":10: source.channels.load.aggregate: Expected 'last', 'mean', 'min', 'max' or 'count'. "
        "Received: 'median'.",
    ),
    (
        "a field of a channel whose name resembles a type",
        "load: {}",
        "strain: {sensor_range: [none, 1]}",
        ":10: source.channels.strain.sensor_range.0: Expected a number. Received: 'none'.",
    ),
    (
        "a duration without a unit that is known",
        None,
        "  wait_for_rows: 5 minutes",
        ":11: source.wait_for_rows: Expected a duration such as 30s, 5min, 1h, 30d (a number "
        "without unit counts seconds). "
        "Received: '5 minutes'.",
    ),
    (
        "a negative duration",
        None,
        "  late_rows_within: -60",
        ":11: source.late_rows_within: Expected a duration such as 30s, 5min, 1h, 30d (a number "
        "without unit counts seconds). "
        "Received: -60.",
    ),
    (
        "a step that does not divide the hour",
        None,
        "  step: 7min",
        ":11: source.step: Expected a step that divides one hour, such as 1s, 1min, 5min, 1h. "
        "Received: '7min'.",
    ),
    (
        "a step of more than an hour",
        None,
        "  step: 1d",
        ":11: source.step: Expected a step of at most 1h, since an hour is what is stored; where "
        "readings come less often, step: 1h, and on their channels how long each counts, such as "
        "valid_for: 30h for one a day. Received: '1d'.",
    ),
    (
        "a step longer than the interval",
        None,
        "  step: 10min\nscore_every: 5min",
        ":11: source.step: Expected a step no longer than score_every. Received: 600 s.",
    ),
    (
        "an interval that cannot be had",
        None,
        "score_every: 10min",
        ":11: score_every: Expected 5min, 15min or 1h. Received: '10min'.",
    ),
    (
        "a long table without its columns",
        None,
        "  shape: long\n  value_column: value",
        ":3: source.channel_column: Expected this field, since the table is long. Received: "
        "nothing.",
    ),
    (
        "a wide table with the columns of a long one",
        None,
        "  value_column: value",
        ":11: source.value_column: Expected no such field, since the table is wide (or say shape: "
        "long). "
        "Received: 'value'.",
    ),
    (
        "a condition on an unknown channel",
        None,
        "running_when: sped > 3",
        ":11: running_when: Expected one of the channels cpu, load. Received: sped.",
    ),
    (
        "a condition that is none",
        None,
        "running_when: cpu >",
        ":11: running_when: Expected a condition over channels, such as 'speed > 100 and power > "
        "1'. Received: "
        "'cpu >'.",
    ),
    (
        "a schedule that is none",
        None,
        "training: {schedule: weekly}",
        ":11: training.schedule: Expected a cron expression: minute hour day month weekday, "
        "such as '0 3 * * 1', '0 3 * * MON' or @weekly. Received: 'weekly'.",
    ),
    (
        "an hour that no clock shows",
        None,
        "report: {schedule: '0 25 * * 1'}",
        ":11: report.schedule: Expected a cron expression: minute hour day month weekday, "
        "such as '0 3 * * 1', '0 3 * * MON' or @weekly. Received: '0 25 * * 1'.",
    ),
    (
        "retention of nothing",
        None,
        "retention: {readings: 0d}",
        ":11: retention.readings: Expected a duration longer than zero, such as 5min, 1h, 30d. "
        "Received: '0d'.",
    ),
    (
        "retention of no models",
        None,
        "retention: {models: soon}",
        ":11: retention.models: Expected a duration such as 30s, 5min, 1h, 30d (a number without "
        "unit counts "
        "seconds). Received: 'soon'.",
    ),
    (
        "a least deviation of an unknown channel",
        None,
        "alarm_policy: {min_deviation: {gpu: 2}}",
        ":11: alarm_policy.min_deviation.gpu: Expected one of the channels cpu, load. Received: "
        "gpu.",
    ),
    (
        "a critical channel that no channel is",
        None,
        "criticality: {channels: {gpu*: high}}",
        ":11: criticality.channels.gpu*: Expected one of the channels cpu, load, or * for some. "
        "Received: gpu*.",
    ),
    (
        "a number out of range",
        None,
        "threshold: {percentile: 20}",
        ":11: threshold.percentile: Expected greater than 50. Received: 20.",
    ),
    (
        "a broken number",
        None,
        "training: {epochs: 2.5}",
        ":11: training.epochs: Expected a whole number. Received: 2.5.",
    ),
    (
        "settings of a detector that are no plain values",
        None,
        "detector: {params: {since: 2024-01-01}}",
        ":11: detector.params: Expected text, finite numbers, true, false, lists and mappings "
        "only. "
        "Received: {'since': datetime.date(2024, 1, 1)}.",
    ),
    (
        "holidays of an unknown country",
        None,
        "features: {holidays: Atlantis}",
        ":11: features.holidays: Expected a country such as DE or US, or a region of it such as "
        "DE-BY. "
        "Received: Atlantis.",
    ),
    (
        "a look-back that never holds enough errors",
        None,
        "threshold: {kind: adaptive, min_count: 5000}",
        ":11: threshold.min_count: Expected at most the 1440 errors that the look-back holds. "
        "Received: 5000.",
    ),
    (
        "a budget of no alarms",
        None,
        "alarm_policy: {budget_per_day: 0}",
        ":11: alarm_policy.budget_per_day: Expected greater than 0. Received: 0.",
    ),
    (
        "news that there are none of",
        None,
        "notifications: {targets: [{webhook: chat, news: [all]}]}",
        ":11: notifications.targets.0.news.0: Expected 'gate_failed', 'waits_for_person', "
        "'shadow_failed', 'training_stopped', 'promoted' "
        "or 'rolled_back'. Received: 'all'.",
    ),
    (
        "a tab",
        None,
        "features:\n\tscaling: robust",
        ":12: (file): Expected YAML, indented with spaces. Received: found character that "
        "cannot start any "
        "token.",
    ),
    (
        "an open bracket",
        None,
        "features: {scaling: robust",
        ":12: (file): Expected YAML, indented with spaces. Received: did not find expected ',' or "
        "'}'.",
    ),
    (
        "a head's time that is no multiple of the step",
        None,
        "detector: {name: state_head, params: {memory: 90s}}",
        ":11: detector.params.memory: Expected a number of readings, or a duration that is a "
        "multiple of the step of "
        "60 s. Received: 90s.",
    ),
    (
        "a rule's time that is none",
        None,
        "detector: {name: event_head}\nthreshold: {kind: ranked, rule: {event_gap: six hours}}",
        ":12: threshold.rule.event_gap: Expected a number of readings, or a duration that is a "
        "multiple of the step of "
        "60 s. Received: six hours.",
    ),
    (
        "a duration where a rule counts nothing",
        None,
        "detector: {name: event_head}\nthreshold: {kind: ranked, rule: {limit: 6h}}",
        ":12: threshold.rule.limit: Expected a number. Received: 6h.",
    ),
    (
        "two documents",
        None,
        "---\ndataset: other",
        ":11: (file): Expected one document. Received: a second one.",
    ),
    (
        "a control character",
        None,
        "description: \x07",
        ":11: (file): Expected text without control characters. Received: '\\x07'.",
    ),
    (
        "a NUL character",
        None,
        'description: "a\\0"',
        ":11: (file): Expected text without control characters. Received: 'a\\x00'.",
    ),
]


def _changed(**changes: object) -> DatasetConfig:
    return DatasetConfig.model_validate(yaml.safe_load(GOOD) | changes)


def _message(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value)


@pytest.mark.parametrize(("what", "old", "new", "message"), CASES, ids=[case[0] for case in CASES])
def test_each_mistake_is_one_clear_line(
    tmp_path: Path, what: str, old: str | None, new: str, message: str
) -> None:
    assert old is None or GOOD.count(old) == 1
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + new + "\n" if old is None else GOOD.replace(old, new), encoding="utf-8")
    assert _message(path) == f"{path}{message}"


SEVERAL = """dataset: room
source:
  - connection: historian
    tables: press
    time: {column: at}
    entity: {column: machine}
    step: 5min
    channels:
      pressure: {unit: bar, sensor_range: [0, 16]}
  - connection: zabbix
    tables: more
    time: {column: at}
    entity: {column: machine}
    channels:
      pressure: {column: PRESS}
      temp: {unit: °C}
"""


def test_what_one_of_several_sources_says_of_all_counts_for_all(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(SEVERAL, encoding="utf-8")
    config = load_config(path)
    assert (config.step_s, config.channel_names) == (300, ("pressure", "temp"))
    assert [part.source.step_s for part in config.parts] == [300, 300]
    assert [part.channel_names for part in config.parts] == [("pressure",), ("pressure", "temp")]
    ours, theirs = (part.channels["pressure"] for part in config.parts)
    assert (theirs.unit, theirs.sensor_range, theirs.column) == ("bar", (0, 16), "PRESS")
    assert (ours.column, config.source_names) == (None, ("historian", "zabbix"))
    assert DatasetConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    tables: more\n",
            "    tables: more\n    step: 1min\n",
            ":12: source.1.step: Expected what source.0 says, 5min, or nothing. Received: 1min.",
        ),
        (
            "{column: PRESS}",
            "{unit: Pa}",
            ":15: source.1.channels.pressure.unit: Expected what source.0.channels.pressure says, "
            "bar, or nothing. Received: Pa.",
        ),
        (
            "    channels:\n      pressure: {column: PRESS}",
            "    late_rows_within: 1h\n    channels:\n      pressure: {sensor_range: [0, 10]}",
            ":16: source.1.channels.pressure.sensor_range: Expected what "
            "source.0.channels.pressure says, [0.0, 16.0], or nothing. Received: [0.0, 10.0].",
        ),
        (
            "    tables: more\n",
            "",
            ":10: source.1.tables: Expected this field, or a query. Received: nothing.",
        ),
        (
            "{column: PRESS}",
            "{across: sum}",
            ":9: source.0.channels.pressure.across: Expected mean, max or min, or series in each "
            "source of the channel. Received: sum.",
        ),
        (
            "temp: {unit: °C}",
            "temp: {across: mean}",
            ":16: source.1.channels.temp.across: Expected series, which across is about. "
            "Received: none.",
        ),
        (
            "{column: machine}",
            "{constant: m1}",
            ":9: source.0.channels.pressure: Expected pressure of 'm1' in one source, or across. "
            "Received: it in several.",
        ),
    ],
)
def test_sources_that_do_not_agree_are_one_clear_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "room.yaml"
    assert old in SEVERAL
    path.write_text(SEVERAL.replace(old, new), encoding="utf-8")
    assert _message(path) == f"{path}{message}"


def test_former_names_are_told_of_in_each_source(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    text = SEVERAL.replace("    tables: more", "    tables: more\n    settle: 5min")
    path.write_text(text.replace("unit: °C", "hold: 5min"), encoding="utf-8")
    said = deprecations(load_config(path), path)
    assert [line.partition(": Expected")[0] for line in said] == [
        f"{path}:12: source.1.settle",
        f"{path}:17: source.1.channels.temp.hold",
    ]


def test_an_empty_list_of_sources_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text("dataset: room\nsource: []\n", encoding="utf-8")
    assert _message(path) == f"{path}:2: source: Expected at least one. Received: []."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: (file): Expected a mapping with dataset and source. Received: nothing."),
        (
            b"# nothing yet\n",
            ":1: (file): Expected a mapping with dataset and source. Received: nothing.",
        ),
        (b"- room\n", ":1: (file): Expected a mapping with dataset and source. Received: seq."),
        (b"room\n", ":1: (file): Expected a mapping with dataset and source. Received: str."),
        (
            b"dataset: room\ndescription: K\xfchlraum\n",
            ":2: (file): Expected a file in UTF-8. Received: the byte 0xfc.",
        ),
        (
            b"[" * 5000,
            ":1: (file): Expected a mapping of at most 20 levels. Received: more.",
        ),
    ],
    ids=["empty", "comments only", "list", "word", "latin-1", "deep"],
)
def test_a_file_that_is_no_mapping_is_one_clear_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "room.yaml"
    path.write_bytes(content)
    assert _message(path) == f"{path}{message}"


def test_a_folder_or_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    assert (
        _message(tmp_path)
        == f"{tmp_path}:1: (file): Expected a file that can be read. Received: Is a directory."
    )
    missing = tmp_path / "room.yaml"
    assert _message(missing).endswith(
        "Expected a file that can be read. Received: No such file or directory."
    )


def test_two_mistakes_are_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(
        GOOD.replace("dataset: room", "dataset: 1") + "gate: {tolerance: 2}\n", encoding="utf-8"
    )
    assert [line.split(" Expected")[0] for line in _message(path).splitlines()] == [
        f"{path}:1: dataset:",
        f"{path}:11: gate.tolerance:",
    ]


def test_every_mistake_is_in_the_guide() -> None:
    guide = BAD_INPUT.read_text(encoding="utf-8")
    missing = [
        what
        for what, *_, message in CASES
        if f"| {what} | `room.yaml{_in_table(message)}` |" not in guide
    ]
    assert missing == []


def _in_table(message: str) -> str:
    return message.replace("|", "\\|")


def test_a_good_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_bytes(
        ("\ufeff" + GOOD + "score_every: 15min\nrunning_when: cpu > 3\n")
        .replace("\n", "\r\n")
        .encode()
    )
    config = load_config(path)
    assert (config.interval_s, config.source.step_s, config.running_when) == (900, 60, "cpu > 3")
    assert config.channel_names == ("cpu", "load")


def test_anchors_and_merged_keys_are_no_second_keys(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(
        GOOD.replace("load: {}", "load: &x {unit: W}\n    fan: {<<: *x, unit: rpm}"),
        encoding="utf-8",
    )
    assert load_config(path).source.channels["fan"].unit == "rpm"


def test_a_file_that_contains_itself_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + "detector: {params: &p {again: *p}}\n", encoding="utf-8")
    assert _message(path) == (
        f"{path}:11: (file): Expected an alias of an anchor that stands before it. Received: one "
        "within itself."
    )


def test_the_defaults_are_those_of_production() -> None:
    config = _changed()
    assert (config.threshold.kind, config.threshold.combination, config.threshold.top_k) == (
        "evt",
        "top_k",
        2,
    )
    assert (config.alarm_policy.budget_per_day, config.features.scaling) == (5.0, "robust")
    assert config.features.cyclic == ["hour", "weekday"]


def test_the_default_detector_is_the_same_where_channels_have_a_role() -> None:
    room = yaml.safe_load(GOOD)["source"]
    under_load = room | {"channels": room["channels"] | {"load": {"role": "load"}}}
    assert _changed().detector.name == "conditional_residuals"
    assert _changed(source=under_load).detector.name == "conditional_residuals"
    named = {"name": "event_head"}
    assert _changed(source=under_load, detector=named).detector.name == "event_head"


@pytest.mark.parametrize(
    ("kind", "combination"), [("adaptive", "mean"), ("f1_best", "mean"), ("conformal", "top_k")]
)
def test_channels_are_combined_as_the_threshold_needs_unless_something_else_is_said(
    kind: str, combination: str
) -> None:
    assert _changed(threshold={"kind": kind}).threshold.combination == combination
    assert _changed(threshold={"kind": kind, "combine": "top_k"}).threshold.combination == "top_k"


def test_flags_of_neighbouring_steps_are_one_incident_on_an_hourly_grid() -> None:
    source = yaml.safe_load(GOOD)["source"]
    assert _changed(source=source | {"step": "1h"}).alarm_policy.merge_gap_s == 7200
    assert _changed(source=source | {"step": "1min"}).alarm_policy.merge_gap_s == 1800


def test_a_new_budget_is_a_new_model_but_the_same_policy() -> None:
    old, new = _changed(), _changed(alarm_policy={"budget_per_day": 9})
    assert old.alarm_policy.version == new.alarm_policy.version
    assert old.model_hash != new.model_hash
    fixed = [
        _changed(threshold={"kind": "percentile"}, alarm_policy=policy)
        for policy in ({}, {"budget_per_day": 9})
    ]
    assert fixed[0].model_hash == fixed[1].model_hash


def test_who_is_asked_before_a_training_makes_no_other_model() -> None:
    asking = _changed(training={"preview": "manual", "answer_within": "2h", "unanswered": "train"})
    assert asking.model_hash == _changed().model_hash != _changed(training={"epochs": 3}).model_hash


def test_no_clock_is_part_of_a_model() -> None:
    clocks = _changed(training={"max_minutes": 3, "timeout": "2h"})
    assert clocks.model_hash == _changed().model_hash
    assert (clocks.training.timeout_s, _changed().training.timeout_s) == (7200, 43200)


def test_what_counts_no_more_is_read_and_said_with_what_to_use_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(f"{GOOD}training:\n  epochs: 3\n  max_minutes: 1.5\n", encoding="utf-8")
    assert deprecations(load_config(path), path) == [
        f"{path}:13: training.max_minutes: Expected training.max_windows and training.epochs, "
        "which end a training "
        "however busy the machine is. Received: 1.5, which is deprecated and ignored. Remove it; "
        "see training.timeout."
    ]
    assert deprecations(_changed()) == []
    path.write_text(f"{GOOD}training: {{max_minute: 1.5}}\n", encoding="utf-8")
    assert "max_minutes" not in _message(path)


FORMER = """\
dataset: room
source:
  connection: plant
  tables: plant.metrics
  time: {column: at}
  entity: {column: host}
  settle: 5min
  mutability: 2h
  channels:
    cpu: {low: 0, high: 100, hold: 2min}
    load: {high: 9}
"""


def test_former_names_are_read_as_the_new_ones_and_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(FORMER, encoding="utf-8")
    config = load_config(path)
    text = FORMER.replace("settle", "wait_for_rows").replace("mutability", "late_rows_within")
    text = text.replace("low: 0, high: 100,", "sensor_range: [0, 100],")
    path.write_text(text.replace("high: 9", "sensor_range: [null, 9]"), encoding="utf-8")
    assert load_config(path) == config
    assert len(deprecations(config, path)) == 1
    path.write_text(path.read_text("utf-8").replace("hold", "valid_for"), encoding="utf-8")
    assert load_config(path).model_hash == config.model_hash
    assert deprecations(config, path) == []
    path.write_text(FORMER, encoding="utf-8")
    said = deprecations(config, path)
    assert said[0] == (
        f"{path}:7: source.settle: Expected wait_for_rows, its new name. Received: the former one. "
        "Rename it."
    )
    places = [line.split(": ")[0:2] for line in said]
    of_channels = [f"{path}:{line}" for line in (10, 10, 10, 11)]
    assert [place for place, _ in places] == [f"{path}:7", f"{path}:8", *of_channels]
    assert [name.split(".")[-1] for _, name in places][2:] == ["low", "high", "hold", "high"]


def test_models_of_a_file_that_says_hold_go_on_holding_and_nothing_else_does() -> None:
    """What is stored under hold is what was read: so is what its models see."""
    channels = {"cpu": {"hold": "2min"}, "load": {"valid_for": "2min"}}
    config = _changed(source=_changed().source.model_dump() | {"channels": channels})
    spec = feature_spec_of(config)
    assert spec.hold_steps == (2, 0)
    assert valid_us_of(config).tolist() == [0, 120_000_000]


@pytest.mark.parametrize(
    ("both", "message"),
    [
        ("  wait_for_rows: 1min\n  settle: 1min\n", "Expected wait_for_rows alone"),
        ("  mutability: 1min\n  late_rows_within: 1min\n", "Expected late_rows_within alone"),
        ("    fan: {hold: 1min, valid_for: 1min}\n", "Expected valid_for alone"),
        ("    fan: {high: 1, sensor_range: [0, 1]}\n", "Expected sensor_range alone"),
    ],
)
def test_a_field_under_both_of_its_names_is_an_error(
    tmp_path: Path, both: str, message: str
) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + both, encoding="utf-8")
    assert message in _message(path)


def test_none_of_our_own_files_says_what_counts_no_more() -> None:
    paths = [
        path
        for name in ("dags", "tsad_tasks", "docs")
        for path in (project_folder() / name).rglob("*")
        if path.suffix == ".yaml" or (path.parent.name == "detectors" and path.suffix == ".md")
    ]
    assert len(paths) > 20
    former = re.compile(r"\b(max_minutes|hold|low|high|settle|mutability): ")
    assert [path for path in paths if former.search(path.read_text(encoding="utf-8"))] == []


def test_holidays_follow_country_and_region_and_the_day_of_rest_its_weekend() -> None:
    epiphany = 20459  # 2026-01-06
    assert epiphany in holidays_of("DE-BY")[0]
    assert epiphany not in holidays_of("DE")[0]
    assert (holidays_of("DE")[1], holidays_of("IL")[1]) == (6, 5)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "{mail: [a@b.c]}",
            "notifications.targets.0.mail: Expected one of email, webhook, channel, to, "
            "connection, least_severity, least_priority, entities, channels, quiet_hours, digest, "
            "taken, news "
            "(did you mean email?)",
        ),
        (
            "{email: [shift]}",
            "notifications.targets.0.email.0: Expected an e-mail address such as "
            "shift@example.com.",
        ),
        (
            "{email: [a@b.c], webhook: chat}",
            "notifications.targets.0: Expected exactly one of email, webhook, channel.",
        ),
        (
            "{webhook: 'https://me:secret@chat'}",
            "notifications.targets.0.webhook: Expected the id of a connection",
        ),
    ],
)
def test_a_target_that_is_none_is_told_without_secrets(
    tmp_path: Path, target: str, message: str
) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + f"notifications: {{targets: [{target}]}}\n", encoding="utf-8")
    assert f"{path}:11: {message}" in _message(path)
    assert "secret" not in _message(path)


def test_an_unknown_detector_is_one_clear_line_and_says_which_there_are(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(GOOD + "detector: {name: oracle}\n", encoding="utf-8")
    known = ", ".join(sorted(DETECTORS))
    assert _message(path) == f"{path}:11: detector.name: Expected one of {known}. Received: oracle."


def test_times_of_heads_are_numbers_of_readings_and_the_same_model() -> None:
    heads = [
        (
            "state_head",
            {"memory": "150min", "longest": "10h", "limit": 5},
            "hysteresis",
            {"longest": "10h", "limit": 5},
        ),
        (
            "state_head",
            {"memory": 150, "longest": 600, "limit": 5},
            "hysteresis",
            {"longest": 600, "limit": 5},
        ),
    ]
    times, counts = (
        _changed(detector={"name": name, "params": params}, threshold={"kind": kind, "rule": rule})
        for name, params, kind, rule in heads
    )
    assert times.detector.params == {"memory": 150, "longest": 600, "limit": 5}
    assert times == counts
    assert times.model_hash == counts.model_hash


@pytest.mark.parametrize(
    ("step", "given", "counts"),
    [
        ("1min", {}, {}),
        ("1h", {}, {"smooth": 3, "memory": 50, "longest": 200, "recent": 10, "fresh": 10}),
        ("1s", {"longest": 600}, {"smooth": 600, "memory": 3600, "longest": 600, "recent": 600}),
        ("10min", {"memory": "2d"}, {"smooth": 3, "memory": 288, "longest": 200, "recent": 10}),
    ],
)
def test_what_is_a_time_by_default_becomes_readings_of_the_step(
    step: str, given: dict[str, object], counts: dict[str, int]
) -> None:
    source = yaml.safe_load(GOOD)["source"] | {"step": step}
    made = _changed(source=source, detector={"name": "state_head", "params": given})
    assert counts.items() <= made.detector.params.items()
    if not counts:
        assert made.detector.params == {}


@pytest.mark.parametrize("name", [name for name in DETECTORS if DETECTORS[name].folds])
def test_every_whole_number_of_a_head_counts_readings_and_may_be_a_time(name: str) -> None:
    model = DETECTORS[name].settings_model
    counted = counts_of_readings(model)
    # What is a time alone has no number of readings to stand for.
    times = [get_args(kind)[1] for kind in (DurationS, LastingS)]
    whole = [
        key
        for key, field in model.model_fields.items()
        if field.annotation is int and not any(one in times for one in field.metadata)
    ]
    assert list(counted) == whole
    assert "n_commission" in counted
    for key in counted:
        params = {"recent": 1} | {key: "10h"} if "recent" in counted else {key: "10h"}
        assert _changed(detector={"name": name, "params": params}).detector.params[key] == 600


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("{name: lstm_vae, params: {code: 0}}", "code: Expected greater than or equal to 1."),
        (
            "{name: lstm_vae, params: {cod: 8}}",
            "cod: Expected one of input_limit, error, units, code, anomaly_share (did you mean "
            "code?). Received: 8.",
        ),
        (
            "{name: state_head, params: {memory: 90s}}",
            "memory: Expected a number of readings, or a duration that is a multiple of the step of"
            " 60 s. Received: 90s.",
        ),
        (
            "{name: ensemble, params: {members: [{name: level}, {name: forecaster}]}}",
            "members.0.name: Expected detectors of windows that learn without labels. Received: "
            "level.",
        ),
    ],
)
def test_a_wrong_setting_of_a_detector_is_told_with_its_line(
    tmp_path: Path, detector: str, message: str
) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(f"{GOOD}detector: {detector}\n", encoding="utf-8")
    assert f"{path}:11: detector.params.{message}" in _message(path)


def test_a_stored_configuration_is_the_same_dataset_again() -> None:
    config = DatasetConfig.model_validate(yaml.safe_load(GOOD))
    stored = json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False))
    assert DatasetConfig.model_validate(stored) == config


@given(
    st.integers(0, 5000),
    st.sampled_from([("s", 1), ("min", 60), ("h", 3600), ("d", 86400), ("w", 604800)]),
)
def test_durations_are_their_seconds(n: int, unit: tuple[str, int]) -> None:
    assert (
        duration_s(f"{n}{unit[0]}")
        == duration_s(f" {n} {unit[0]} ")
        == duration_s(n * unit[1])
        == n * unit[1]
    )


@pytest.mark.parametrize(
    "text", ["", "h", "1.5h", "1h30min", "1 month", "-1h", True, None, 1.0, [1], "9" * 30 + "d"]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        duration_s(text)


@pytest.mark.parametrize(
    "text",
    [
        "0 3 * * 1",
        "*/15 * * * *",
        "0 0,12 1-15/2 * 1-5",
        "59 23 31 12 7",
        "0 3 * * MON",
        "0 3 1 JAN *",
        "0 22 * * fri-mon",
        "@daily",
        "@weekly",
    ],
)
def test_cron_expressions_are_taken(text: str) -> None:
    source = yaml.safe_load(GOOD) | {"training": {"schedule": text}}
    assert DatasetConfig.model_validate(source).training.schedule == text


@pytest.mark.parametrize(
    "text",
    [
        "weekly",
        "@weekday",
        "0 3 * *",
        "0 3 * * 1 30",
        "60 * * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 8",
        "0 3 31 2 *",
        "R 3 * * *",
        "H 3 * * *",
    ],
)
def test_what_is_no_cron_expression_is_refused(text: str) -> None:
    source = yaml.safe_load(GOOD) | {"training": {"schedule": text}}
    with pytest.raises(ValueError, match="a cron expression"):
        DatasetConfig.model_validate(source)


def test_the_schema_for_editors_is_current() -> None:
    """After a change of config.py: tsad datasets schema > dags/datasets/schema.json."""
    assert DATASETS.joinpath("schema.json").read_text(encoding="utf-8") == json_schema()


@pytest.mark.parametrize("path", sorted(DATASETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_editors_and_we_agree_that_an_example_is_right(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json.loads(json_schema()))
    assert load_config(path).dataset == path.stem


@pytest.mark.parametrize(
    "addition", ["sitezone: UTC", "score_every: 10min", "training: {range: 5 months}"]
)
def test_editors_and_we_agree_that_a_mistake_is_one(addition: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(f"{GOOD}{addition}\n"), json.loads(json_schema()))


def test_reading_a_file_loads_neither_numpy_nor_pandas() -> None:
    code = (
        f"import sys; from pathlib import Path; from tsad_tasks.config import load_config; "
        f"load_config(Path({str(DATASETS / 'server_room.yaml')!r})); "
        "assert not {'numpy', 'pandas', 'keras', 'airflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
