"""Registrations, comparisons, promotions, ways back in any order, killed anywhere: one champion for
each hour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from devstack.postgres import Cluster
from tests.plants.challengers import FAILED, PASSED
from tests.plants.mortal import MortalStore, killed, n_moments
from tests.plants.weeks import CONFIG, Weeks, week
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.champions.champions import promote, register_model, roll_back
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.champions.shadow import compare_shadows, decline, promote_ready
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import NewModel

N_HOURS = 12
RANGES = ((0, 4), (2, 8), (6, N_HOURS), (0, N_HOURS))
ROWS = {
    "champions": """
      SELECT p.lineage, m.version, p.valid_from, p.valid_to
      FROM tsad.champion_period p JOIN tsad.model m USING (model_id) ORDER BY 1, 3""",
    "history": """
      SELECT h.version, h.decision, h.former_version, h.valid_from, h.decided_by, h.reason
      FROM tsad.v_model_history h ORDER BY h.decided_at""",
    "rules": "SELECT version, stage, rule, passed FROM tsad.v_model_decision ORDER BY 1, 2, 3",
    "scores": """
      SELECT m.version, b.entity_id, b.hour_at, b.status, b.scores
      FROM tsad.score_block b JOIN tsad.model m USING (model_id)
      WHERE b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL ORDER BY 1, 2, 3""",
    "incidents": "SELECT incident_id, n_flags FROM tsad.v_incident ORDER BY 1",
}
SAVE = """
  DROP SCHEMA IF EXISTS saved CASCADE;
  CREATE SCHEMA saved;
  CREATE TABLE saved.model AS TABLE tsad.model;
  CREATE TABLE saved.model_decision AS TABLE tsad.model_decision;
  CREATE TABLE saved.gate_decision AS TABLE tsad.gate_decision;
  CREATE TABLE saved.champion_record AS TABLE tsad.champion_record"""
BEGIN = """
  DELETE FROM tsad.model_decision;
  DELETE FROM tsad.gate_decision;
  DELETE FROM tsad.champion_record;
  DELETE FROM tsad.model m
    WHERE NOT EXISTS (SELECT FROM saved.model s WHERE s.model_id = m.model_id);
  INSERT INTO tsad.model_decision OVERRIDING SYSTEM VALUE TABLE saved.model_decision;
  INSERT INTO tsad.gate_decision TABLE saved.gate_decision;
  INSERT INTO tsad.champion_record TABLE saved.champion_record"""
KEEP_FIRST, FIRST_AGAIN = (statements.replace("saved", "first") for statements in (SAVE, BEGIN))
UNSCORED = (
    "TRUNCATE tsad.score_hour, tsad.score_block, tsad.anomaly, tsad.attribution, tsad.incident"
)
Work = Callable[[Store], Any]


@dataclass
class Story:
    """Weeks with a champion and readings; `SAVE` keeps the models and decisions that `BEGIN` goes
    back to.
    """

    weeks: Weeks
    first: NewModel
    owner: Connection

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the owner's statement, committed."""
        with self.owner, self.owner.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def rows(self) -> dict[str, Any]:
        return {name: self.execute(statement) for name, statement in ROWS.items()}

    def happens(self, work: Work, kill: int | None = None) -> None:
        """Some work, killed at first if so asked, and then done."""

        def may_be_refused(store: Store) -> None:
            with suppress(BadInput, NothingToDo):
                work(store)

        if kill is not None:
            killed(self.weeks.uri, may_be_refused, kill)
        with Store.connect(self.weeks.uri) as store:
            may_be_refused(store)

    # What may happen
    # ---------------------------------------------------------------------------------------------

    def registers(self, number: int) -> Work:
        """A retraining, of which the fourth fails the gate; the same number again is the same
        one.
        """
        model = replace(self.first, seed=10 + number, parent_model_id=1)
        return lambda store: register_model(store, model, FAILED if number == 4 else PASSED, [])

    def compares(self, number: int) -> Work:
        """The hourly comparison and what follows from it; a person is asked by the odd ones."""
        end_at, run_id = week(1, 3 * number), f"run {number}" if number % 2 else None

        def work(store: Store) -> None:
            found = compare_shadows(store, self.weeks.config, end_at=end_at, run_id=run_id)
            promote_ready(store, self.weeks.config, found.ready, end_at=end_at, by="shadow")

        return work

    def promotes(self, number: int) -> Work:
        return lambda store: promote(store, self.weeks.config, number, by="ada", reason="hasty")

    def rolls_back(self, number: int) -> Work:
        return lambda store: roll_back(
            store, self.weeks.config, version=number, by="ada", reason="hasty"
        )

    def declines(self, number: int) -> Work:
        return lambda store: decline(
            store, self.weeks.config, [number], end_at=week(1, 3 * number), by="ada"
        )

    def scores(self, number: int) -> Work:
        """One of some backfills that overlap."""
        first, end = RANGES[number - 1]
        span: dict[str, Any] = {"start_at": week(1, first), "end_at": week(1, end)}

        def work(store: Store) -> None:
            score_interval(store, self.weeks.config, **span)
            build_incidents(store, self.weeks.config, **span)

        return work


