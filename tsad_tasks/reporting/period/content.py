"""Everything that a report shows, as plain values: a step reads them, the pages only draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from tsad_tasks.base.enums import SHADOW_SUFFIX, HourStatus, ReportDetail, Severity
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing import series
from tsad_tasks.reporting.drawing.document import DatedContent
from tsad_tasks.text.formats import figure_text
from tsad_tasks.text.words import FALSE_VERDICTS, REAL_VERDICTS

SCORED_STATUSES = tuple(status for status in HourStatus if status.has_scores)


@dataclass(frozen=True, eq=False)
class IncidentPage:
    """One incident with what is needed to judge it, or the worst of a group, as one.

    Attributes
    ----------
    headline : of the group with which it began; empty: it began alone.
    others : the rest of the group, without series; their states and verdicts count as well.
    n_parts : as which it is kept, where it lasted longer than an incident may.
    priority : 1 is the most urgent; 0: that of its severity, as long as nothing depends on more.
    """

    incident_id: str
    entity: str
    severity: Severity
    state: str  # open or closed; `kind` is point or collective
    kind: str
    started_at: datetime
    ended_at: datetime | None  # None while it is open; `verdict` is None until it has one
    sentence: str
    peak_error: float
    peak_threshold: float
    scores: series.ScoreSeries
    peak_at: datetime | None = None
    last_flag_at: datetime | None = None
    flagged_until: datetime | None = None  # the end of its last flag's step, open or not
    n_flags: int | None = None
    channels: tuple[series.ChannelSeries, ...] = ()
    heat: series.HeatMap | None = None
    verdict: str | None = None
    nature: str = ""
    note: str = ""
    model_line: str = ""
    coverage_line: str = ""
    group_id: str | None = None
    headline: str = ""
    others: tuple[IncidentPage, ...] = ()
    n_parts: int = 1
    priority: int = 0

    def __post_init__(self) -> None:
        if self.heat is not None and len(self.heat.errors) != len(self.channels):
            raise ValueError(
                f"Expected a heat map row for each of {len(self.channels)} channels."
                f" Received: {len(self.heat.errors)} rows in {self.incident_id}."
            )

    @property
    def key(self) -> str:
        """The bookmark of its page."""
        return f"incident-{self.incident_id.encode().hex()}"

    @property
    def title(self) -> str:
        """What happened, in a sentence."""
        return self.headline or self.sentence

    @property
    def whole(self) -> tuple[IncidentPage, ...]:
        """All that it stands for, itself first."""
        return (self, *self.others)

    @property
    def is_open(self) -> bool:
        """Whether it goes on, or something of its group does."""
        return any(one.state == "open" for one in self.whole)

    @property
    def said(self) -> str | None:
        """The verdict; of a group that of the worst, and None while any of it waits for one."""
        return self.verdict if all(one.verdict for one in self.whole) else None

    @property
    def began_at(self) -> datetime:
        """The first flag of all."""
        return min(one.started_at for one in self.whole)

    @property
    def over_at(self) -> datetime | None:
        """When all of it had ended; None: it goes on."""
        ends = [one.ended_at for one in self.whole if one.ended_at is not None]
        return max(ends) if len(ends) == len(self.whole) else None

    @property
    def flagged_to(self) -> datetime | None:
        """The end of the last flag of all, so far."""
        return max((one.flagged_until for one in self.whole if one.flagged_until), default=None)

    @property
    def entities(self) -> list[str]:
        """Its machines, that of the worst first."""
        return list(dict.fromkeys(one.entity for one in self.whole))

    @property
    def error_ratio(self) -> float:
        """The peak error divided by its threshold; NaN where that is unknown."""
        return self.peak_error / self.peak_threshold if self.peak_threshold > 0 else float("nan")

    @property
    def threshold_label(self) -> str:
        """What stands at the threshold's line; where it changes, of which step it is."""
        known = self.scores.thresholds[np.isfinite(self.scores.thresholds)]
        changes = known.size > 0 and float(np.ptp(known)) > 0.005 * float(known.max())
        return f"threshold {figure_text(self.peak_threshold)}" + " at the peak" * changes


