"""What a report says agrees with the warehouse, and what cannot be known is not made up."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from tests.plants.trained import END_AT, SPLIT_AT, Plant
from tests.reporting.pdf_text import ascii_text, n_pages
from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import ThresholdSection
from tsad_tasks.feedback.maintenance import add_maintenance
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.model.thresholds import FOLDING_KINDS, KINDS
from tsad_tasks.monitoring.audit import audit_week
from tsad_tasks.reporting.drawing.scales import thinned
from tsad_tasks.reporting.period.content import IncidentPage, ReportContent
from tsad_tasks.reporting.period.models import threshold_text, threshold_words
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.ranking import N_BRIEF_PAGES
from tsad_tasks.reporting.period.report import ReportSummary, period_content, render_period
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import date_text, duration_text
from tsad_tasks.text.rules import brief_note

NOW = datetime(2026, 3, 8, 1, tzinfo=UTC)


def score(plant: Plant, until_at: datetime = END_AT) -> Plant:
    with Store.connect(plant.uri) as store:
        span = {"start_at": SPLIT_AT, "end_at": until_at}
        ingest_interval(store, plant.config, plant.uri, **span)
        score_interval(store, plant.config, **span)
        build_incidents(store, plant.config, **span)
    return plant


def content(plant: Plant, **options: Any) -> ReportContent:
    with Store.connect(plant.uri) as store:
        span = {"start_at": SPLIT_AT, "end_at": END_AT, "detail": ReportDetail.FULL} | options
        return period_content(store, plant.config, generated_at=NOW, **span)


def render(plant: Plant, **options: Any) -> ReportSummary:
    with Store.connect(plant.uri) as store:
        span = {"start_at": SPLIT_AT, "end_at": END_AT} | options
        return render_period(store, plant.config, now=lambda: NOW, **span)


def hot(report: ReportContent) -> IncidentPage:
    """The incident of the injected fault: host-02's temperature, 25 °C up."""
    return next(
        one
        for one in report.incidents
        if one.entity == "host-02" and "temperature rose" in one.sentence
    )


def test_headline_and_coverage_agree_with_the_views(plant: Plant) -> None:
    head = content(score(plant)).headline
    ((n_hours, n_incidents, n_open),) = plant.execute(
        "SELECT (SELECT count(*) FROM tsad.v_status WHERE status IN ('scored', 'partial')), "
        "count(*), "
        "count(*) FILTER (WHERE state = 'open') FROM tsad.v_incident"
    )
    assert (
        (head.n_hours_scored, head.n_hours_expected, head.n_entities)
        == (n_hours, 24, 2)
        == (24, 24, 2)
    )
    assert (head.n_all_incidents, head.n_open, head.n_readings) == (
        n_incidents,
        n_open,
        12 * 12 * 2,
    )
    assert head.highest_ratio == pytest.approx(
        1 + plant.execute("SELECT max(score) FROM tsad.v_anomaly")[0][0]
    )


def test_a_page_says_what_the_stored_sentence_says(plant: Plant) -> None:
    page = hot(content(score(plant)))
    ((sentence,),) = plant.execute(
        "SELECT sentence FROM tsad.v_incident WHERE incident_id = %s", page.incident_id
    )
    cpu, temperature = page.channels
    assert page.sentence == sentence
    assert (
        f"rose to {temperature.worst_value:.2f} °C; {temperature.worst_expected:.2f} ±" in sentence
    )
    assert (temperature.unit, cpu.unit) == ("°C", "%")
    assert temperature.error_share > 0.5
    assert temperature.error_share + cpu.error_share == pytest.approx(1)


def test_expected_values_computed_again_are_those_that_scoring_stored(plant: Plant) -> None:
    page = hot(content(score(plant)))
    rows = plant.execute(
        "SELECT at, actual, expected, spread FROM tsad.v_attribution WHERE entity = 'host-02'"
        " AND channel = 'temperature' AND at BETWEEN %s AND %s",
        page.started_at,
        page.last_flag_at,
    )
    channel = page.channels[1]
    times = [np.datetime64(at.replace(tzinfo=None)) for at, *_ in rows]
    at = np.searchsorted(channel.times, times)
    assert len(rows) > 5
    assert channel.expected is not None
    assert channel.upper is not None
    np.testing.assert_allclose(channel.values[at], [row[1] for row in rows], rtol=1e-12)
    np.testing.assert_allclose(channel.expected[at], [row[2] for row in rows], rtol=1e-12)
    np.testing.assert_allclose(
        (channel.upper - channel.expected)[at], [row[3] for row in rows], rtol=1e-9
    )


