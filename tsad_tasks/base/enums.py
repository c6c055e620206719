"""Words that Postgres, forms, dataset files and code must spell alike, each declared here.

SQL states them once more, as CHECK constraints in migrations; a test holds both equal.
"""

from __future__ import annotations

from enum import StrEnum, unique
from functools import cache

SHADOW_SUFFIX = "/shadow"
# The lineage of a rehearsal, of which nobody is told either.
REHEARSAL = "rehearsal"


@unique
class Lineage(StrEnum):
    """A history of champions that people may look at.

    Shadows (`live/shadow`) and questions (`what_if/…`) are lineages too, of which nobody is told.
    """

    LIVE = "live"
    REPLAY = "replay"


@unique
class Severity(StrEnum):
    """Of an anomaly, the mildest first.

    >>> [one.rank for one in Severity], max(["LOW", "HIGH", "MEDIUM"], key=severity_rank)
    ([1, 2, 3], 'HIGH')
    """

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"

    @property
    def rank(self) -> int:
        """1 for the mildest; 0 is no anomaly."""
        return list(Severity).index(self) + 1


@cache
def severity_rank(severity: str) -> int:
    """The rank of a severity by its name, as rows of Postgres carry it."""
    return Severity(severity).rank


@unique
class Criticality(StrEnum):
    """How much depends on a machine or a channel, the least first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


def priority_of(severity: str, *critical: Criticality) -> int:
    """1 is the most urgent, 5 the least: the severity, one step more or less by what depends on
    machine and channel together. `v_incident` says the same.

    >>> [priority_of(one) for one in ("HIGH", "MEDIUM", "LOW")]
    [2, 3, 4]
    >>> priority_of("HIGH", Criticality.HIGH, Criticality.HIGH), priority_of("LOW", Criticality.LOW)
    (1, 5)
    >>> priority_of("MEDIUM", Criticality.HIGH, Criticality.LOW)
    3
    """
    steps = sum(list(Criticality).index(one) - 1 for one in critical)
    return 5 - severity_rank(severity) - max(-1, min(1, steps))


@unique
class HourStatus(StrEnum):
    """Of an entity and hour: scored, or why not.

    >>> HourStatus.PARTIAL.has_scores, HourStatus("gap").has_scores
    (True, False)
    """

    SCORED = "scored"
    PARTIAL = "partial"
    INSUFFICIENT_HISTORY = "insufficient_history"
    GAP = "gap"
    STALE = "stale"
    OFF = "off"
    UNKNOWN_ENTITY_SCALE = "unknown_entity_scale"
    INPUTS_RETIRED = "inputs_retired"
    # Of hours that no model has a row for.
    NO_CHAMPION = "no_champion"
    FAILED = "failed"
    # Of hours that no run has come to: derived, and not stored.
    WAITING = "waiting"
    NOT_RUN = "not_run"

    @property
    def is_derived(self) -> bool:
        """Whether no row says it: v_status tells it by what is missing."""
        return self in (HourStatus.WAITING, HourStatus.NOT_RUN)

    @property
    def has_scores(self) -> bool:
        """Whether some step of the hour has a score."""
        return self in (HourStatus.SCORED, HourStatus.PARTIAL, HourStatus.UNKNOWN_ENTITY_SCALE)


@unique
class Verdict(StrEnum):
    """A person's word on an incident."""

    CONFIRMED = "confirmed"
    EXPECTED = "expected"
    FALSE_ALARM = "false_alarm"
    NEW_NORMAL = "new_normal"
    SENSOR_FAULT = "sensor_fault"


@unique
class Signal(StrEnum):
    """What a channel's values are: how rows become a stored one, and what a model sees of it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    ANGLE = "angle"
    DISCRETE = "discrete"
    EVENT_COUNT = "event_count"


@unique
class Role(StrEnum):
    """What a channel is to the others: judged, or a condition under which they are.

    >>> [one.value for one in Role if one.is_condition]
    ['setpoint', 'load', 'ambient']
    """

    MEASURED = "measured"
    SETPOINT = "setpoint"
    LOAD = "load"
    AMBIENT = "ambient"

    @property
    def is_condition(self) -> bool:
        """Whether the others are judged under it, and it is not judged itself."""
        return self is not Role.MEASURED


@unique
class QualityVerdict(StrEnum):
    """Our word on a sensor in one hour."""

    CONSTANT = "constant"
    STUCK = "stuck"
    AT_LIMIT = "at_limit"
    OUT_OF_RANGE = "out_of_range"
    UNIT_JUMP = "unit_jump"
    DEAD = "dead"
    SAMPLING_CHANGED = "sampling_changed"
    # Of a counter, by what its totals did.
    COUNTER_RESET = "counter_reset"
    METER_REPLACED = "meter_replaced"
    SPREAD_OVER_GAP = "spread_over_gap"
    WRAPS_UNKNOWN = "wraps_unknown"


@unique
class Decision(StrEnum):
    """What became of a model, in the order in which it may happen."""

    GATE_FAILED = "gate_failed"
    # Nothing could be tested of it: a person promotes it, or nobody.
    WAITS_FOR_PERSON = "waits_for_person"
    WAITING = "waiting"
    SHADOW_STARTED = "shadow_started"
    ASKED = "asked"
    SHADOW_FAILED = "shadow_failed"
    SUPERSEDED = "superseded"
    DECLINED = "declined"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


@unique
class ReportDetail(StrEnum):
    """How much the PDF of a period shows."""

    BRIEF = "brief"
    FULL = "full"


@unique
class TrainingDecision(StrEnum):
    """Whether a training went on."""

    APPROVED = "approved"
    STOPPED = "stopped"


@unique
class NewsEvent(StrEnum):
    """What is told of models."""

    GATE_FAILED = Decision.GATE_FAILED.value
    WAITS_FOR_PERSON = Decision.WAITS_FOR_PERSON.value
    SHADOW_FAILED = Decision.SHADOW_FAILED.value
    TRAINING_STOPPED = "training_stopped"
    PROMOTED = Decision.PROMOTED.value
    ROLLED_BACK = Decision.ROLLED_BACK.value


@unique
class HealthState(StrEnum):
    """Whether a dataset is scored in time."""

    OK = "ok"
    LATE = "late"
    DEGRADED = "degraded"
    NOT_SCORING = "not_scoring"


@unique
class SilenceEvent(StrEnum):
    """What is told of machines that usually report."""

    SILENT = "silent"
    BACK = "back"


@unique
class RetirementOrigin(StrEnum):
    """Who may say that an entity is gone for good."""

    PERSON = "person"
    INVENTORY = "inventory"


@unique
class Stage(StrEnum):
    """Which rules a challenger is judged by: before it was ever used, and beside the champion."""

    GATE = "gate"
    SHADOW = "shadow"


@unique
class Outcome(StrEnum):
    """Of a rule. What could not be measured is not tested, and never met."""

    MET = "met"
    FAILED = "failed"
    NOT_TESTED = "not_tested"
