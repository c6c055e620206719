"""A rehearsal finds what it should, says by which setting, and leaves no trace of itself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from psycopg2.sql import SQL, Identifier
from upath import UPath

from devstack.postgres import Cluster
from tests.cli.test_commands import Tsad, tsad
from tests.plants.weeks import CONFIG, MACHINE, Weeks, filled_weeks, week
from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import BadInput
from tsad_tasks.cli.rehearsal import _same_words
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.faults import Fault
from tsad_tasks.feedback.maintenance import record_maintenance, withdraw_maintenance
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.queries import SELECT_REHEARSED_ERRORS
from tsad_tasks.pipeline.rehearsal import (
    Alarm,
    Rehearsal,
    Rehearsed,
    Sensitivity,
    Tried,
    _Series,
    remove_rehearsal,
    sensitivities,
)
from tsad_tasks.storage.store import Store

__all__ = ["tsad"]
BUDGET = {"budget_per_day": 1, "budget_per_entity_week": 2}
EVT = {"threshold": {"kind": "evt", "combine": "max"}, "alarm_policy": BUDGET}
SPAN = week(2), week(3)
SHIFTED = Fault(MACHINE, week(2, 50), week(2, 54), "fan")
QUIET = Fault(MACHINE, week(2, 20), week(2, 21))
LATER = Fault(MACHINE, week(5), week(5, 1))
FAULTS = [SHIFTED, QUIET, LATER]


@dataclass
class Done:
    """What two rehearsals beside a live champion said, and the warehouse's rows: before, after each
    of them, and after the last was removed.
    """

    weeks: Weeks
    first: Rehearsed
    second: Rehearsed
    rows: list[dict[str, Counter[str]]]
    versions: list[int]
    n_seen: int
    stored: Floats32
    again: Floats32
    n_removed: list[int]


def rows_of(weeks: Weeks) -> dict[str, Counter[str]]:
    """Every row of every table of the warehouse, as text."""
    tables = weeks.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'tsad' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    with Store.connect(weeks.uri) as store, store.transaction():
        found = {}
        with store._connection.cursor() as cursor:
            for (name,) in tables:
                cursor.execute(SQL("SELECT t::text FROM {} AS t").format(Identifier("tsad", name)))
                found[name] = Counter(text for (text,) in cursor.fetchall())
    return found


def rehearse(
    weeks: Weeks, config: DatasetConfig | None = None, **options: Any
) -> tuple[Rehearsal, Rehearsed]:
    with Store.connect(weeks.uri) as store:
        of = config or weeks.config
        made = Rehearsal(store, of, *SPAN, UPath(weeks.folder), say=lambda _text: None, **options)
        return made, made.run(FAULTS)


@pytest.fixture(scope="module")
def done(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("rehearsed")
    with filled_weeks(cluster, template_database, folder, **EVT) as weeks:
        weeks.shift(SHIFTED.start_at, SHIFTED.end_at)
        with Store.connect(weeks.uri) as store:
            span: dict[str, Any] = {"start_at": week(0), "end_at": SPAN[1]}
            ingest_interval(store, weeks.config, weeks.uri, **span)
        weeks.train(week(1))
        weeks.score(week(2, 48), week(2, 60))
        rows = [rows_of(weeks)]
        _, first = rehearse(weeks)
        rows.append(rows_of(weeks))
        made, second = rehearse(weeks)
        seen = "SELECT count(*) FROM tsad.v_incident WHERE lineage <> 'live'"
        versions = "SELECT version FROM tsad.model WHERE lineage = 'rehearsal'"
        found = [one for (one,) in weeks.execute(versions)], weeks.execute(seen)[0][0]
        with Store.connect(weeks.uri) as store:
            (key,) = weeks.execute("SELECT entity_id FROM tsad.entity")[0]
            asked = {"entity_id": key, "start_at": SPAN[0], "end_at": SPAN[1]}
            with store.transaction():
                series = _Series.of(store.rows(SELECT_REHEARSED_ERRORS, **asked), 600)
            again = made._scores(series, MACHINE, 1, is_set=False)
            of = store, weeks.config, UPath(folder)
            n_removed = [remove_rehearsal(*of), remove_rehearsal(*of)]
        rows.append(rows_of(weeks))
        yield Done(weeks, first, second, rows, *found, series.scores, again, n_removed)


def test_a_known_fault_is_found_in_time_and_a_quiet_hour_is_not(done: Done) -> None:
    found = {one.fault: one.delay_s for one in done.first.as_set.faults}
    assert found.keys() == {SHIFTED, QUIET}
    assert found[SHIFTED] is not None
    # The shift is 30 of its spreads: the first readings of it are seen.
    assert 0 <= found[SHIFTED] <= 1200
    assert found[QUIET] is None
    assert done.first.outside == [LATER]
    assert done.first.worst[0].started_at - SHIFTED.start_at <= timedelta(seconds=1200)
    assert MACHINE in done.first.worst[0].sentence
    assert (done.first.n_entities, done.first.n_trained, done.first.scored_share) == (1, 1, 1.0)
    assert done.first.machines[0].entity == MACHINE
    assert done.first.machines[0].n_alarms == len(done.first.as_set.alarms)


def test_a_second_rehearsal_takes_the_place_of_the_first_and_says_the_same(done: Done) -> None:
    assert done.second == done.first
    # Versions of live models go on from 1, whatever was rehearsed.
    assert done.versions == [-1]


def test_what_is_live_stays_as_it_was(done: Done) -> None:
    before, after, _ = done.rows
    assert {name for name, rows in before.items() if rows - after[name]} == set()
    changed = {name for name, rows in before.items() if rows != after[name]}
    assert {"model", "champion_record", "score_block", "incident"} <= changed
    assert not changed & {"alert", "notification", "news", "verdict", "label", "reading_block"}
    assert done.n_seen == 0


def test_what_is_removed_leaves_no_row_and_no_file(done: Done) -> None:
    assert done.n_removed == [1, 0]
    assert done.rows[2] == done.rows[0]
    assert not (Path(done.weeks.folder) / "rehearsals" / "plant").exists()


def test_the_setting_that_is_named_gives_the_alarms_that_were_counted(done: Done) -> None:
    more, _, less = done.first.tried
    assert more.sensitivity.setting == (
        "alarm_policy: {budget_per_day: 4, budget_per_entity_week: 8}"
    )
    assert len(more.alarms) > len(less.alarms)
    _, found = rehearse(done.weeks, more.sensitivity.config)
    raised = sorted((one.started_at, one.last_flag_at) for one in found.as_set.alarms)
    assert raised == [(one.started_at, one.last_flag_at) for one in more.alarms]


def test_limits_as_they_are_give_the_scores_that_were_stored(done: Done) -> None:
    # The first steps' moving averages hang on errors before the range.
    width = 20
    assert np.isfinite(done.stored).all()
    assert np.abs(done.again - done.stored)[width:].max() < 1e-5


def test_without_a_budget_the_peak_score_is_what_is_set() -> None:
    config = DatasetConfig.model_validate(CONFIG | {"alarm_policy": {"min_score": 0.25}})
    assert [one.setting for one in sensitivities(config)] == [
        "alarm_policy: {min_score: 0.25}",
        "alarm_policy: {min_score: 0.75}",
        "alarm_policy: {min_score: 1.25}",
    ]
    assert [one.is_set for one in sensitivities(config)] == [True, False, False]


def test_a_fault_in_maintenance_is_said_to_be_in_maintenance(
    at_weeks: Tsad, done: Done, tmp_path: Path
) -> None:
    known = tmp_path / "failures.csv"
    rows = [
        f"{MACHINE},{one.start_at.isoformat()},{one.end_at.isoformat()}" for one in (SHIFTED, QUIET)
    ]
    known.write_text("\n".join(["machine,start,end", *rows]))
    around = {
        "start_at": SHIFTED.start_at - timedelta(hours=1),
        "end_at": SHIFTED.end_at + timedelta(days=1),
    }
    span = "--from", f"{week(2):%Y-%m-%d}", "--to", f"{week(3):%Y-%m-%d}"
    with Store.connect(done.weeks.uri) as store:
        number = record_maintenance(store, "plant", **around, title="fan", created_by="ada")
        try:
            said = at_weeks("rehearse", "plant", *span, "--known", str(known))
            asked = at_weeks("rehearse", "plant", *span, "--known", str(known), "--json")
        finally:
            withdraw_maintenance(store, "plant", number)
    assert "0 of 2 known failures found" in said.out
    assert said.out.count("not found; in maintenance") == 1
    found = json.loads(asked.out)["failures"]
    assert [(one["found"], one["in_maintenance"]) for one in found] == [
        (False, False),
        (False, True),
    ]


def test_a_range_without_readings_or_too_few_of_them_says_so(done: Done) -> None:
    with Store.connect(done.weeks.uri) as store:
        of = store, done.weeks.config
        early = Rehearsal(*of, week(-8), week(-7), UPath(done.weeks.folder))
        with pytest.raises(BadInput, match=r"Expected readings from .* Received: none"):
            early.replay()
        short = Rehearsal(*of, week(0, 10), week(1), UPath(done.weeks.folder))
        with pytest.raises(BadInput, match="Expected more than 7 days of readings before --to"):
            short.replay()


@pytest.fixture
def at_weeks(done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tsad: Tsad) -> Tsad:
    """The command at the rehearsed plant's warehouse."""
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_PLANT"):
        monkeypatch.setenv(name, done.weeks.uri)
    (tmp_path / "datasets" / "plant.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return tsad


@pytest.mark.parametrize(
    ("end_at", "wrong"),
    [
        (week(3), "machine: Expected one of m-1. Received: m-9."),
        # Hours that were never read may have other machines, but no other times.
        (week(3, 5), "Expected start before end."),
    ],
)
def test_a_wrong_file_of_failures_is_told_before_anything_is_read(
    at_weeks: Tsad, done: Done, tmp_path: Path, end_at: datetime, wrong: str
) -> None:
    wrong = wrong.replace("m-1", MACHINE)
    known, at = tmp_path / "failures.csv", week(2).isoformat()
    machine = "m-9" if "m-9" in wrong else MACHINE
    ends = (at, week(2, 1).isoformat()) if "m-9" in wrong else (at, at)
    known.write_text(f"machine,start,end\n{machine},{','.join(ends)}\n")
    before = rows_of(done.weeks)
    span = "--from", f"{week(2):%Y-%m-%d}", "--to", f"{end_at:%Y-%m-%dT%H:%M}"
    said = at_weeks("rehearse", "plant", *span, "--known", str(known))
    assert said.code == 2
    assert f"failures.csv:2: {wrong}" in said.err
    assert rows_of(done.weeks) == before


def test_health_of_what_is_live_knows_no_rehearsal(at_weeks: Tsad, done: Done) -> None:
    health = (
        "SELECT state, why, scored_until, last_run_at, read_until, last_error, last_error_at "
        "FROM tsad.v_health"
    )
    live = "SELECT * FROM tsad.run_status"
    span = "--from", f"{week(2):%Y-%m-%d}", "--to", f"{week(3):%Y-%m-%d}"
    before = done.weeks.execute(health), done.weeks.execute(live)
    said = at_weeks("rehearse", "plant", *span)
    assert said.code == 0, said.err
    assert (done.weeks.execute(health), done.weeks.execute(live)) == before


def test_three_equal_rows_say_why() -> None:
    def tried(n: int) -> Tried:
        made = Sensitivity("more", "", DatasetConfig.model_validate(CONFIG))
        return Tried(made, [Alarm(MACHINE, week(2), week(2))] * n, [], n)

    strange = "what is strange here is above the highest of their limits"
    said = f"All three find the same: {strange}, and nothing else reaches the lowest."
    assert _same_words([tried(2)] * 3) == said
    assert _same_words([tried(0)] * 3) == (
        "All three find the same: nothing reaches even the lowest of their limits."
    )
    assert _same_words([tried(2), tried(2), tried(1)]) is None


def test_the_command_says_it_to_people_and_to_programs(
    at_weeks: Tsad, done: Done, tmp_path: Path
) -> None:
    tsad = at_weeks
    known = tmp_path / "failures.csv"
    known.write_text(
        "machine,start,end,note\n"
        f"{MACHINE},{SHIFTED.start_at.isoformat()},{SHIFTED.end_at.isoformat()},fan\n"
    )
    span = "--from", f"{week(2):%Y-%m-%d}", "--to", f"{week(3):%Y-%m-%d}"
    said = tsad("rehearse", "plant", *span, "--known", str(known))
    assert said.code == 0, said.err
    assert "1 of 1 known failures found" in said.out
    assert "alarm_policy: {min_score: 0.5}" in said.out
    asked = tsad("rehearse", "plant", *span, "--known", str(known), "--json")
    found = json.loads(asked.out)
    assert found["failures"][0]["machine"] == MACHINE
    assert found["failures"][0]["found"] is True
    assert [one["is_set"] for one in found["sensitivities"]] == [True, False, False]
    assert found["sensitivities"][0]["n_alarms"] == sum(
        one["n_alarms"] for one in found["machines"]
    )
    assert tsad("rehearse", "plant", "--remove").out == (
        "Removed: 1 model of a rehearsal of plant, and their rows.\n"
    )
    assert "Expected --from" in tsad("rehearse", "plant").err
    ledger = "SELECT count(*) FROM tsad.ingest_hour"
    n_read = done.weeks.execute(ledger)
    assert (
        "Expected --from before the newest" in tsad("rehearse", "plant", "--from", "2099-01-01").err
    )
    assert done.weeks.execute(ledger) == n_read
