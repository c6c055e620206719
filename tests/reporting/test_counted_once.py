"""Groups and what lasts are one in the report, as in the views: shown once, counted once."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from upath import UPath

from tests.reporting.pdf_text import ascii_text
from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet
from tests.storage.rooms import HOUR_AT
from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.config import ThresholdSection
from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.report import period_content, render_period

__all__ = ["fleet"]

# Before the first flag of the machine whose fault lasts, and after its second part.
DAY, HOUR_OF_THE_THIRD = timedelta(days=1), 520
AS_COUNTED = """
  SELECT (SELECT count(*) FROM tsad.v_incident_group)
    + (SELECT count(*) FROM tsad.v_incident_chain WHERE group_id IS NULL)"""
# What the report says of a model.
CARD = """
  UPDATE tsad.model SET card = card || jsonb_build_object('threshold', %(threshold)s::jsonb,
    'channels', (SELECT jsonb_agg(name) FROM tsad.channel))"""
# An hour of a machine without incidents.
SCORED = """
  SELECT tsad.ensure_partition('score_block', %(hour_at)s);
  INSERT INTO tsad.score_block (entity_id, hour_at, model_id, errors, thresholds, reasons, status,
    coverage, n_needed, n_seen, window_digest)
  SELECT e.entity_id, %(hour_at)s, m.model_id, '{0}', '{1}', '{0}', 'scored', 1, 6, 6, 0
  FROM tsad.entity e, tsad.model m WHERE e.name = 'f'"""
GROUP = "4 of 6 machines: cpu rose, since 1 Mar 06:10"


@pytest.fixture
def plant(fleet: Fleet) -> Fleet:
    """Nine hours of a machine's flags, cut in three; and an hour in which four others began."""
    fleet.ask(CARD, threshold=ThresholdSection().model_dump_json())
    fleet.flag(range(9 * 6), 0)
    for entity in range(1, 5):
        fleet.flag(range(7, 12), entity)
    fleet.build(0, 9)
    return fleet


def content(plant: Fleet, start_at: datetime = HOUR_AT, length: timedelta = DAY) -> ReportContent:
    return period_content(
        plant.room.store,
        plant.config,
        start_at=start_at,
        end_at=start_at + length,
        detail=ReportDetail.FULL,
        generated_at=HOUR_AT + 2 * DAY,
    )


def say(plant: Fleet, *entities: str, verdict: str = "confirmed") -> None:
    plant.ask(
        "SELECT tsad.set_verdict(incident_id, %(verdict)s, 'ada') FROM tsad.v_incident "
        "WHERE entity = ANY(%(entities)s)",
        entities=list(entities),
        verdict=verdict,
    )


def test_a_group_and_a_fault_that_lasts_are_an_entry_each(plant: Fleet) -> None:
    report = content(plant)
    lasting, group = sorted(report.incidents, key=lambda one: len(one.whole))
    assert (lasting.entities, lasting.n_parts, lasting.began_at) == (["a"], 3, at(0))
    assert (lasting.last_flag_at, lasting.n_flags) == (at(9 * 60 - 10), 9 * 6)
    assert group.title == GROUP
    assert sorted(group.entities) == ["b", "c", "d", "e"]
    assert (group.began_at, group.last_flag_at, group.is_open) == (at(70), at(110), True)
    assert plant.ask(AS_COUNTED) == [(2,)]
    head = report.headline
    assert (head.n_all_incidents, head.n_open, head.judged.n_unjudged) == (2, 2, 2)
    severities = plant.ask(
        "SELECT severity FROM tsad.v_incident_group UNION ALL "
        "SELECT severity FROM tsad.v_incident_chain WHERE group_id IS NULL"
    )
    assert +Counter(head.n_incidents) == Counter(one for (one,) in severities)


def test_a_group_waits_for_a_verdict_until_all_of_it_has_one(plant: Fleet) -> None:
    say(plant, "b", "c", "d")
    assert content(plant).headline.judged.n_by_verdict == {None: 2}
    say(plant, "e", verdict="false_alarm")
    (worst,) = [one for one in content(plant).incidents if one.headline]
    said = {one.entity: one.verdict for one in worst.whole}
    assert content(plant).headline.judged.n_by_verdict == {None: 1, said[worst.entity]: 1}


def test_periods_before_count_them_in_the_same_way(plant: Fleet) -> None:
    say(plant, "b", "c", "d", "e")
    judged = content(plant).headline.judged
    later = content(plant, HOUR_AT + DAY)
    # Hours of which nobody knows a score stand without incidents.
    assert later.before == ()
    plant.ask(SCORED, hour_at=HOUR_AT)
    assert content(plant, HOUR_AT + DAY).before[0].judged == judged


def test_what_lasts_is_whole_in_a_report_that_begins_in_its_midst(plant: Fleet) -> None:
    (lasting,) = content(plant, at(HOUR_OF_THE_THIRD)).incidents
    assert (lasting.began_at, lasting.n_parts) == (at(0), 3)
    assert content(plant, at(9 * 60)).incidents == ()


def test_the_pdf_tells_a_group_once_with_its_machines(plant: Fleet) -> None:
    text = ascii_text(report_bytes(content(plant), compressed=False)[0])
    first, *others = text.split("1 / ")
    assert first.count(GROUP) == 1
    assert "4 machines" in first
    assert "2 incidents" in first
    for sentence in ("b: cpu", "c: cpu", "d: cpu", "e: cpu"):
        assert sentence in "".join(others)
    assert "kept in 3 parts" in text


def test_the_csv_has_a_row_for_each_machine_and_what_lasts_once(
    plant: Fleet, tmp_path: Path
) -> None:
    path = UPath(tmp_path / "report.pdf")
    made = render_period(
        plant.room.store, plant.config, end_at=HOUR_AT + DAY, start_at=HOUR_AT, path=path
    )
    rows = list(csv.DictReader(Path(made.csv_paths[0]).read_text("utf-8").splitlines()))
    parts = {one["entity"]: one["n_parts"] for one in rows}
    assert parts == dict.fromkeys("bcde", "1") | {"a": "3"}
    urgent = plant.ask("SELECT incident_id, priority::text FROM tsad.v_incident_chain")
    assert {one["incident_id"]: one["priority"] for one in rows} == dict(urgent)
    assert {one["headline"] for one in rows if one["entity"] != "a"} == {GROUP}
    assert made.n_incidents == 2
    readings = list(csv.DictReader(Path(made.csv_paths[1]).read_text("utf-8").splitlines()))
    assert len(readings) == 9 * 6 + 4 * 5
    assert {one["incident_id"] for one in readings} == {one["incident_id"] for one in rows}
