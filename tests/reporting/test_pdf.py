"""Reports of every kind are drawn, say what they should, and come out the same each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from samples.report import empty_report, sample_incident, sample_report

from tests.reporting.pdf_text import ascii_text, n_pages
from tsad_tasks.base.enums import Outcome, ReportDetail, Severity
from tsad_tasks.base.files import write_whole
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing.flow import room_of
from tsad_tasks.reporting.drawing.series import ChannelSeries, HeatMap, ScoreSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import (
    Coverage,
    Headline,
    IncidentPage,
    Judged,
    QualityRow,
    ReportContent,
    SuppressedRow,
)
from tsad_tasks.reporting.period.model_pages import outcome_lines
from tsad_tasks.reporting.period.pdf import planned_pages, report_bytes
from tsad_tasks.reporting.period.ranking import LIMITS, N_BRIEF_PAGES, undecided

HOSTILE = "<b>&amp;</b> \U0001f525\n\u202e)(\\ Tj %s {} " + "long " * 32
SMALL = sample_report(1, n_channels=2, n_anomalies=2)


def shown(content: ReportContent) -> str:
    document, n_planned = report_bytes(content, compressed=False)
    assert n_pages(document) == n_planned
    return ascii_text(document)


def first_page(content: ReportContent) -> str:
    return shown(content).split("1 / ")[0]


def with_incident(**changes: Any) -> ReportContent:
    incident = sample_incident(42, n_channels=2, n_steps=90)
    return replace(SMALL, incidents=(replace(incident, **changes),))


def test_an_empty_report_proves_that_work_was_done() -> None:
    text = shown(empty_report())
    assert "No incidents." in text
    assert "every hour of 7 machines" in text
    assert "No findings." in text
    assert "Nothing changed: v14 is champion since 16 Nov 2026." in text


def test_a_report_without_any_score_does_not_look_normal() -> None:
    head = Headline(4, 0, 96, 0, {}, 0)
    text = shown(replace(empty_report(), headline=head, coverage=Coverage(), models=()))
    assert "nothing was scored: 0 of 96 hours" in text
    assert "No model was valid in this period" in text
    assert "0 % of hours watched" in text


def test_what_maintenance_suppresses_is_a_table_of_its_own_before_the_guide() -> None:
    row = SuppressedRow(
        "INC-0099", "P-03", "HIGH", SMALL.start_at, SMALL.start_at, "maintenance 4: new filters"
    )
    text = shown(replace(SMALL, suppressed=(row,)))
    assert "1 incident wholly inside maintenance windows. They are not counted above" in text
    assert text.rindex("maintenance 4: new filters") < text.rindex("How to read this report")
    assert "wholly inside maintenance" not in shown(SMALL)


def test_an_incident_page_leads_with_its_sentence() -> None:
    text = shown(
        with_incident(
            sentence="P-07: flow fell to 3 m/s; 9 m/s was expected",
            coverage_line="Coverage 99 of 100",
        )
    )
    assert "P-07: flow fell to 3 m/s; 9 m/s was expected" in text
    assert "INC-0042" in text
    assert "threshold 0.435" in text
    assert "square-root scale" in text
    assert "Coverage 99 of 100" in text


def test_severity_is_a_word_and_not_only_a_colour() -> None:
    assert "Medium" in shown(with_incident(severity="MEDIUM"))


def test_the_first_page_says_how_many_and_which_need_a_decision() -> None:
    content = sample_report(12, n_channels=2)
    text = first_page(content)
    assert "12 incidents 2 real, 2 false, 8 unjudged 3 high, 3 medium, 6 low" in text
    assert "Needs a decision: 3 of 8 without a verdict" in text
    cards = [one for one in undecided(content.incidents, 3) if one.incident_id in text]
    assert len(cards) == 3
    assert all(one.verdict is None for one in cards)
    assert "42 h not watched 3 machines of 7" in text
    assert "rows without values 22 3: P-05, P-03, P-07" in text
    assert "16 Nov (now) 12 2 2 8 9 Nov 9 3 4 2" in text
    assert "19 Oct, not scored" in text
    assert "v14 became champion in place of v13 on 16 Nov 2026" in text
    assert "As known at 23 Nov 2026 00:07 (Europe/Berlin, UTC+1)" in text


def test_findings_of_one_kind_and_machine_are_one_line() -> None:
    at = SMALL.start_at
    off_grid = [QualityRow("P-01", f"c{i}", "off_grid", 10, at, at) for i in range(12)]
    stuck = QualityRow("P-02", "vane", "stuck", 60, at, at, "one value")
    text = shown(replace(SMALL, quality=(stuck, *off_grid)))
    assert "13 findings in " in text
    assert "P-02 vane stuck 60" in text
    assert "P-01 12: c0, c1, c2, c3 and 8 more off grid 120" in text
    assert text.count("off grid") == 1


def test_what_is_told_of_one_channel_is_not_told_of_others() -> None:
    at = SMALL.start_at

    def details(*said: str) -> str:
        rows = [QualityRow("P-01", f"c{i}", "stuck", 9, at, at, one) for i, one in enumerate(said)]
        return shown(replace(SMALL, quality=tuple(rows)))

    assert "c0: 41.5 in a row" in details("41.5 in a row", "7 in a row")
    alike = details("41.5 in a row", "41.5 in a row")
    assert "41.5 in a row" in alike
    assert "c0: 41.5" not in alike


def test_a_threshold_that_changes_says_of_which_step_it_is_told() -> None:
    incident = sample_incident(42, n_channels=2, n_steps=90)
    flat = replace(incident.scores, thresholds=np.full(90, 0.435))
    rising = replace(incident.scores, thresholds=np.linspace(0.4, 0.6, 90))
    assert replace(incident, scores=flat).threshold_label == "threshold 0.435"
    assert replace(incident, scores=rising).threshold_label == "threshold 0.435 at the peak"


def test_without_a_page_the_first_page_gives_the_command_for_a_verdict() -> None:
    content = sample_report(2, n_channels=2)
    waiting = undecided(content.incidents, 1)[0]
    command = f"say what it was: tsad verdict {waiting.incident_id} confirmed"
    assert command in first_page(replace(content, page_url=""))
    assert command not in first_page(content)


@pytest.mark.parametrize("n_incidents", [0, 1, 4, 7, 12, 40])
def test_the_last_page_is_never_nearly_empty(n_incidents: int) -> None:
    content = sample_report(n_incidents, n_channels=2) if n_incidents else empty_report()
    sheet = Sheet()
    pages = planned_pages(content, LIMITS[ReportDetail.BRIEF], sheet)
    last = pages[-1].draw
    assert isinstance(last, partial)
    (blocks,) = last.args
    assert sum(one.height for one in blocks) >= 0.35 * room_of(sheet)


def test_where_all_have_a_verdict_nothing_needs_a_decision() -> None:
    incident = replace(sample_incident(43, n_channels=2, n_steps=90), verdict="false_alarm")
    head = replace(SMALL.headline, judged=Judged({"false_alarm": 1}))
    text = first_page(replace(SMALL, incidents=(incident,), headline=head))
    assert "Nothing needs a decision" in text
    assert "verdict: false alarm" in text
    assert "say what it was" not in text


@pytest.mark.parametrize(("n_incidents", "most"), [(1, 3), (12, 8), (200, 8)])
def test_a_brief_report_has_few_pages(n_incidents: int, most: int) -> None:
    report = sample_report(n_incidents, n_channels=2)
    assert report_bytes(report)[1] <= most


def test_a_quiet_week_has_two_pages() -> None:
    assert report_bytes(empty_report())[1] == 2


def test_whatever_there_is_a_brief_report_has_eight_pages_at_most() -> None:
    """Every table is longer than it may be, and every word is long."""
    report = sample_report(40, n_channels=2)
    card = replace(report.models[0], gate_note=HOSTILE * 9, gate=report.models[0].gate * 9)
    entity = report.coverage.entities[4]
    statuses = {f"{HOSTILE}{i}": 3 for i in range(30)} | {"scored": 78}
    entities = tuple(
        replace(entity, entity=f"{HOSTILE}{i}", n_hours_by_status=statuses) for i in range(400)
    )
    row = SuppressedRow("I", HOSTILE, Severity.LOW, report.start_at, report.end_at, HOSTILE)
    full = replace(
        report,
        quality=tuple(replace(one, detail=HOSTILE) for one in report.quality) * 99,
        coverage=replace(report.coverage, entities=entities),
        models=(card,) * 50,
        decisions=report.decisions * 30,
        suppressed=(row,) * 300,
        no_champion=(HOSTILE,) * 40,
        description=HOSTILE * 9,
    )
    assert report_bytes(full)[1] <= N_BRIEF_PAGES


def test_the_list_holds_one_page_and_says_where_the_rest_is() -> None:
    content = sample_report(24, n_channels=2)
    text = shown(content)
    assert "18 of 24 incidents, worst first." in text
    assert "The other 6: pump-skids_incidents.csv, beside this PDF." in text
    assert "The other 6: SQL view tsad.v_incident." in shown(replace(content, beside=()))


def test_in_full_every_incident_and_flagged_reading_is_listed() -> None:
    content = sample_report(24, n_channels=2, n_anomalies=510, detail=ReportDetail.FULL)
    document, n_pages_of_it = report_bytes(content, compressed=False)
    text = ascii_text(document)
    assert n_pages_of_it > 24
    assert "24 incidents, worst first." in text
    assert all(f"INC-{42 + i:04d}" in text for i in range(24))
    assert "The strangest 500 of 510 flagged readings" in text
    assert "More: pump-skids_anomalies.csv, beside this PDF." in text
    assert "Self-audit" in text


def test_rules_are_failed_not_tested_or_met_in_plain_words() -> None:
    results = (
        RuleResult("point_share", Outcome.FAILED, 0.62, 0.9),
        RuleResult("known_share", Outcome.NOT_TESTED, note="not tested: too few are known: 1"),
        RuleResult("ramp_share", Outcome.NOT_TESTED, note="not tested: too few are known: 1"),
        RuleResult("delay_s", Outcome.MET, 60.0, decides=False),
        RuleResult("latency_ms", Outcome.MET, 3.0, 50.0),
    )
    assert outcome_lines(results) == [
        (Outcome.FAILED, "point anomalies found 0.620, limit ≥ 0.900"),
        (Outcome.NOT_TESTED, "known anomalies found and slow ramps found (too few are known: 1)"),
        (Outcome.MET, "CPU time per window"),
    ]


def test_it_says_how_to_give_a_verdict_on_the_page_or_by_a_command() -> None:
    document, _ = report_bytes(SMALL, compressed=False)
    text = ascii_text(document)
    address = "https://airflow.example.com/plugin/anomalies/tsad/incidents/INC-0042"
    assert address in text
    assert address.encode() in document.split(b"/URI")[-1]
    assert 'tsad verdict INC-0042 confirmed --note "bearing changed"' in text
    without, _ = report_bytes(replace(SMALL, page_url=""), compressed=False)
    assert b"/URI" not in without
    assert "tsad verdict INC-0042" in ascii_text(without)


@pytest.mark.parametrize("n_channels", [1, 2, 5, 17])
def test_any_number_of_channels_fits_one_page(n_channels: int) -> None:
    incident = sample_incident(42, n_channels=n_channels)
    document, n_planned = report_bytes(replace(SMALL, incidents=(incident,)), compressed=False)
    assert n_planned == report_bytes(SMALL)[1]
    assert incident.channels[0].name in ascii_text(document)


def test_a_channel_without_any_reading_says_so() -> None:
    incident = sample_incident(42, n_channels=1, n_steps=90)
    silent = replace(
        incident.channels[0], values=np.full(90, np.nan), worst_value=None, worst_expected=None
    )
    text = shown(with_incident(channels=(silent,), heat=None))
    assert "no data in this span" in text
    assert "no data" in text


def test_a_single_reading_is_drawn() -> None:
    assert "INC-0044" in shown(
        replace(SMALL, incidents=(sample_incident(44, n_channels=1, n_steps=1),))
    )


def test_an_incident_without_any_series_is_drawn() -> None:
    nothing = np.array([], dtype="datetime64[s]")
    empty = ScoreSeries(nothing, np.array([]), np.array([]), np.array([], dtype=bool))
    assert "INC-0042" in shown(
        with_incident(scores=empty, channels=(), heat=None, peak_error=float("nan"))
    )


def test_unknown_errors_and_thresholds_are_drawn() -> None:
    incident = sample_incident(42, n_channels=1, n_steps=90)
    unknown = np.full(90, np.nan)
    scores = replace(
        incident.scores, errors=unknown, thresholds=unknown, flags=np.zeros(90, dtype=bool)
    )
    assert "INC-0042" in shown(with_incident(scores=scores, peak_threshold=float("nan")))


def test_infinite_readings_do_not_stretch_the_plot_to_nothing() -> None:
    incident = sample_incident(42, n_channels=1, n_steps=90)
    values = incident.channels[0].values.copy()
    values[3] = np.inf
    document, _ = report_bytes(
        with_incident(channels=(replace(incident.channels[0], values=values),), heat=None)
    )
    assert document.startswith(b"%PDF")
    assert b"inf " not in document
    assert b"nan " not in document


def test_hostile_names_are_shown_and_cut() -> None:
    incident = sample_incident(42, n_channels=3, n_steps=90)
    channels = tuple(replace(channel, name=HOSTILE, unit="<µ&>") for channel in incident.channels)
    content = with_incident(
        channels=channels,
        heat=incident.heat,
        entity=HOSTILE,
        sentence=HOSTILE * 3,
        incident_id=HOSTILE,
        note=HOSTILE,
    )
    text = shown(replace(content, dataset=HOSTILE, title=HOSTILE, description=HOSTILE))
    assert "<b>&amp;</b>" in text


def test_the_same_content_gives_the_same_bytes_in_any_process() -> None:
    code = "import hashlib; from tsad_tasks.reporting.period.pdf import report_bytes;"
    code += "from samples.report import *;"
    code += "print(hashlib.sha256(report_bytes(sample_report(2, n_anomalies=3))[0]).hexdigest())"
    beside = str(Path(samples.__file__).parents[1])
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": beside}
    other = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    here = [
        hashlib.sha256(report_bytes(sample_report(2, n_anomalies=3))[0]).hexdigest()
        for _ in range(2)
    ]
    assert [*here, other.stdout.strip()] == [here[0]] * 3


def test_a_file_is_written_whole_with_title_and_outline(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    write_whole(path, report_bytes(SMALL)[0])
    document = path.read_bytes()
    assert report_bytes(SMALL) == (document, n_pages(document))
    assert b"/Outlines" in document
    assert b"/Title" in document
    assert [file.name for file in tmp_path.iterdir()] == ["report.pdf"]


def test_letter_pages_are_smaller_and_other_sizes_refused() -> None:
    assert b"/MediaBox [ 0 0 612 792 ]" in report_bytes(SMALL, page_size="letter")[0]
    with pytest.raises(ValueError, match="Expected a page size of A4 or letter"):
        report_bytes(SMALL, page_size="A5")  # type: ignore[arg-type]


def test_series_of_unequal_length_are_refused() -> None:
    times = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[s]")
    with pytest.raises(ValueError, match="Expected arrays of length 2"):
        ChannelSeries("CPU", "%", times, np.zeros(3))
    with pytest.raises(ValueError, match="Expected errors of shape"):
        HeatMap(times, 60, np.zeros((1, 3)))


def test_a_heat_map_needs_a_row_for_each_channel() -> None:
    incident: IncidentPage = sample_incident(42, n_channels=2)
    with pytest.raises(ValueError, match="Expected a heat map row for each of 1 channels"):
        replace(incident, channels=incident.channels[:1])
