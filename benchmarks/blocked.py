"""No login that reads or gives verdicts stops the pipeline: what it may hold, take or leave open,
and how long scoring takes then.

Usage: python benchmarks/blocked.py [--small] [--only TEXT]

Each way is tried in a warehouse whose server bounds nobody (`tsad up` and compose bound people's
logins further). Sessions of a login do something and stay as they are; then housekeeping drops
months, the dataset gets a channel, and a new hour is scored by the real tasks, with the pipeline's
own patience. Fails where a task fails, or the hour is not scored within two minutes.
--small: far less patience, and ways of one kind at once; some kinds are left out.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Any

import psycopg2
from lab.room import CONFIG, SPARE, START_AT, WEEK, Room, config_of, opened_house
from lab.runs import DONE, Child, Outcome, Pipeline, preload
from psycopg2.extensions import connection as Connection

from devstack.postgres import BROWSER, ON_CALL, OWNER
from tsad_tasks.base.interval import HOUR
from tsad_tasks.pipeline.task import Task
from tsad_tasks.storage import waiting
from tsad_tasks.storage.migrate import advice

# Of the other kinds sessions are ended alike.
SMALL_KINDS = (
    *("reads", "locks", "shared locks", "queue", "behind a reader", "behind the owner"),
    "advised",
)
PERSONS = "a person's"
# More than the two seconds for which DDL waits, twice.
LIMIT_S, SMALL_PATIENCE_S = 120.0, 1.2
SCORED_FROM = START_AT + WEEK
# Hours that nobody disturbs, so that there is an incident.
N_SCORED = 40
# Somebody is told of incidents, of those of last spring too.
TOLD: dict[str, Any] = {
    "notifications": {"targets": [{"webhook": "hook"}], "max_age": "3000d"},
}
MODES = (
    *("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE"),
    *("SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"),
)
LOCKS = {
    "incidents": "SELECT pg_advisory_lock(hashtextextended('incidents live', 1))",
    "champions": "SELECT pg_advisory_lock(hashtextextended('champion', 1))",
    "alerts": "SELECT pg_advisory_lock(hashtextextended('alerts', 1))",
    "levels": "SELECT pg_advisory_lock(hashtextextended('levels', 1))",
    "hours": "SELECT pg_advisory_lock(1, h) FROM generate_series(490000, 495000) AS h",
    "months": "SELECT pg_advisory_lock(hashtext('tsad.partition'))",
    "the dataset's view": "SELECT pg_advisory_lock(hashtext('tsad.view'), 1)",
}
SHOOT = "SELECT {}(pid) FROM pg_stat_activity WHERE application_name = 'tsad'"
# Statements of owners, with the relation for which they are tried.
OWNERS = (
    *("CREATE INDEX ON {} (hour_at)", "REINDEX TABLE {}", "VACUUM {}", "TRUNCATE {}", "ANALYZE {}"),
    *("ALTER TABLE {} ADD COLUMN mine int", "DROP TABLE {}", "DELETE FROM {}", "CLUSTER {}"),
    *("SELECT FROM {} FOR UPDATE", "COMMENT ON TABLE {} IS 'mine'", "CREATE STATISTICS ON "
      "entity_id, hour_at FROM {}", "CREATE TEMP TABLE mine () INHERITS ({})"),
    "CREATE TRIGGER mine BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
)  # fmt: skip


class Visitors:
    """Sessions of people's logins that a way leaves as they are."""

    def __init__(self, room: Room) -> None:
        self.room = room
        # Opened before anybody can keep it from being opened.
        self._owner = psycopg2.connect(room.uri(OWNER))
        self._owner.autocommit = True
        self.sessions: list[Connection] = []
        self.refusals: list[str] = []
        self.is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def session(self, *statements: str, role: str = BROWSER) -> Connection:
        """A session that has run some statements in a transaction, which stays open."""
        connection = psycopg2.connect(self.room.uri(role), application_name=PERSONS)
        self.sessions.append(connection)
        for statement in statements:
            self._try(connection, statement)
        return connection

    def running(self, statement: str, *before: str, role: str = BROWSER) -> None:
        """A session in which a statement runs on."""
        connection = self.session(*before, role=role)
        self.beside(lambda: self._try(connection, statement))
        time.sleep(0.2)

    def beside(self, work: Callable[[], None]) -> None:
        """Something that goes on meanwhile."""
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _try(self, connection: Connection, statement: str) -> None:
        with connection.cursor() as cursor:
            try:
                cursor.execute("SAVEPOINT tried")
                cursor.execute(statement)
                cursor.execute("RELEASE tried")
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                self._refused(error)
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK TO tried")
            except psycopg2.Error as error:
                self._refused(error)
                cursor.execute("ROLLBACK TO tried")

    def _refused(self, error: psycopg2.Error) -> None:
        self.refusals.append(str(error).splitlines()[0])

    def _sweep(self) -> set[int]:
        """Ends all that are there, and gives their numbers."""
        with self._owner.cursor() as cursor:
            cursor.execute(
                "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = ANY(%s) OR application_name = %s",
                ([BROWSER, ON_CALL], PERSONS),
            )
            return {pid for pid, _ in cursor.fetchall()}

    def leave(self) -> int:
        """How many of the sessions the pipeline had ended, once all are closed."""
        self.is_over.set()
        left = self._sweep()
        n_ended = sum(one.info.backend_pid not in left for one in self.sessions)
        for thread in self._threads:
            thread.join(10)
        # One of them may have come back meanwhile.
        self._sweep()
        self._owner.close()
        for connection in self.sessions:
            with suppress(psycopg2.Error):
                connection.close()
        return n_ended


