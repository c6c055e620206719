"""A shadow is no mere waiting: anomalies are put into its hours, people's words count, a window's
time is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.champions.test_champions import STATES, compared
from tests.plants.challengers import challenger
from tests.plants.trained import config
from tests.plants.weeks import CONFIG, MACHINE, Weeks, week
from tests.training.test_gate import delays, verdicts
from tsad_tasks.base.enums import Outcome, Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.queries import rule_results, write_rule_results
from tsad_tasks.champions.rules.base import ShadowComparison, Trial
from tsad_tasks.champions.shadow import shadow_results
from tsad_tasks.storage.store import Store
from tsad_tasks.text.rules import brief_note, full_note, outcome_text
from tsad_tasks.training.injected import DetectionResult

RULES = (
    "SELECT rule, value, champion_value, passed, note FROM tsad.v_model_decision "
    "WHERE stage = 'shadow'"
)
COUNTS = """
  SELECT (SELECT count(*) FROM tsad.score_block), (SELECT count(*) FROM tsad.anomaly),
         (SELECT count(*) FROM tsad.incident)"""
DAY_END = week(1, 26)


@pytest.fixture
def weeks(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Weeks]:
    name, gate = f"weeks_{uuid4().hex}", CONFIG["gate"] | {"tolerance": 0.05, "n_injected": 60}
    uri = cluster.create_database(name, template=template_database)
    made = Weeks.filled(uri, tmp_path, shadow={"hours": 24, "max_flag_share": 0.5}, gate=gate)
    made.train(week(1))
    yield made
    cluster.drop_database(name)


def in_shadow(weeks: Weeks, factor: float | None = None) -> None:
    """A challenger with limits so many times the champion's, and the whole day of its shadow."""
    weeks.score(week(1), week(1, 2))
    challenger(
        weeks, end_at=week(1, 1), limits=(factor, weeks.folder / "other") if factor else None
    )
    weeks.score(week(1, 2), DAY_END)


def rules(weeks: Weeks) -> dict[str, list[Any]]:
    return {rule: rest for rule, *rest in weeks.execute(RULES)}


def test_a_blind_challenger_does_not_pass_and_its_anomalies_are_written_nowhere(
    weeks: Weeks,
) -> None:
    in_shadow(weeks, factor=100)
    before = weeks.execute(COUNTS)
    found = compared(weeks, DAY_END)
    assert (found.ready, found.failed) == ([], {2: ["injected_found"]})
    value, old, passed, note = rules(weeks)["injected_found"]
    assert (value, passed) == (0, False)
    assert old > 0.3
    assert "only the champion finds" in note
    assert weeks.execute(STATES) == [(1, "champion"), (2, "shadow failed")]
    assert weeks.execute(COUNTS) == before


def test_a_good_challenger_finds_what_the_champion_finds_however_late_it_is_asked(
    weeks: Weeks,
) -> None:
    in_shadow(weeks)
    first, second = (compared(weeks, at) for at in (DAY_END, week(100)))
    assert first.ready == second.ready == [2]
    found = [line for line in first.table.splitlines() if "injected_found" in line]
    assert found == [line for line in second.table.splitlines() if "injected_found" in line]
    value, old, passed, _ = rules(weeks)["injected_found"]
    assert (value == old, passed) == (True, True)
    latency, old_latency, *_ = rules(weeks)["latency_ms"]
    assert 0 < latency < 50
    assert 0 < old_latency < 50


QUIET = ShadowComparison(24, 5000, 5000, (0, 0), (0, 0), 0, (0, 0))


def trial_rules(trial: Trial | None) -> dict[str, RuleResult]:
    found = shadow_results(config(gate={}), QUIET, trial, with_trial=True)
    return {row.rule: row for row in found if row.rule in ("injected_found", "latency_ms")}


def trial_row(challenger: DetectionResult, champion: DetectionResult | None) -> RuleResult:
    return trial_rules(Trial(challenger, champion, (1.0, None)))["injected_found"]


@pytest.mark.parametrize(("n_found", "passes"), [(20, True), (18, True), (8, False)])
def test_without_a_champion_to_compare_with_the_gate_s_limits_hold(
    n_found: int, passes: bool
) -> None:
    row = trial_row(verdicts(n_found, 20), None)
    assert row.limit_value == pytest.approx((0.6 + 0.5 + 0.7) / 3)
    assert row.passed is passes