def test_errors_thresholds_and_flags_are_those_of_the_scores_function(plant: Plant) -> None:
    page = hot(content(score(plant)))
    start_at, end_at = (
        item.astype(object).replace(tzinfo=UTC) for item in page.scores.times[[0, -1]]
    )
    rows = plant.execute(
        "SELECT error, flag FROM tsad.scores('room', 'host-02', %s, %s) ORDER BY at",
        start_at,
        end_at + HOUR / 60,
    )
    assert page.started_at - start_at >= HOUR
    np.testing.assert_array_equal(
        page.scores.errors, np.array([row[0] for row in rows], np.float32)
    )
    np.testing.assert_array_equal(page.scores.flags, [row[1] for row in rows])
    assert (page.scores.errors > page.scores.thresholds)[page.scores.flags].all()


def test_of_hours_in_which_an_entity_was_silent_nothing_is_expected(plant: Plant) -> None:
    plant.execute(
        "DELETE FROM plant.metrics WHERE host = 'host-01' AND at >= %s", SPLIT_AT + 4 * HOUR
    )
    report = content(score(plant))
    assert report.coverage.n_hours_by_status == {"scored": 16, "gap": 1, "silent": 7}
    assert (report.headline.n_hours_scored, report.headline.n_hours_expected) == (16, 17)
    plant.execute("SELECT tsad.retire_entity('room', 'host-01', 'scrapped')")
    assert content(plant).coverage.n_hours_by_status == {"scored": 16, "gap": 1}


def test_hours_that_nobody_scored_count_as_expected(plant: Plant) -> None:
    report = content(score(plant, END_AT - HOUR), start_at=SPLIT_AT - 2 * HOUR)
    assert report.coverage.n_hours_by_status == {"not_scored": 4, "scored": 22, "not_read": 2}
    assert (report.headline.n_hours_scored, report.headline.n_hours_expected) == (22, 28)


def test_an_incident_that_goes_on_is_open_and_has_no_end(plant: Plant) -> None:
    report = content(score(plant, SPLIT_AT + 7 * HOUR))
    page = hot(report)
    assert (page.state, page.ended_at) == ("open", None)
    asked = (
        "SELECT extract(epoch FROM end_at - started_at) FROM tsad.v_incident WHERE incident_id = %s"
    )
    ((length_s,),) = plant.execute(asked, page.incident_id)
    assert report.length_s(page) == length_s
    # On the cover and on its own page.
    text = ascii_text(report_bytes(report, compressed=False)[0])
    assert text.count(f"{duration_text(float(length_s))} so far") >= 2
    assert page.scores.times[-1] < np.datetime64("2026-03-07T19:00")


def test_an_altered_bundle_costs_the_band_and_no_more(plant: Plant) -> None:
    whole = hot(content(score(plant)))
    plant.execute("UPDATE tsad.model SET sha256 = 'altered'")
    page = hot(content(plant))
    assert "bundle is missing or altered" in page.note
    assert page.heat is None
    assert all(channel.expected is None and channel.lower is None for channel in page.channels)
    assert page.channels[1].worst_value == pytest.approx(whole.channels[1].worst_value)
    assert page.channels[1].error_share == pytest.approx(whole.channels[1].error_share, abs=0.02)


def test_what_was_not_read_is_unknown_in_every_series(plant: Plant) -> None:
    plant.execute(
        "DELETE FROM plant.metrics WHERE at >= '2026-03-07 17:00Z' AND at < '2026-03-07 17:30Z' "
        "AND host = 'host-02'"
    )
    page = hot(content(score(plant)))
    inside = (page.scores.times >= np.datetime64("2026-03-07T17:00")) & (
        page.scores.times < np.datetime64("2026-03-07T17:30")
    )
    assert inside.sum() == 6
    assert page.heat is not None
    assert np.isnan(page.scores.errors[inside]).all()
    assert np.isnan(page.channels[1].values[inside]).all()
    assert np.isnan(page.heat.errors).any()


def test_nothing_is_expected_of_readings_that_the_model_was_trained_on(plant: Plant) -> None:
    plant.execute(
        "UPDATE plant.metrics SET cpu = cpu + 80 WHERE host = 'host-01' AND at BETWEEN %s AND %s",
        SPLIT_AT + HOUR / 2,
        SPLIT_AT + HOUR,
    )
    page = min(content(score(plant)).incidents, key=lambda one: one.started_at)
    learned = page.scores.times < np.datetime64(SPLIT_AT.replace(tzinfo=None))
    assert learned.any()
    assert page.channels[0].expected is not None
    assert np.isnan(page.channels[0].expected[learned]).all()
    assert np.isfinite(page.channels[0].expected[~learned]).any()


