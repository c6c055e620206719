"""A made-up report, to look at and to measure: `python -m tsad_tasks.reporting.period.sample
report.pdf`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tsad_tasks.base.enums import HourStatus, Outcome, Severity, Stage
from tsad_tasks.base.rule import Rule, RuleResult, rules_of
from tsad_tasks.reporting.drawing.series import (
    ChannelSeries,
    Floats,
    HeatMap,
    ScoreSeries,
)
from tsad_tasks.reporting.period.content import (
    AnomalyRow,
    AuditRow,
    Coverage,
    EntityCoverage,
    Headline,
    IncidentPage,
    ModelCard,
    QualityRow,
    ReportContent,
)
from tsad_tasks.reporting.period.pdf import render_report
from tsad_tasks.text.sentence import incident_sentence

START = datetime(2026, 11, 15, 23, tzinfo=UTC)
END = START + timedelta(days=7)
ZONE = "Europe/Berlin"
CHANNELS = (
    ("Discharge pressure", "bar", 5.04, 0.38, -2.2),
    ("Vibration (drive end)", "mm/s", 2.2, 0.45, 1.9),
    ("Motor current", "A", 41.0, 3.0, 8.6),
    ("Flow", "m³/h", 128.0, 8.0, -20.0),
    ("Bearing temp. (drive end)", "°C", 59.7, 2.3, 5.0),
    ("Shaft power", "kW", 212.0, 9.0, 6.0),
    ("Seal pressure", "bar", 1.2, 0.1, 0.05),
    ("Vibration (non-drive end)", "mm/s", 1.8, 0.4, 0.1),
    ("Valve position", "%", 62.0, 4.0, 0.0),
    ("Bearing temp. (non-drive end)", "°C", 55.0, 2.0, 0.0),
    ("Ambient temperature", "°C", 21.0, 1.5, 0.0),
    ("Casing temperature", "°C", 48.0, 1.8, 0.0),
    ("Tank level", "m", 3.4, 0.3, 0.0),
    ("Oil pressure", "bar", 2.1, 0.2, 0.0),
    ("Oil temperature", "°C", 44.0, 2.5, 0.0),
    ("Suction pressure", "bar", 0.8, 0.1, 0.0),
    ("Speed", "1/min", 1480.0, 12.0, 0.0),
)


def sample_incident(
    number: int = 42, *, n_channels: int = 17, n_steps: int = 360, step_s: int = 60
) -> IncidentPage:
    """A made-up incident, the same for the same number."""
    generator = np.random.default_rng(number)
    n_flagged = max(1, int(n_steps * generator.uniform(0.05, 0.45)))
    first = int(n_steps * 0.55)
    severity: Severity = (
        list(reversed(Severity))[min(2, int(generator.integers(0, 6)) // 2)]
        if number != 42
        else Severity.HIGH
    )
    strength = {Severity.HIGH: 1.0, Severity.MEDIUM: 0.55, Severity.LOW: 0.35}[severity]
    still_open = number % 4 == 2
    before_s = int(generator.integers(2, 160)) * 3600 if not still_open else n_steps * step_s
    first = n_steps - n_flagged if still_open else first
    seconds = int((END - timedelta(seconds=before_s)).timestamp()) + step_s * np.arange(n_steps)
    times = seconds.astype("datetime64[s]")
    push = _ramp(n_steps, first, n_flagged) * strength
    channels = tuple(_channel(generator, times, push, i) for i in range(n_channels))
    errors = 0.16 + 0.03 * np.abs(generator.standard_normal(n_steps)) + 1.9 * push
    errors[first] = max(errors[first], 0.6)
    flags = errors > 0.435
    start, end = _edges(flags, seconds)
    worst = int(np.argmax(errors))
    top = channels[0]
    return IncidentPage(
        incident_id=f"INC-{number:04d}",
        entity=f"P-{number % 7 + 1:02d}",
        severity=severity,
        state="open" if still_open else "closed",
        kind="collective" if n_flagged > 20 else "point",
        nature="process, not sensor",
        started_at=start,
        ended_at=None if still_open else end,
        sentence=incident_sentence(
            entity=f"P-{number % 7 + 1:02d}",
            channel=top.name[0].lower() + top.name[1:],
            unit=top.unit,
            actual=top.worst_value,
            expected=top.worst_expected,
            lower=top.worst_lower,
            upper=top.worst_upper,
        ),
        peak_error=float(errors[worst]),
        peak_threshold=0.435,
        peak_at=_at(int(seconds[worst])),
        n_flags=int(flags.sum()),
        scores=ScoreSeries(
            times, errors.astype(np.float32), np.full(n_steps, 0.435, np.float32), flags
        ),
        channels=channels,
        heat=_heat(seconds, channels, 600),
        verdict=None if number % 3 else "real fault: “suction strainer clogged”",
        note="Nearest known incident: INC-0031 (6 Nov, P-07, 91 % alike)." if number == 42 else "",
        model_line="Model lstm_autoencoder v14 (champion since 16 Nov, gate passed; sha256 "
        "3f9c02d1a7be)"
        " · threshold adaptive, 6 σ over 1 000 errors · shadow v15 agrees (13:19–15:52)",
        coverage_line="Coverage 24 438 of 24 480 readings (99.8 %), ambient temperature missing "
        "03:00–03:41"
        " · config e67d23e7820c · data up to 20 Nov 16:00 · scored 16:04",
    )


def sample_report(
    n_incidents: int = 12, *, n_channels: int = 17, n_anomalies: int = 640
) -> ReportContent:
    """A made-up week of seven pumps."""
    incidents = tuple(sample_incident(42 + i, n_channels=n_channels) for i in range(n_incidents))
    coverage = _coverage()
    n_scored = sum(entity.n_hours_scored for entity in coverage.entities)
    by_severity = {
        severity: sum(one.severity == severity for one in incidents)
        for severity in reversed(Severity)
    }
    return ReportContent(
        dataset="pump-skids",
        title="Weekly anomaly report",
        description="Seven pump skids, 17 channels, one reading per minute",
        start_at=START,
        end_at=END,
        site_zone=ZONE,
        generated_at=END + timedelta(minutes=7),
        data_until=END - timedelta(minutes=1),
        headline=Headline(
            n_entities=7,
            n_hours_scored=n_scored,
            n_hours_expected=sum(entity.n_hours_expected for entity in coverage.entities),
            n_readings=1_174_212,
            n_incidents=by_severity,
            n_open=sum(one.state == "open" for one in incidents),
            n_unjudged=sum(one.verdict is None for one in incidents),
            alarm_budget=7,
            highest_ratio=max((one.error_ratio for one in incidents), default=0.41),
        ),
        incidents=incidents,
        anomalies=_anomalies(n_anomalies),
        n_anomalies=n_anomalies,
        quality=_quality(),
        coverage=coverage,
        models=(_model_card(),),
        audit=_audit(),
    )


def empty_report() -> ReportContent:
    """A week in which everything was scored and nothing was strange."""
    report = sample_report(0, n_anomalies=0)
    return replace(
        report, quality=(), coverage=_coverage(complete=True), headline=_quiet_headline()
    )


def _quiet_headline() -> Headline:
    return Headline(
        7,
        1176,
        1176,
        1_199_520,
        {Severity.HIGH: 0, Severity.MEDIUM: 0, Severity.LOW: 0},
        0,
        0,
        7,
        0.41,
    )


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _edges(flags: np.ndarray, seconds: np.ndarray) -> tuple[datetime, datetime]:
    flagged = np.flatnonzero(flags)
    return _at(int(seconds[flagged[0]])), _at(int(seconds[flagged[-1]]) + 60)


def _ramp(n_steps: int, first: int, n_flagged: int) -> Floats:
    steps = np.arange(n_steps)
    width = max(1.0, n_flagged / 14)
    rise = 1 / (1 + np.exp(-np.clip((steps - first) / width, -50, 50)))
    fall = 1 / (1 + np.exp(np.clip((steps - first - n_flagged) / width, -50, 50)))
    return rise * fall


def _channel(
    generator: np.random.Generator, times: np.ndarray, push: Floats, i: int
) -> ChannelSeries:
    name, unit, level, spread, shift = CHANNELS[i % len(CHANNELS)]
    steps = np.arange(len(times))
    expected = level + 0.35 * spread * np.sin(steps / 170 + i)
    noise = (
        np.convolve(generator.standard_normal(len(times)), np.ones(5) / 5, mode="same")[
            : len(times)
        ]
        * spread
        * 0.45
    )
    values = expected + noise + shift * push
    if i in (1, 10):
        values[int(len(times) * 0.2) : int(len(times) * 0.28)] = np.nan
    share = (0.588, 0.212, 0.101, 0.053, 0.029, 0.013, 0.004)
    worst = int(np.nanargmax(np.abs(values - expected))) if np.isfinite(values).any() else 0
    return ChannelSeries(
        name,
        unit,
        times,
        values,
        expected,
        expected - spread,
        expected + spread,
        error_share=share[i] if i < len(share) else 0.0002,
        worst_value=float(values[worst]),
        worst_expected=float(expected[worst]),
        worst_lower=float(expected[worst] - spread),
        worst_upper=float(expected[worst] + spread),
        worst_at=_at(int(times[worst].astype(np.int64))),
    )


def _heat(seconds: np.ndarray, channels: tuple[ChannelSeries, ...], bucket_s: int) -> HeatMap:
    buckets = (seconds - seconds[0]) // bucket_s
    errors = np.full((len(channels), int(buckets[-1]) + 1), np.nan)
    for row, channel in enumerate(channels):
        expected, upper = channel.expected, channel.upper
        if expected is None or upper is None:
            continue
        strange = np.maximum(np.abs(channel.values - expected) / (upper - expected) - 0.6, 0) ** 2
        for bucket in range(errors.shape[1]):
            known = strange[(buckets == bucket) & np.isfinite(strange)]
            errors[row, bucket] = known.max() if known.size else np.nan
    starts = (seconds[0] + bucket_s * np.arange(errors.shape[1])).astype("datetime64[s]")
    return HeatMap(starts, bucket_s, errors)


def _coverage(*, complete: bool = False) -> Coverage:
    days = tuple(date(2026, 11, 16) + timedelta(days=i) for i in range(7))
    entities = []
    for i in range(7):
        lost = 0 if complete else (0, 0, 9, 0, 31, 0, 2)[i]
        shares = np.ones(7)
        shares[2] = 1 - min(lost, 24) / 24
        shares[3] = 1 - max(0, lost - 24) / 24
        statuses: dict[str, int] = {
            HourStatus.SCORED: 168 - lost,
            HourStatus.GAP: lost // 2,
            HourStatus.STALE: lost - lost // 2,
        }
        entities.append(EntityCoverage(f"P-{i + 1:02d}", 168, statuses, shares))
    return Coverage(days, tuple(entities))


def _anomalies(n: int) -> tuple[AnomalyRow, ...]:
    generator = np.random.default_rng(1)
    ratios = generator.gamma(1.2, 0.8, n)
    return tuple(
        AnomalyRow(
            at=START + timedelta(minutes=13 * i),
            entity=f"P-{i % 7 + 1:02d}",
            severity=Severity.HIGH
            if ratios[i] > 1
            else Severity.MEDIUM
            if ratios[i] > 0.5
            else Severity.LOW,
            error=float(0.435 * (1 + ratios[i])),
            threshold=0.435,
            score=float(ratios[i]),
            channel=CHANNELS[i % 5][0],
            unit=CHANNELS[i % 5][1],
            actual=CHANNELS[i % 5][2] + CHANNELS[i % 5][4],
            expected=CHANNELS[i % 5][2],
            lower=CHANNELS[i % 5][2] - CHANNELS[i % 5][3],
            upper=CHANNELS[i % 5][2] + CHANNELS[i % 5][3],
            incident_id=f"INC-{42 + i % 12:04d}",
        )
        for i in range(n)
    )


def _quality() -> tuple[QualityRow, ...]:
    rows = (
        ("P-03", "Tank level", "stuck", 412, "held 3.41 m for 6 h 52 min"),
        ("P-05", "Oil temperature", "unit jump", 96, "values × 1.8 + 32: °F instead of °C"),
        ("P-05", "Seal pressure", "at range limit", 31, "at the sensor's upper end, 10 bar"),
        ("P-07", "Flow", "out of range", 4, "below 0 m³/h"),
    )
    return tuple(
        QualityRow(
            entity,
            channel,
            verdict,
            n,
            START + timedelta(hours=9 * i),
            START + timedelta(hours=9 * i + 7),
            detail,
        )
        for i, (entity, channel, verdict, n, detail) in enumerate(rows, start=1)
    )


def _audit() -> tuple[AuditRow, ...]:
    week_at = START - timedelta(days=7)
    return (
        AuditRow("v14, champion", week_at, 7.0, 4, 3, 9, 0.75, 540.0, 0.143, 1.29, 2.5),
        AuditRow("v15, challenger", week_at, 1.0, 0, 0, 2, None, None, 0.0, 2.0, 2.5),
    )


def _model_card() -> ModelCard:
    epochs = np.arange(1, 25)
    return ModelCard(
        name="pump-skids v14",
        detector="lstm_autoencoder",
        version="14",
        role="champion",
        n_parameters=71_249,
        trained_from=START - timedelta(days=30),
        trained_to=START,
        valid_from=START,
        used_share=0.198,
        n_windows=60_000,
        n_channels=17,
        seed=7,
        sha256="3f9c02d1a7be5d0c8e41f6b2973a0d64c5e8b19f7a2d3c4b5e6f708192a3b4c5",
        threshold_text="Adaptive: mean + 6 σ over the last 1 000 errors and at least a day; never "
        "below half of the"
        " calibrated 0.435. Errors above the calibrated limit do not enter the look-back.",
        metrics={
            "validation loss": 0.0131,
            "F1 on labels to 9 Nov": 0.87,
            "false alarms per week": 1.2,
        },
        loss_history=tuple(0.012 + 0.2 * np.exp(-epochs / 4)),
        validation_history=tuple(0.0131 + 0.21 * np.exp(-epochs / 4.2)),
        gate=_sample_results(Stage.GATE),
        gate_note="Promoted on 16 Nov after 24 h as shadow.",
        shadow=_sample_results(Stage.SHADOW),
    )


# Value, low, high, champion, limit, n of some rules; those without are not tested.
_MEASURED: Mapping[Stage, Mapping[str, tuple[float | None, ...]]] = {
    Stage.GATE: {
        "finite_loss": (0.0131, None, None, None, None, None),
        "held_out_error": (0.0127, None, None, 0.0134, None, None),
        "point_share": (0.983, 0.911, 0.997, 0.967, 0.9, 60),
        "contextual_share": (0.48, 0.362, 0.607, 0.6, 0.5, 60),
        "collective_share": (0.733, 0.61, 0.828, 0.75, 0.7, 60),
        "false_alarm_share": (0.0031, 0.0011, 0.0084, 0.0029, 0.01, 25_920),
        "incidents_per_entity_week": (0.42, 0.11, 1.07, 0.6, 2.0, 4),
        "not_worse": (0.732, 0.662, 0.791, 0.772, 0.722, 180),
        "delay_s": (540.0, None, None, 480.0, None, 132),
        "score_drift": (0.31, None, None, None, 0.25, None),
        "latency_ms": (0.021, None, None, 0.02, 50.0, None),
        "size_bytes": (298_112.0, None, None, 298_112.0, None, None),
        "commissioning_shift": (1.2, None, None, None, 3.0, 17),
        "commissioning_spread": (1.07, None, None, None, 3.0, 17),
    },
    Stage.SHADOW: {
        "hours": (24.0, None, None, None, 24.0, None),
        "windows": (500.0, None, None, None, 500.0, None),
        "flag_share": (0.0024, None, None, 0.0022, 0.01, 8_640),
        "incidents": (2.0, None, None, 1.0, None, None),
        "agreement": (0.994, None, None, None, 0.9, 8_640),
        "confirmed_found": (2.0, None, None, 2.0, 2.0, 2),
        "injected_found": (0.817, 0.701, 0.894, 0.85, 0.8, 60),
        "latency_ms": (0.021, None, None, 0.02, 50.0, None),
    },
}


def _sample_results(stage: Stage) -> tuple[RuleResult, ...]:
    return tuple(
        _sample_result(rule, *_MEASURED[stage].get(rule.name, ())) for rule in rules_of(stage)
    )


def _sample_result(
    rule: Rule[Any],
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    champion: float | None = None,
    limit: float | None = None,
    n: float | None = None,
) -> RuleResult:
    """What a rule would say; what is shown beyond its limit is noted, and decides nothing."""
    note, outcome = rule.title, Outcome.MET
    if value is None:
        note, outcome = (
            f"not tested: {next(iter(rule.untested.values()))}".format(n=1),
            Outcome.NOT_TESTED,
        )
    elif not rule.decides and limit is not None and value > limit:
        outcome = Outcome.FAILED
    return RuleResult(
        rule.name, outcome, value, limit, champion, note, low, high,
        n=None if n is None else int(n), decides=rule.decides, stage=rule.stage,
    )  # fmt: skip


if __name__ == "__main__":
    print(render_report(sample_report(), Path(sys.argv[1])))
