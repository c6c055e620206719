"""One dataset: its sections, and what they say of one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from tsad_tasks.base.enums import Role, Signal, Stage
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.settings import (
    DurationS,
    counts_of_readings,
    n_readings,
    usual_times,
    validated,
    wrong,
)
from tsad_tasks.config.checks import DatasetName, IntervalS, ZoneName, is_channel_name
from tsad_tasks.config.sections import (
    COUNTED_IN_RULES,
    FOLDING_THRESHOLDS,
    POLICY_OF_MODELS,
    USUAL_IN_RULES,
    AlarmPolicy,
    ChannelSection,
    CriticalitySection,
    DetectorSection,
    DriftSection,
    FeaturesSection,
    FileSection,
    GateSection,
    NotificationsSection,
    ReportSection,
    RetentionSection,
    ShadowSection,
    SourceSection,
    ThresholdSection,
    TrainingSection,
    config_hash,
)
from tsad_tasks.config.several import OneOrSeveral, agreed, in_list, names_of
from tsad_tasks.detectors.registry import DETECTORS

# These say whether a model is trained, not how.
_LEAST_SILENCE_S = 3 * 3600
_NOT_OF_MODELS = {"max_excluded_share", "timeout_s", "max_minutes", "preview", "answer_within_s"}
_NOT_OF_MODELS |= {"unanswered"}
# What is young has a detector and a range of its own by then.
_NOT_OF_MODELS |= {"young_from_s", "young_until_s", "young_detector", "fallback"}


# Beside the states of a discrete channel: all others.
OTHER = "other"


class StateColumn(NamedTuple):
    """A column of readings of a discrete channel: the share of a step in one of its states, or in
    `OTHER` ones; None: how often it changed.
    """

    channel: str
    state: str | None

    @property
    def name(self) -> str:
        """What it is called.

        >>> StateColumn("valve", "open").name, StateColumn("valve", None).name
        ('valve=open', 'valve changes')
        """
        return f"{self.channel} changes" if self.state is None else f"{self.channel}={self.state}"


class DatasetConfig(FileSection):
    """One dataset: its tables, how they are read, what detects, what alarms.

    Examples
    --------
    dataset: pumps
    source:
      connection: plant_db
      tables: plant.pump_*
      time: {column: at}
      entity: {from_table: "pump_(.*)"}
      step: 1min
      channels:
        flow: {unit: m³/h, valid_for: 5min}
        pressure: {unit: bar, sensor_range: [0, 16]}

    dataset: presses
    source:
      - connection: historian
        tables: press
        time: {column: at}
        entity: {column: machine}
        step: 1min
        channels: {pressure: {unit: bar}}
      - connection: zabbix
        tables: history
        time: {column: clock, unit: s, nanoseconds: ns}
        series: itemid
        tags: presses.tags.csv
        value_column: value
        channels: {temperature: {unit: °C}}

    dataset: pumps
    description: Thirty pumps of hall 2, one reading a minute.
    site_zone: Europe/Berlin
    score_every: 1h
    source:
      connection: plant_db
      tables: plant.pumps
      time: {column: at}
      entity: {column: pump}
      channels: {flow: {}, pressure: {}}
    running_when: flow > 1 and pressure > 0.5
    startup_grace: 10min
    features: {scaling: robust}
    detector: {name: lstm_autoencoder}
    threshold: {kind: evt}
    alarm_policy: {consecutive: 3}
    criticality: {entities: {"pump-7": high}}
    training: {range: 60d}
    gate: {min_point_share: 0.9}
    shadow: {hours: 24}
    drift: {retrain_above: 0.25}
    report: {page_size: letter}
    notifications: {targets: [{email: [shift@example.com]}]}
    retention: {readings: 400d}
    """

    dataset: DatasetName
    """This is the name of the dataset, and of its file."""
    description: str = ""
    """This says what the dataset is, for people."""
    site_zone: ZoneName = "UTC"
    """Pages and PDFs, and the hour and weekday that a detector sees, are in this IANA zone."""
    interval_s: IntervalS = Field(3600, alias="score_every")
    """The score DAG runs so often."""
    sources: Annotated[tuple[SourceSection, ...], BeforeValidator(in_list), OneOrSeveral()] = Field(
        alias="source"
    )
    """This says where the readings are and how they are read; a list, where several sources make
    one dataset."""
    running_when: str | None = None
    """This expression over channels says when a machine runs, such as 'speed > 100 and power > 1';
    what is off is neither scored nor learned. By default machines always run."""
    startup_grace_s: DurationS = 0
    """So much time after a start is not judged."""
    features: FeaturesSection = FeaturesSection()
    """This says what the detector sees beside the channels."""
    detector: DetectorSection = DetectorSection()
    """This is the model."""
    threshold: ThresholdSection = ThresholdSection()
    """This says how errors become flags."""
    alarm_policy: AlarmPolicy = AlarmPolicy()
    """This says how flags become incidents."""
    criticality: CriticalitySection = CriticalitySection()
    """This says how much depends on machines and channels."""
    training: TrainingSection = TrainingSection()
    """This says what a model learns from, and when."""
    gate: GateSection = GateSection()
    """This says what a challenger must reach."""
    shadow: ShadowSection = ShadowSection()
    """This says what a challenger must show beside the champion."""
    drift: DriftSection = DriftSection()
    """This says what follows from drift."""
    report: ReportSection = ReportSection()
    """This is about the PDF of the report DAG."""
    notifications: NotificationsSection = NotificationsSection()
    """This says who is told."""
    retention: RetentionSection = RetentionSection()
    """This says what is removed, and when."""

    @model_validator(mode="after")
    def _consistent(self) -> DatasetConfig:
        # Frozen for everybody else; this is still a part of making it.
        self.__dict__["sources"] = agreed(self.sources)
        step_s = self.step_s
        if step_s > self.interval_s:
            raise wrong("a step no longer than score_every", f"{step_s} s", "source", 0, "step")
        self._check_state_columns()
        if self.channels and len(self.conditions) == len(self.channels):
            first = self.conditions[0]
            expected = "measured for one channel at least, which the others say more of"
            role = self.channels[first].role.value
            raise wrong(expected, f"{role} for all", "source", 0, "channels", first, "role")
        judged = {*self.judged_names} if self.alarm_policy.min_deviation else set()
        for name in self.alarm_policy.min_deviation:
            if name not in judged:
                expected = self._what_is_judged(name)
                raise wrong(expected, name, "alarm_policy", "min_deviation", name)
        for pattern in self.criticality.channels:
            if not any(fnmatchcase(name, pattern) for name in self.stored_names):
                expected = f"one of the channels {', '.join(self.stored_names)}, or * for some"
                raise wrong(expected, pattern, "criticality", "channels", pattern)
        if self.running_when is not None:
            _check_expression(self.running_when, self.channel_names)
        for stage in Stage:
            given: dict[str, float] = getattr(self, stage).limits
            # All files of rules are imported to know their names.
            if given:
                _check_limits(stage, given)
        # Durations become numbers of readings, so that 6h and 360 of a minute are the same model.
        model = DETECTORS[self.detector.name].settings_model
        counts = counts_of_readings(model)
        params = _counted(self.detector.params, counts, step_s, "detector", "params")
        for name, usual in usual_times(model).items():
            # What is the default anyway is not said, so that the model stays the same one.
            n = usual.readings(step_s)
            n = min(n, params.get(usual.within, n))
            if n != model.model_fields[name].default:
                params.setdefault(name, n)
        validated(model, params, "detector", "params")
        # Flags of neighbouring steps belong together, however coarse the grid.
        merge_gap_s = max(self.alarm_policy.merge_gap_s, 2 * step_s)
        self.__dict__.update(
            detector=self.detector.model_copy(update={"params": params}),
            threshold=_with_numbers(self.threshold, self.detector.name, step_s),
            alarm_policy=self.alarm_policy.model_copy(update={"merge_gap_s": merge_gap_s}),
        )
        return self

    def _what_is_judged(self, name: str) -> str:
        """What an alarm policy may name, beside a name that raises nothing."""
        channel = self.channel_of(name)
        if channel is not None and channel.role.is_condition:
            judged = ", ".join(self.judged_names)
            return f"one of the channels {judged}, since a channel of role {channel.role} is none"
        states = [one.name for one in self.state_columns if one.channel == name]
        if channel is None or name in self.channels:
            names = [one for one in states if one in self.judged_names] or self.judged_names
            why = f", since states of {name} are judged by their shares" if states else ""
            return f"one of the channels {', '.join(names)}{why}"
        column = next(one for one in self.state_columns if one.name == name)
        others = [one for one in self.judged_names if one.startswith(f"{column.channel}=")]
        return f"one of the channels {', '.join(others)}, which leave the share of the first state"

    def _check_state_columns(self) -> None:
        """What is stored of a discrete channel has names of its own, no longer than others."""
        for column in self.state_columns:
            places = [at for at, one in enumerate(self.sources) if column.channel in one.channels]
            place = ("source", places[0], "channels", column.channel)
            if not is_channel_name(column.name):
                expected = f"names so short that {column.name} has at most 63 bytes"
                raise wrong(expected, f"{len(column.name.encode())}", *place)
            if column.name in self.channels:
                raise wrong(f"no channel {column.name} beside it", "one", *place)

    @property
    def source(self) -> SourceSection:
        """The source, where there is one; of several each is that of one of the `parts`."""
        (only,) = self.sources
        return only

    @property
    def parts(self) -> tuple[DatasetConfig, ...]:
        """The dataset as each of its sources has it."""
        if len(self.sources) == 1:
            return (self,)
        return tuple(self.model_copy(update={"sources": (one,)}) for one in self.sources)

    @property
    def source_names(self) -> tuple[str, ...]:
        """What people are told of each source."""
        return names_of(self.sources)

    @property
    def step_s(self) -> int:
        return self.sources[0].step_s

    @property
    def wait_for_rows_s(self) -> int:
        return self.sources[0].wait_for_rows_s

    @property
    def least_silence_s(self) -> int:
        """Seconds without rows before which no entity is silent, whatever its habit."""
        said = [one.silent_after_s for one in self.sources if one.silent_after_s is not None]
        return max(said, default=max(_LEAST_SILENCE_S, 3 * self.interval_s, 3 * self.step_s))

    @property
    def late_rows_within_s(self) -> int:
        return self.sources[0].late_rows_within_s

    @property
    def late_s(self) -> int:
        return self.sources[0].late_s

    @property
    def channels(self) -> dict[str, ChannelSection]:
        """Those of all sources; only a column, and what means no value, is a source's own."""
        every = (source.channels.items() for source in self.sources)
        return {name: channel for channels in every for name, channel in channels}

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(self.channels)

    @property
    def state_columns(self) -> tuple[StateColumn, ...]:
        """What is stored of discrete channels beside their states, in the order of the channels."""
        return tuple(
            StateColumn(name, state)
            for name, channel in self.channels.items()
            for state in (*channel.state_codes, *((OTHER, None) if channel.state_codes else ()))
        )

    @property
    def stored_names(self) -> tuple[str, ...]:
        """Names of all columns of readings: the channels, then what is stored of discrete ones."""
        return (*self.channels, *(one.name for one in self.state_columns))

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the columns that a model looks at; of discrete ones in place of their states.

        The share of a channel's first state is what the others leave of the step.
        """
        seen = [name for name, one in self.channels.items() if not one.state_codes]
        firsts = {name: next(iter(one.state_codes), None) for name, one in self.channels.items()}
        seen += [one.name for one in self.state_columns if one.state != firsts[one.channel]]
        if self.running_when is not None and self.state_columns:
            from tsad_tasks.base.expression import channels_of

            seen += [name for name in channels_of(self.running_when) if name not in seen]
        return tuple(seen)

    @property
    def judged_names(self) -> tuple[str, ...]:
        """Names of the columns that may raise something: what a model looks at, but for conditions
        and for states, which only `running_when` does.
        """
        channels, parents = self.channels, {one.name: one.channel for one in self.state_columns}
        seen = ((name, channels[parents.get(name, name)]) for name in self.model_names)
        return tuple(
            name
            for name, channel in seen
            if not channel.role.is_condition and not (name in channels and channel.state_codes)
        )

    def hold_steps(self, names: Sequence[str]) -> tuple[int, ...]:
        """For how many steps a trained model takes the last value of each of these columns; how
        often a state changed is of its step alone.
        """
        changes = {one.name for one in self.state_columns if one.state is None}
        held = ((name not in changes and self.channel_of(name)) or None for name in names)
        return tuple(channel.hold_s // self.step_s if channel else 0 for channel in held)

    def channel_of(self, name: str) -> ChannelSection | None:
        """The channel that a column of readings, by its name, is of; None: it is of none."""
        parents = {one.name: one.channel for one in self.state_columns}
        return self.channels.get(parents.get(name, name))

    def unit_of(self, name: str) -> str:
        """Unit of a column of readings, empty where it has none."""
        return (self.channels[name].shown_unit or "") if name in self.channels else ""

    @property
    def signals(self) -> tuple[str, ...]:
        """What the values are that a model looks at; empty where all are gauges.

        Shares of states are gauges, and states themselves discrete.
        """
        known = {name: channel.signal.value for name, channel in self.channels.items()}
        found = tuple(known.get(name, Signal.GAUGE.value) for name in self.model_names)
        return found if set(found) != {Signal.GAUGE.value} else ()

    @property
    def signal_units(self) -> tuple[str, ...]:
        """What the numbers mean that a model looks at, where their signal alone leaves it open: the
        time of a counter's rate, the period of an angle, the state that a share is of; empty where
        all are gauges.
        """
        codes = {
            one.name: self.channels[one.channel].state_codes[one.state]
            for one in self.state_columns
            if one.state in self.channels[one.channel].state_codes
        }
        known = {name: one.signal_unit(self.step_s) for name, one in self.channels.items()}
        known |= {name: f"the share of state {code:g}" for name, code in codes.items()}
        found = tuple(known.get(name, "") for name in self.model_names)
        return found if any(found) else ()

    @property
    def event_channels(self) -> tuple[str, ...]:
        """Channels whose rows are events: no row is none."""
        return tuple(name for name, one in self.channels.items() if one.counts_events)

    @property
    def event_positions(self) -> tuple[int, ...]:
        """Where these are among the columns that models see."""
        return tuple(self.model_names.index(name) for name in self.event_channels)

    @property
    def roles(self) -> tuple[str, ...]:
        """What is to the others what a model looks at; empty where all are measured."""
        if not self.conditions:
            return ()
        channels = map(self.channel_of, self.model_names)
        return tuple((channel.role if channel else Role.MEASURED).value for channel in channels)

    @property
    def settle_steps(self) -> tuple[int, ...]:
        """How long each channel's changes take; empty where nobody says so."""
        channels = map(self.channel_of, self.model_names)
        settling_s = [channel.settles_within_s if channel else 0 for channel in channels]
        return tuple(-(-one_s // self.step_s) for one_s in settling_s) if any(settling_s) else ()

    @property
    def conditions(self) -> tuple[str, ...]:
        """The channels that the others are judged under."""
        return tuple(name for name, one in self.channels.items() if one.role.is_condition)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site_zone)

    @property
    def shadow_windows(self) -> int:
        """Steps that challenger and champion must both have scored before a decision."""
        if self.shadow.min_windows is not None:
            return self.shadow.min_windows
        return min(500, self.shadow.hours * 3600 // self.step_s // 2)

    @property
    def model_hash(self) -> str:
        """Hash of everything that affects errors, scores and flags of a model trained now."""
        names = {"features", "detector", "threshold", "running_when", "training"}
        parts = self.model_dump(mode="json", include=names)
        for name in _NOT_OF_MODELS:
            del parts["training"][name]
        # This says how a sensor is seen, whatever the model.
        del parts["features"]["rebaseline_after_s"]
        parts |= {
            "startup_grace_s": self.startup_grace_s,
            "channels": self.model_names,
            "step_s": self.step_s,
        }
        if self.signals:
            parts["signals"] = self.signals
        if any(circles := [channel.circle for channel in self.channels.values()]):
            parts["circles"] = circles
        if any(one.per != "second" for one in self.channels.values()):
            parts["per"] = [one.per for one in self.channels.values()]
        if codes := [one.state_codes for one in self.channels.values() if one.state_codes]:
            parts["states"] = codes
        # Without conditions nothing hangs on this.
        learned_after_s = parts["features"].pop("learned_after_s")
        if self.roles:
            settling = [channel.settles_within_s for channel in self.channels.values()]
            parts |= {"roles": self.roles, "settles_within_s": settling}
            parts |= {"learned_after_s": learned_after_s}
        if self.threshold.kind == "evt":
            parts |= self.alarm_policy.model_dump(mode="json", include=set(POLICY_OF_MODELS))
        return config_hash(parts)


def _with_numbers(threshold: ThresholdSection, detector: str, step_s: int) -> ThresholdSection:
    """Durations in the rule become numbers of readings; kind and rule must fit the detector."""
    known = FOLDING_THRESHOLDS.get(threshold.kind, ())
    counted: dict[str, Any] = {
        name: usual.readings(step_s) for name, usual in USUAL_IN_RULES.items() if name in known
    }
    counted |= _counted(threshold.rule, COUNTED_IN_RULES, step_s, "threshold", "rule")
    look_back = max(threshold.look_back, -(-threshold.min_span_s // step_s))
    if threshold.is_rolling and threshold.min_count > look_back:
        expected = f"at most the {look_back} errors that the look-back holds"
        raise wrong(expected, threshold.min_count, "threshold", "min_count")
    if known and not DETECTORS[detector].folds:
        folding = [name for name in DETECTORS if DETECTORS[name].folds]
        expected = f"another kind, or a detector of {', '.join(folding)}"
        raise wrong(expected, f"{threshold.kind} with {detector}", "threshold", "kind")
    if unknown := sorted(set(counted) - set(known)):
        expected = f"parameters of {threshold.kind}: {', '.join(known) or 'none'}"
        raise wrong(expected, unknown[0], "threshold", "rule")
    for name, value in counted.items():
        if isinstance(value, str):
            raise wrong("a number", value, "threshold", "rule", name)
    return threshold.model_copy(
        update={"rule": {name: float(value) for name, value in counted.items()}}
    )


def _counted(
    params: Mapping[str, Any], names: Sequence[str], step_s: int, *field: str
) -> dict[str, Any]:
    """The parameters, with numbers of readings in place of those durations that may be given so."""
    durations = {name for name in names if isinstance(params.get(name), str)}
    counts = {name: n_readings(params[name], step_s, *field, name) for name in durations}
    return {name: counts.get(name, value) for name, value in params.items()}


def _check_limits(stage: Stage, given: Iterable[str]) -> None:
    from tsad_tasks.base.rule import rules_of

    known = [rule.name for rule in rules_of(stage) if isinstance(rule.limit, float)]
    for name in given:
        if name not in known:
            expected = f"a rule with a limit of its own: {', '.join(known) or 'none'}"
            raise wrong(expected, name, str(stage), "limits", name)


def _check_expression(text: str, channel_names: Sequence[str]) -> None:
    # Imported here, since it loads NumPy, and most datasets have no such expression.
    from tsad_tasks.base.expression import compile_expression

    try:
        compile_expression(text, channel_names)
    except ConfigError as error:
        said = str(error).removeprefix("Expected ").removesuffix(".")
        expected, received = said.split(". Received: ", 1)
        raise wrong(expected, received, "running_when") from None