@dataclass(frozen=True)
class Way:
    """What a login does; ways of one kind can be gone at once."""

    name: str
    kind: str
    go: Callable[[Visitors], Any]


WAYS: list[Way] = []


def way(name: str, kind: str) -> Callable[[Callable[[Visitors], Any]], None]:
    """A decorator that declares a way."""

    def declared(go: Callable[[Visitors], Any]) -> None:
        WAYS.append(Way(name, kind, go))

    return declared


def reading(name: str, *statements: str) -> None:
    """A way that only reads, and leaves its transaction open."""
    way(name, "reads")(lambda visitors: visitors.session(*statements))


@way("open transaction, each public view read", "reads")
def _(visitors: Visitors) -> None:
    visitors.session(*(f"SELECT FROM {view} LIMIT 1" for view in relations(visitors.room, "v")))


@way("LOCK TABLE of everything, in all modes", "reads")
def _(visitors: Visitors) -> None:
    names = relations(visitors.room, "vrp")
    visitors.session(
        *(f"LOCK TABLE {name} IN {mode} MODE NOWAIT" for name in names for mode in MODES)
    )


reading("cursor held open", "DECLARE mine CURSOR FOR TABLE tsad.readings_room; FETCH 1 FROM mine")
reading(
    "snapshot as of pg_dump",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "LOCK TABLE tsad.readings_room, tsad.v_status, tsad.v_incident IN ACCESS SHARE MODE",
    "SELECT pg_export_snapshot()",
    "TABLE tsad.readings_room",
)
reading(
    "serializable transaction",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SELECT count(*) FROM tsad.readings_room",
    "SELECT count(*) FROM tsad.v_status",
)
reading(
    "temporary view and table that build on ours",
    "CREATE TEMP VIEW mine AS SELECT * FROM tsad.readings_room",
    "CREATE TEMP TABLE kept AS SELECT * FROM tsad.v_incident",
    "SELECT count(*) FROM mine",
)
reading(
    "LISTEN, and a queue of notices",
    "LISTEN mine",
    "SELECT pg_notify('mine', repeat('x', 7000)) FROM generate_series(1, 2000)",
)
reading(
    "prepared transaction",
    LOCKS["alerts"].replace("_lock", "_xact_lock"),
    "PREPARE TRANSACTION 'mine'",
)


@way("long statement", "reads")
def _(visitors: Visitors) -> None:
    visitors.running("SELECT count(*), pg_sleep(900) FROM tsad.v_status GROUP BY 2")


@way("COPY to a client that stands still", "reads")
def _(visitors: Visitors) -> None:
    _stalled_copy(visitors)


@way("statements of owners, each refused", "reads")
def _(visitors: Visitors) -> None:
    tables = ("tsad.reading_block", "tsad.score_block", "tsad.incident", "tsad.dataset")
    visitors.session(*(one.format(table) for table in tables for one in OWNERS))


@way("pg_cancel_backend and pg_terminate_backend", "reads")
def _(visitors: Visitors) -> None:
    def shoot() -> None:
        with closing(psycopg2.connect(visitors.room.uri(BROWSER))) as connection:
            connection.autocommit = True
            while not visitors.is_over.wait(0.05):
                for function in ("pg_cancel_backend", "pg_terminate_backend"):
                    with suppress(psycopg2.Error), connection.cursor() as cursor:
                        cursor.execute(SHOOT.format(function))

    visitors.beside(shoot)