def test_a_champion_that_cries_wolf_is_no_standard_and_no_excuse() -> None:
    wolf = verdicts(20, 20, n_flags=300)
    assert trial_row(verdicts(16, 20), wolf).passed
    assert not trial_row(verdicts(0, 20), wolf).passed


def test_where_nothing_can_be_put_in_that_is_said() -> None:
    nothing = DetectionResult({"point": delays(0, 0)}, 0, 0)
    assert (
        trial_row(nothing, nothing).note == "not tested: too few clean hours to put an anomaly into"
    )
    for row in trial_rules(None).values():
        assert (row.outcome, row.passed) == (Outcome.NOT_TESTED, True)


def test_what_people_said_in_the_shadow_s_hours_counts(weeks: Weeks) -> None:
    for hour in (4, 9, 14):
        weeks.shift(week(1, hour), week(1, hour + 1))
    in_shadow(weeks)
    say = "SELECT tsad.add_verdict('plant', %s, %s, %s, %s, 'me')"
    for hour, verdict in ((4, "confirmed"), (9, "expected")):
        weeks.execute(say, MACHINE, week(1, hour), week(1, hour + 1), verdict)
    # A label that a person calls normal is none, and one beside a verdict is the same fault.
    for start, end in ((4.5, 4.6), (14, 15), (20, 20.2)):
        weeks.execute(
            "SELECT tsad.add_label('plant', %s, %s, %s)", MACHINE, week(1, start), week(1, end)
        )
    weeks.execute("UPDATE tsad.label SET origin = 'file' WHERE start_at = %s", week(1, 20))
    weeks.execute(say, MACHINE, week(1, 20), week(1, 21), "false_alarm")
    compared(weeks, DAY_END)
    found = rules(weeks)
    assert found["labels_found"][:3] == [2, 2, True]
    assert found["confirmed_found"] == [
        None,
        None,
        True,
        "not tested: no confirmed incidents in these hours",
    ]
    assert found["false_alarms"][:3] == [1, 1, True]


def test_a_challenger_that_misses_a_confirmed_fault_fails(weeks: Weeks) -> None:
    weeks.shift(week(1, 4), week(1, 5), by=4.0)
    in_shadow(weeks, factor=1.5)
    verdict = """
      SELECT tsad.set_verdict(incident_id, 'confirmed', 'me') FROM tsad.v_incident
      WHERE started_at >= %s"""
    weeks.execute(verdict, week(1, 4))
    assert "confirmed_found" in compared(weeks, DAY_END).failed[2]


def test_the_report_has_the_rules_of_the_shadow_in_words(weeks: Weeks) -> None:
    in_shadow(weeks)
    compared(weeks, DAY_END)
    with Store.connect(weeks.uri) as store:
        rows = {row.declaration.title: row for row in rule_results(store, 2, Stage.SHADOW)}
    assert next(iter(rows)) == "hours that both scored"
    assert rows["hours that both scored"].value == 24
    assert brief_note(rows["labels found"]) == "no labels in these hours"
    assert brief_note(rows["injected anomalies found"]) == "of 60 injected"


def test_what_is_met_by_a_range_that_reaches_the_limit_says_so(weeks: Weeks) -> None:
    note = "7 flags of 2 weeks"
    row = RuleResult("flag_share", Outcome.MET, 3.5, 2.0, None, note, 1.9, 5.9, stage=Stage.SHADOW)
    likely = "chance may explain what is above 2.00 (likely 1.90 to 5.90)"
    assert full_note(row) == f"{likely}; 7 flags of 2 weeks"
    assert outcome_text(row) == "met in doubt"
    with Store.connect(weeks.uri) as store, store.transaction():
        write_rule_results(store, 1, [row])
        (read,) = rule_results(store, 1, Stage.SHADOW)
    assert (read, brief_note(read)) == (row, "may be chance")


FACTS: dict[str, Any] = {"n_labels": 0, "n_labels_found": (0, 0)}


@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ({"n_confirmed": 2, "n_confirmed_found": (1, 2)}, ["confirmed_found"]),
        ({"n_confirmed": 2, "n_confirmed_found": (2, 1)}, []),
        ({"n_false": (4, 1)}, []),
        ({"n_false": (20, 1)}, ["false_alarms"]),
        ({"n_false": (1, 20)}, []),
    ],
)
def test_people_s_words_decide_and_few_false_alarms_do_not(
    said: dict[str, Any], failed: list[str]
) -> None:
    paired = ShadowComparison(24, 5000, 5000, (0, 0), (0, 0), **FACTS | said)
    assert [row.rule for row in shadow_results(config(), paired) if not row.passed] == failed