@pytest.fixture(scope="module")
def opened_story(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    name, shadow = f"story_{uuid4().hex}", {"hours": 2, "min_windows": 5, "max_flag_share": 0.5}
    uri = cluster.create_database(name, template=template_database)
    weeks = Weeks.filled(
        uri,
        tmp_path_factory.mktemp("story"),
        shadow=shadow,
        gate=CONFIG["gate"] | {"n_injected": 10},
    )
    weeks.train(week(1))
    with Store.connect(uri) as store:
        ingest_interval(store, weeks.config, uri, start_at=week(1), end_at=week(1, N_HOURS))
        row = store.one(SELECT_MODEL, model_id=1)
    owner = connect(uri)
    made = Story(
        weeks, NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__}), owner
    )
    made.execute(KEEP_FIRST)
    yield made
    owner.close()
    cluster.drop_database(name)


@pytest.fixture
def story(opened_story: Story) -> Story:
    """Nothing but the first champion, and that saved."""
    for statement in (UNSCORED, FIRST_AGAIN, SAVE):
        opened_story.execute(statement)
    return opened_story


@dataclass(frozen=True)
class Part:
    """Something that happens, and when it is killed first."""

    what: str
    number: int
    kill: int | None = None

    def happen(self, story: Story, *, may_die: bool) -> None:
        story.happens(getattr(story, self.what)(self.number), self.kill if may_die else None)


def told(story: Story, parts: Sequence[Part], *, may_die: bool) -> dict[str, Any]:
    """The rows that a story leaves."""
    for statement in (UNSCORED, BEGIN):
        story.execute(statement)
    for part in parts:
        part.happen(story, may_die=may_die)
    _one_champion(story)
    return story.rows()


def _one_champion(story: Story) -> None:
    """Of each hour since the first champion there is one, and each score is there once."""
    periods = [row for row in story.execute(ROWS["champions"]) if row[0] == "live"]
    assert periods[0][2] == week(1)
    assert [row[2] for row in periods[1:]] == [row[3] for row in periods[:-1]]
    assert periods[-1][3].year == 9999
    doubles = """
      SELECT count(*) - count(DISTINCT (entity_id, hour_at, model_id)) FROM tsad.score_block
      WHERE superseded_at = 'infinity'"""
    assert story.execute(doubles) == [(0,)]


KINDS = ("registers", "compares", "promotes", "rolls_back", "declines", "scores")
parts = st.builds(Part, st.sampled_from(KINDS), st.integers(1, 4), st.none() | st.integers(0, 15))
# A challenger whose shadow fills is where most can go wrong.
BEGINNING = [Part("scores", 1), Part("registers", 1), Part("scores", 2)]


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.booleans(), st.lists(parts, min_size=1, max_size=6))
def test_any_order_with_kills_leaves_what_it_leaves_without(
    story: Story, is_late: bool, more: list[Part]
) -> None:
    whole = [*(BEGINNING if is_late else []), *more]
    assert told(story, whole, may_die=True) == told(story, whole, may_die=False)


@pytest.mark.parametrize(
    "last",
    [
        Part("registers", 2),
        Part("registers", 4),
        Part("compares", 3),
        Part("promotes", 2),
        Part("declines", 2),
        Part("rolls_back", 1),
    ],
    ids=lambda part: f"{part.what} {part.number}",
)
def test_a_kill_before_any_statement_or_commit_changes_nothing(story: Story, last: Part) -> None:
    waiting = [] if last.what == "registers" else [Part("registers", 2)]
    done = [Part("promotes", 3)] if last.what == "rolls_back" else []
    for part in (*BEGINNING, *waiting, *done):
        part.happen(story, may_die=False)
    story.execute(SAVE)
    work = getattr(story, last.what)(last.number)
    n, expected = n_moments(story.weeks.uri, work), story.rows()
    assert n > 2
    for kill in range(n + 1):
        story.execute(BEGIN)
        story.happens(work, kill)
        assert story.rows() == expected


class InterruptedStore(MortalStore):
    """Before its n-th write others begin their work; who has to wait for a lock of this one's goes
    on afterwards.
    """

    others: tuple[threading.Thread, ...] = ()

    def at_the_moment(self) -> None:
        for one in self.others:
            one.start()
            one.join(0.2)


@pytest.mark.parametrize("moment", [0, 3, 6, 9])
def test_a_promotion_in_the_middle_of_backfills_that_overlap_leaves_one_champion_s_rows(
    story: Story, moment: int
) -> None:
    for part in (Part("scores", 1), Part("registers", 1)):
        part.happen(story, may_die=False)
    works = story.promotes(2), story.scores(4)
    with InterruptedStore.connect(story.weeks.uri) as store:
        store.n_left = moment
        store.others = tuple(threading.Thread(target=story.happens, args=(work,)) for work in works)
        story.scores(2)(store)
        for one in store.others:
            one.join(60)
    _one_champion(story)
    assert len(story.rows()["champions"]) == 3
    story.happens(story.scores(4))
    settled = story.rows()
    story.execute(UNSCORED)
    story.happens(story.scores(4))
    assert story.rows() == settled