@dataclass(frozen=True)
class AnomalyRow:
    """One flagged reading; `score` is (error − threshold) / threshold."""

    at: datetime
    entity: str
    severity: Severity
    error: float
    threshold: float
    score: float
    channel: str | None = None
    unit: str = ""
    actual: float | None = None
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None
    incident_id: str | None = None

    @property
    def times_threshold(self) -> float:
        """The error divided by its threshold, as people see a score."""
        return 1 + self.score


@dataclass(frozen=True)
class QualityRow:
    """What was found of a channel's readings, or was not taken from the source as it came."""

    entity: str
    channel: str
    verdict: str
    n_readings: int
    first_at: datetime
    last_at: datetime
    detail: str = ""


@dataclass(frozen=True, eq=False)
class EntityCoverage:
    """Hours of one entity by status."""

    entity: str
    n_hours_expected: int  # without those in which it was off or silent
    n_hours_by_status: Mapping[str, int]
    # (n_days,), the scored share of each day; NaN where nothing was expected
    day_shares: series.Floats

    @property
    def n_hours_scored(self) -> int:
        """Hours with a score, in full, in part or provisional."""
        return sum(self.n_hours_by_status.get(status, 0) for status in SCORED_STATUSES)

    @property
    def scored_share(self) -> float:
        """Share of the expected hours that have a score; 1 where none was expected."""
        if not self.n_hours_expected:
            return 1.0
        return min(1.0, self.n_hours_scored / self.n_hours_expected)


@dataclass(frozen=True)
class UnwatchedHours:
    """Hours without a score for one reason, and of which machines, those with most first."""

    status: str
    n_hours: int
    entities: list[str]


@dataclass(frozen=True)
class Coverage:
    """What was scored: one entry per entity, and the days (in the site zone) of their strips."""

    days: tuple[date, ...] = ()
    entities: tuple[EntityCoverage, ...] = ()

    def __post_init__(self) -> None:
        for entity in self.entities:
            series.expect_lengths(
                f"Coverage of {entity.entity!r}", len(self.days), entity.day_shares
            )

    @property
    def n_hours_by_status(self) -> dict[str, int]:
        """Hours of all entities by status."""
        total: Counter[str] = Counter()
        for entity in self.entities:
            total.update(entity.n_hours_by_status)
        return dict(total)

    @property
    def unwatched(self) -> list[UnwatchedHours]:
        """Hours in which nobody knows how machines were, by why, the commonest first.

        Hours in which a machine was off are none.
        """
        found: dict[str, dict[str, int]] = {}
        for entity in self.entities:
            for status, n in entity.n_hours_by_status.items():
                if n and status not in (*SCORED_STATUSES, HourStatus.OFF):
                    found.setdefault(status, {})[entity.entity] = n
        named = [
            UnwatchedHours(status, sum(hours.values()), sorted(hours, key=lambda e: (-hours[e], e)))
            for status, hours in found.items()
        ]
        return sorted(named, key=lambda one: (-one.n_hours, one.status))


@dataclass(frozen=True, eq=False)
class ModelCard:
    """One model: what it is, what it learned from, how it was judged; `role` in words."""

    name: str
    detector: str
    version: str
    role: str = "champion"
    n_parameters: int | None = None
    trained_from: datetime | None = None
    trained_to: datetime | None = None
    valid_from: datetime | None = None
    used_share: float | None = None
    n_windows: int | None = None
    n_channels: int | None = None
    seed: int | None = None
    sha256: str = ""
    threshold_text: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    loss_history: tuple[float, ...] = ()
    validation_history: tuple[float, ...] = ()
    gate: tuple[RuleResult, ...] = ()
    gate_note: str = ""
    shadow: tuple[RuleResult, ...] = ()


@dataclass(frozen=True)
class AuditRow:
    """What a model did in a week, by labels and verdicts; None where nothing is known."""

    version: int
    lineage: str
    week_at: datetime
    days: float
    n_known: int
    n_found: int
    n_incidents: int
    precision: float | None
    median_delay_s: float | None
    false_alarms_per_day: float | None
    incidents_per_day: float | None
    expected_incidents_per_day: float | None

    @property
    def model(self) -> str:
        """Its version and what it was then; a challenger's weeks are those in the shadow."""
        role = "challenger" if self.lineage.endswith(SHADOW_SUFFIX) else "champion"
        return f"v{self.version}, {role}"