def test_verdicts_on_sensors_and_issues_of_the_source_are_listed(plant: Plant) -> None:
    score(plant)
    plant.execute(
        "INSERT INTO tsad.ingest_issue VALUES (1, %s, 'host-01', '', 'duplicate', 3, 'x')", SPLIT_AT
    )
    plant.execute(
        "INSERT INTO tsad.quality SELECT e.entity_id, %s, c.channel_id, 'stuck', 12, 'held 20' "
        "FROM tsad.entity e,"
        " tsad.channel c WHERE e.name = 'host-02' AND c.name = 'temperature'",
        SPLIT_AT + 6 * HOUR,
    )
    report = content(plant)
    found = {(row.entity, row.channel, row.verdict, row.n_readings) for row in report.quality}
    assert {("host-02", "temperature", "stuck", 12), ("host-01", "(all)", "duplicate", 3)} <= found
    assert hot(report).nature == "sensor suspected"


def test_anomalies_are_the_highest_scores_with_their_incidents(plant: Plant) -> None:
    report = content(score(plant))
    ((n_all, highest),) = plant.execute("SELECT count(*), max(score) FROM tsad.v_anomaly")
    assert (report.n_anomalies, len(report.anomalies), report.anomalies[0].score) == (
        n_all,
        n_all,
        highest,
    )
    assert hot(report).incident_id in {row.incident_id for row in report.anomalies}
    assert all(
        row.error / row.threshold == pytest.approx(1 + row.score, rel=1e-5)
        for row in report.anomalies
    )


def test_an_audited_week_is_in_the_report(plant: Plant) -> None:
    score(plant)
    with Store.connect(plant.uri) as store:
        audit_week(store, plant.config, end_at=SPLIT_AT + timedelta(days=3))
    (row,) = content(plant).audit
    assert (row.model, row.days, row.n_known) == ("v1, champion", 0.5, 0)
    assert row.n_incidents == len(plant.execute("SELECT 1 FROM tsad.v_incident"))


def test_what_maintenance_suppresses_is_listed_apart_and_counts_for_nothing(plant: Plant) -> None:
    before = content(score(plant))
    held = hot(before)
    with Store.connect(plant.uri) as store:
        span = (held.started_at - HOUR, held.last_flag_at + HOUR)
        add_maintenance(store, "room", *span, "new fans", entity="host-02", created_by="ada")
    report = content(plant)
    inside = [row.incident_id for row in report.suppressed]
    assert held.incident_id in inside
    assert {row.window for row in report.suppressed} == {"maintenance 1: new fans"}
    assert not set(inside) & {page.incident_id for page in report.incidents}
    assert report.headline.n_all_incidents == before.headline.n_all_incidents - len(inside)
    assert len(report.incidents) == len(before.incidents) - len(inside)


def test_the_champions_card_shows_its_training_and_its_gate(plant: Plant) -> None:
    (card,) = content(score(plant)).models
    assert (card.role, card.version, card.n_channels, card.valid_from) == (
        "champion",
        "1",
        2,
        SPLIT_AT,
    )
    assert len(card.gate) == 19
    ((value, note),) = plant.execute(
        "SELECT value, note FROM tsad.v_model_decision WHERE rule = 'point_share'"
    )
    (points,) = (row for row in card.gate if row.rule == "point_share")
    assert (points.value, points.note) == (value, note)
    assert brief_note(points) == f"of {points.n} injected"
    assert len(card.loss_history) == len(card.validation_history) == plant.config.training.epochs
    # It was decided on today, for hours from the end of its training on.
    since, today = date_text(SPLIT_AT), date_text(datetime.now(UTC))
    assert card.gate_note == f"Champion from {since} on, decided on {today}: gate passed."


def test_the_same_period_gives_the_same_bytes_on_disk_and_elsewhere(
    plant: Plant, tmp_path: Path
) -> None:
    score(plant)
    local, remote = UPath(tmp_path / "new" / "report.pdf"), UPath("memory://reports/report.pdf")
    summary = render(plant, path=local)
    assert render(plant, path=remote).n_bytes == summary.n_bytes == len(local.read_bytes())
    assert local.read_bytes() == remote.read_bytes()
    assert 2 < n_pages(local.read_bytes()) == summary.n_pages <= N_BRIEF_PAGES
    names = ["report.pdf", "report_anomalies.csv", "report_incidents.csv"]
    assert sorted(path.name for path in local.parent.iterdir()) == names
    assert [Path(one).name for one in summary.csv_paths] == [names[2], names[1]]