@way("operator who does not commit", "reads")
def _(visitors: Visitors) -> None:
    (incident_id,) = visitors.room.rows("SELECT incident_id FROM tsad.v_incident LIMIT 1")[0]
    until = f"{SCORED_FROM + WEEK:%Y-%m-%d}"
    span = f"'{SCORED_FROM:%Y-%m-%d}', '{until}'"
    visitors.session(
        f"SELECT tsad.set_verdict('{incident_id}', 'confirmed')",
        f"SELECT tsad.withdraw_verdict('{incident_id}')",
        f"SELECT tsad.add_label('room', 'm-0', {span})",
        f"SELECT tsad.add_verdict('room', 'm-1', {span}, 'expected')",
        f"SELECT tsad.withdraw_maintenance(tsad.add_maintenance('room', {span}, 'cleaning'))",
        f"SELECT tsad.set_channel_epoch('room', 'm-2', 'load', '{until}', 'replaced', 'new')",
        role=ON_CALL,
    )


def holding(name: str, statement: str) -> None:
    """A way that takes one advisory lock of the pipeline, and keeps it."""
    way(f"advisory lock of {name}", "locks")(lambda visitors: visitors.session(statement).commit())


for name, statement in LOCKS.items():
    holding(name, statement)


@way("advisory locks, shared, by an operator", "shared locks")
def _(visitors: Visitors) -> None:
    shared = [one.replace("_lock(", "_lock_shared(") for one in LOCKS.values()]
    visitors.session(*shared, role=ON_CALL)


@way("advisory locks, each in a session that sleeps", "sleeping locks")
def _(visitors: Visitors) -> None:
    for one in LOCKS.values():
        visitors.running("SELECT pg_sleep(900)", one)


@way("advisory locks in a DO block that catches all", "catching locks")
def _(visitors: Visitors) -> None:
    takes = " ".join(one.replace("SELECT", "PERFORM", 1) + ";" for one in LOCKS.values())
    visitors.running(
        f"DO $$ BEGIN {takes} LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled OR "
        "OTHERS THEN NULL; END; END LOOP; END $$"
    )


@way("advisory locks in a COPY that stands still", "stalled locks")
def _(visitors: Visitors) -> None:
    _stalled_copy(visitors, *LOCKS.values())


@way("advisory lock that ten sessions queue for", "queue")
def _(visitors: Visitors) -> None:
    visitors.session(LOCKS["champions"]).commit()
    for _ in range(9):
        visitors.running(LOCKS["champions"])


@way("advisory locks, taken again when ended", "again")
def _(visitors: Visitors) -> None:
    def persist() -> None:
        while not visitors.is_over.is_set():
            with (
                suppress(psycopg2.Error),
                closing(psycopg2.connect(visitors.room.uri(BROWSER))) as mine,
            ):
                mine.autocommit = True
                with mine.cursor() as cursor:
                    for one in LOCKS.values():
                        cursor.execute(one)
                    cursor.execute("SELECT pg_sleep(900)")

    visitors.beside(persist)
    time.sleep(0.5)


@way("four statements that compute without end", "compute")
def _(visitors: Visitors) -> None:
    for _ in range(4):
        visitors.running(
            "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
        )


@way("rule that is refused, behind an open reader", "behind a reader")
def _(visitors: Visitors) -> None:
    visitors.session("SELECT FROM tsad.readings_room LIMIT 1")
    visitors.running("CREATE RULE mine AS ON INSERT TO tsad.reading_block DO NOTHING")


@way("rule that is refused, behind the owner's dump", "behind the owner")
def _(visitors: Visitors) -> None:
    visitors.session("SELECT FROM tsad.reading_block LIMIT 1", role=OWNER)
    visitors.running("CREATE RULE mine AS ON INSERT TO tsad.reading_block DO NOTHING")


@way("all the server's memory for locks, as advised", "advised")
def _(visitors: Visitors) -> None:
    _heed_advice(visitors.room)
    visitors.session(
        "SELECT pg_advisory_lock(7, n) FROM generate_series(1, 1000000) AS n"
    ).rollback()


@way("all the server's connections, as advised", "advised")
def _(visitors: Visitors) -> None:
    _heed_advice(visitors.room)
    with suppress(psycopg2.OperationalError):
        for _ in range(200):
            visitors.session("SELECT 1")


def _heed_advice(room: Room) -> None:
    """Runs what `tsad migrate` proposes: against these nothing else helps."""
    for statement in advice(room.uri(OWNER)):
        room.rows(statement)


def _stalled_copy(visitors: Visitors, *before: str) -> None:
    connection = visitors.session(*before)

    class Stalled(io.RawIOBase):
        def write(self, _content: Any) -> int:
            visitors.is_over.wait()
            raise OSError("The client is gone.")

    def copy() -> None:
        with suppress(psycopg2.Error, OSError), connection.cursor() as cursor:
            rows = "SELECT r.* FROM tsad.readings_room r, generate_series(1, 10000)"
            cursor.copy_expert(f"COPY ({rows}) TO STDOUT", Stalled())

    visitors.beside(copy)
    time.sleep(0.2)