@dataclass(frozen=True)
class SuppressedRow:
    """An incident that a maintenance window holds; it counts for nothing, and nobody was told."""

    incident_id: str
    entity: str
    severity: Severity
    started_at: datetime
    ended_at: datetime
    window: str


@dataclass(frozen=True)
class Judged:
    """Incidents by what people said of them; None is no word yet."""

    n_by_verdict: Mapping[str | None, int] = field(default_factory=dict)

    @property
    def n_real(self) -> int:
        """Faults of a machine or of its sensor."""
        return sum(self.n_by_verdict.get(one, 0) for one in REAL_VERDICTS)

    @property
    def n_false(self) -> int:
        """False alarms, and what was expected or is the new normal."""
        return sum(self.n_by_verdict.get(one, 0) for one in FALSE_VERDICTS)

    @property
    def n_unjudged(self) -> int:
        """Those without a verdict."""
        return self.n_by_verdict.get(None, 0)

    @property
    def n_all(self) -> int:
        """All of them."""
        return sum(self.n_by_verdict.values())


@dataclass(frozen=True)
class JudgedPeriod:
    """A period of the same length: its incidents by verdict; None where nothing was scored."""

    start_at: datetime
    n_hours_scored: int
    judged: Judged | None


@dataclass(frozen=True)
class ModelDecision:
    """What was decided on a model, as `tsad.v_model_history` says it."""

    version: int
    entity: str | None
    decision: str
    former_version: int | None
    reason: str
    decided_at: datetime


@dataclass(frozen=True)
class Headline:
    """The figures of the cover; `highest_ratio` is error / threshold.

    A group of incidents counts once.
    """

    n_entities: int
    n_hours_scored: int
    n_hours_expected: int
    n_readings: int
    n_incidents: Mapping[Severity, int]
    n_open: int
    judged: Judged = Judged()
    highest_ratio: float | None = None

    @property
    def n_all_incidents(self) -> int:
        """Incidents of every severity."""
        return sum(self.n_incidents.values())

    @property
    def scored_share(self) -> float | None:
        """Share of the expected hours that have a score; None where none was expected."""
        return self.n_hours_scored / self.n_hours_expected if self.n_hours_expected else None


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportContent(DatedContent):
    """A whole report."""

    title: str
    headline: Headline
    # incidents and anomalies: in any order; incidents and the headline are without those that
    # maintenance suppresses, and a group is one of them
    incidents: tuple[IncidentPage, ...] = ()
    anomalies: tuple[AnomalyRow, ...] = ()
    n_anomalies: int = 0  # all of the period, those included that are not listed
    quality: tuple[QualityRow, ...] = ()
    coverage: Coverage = Coverage()
    models: tuple[ModelCard, ...] = ()
    audit: tuple[AuditRow, ...] = ()
    suppressed: tuple[SuppressedRow, ...] = ()
    before: tuple[JudgedPeriod, ...] = ()  # the periods before, the newest first
    decisions: tuple[ModelDecision, ...] = ()  # of the period, in their order
    detail: ReportDetail = ReportDetail.BRIEF
    page_url: str = ""  # of the page Anomalies; empty: not known
    beside: tuple[str, ...] = ()  # names of the CSV files written beside the PDF
    data_until: datetime | None = None
    # Why there is no champion: a sentence, then a line for each failed rule and command; or nothing
    no_champion: tuple[str, ...] = ()

    @property
    def every_incident(self) -> list[IncidentPage]:
        """Incidents machine by machine, those of groups included."""
        return [one for entry in self.incidents for one in entry.whole]

    def end_of(self, incident: IncidentPage) -> datetime:
        """When an incident ended; an open one goes on as far as there are data."""
        return incident.ended_at or self.data_until or self.end_at

    def length_s(self, incident: IncidentPage) -> float:
        """Seconds that an incident lasted, so far; a group from its first flag to its last."""
        until_at = incident.over_at or incident.flagged_to or self.data_until or self.end_at
        return max(0.0, (until_at - incident.began_at).total_seconds())