def test_csv_files_hold_every_incident_and_flagged_reading(plant: Plant, tmp_path: Path) -> None:
    score(plant)
    summary = render(plant, path=UPath(tmp_path / "report.pdf"))
    incidents, readings = (
        list(csv.DictReader(Path(one).read_text("utf-8").splitlines())) for one in summary.csv_paths
    )
    stored = plant.execute(
        "SELECT incident_id, 1 + peak_score, sentence FROM tsad.v_incident ORDER BY started_at, 1"
    )
    said = [
        (one["incident_id"], float(one["times_threshold"]), one["sentence"]) for one in incidents
    ]
    assert said == [(name, pytest.approx(times), text) for name, times, text in stored]
    ((n_all, highest),) = plant.execute("SELECT count(*), 1 + max(score) FROM tsad.v_anomaly")
    assert len(readings) == n_all
    assert max(float(one["times_threshold"]) for one in readings) == pytest.approx(highest)


def test_verdicts_and_the_periods_before_are_counted(plant: Plant) -> None:
    page = hot(content(score(plant)))
    plant.execute("SELECT tsad.set_verdict(%s, 'confirmed', 'ada')", page.incident_id)
    report = content(plant)
    judged = report.headline.judged
    assert (judged.n_real, judged.n_false) == (1, 0)
    assert judged.n_unjudged == report.headline.n_all_incidents - 1
    assert hot(report).verdict == "confirmed"
    assert report.before == ()
    later = content(plant, start_at=END_AT, end_at=END_AT + (END_AT - SPLIT_AT))
    assert [(one.start_at, one.n_hours_scored) for one in later.before] == [(SPLIT_AT, 24)]
    assert later.before[0].judged == judged


def test_what_was_decided_on_models_is_told(plant: Plant) -> None:
    (one,) = content(score(plant)).decisions
    assert (one.version, one.decision, one.decided_at) == (1, "promoted", SPLIT_AT)


def test_in_full_there_are_more_pages(plant: Plant, tmp_path: Path) -> None:
    score(plant)
    path = UPath(tmp_path / "report.pdf")
    brief = render(plant, path=path)
    assert render(plant, path=path, detail=ReportDetail.FULL).n_pages > brief.n_pages


def test_by_default_the_period_ends_there_and_goes_to_the_artifacts(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_ARTIFACTS", str(tmp_path))
    summary = render(plant, start_at=None)
    assert summary.path == str(
        tmp_path / "reports" / "room" / "room_20260301T0000_20260308T0000.pdf"
    )


def test_a_report_writes_nothing_into_the_warehouse(plant: Plant, tmp_path: Path) -> None:
    before = score(plant).rows()
    render(plant, path=UPath(tmp_path / "report.pdf"))
    assert plant.rows() == before


def test_an_empty_period_and_an_unknown_dataset_are_refused(plant: Plant) -> None:
    with pytest.raises(BadInput, match="starts before its end"):
        content(plant, start_at=END_AT)
    other = Plant(plant.uri, plant.config.model_copy(update={"dataset": "nowhere"}))
    with pytest.raises(BadInput, match="ingested before"):
        content(other)


def test_a_thinned_series_keeps_its_extremes_and_its_worst_flag() -> None:
    values, flags = np.sin(np.arange(10_001) / 700), np.zeros(10_001, bool)
    values[[4321, 4325]], flags[4325] = (9.0, 5.0), True
    values[7000] = np.nan
    kept = thinned(values, flags, 8)
    assert len(kept) == 2 * 1251
    assert 4325 in kept
    assert (np.diff(kept) >= 0).all()
    assert {int(np.nanargmin(values)), int(np.nanargmax(np.where(flags, values, -1)))} <= set(
        kept.tolist()
    )


def test_a_long_incident_is_drawn_from_a_regular_grid(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsad_tasks.reporting.period.incidents.MAX_POINTS", 20)
    page = hot(content(score(plant)))
    assert len(page.scores.times) <= 22
    assert len(set(np.diff(page.scores.times))) == 1
    assert np.nanmax(page.scores.errors) == pytest.approx(page.peak_error)


def test_a_week_before_all_readings_is_an_honest_empty_report(plant: Plant) -> None:
    report = content(
        plant, start_at=SPLIT_AT - timedelta(days=30), end_at=SPLIT_AT - timedelta(days=23)
    )
    assert (report.headline.n_hours_expected, report.headline.highest_ratio, report.data_until) == (
        0,
        None,
        None,
    )
    assert (report.incidents, report.models, report.coverage.entities) == ((), (), ())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_threshold_is_said_in_words(kind: str) -> None:
    settings = ThresholdSection(kind=kind).model_dump()
    words = threshold_words({"threshold": settings})
    assert "unknown" not in words
    text = threshold_text({"threshold": settings})
    assert text.casefold().startswith(words.removeprefix("threshold: ").casefold())
    assert ("What lasts" in text) == (kind not in FOLDING_KINDS)
