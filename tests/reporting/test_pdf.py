"""Reports of every kind are drawn, say what they should, and come out the same each time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from samples.report import empty_report, sample_incident, sample_report

from tests.reporting.pdf_text import ascii_text, n_pages
from tsad_tasks.base.files import write_whole
from tsad_tasks.reporting.drawing.series import ChannelSeries, HeatMap, ScoreSeries
from tsad_tasks.reporting.period.content import (
    Coverage,
    Headline,
    IncidentPage,
    ReportContent,
    SuppressedRow,
)
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.ranking import ReportLimits

HOSTILE = "<b>&amp;</b> \U0001f525\n\u202e)(\\ Tj %s {} " + "long " * 32
SMALL = sample_report(1, n_channels=2, n_anomalies=2)


def shown(content: ReportContent) -> str:
    document, n_planned = report_bytes(content, compressed=False)
    assert n_pages(document) == n_planned
    return ascii_text(document)


def with_incident(**changes: Any) -> ReportContent:
    incident = sample_incident(42, n_channels=2, n_steps=90)
    return replace(SMALL, incidents=(replace(incident, **changes),))


def test_an_empty_report_proves_that_work_was_done() -> None:
    text = shown(empty_report())
    assert "No incidents." in text
    assert "highest error 0.41 of its threshold." in text
    assert "No anomalies." in text
    assert "No findings." in text


def test_a_report_without_any_score_does_not_look_normal() -> None:
    head = Headline(4, 0, 96, 0, {}, 0)
    text = shown(replace(empty_report(), headline=head, coverage=Coverage(), models=()))
    assert "nothing was scored: 0 of 96 hours" in text
    assert "No model was valid in this period" in text


def test_what_maintenance_suppresses_is_a_table_of_its_own_at_the_end() -> None:
    row = SuppressedRow(
        "INC-0099", "P-03", "HIGH", SMALL.start_at, SMALL.start_at, "maintenance 4: new filters"
    )
    text = shown(replace(SMALL, suppressed=(row,)))
    assert "1 incident wholly inside maintenance windows. They are not counted above" in text
    assert text.rindex("maintenance 4: new filters") > text.rindex("Self-audit")
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


def test_forty_incidents_have_pages_or_rows_with_page_numbers() -> None:
    text = shown(sample_report(40, n_channels=2, n_anomalies=0))
    assert "40 incidents, worst first." in text
    assert all(f"INC-{42 + i:04d}" in text for i in range(40))
    assert "1 / " in text


def test_what_is_left_out_is_counted_and_its_view_named() -> None:
    content = replace(sample_report(3, n_channels=1, n_anomalies=9), n_anomalies=1234)
    document, _ = report_bytes(
        content, limits=ReportLimits(n_worst=1, n_unjudged=1, n_incidents=2), compressed=False
    )
    text = ascii_text(document)
    assert "Not listed: 1, in the SQL view tsad.v_incident." in text
    assert "tsad.v_anomaly" in text


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