def relations(room: Room, kinds: str) -> list[str]:
    """Relations of the schema, of kinds as `pg_class.relkind` has them."""
    statement = (
        "SELECT format('tsad.%%I', relname) FROM pg_class "
        "WHERE relnamespace = 'tsad'::regnamespace AND relkind = ANY(%s::char[]) ORDER BY 1"
    )
    return [name for (name,) in room.rows(statement, [*kinds])]


@dataclass(frozen=True)
class Found:
    """How scoring went: sessions that were ended, and seconds; what went wrong."""

    n_sessions: int
    n_ended: int
    n_refused: int
    scored_s: float
    kept_house_s: float
    wrong: str


@dataclass
class Trial:
    """One room in which all ways are tried, an hour for each."""

    room: Room
    in_one_process: bool
    n_tried: int = 0

    def found(self, ways: Iterable[Way]) -> Found:
        """What became of an hour in which some ways were gone."""
        self._something_to_drop()
        visitors = Visitors(self.room)
        for one in ways:
            one.go(visitors)
        room = replace(self.room, config=self._grown())
        pipeline = Pipeline(room, attempt=_here) if self.in_one_process else Pipeline(room)
        at = SCORED_FROM + (N_SCORED + self.n_tried) * HOUR
        works = (
            lambda: pipeline.run("maintain", at, at + HOUR, f"{at:%d%H}"),
            lambda: pipeline.run("score", at, at + HOUR, f"{at:%d%H}"),
        )
        kept_house, scored = [child.outcome(900) for child in [Child(work) for work in works]]
        n_sessions, n_ended = len(visitors.sessions), visitors.leave()
        statuses = self.room.rows(
            "SELECT DISTINCT status FROM tsad.v_status WHERE hour_at = %s", at
        )
        wrong = [one.value for one in (kept_house, scored) if one.state != DONE]
        if statuses != [("scored",)]:
            wrong.append(f"Expected an hour that is scored. Received: {statuses}.")
        if scored.seconds > LIMIT_S:
            wrong.append(f"Expected scores within {LIMIT_S:g} s.")
        self.n_tried += 1
        return Found(
            n_sessions,
            n_ended,
            len(visitors.refusals),
            scored.seconds,
            kept_house.seconds,
            " ".join(" ".join(wrong).split()),
        )

    def _something_to_drop(self) -> None:
        """A month that retention lets go."""
        month_at = START_AT - timedelta(days=31 * (1 + self.n_tried))
        for table in ("reading_block", "score_block"):
            self.room.rows(
                "SELECT tsad.ensure_partition(%s, %s)", table, month_at - timedelta(days=90)
            )

    def _grown(self) -> Any:
        """The dataset with a further channel, so that its view grows."""
        source = CONFIG["source"]
        new: dict[str, Any] = {name: {} for name in SPARE[: self.n_tried + 1]}
        channels = source["channels"] | new
        kept = {"readings": "30d", "scores": "30d"}
        return config_of(source=source | {"channels": channels}, retention=kept, **TOLD)


def _here(_task: Task, work: Callable[[], Any]) -> Outcome:
    return Outcome(DONE, work(), 0)


def main() -> int:
    """A table of ways; 1 where one stopped the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="", help="ways whose name has this text")
    chosen = parser.parse_args()
    ways = [one for one in WAYS if chosen.only in one.name]
    tried = [(one.name, [one]) for one in ways]
    if chosen.small:
        kinds = groupby(ways, lambda one: one.kind)
        tried = [(kind, [*group]) for kind, group in kinds if kind in SMALL_KINDS]
    preload()
    with opened_house() as house:
        room = house.room("room", config_of(**TOLD))
        # Not in a child: what it opens, it closes.
        for dag, at in (("retrain", SCORED_FROM), ("score", SCORED_FROM + N_SCORED * HOUR)):
            Pipeline(room).run(dag, SCORED_FROM if dag == "score" else START_AT, at, "first")
        if chosen.small:
            waiting.PATIENCE_S = SMALL_PATIENCE_S
        trial, wrong = Trial(room, chosen.small), 0
        print(f"patience {waiting.PATIENCE_S:g} s")
        print(f"{'':48}{'sessions':>9}{'ended':>7}{'scored, s':>11}{'months, s':>11}")
        for name, group in tried:
            found = trial.found(group)
            print(
                f"{name:48}{found.n_sessions:9}{found.n_ended:7}{found.scored_s:11.1f}"
                f"{found.kept_house_s:11.1f}",
                f"{'':8}WRONG: {found.wrong[:600]}" if found.wrong else "",
                flush=True,
            )
            wrong += bool(found.wrong)
    n_ways = sum(len(group) for _, group in tried)
    print(f"{n_ways} ways, {wrong} of {len(tried)} trials went wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
