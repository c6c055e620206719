"""Kills at any moment change nothing: the real tasks die and are run again, and the rows are those
of an undisturbed run, to the bit.

Usage: python benchmarks/kills.py [--small] [--kills 1000] [--seed 7]

Two rooms live through the same: a training, hours that are scored, a second training, its shadow
and promotion, late rows, overlapping backfills at the same time, a report and housekeeping. In one
of them each task, a process as in Airflow, is disturbed and tried again: killed (SIGKILL) at a
random moment, before and after each of its commits; its sessions are ended; its server process is
killed, so that the server recovers; the server is stopped at once (what `pg_ctl stop -m immediate`
does) and started again; the disk that its files lie on is full (where nothing may be mounted, they
cannot grow instead). Fails where a row differs, a
message is lost or has another key, a file that people read is half there, a task fails for good, or
one does not run that runs without disturbance.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, count, cycle
from pathlib import Path
from typing import Any

import psycopg2
from lab.disk import Disk, tmpfs
from lab.room import START_AT, WEEK, House, Room, asked, config_of, opened_house
from lab.rows import Rows, differences, doubled, seen
from lab.runs import (
    DONE,
    FAILED,
    KILLED,
    RETRY,
    SKIPPED,
    Attempt,
    Child,
    Failed,
    Outcome,
    Pipeline,
    preload,
)

from devstack import postgres
from tsad_tasks.base.errors import Unavailable
from tsad_tasks.base.interval import HOUR
from tsad_tasks.pipeline.task import Task
from tsad_tasks.storage.store import Store

SCORED_FROM = START_AT + WEEK
DETECTORS: list[dict[str, Any]] = [
    {"detector": {"name": "three_sigma"}},
    {"detector": {"name": "event_head"}, "threshold": {"kind": "ranked"}},
    {"detector": {"name": "isolation_forest", "window": 6}},
]
PATIENCE_S, MOST_TRIES = 0.3, 60
# On a busy machine a server whose process was killed recovers for half a minute.
RECOVERY_S = 180.0
AT_RANDOM = "killed at a random moment"
BEFORE_COMMIT, AFTER_COMMIT = "killed before a commit", "killed after a commit"
SESSIONS_ENDED = "sessions ended"
BACKEND_KILLED, SERVER_STOPPED = "server process killed", "server stopped at once"
DISK_FULL = "disk full"
DISK_BYTES = 512 << 20
# How often, of a hundred.
WEIGHTS = {
    AT_RANDOM: 45, BEFORE_COMMIT: 17, AFTER_COMMIT: 17, SESSIONS_ENDED: 8, BACKEND_KILLED: 3,
    SERVER_STOPPED: 3, DISK_FULL: 7,
}  # fmt: skip
CHEAP = AT_RANDOM, AFTER_COMMIT, DISK_FULL


@dataclass(frozen=True)
class Size:
    """How much is lived through, and how often it is disturbed.

    Attributes
    ----------
    n_hours : that are scored one after the other.
    n_backfills : that run at the same time.
    n_most : times that a task is disturbed, at most.
    thorough : DAGs whose tasks are, in their first run, killed before every one of their commits.
    """

    n_hours: int
    n_backfills: int
    n_most: int
    thorough: tuple[str, ...]


SMALL = Size(1, 0, 1, ("score",))
WHOLE = Size(18, 3, 3, ("score", "retrain", "promote", "report", "rescore", "maintain"))


@dataclass
class Disturber:
    """Disturbs the attempts of a task, and tries again until it succeeds.

    Attributes
    ----------
    seconds : how long each task takes when it is left alone.
    disk : that the room's files lie on.
    """

    house: House
    room: Room
    rng: random.Random
    size: Size
    seconds: dict[str, list[float]]
    disk: Disk | None
    kills: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    halves: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    in_turn: Iterator[str] = field(default_factory=lambda: chain(WEIGHTS, cycle(CHEAP)))

    def __call__(self, task: Task, work: Callable[[], Any]) -> Outcome:
        """How the task ended at last."""
        name = f"{task.dag} {task.name}"
        if task.dag in self.size.thorough and name not in self.known:
            self.known.add(name)
            ways = ((BEFORE_COMMIT, n) for n in count(1))
        else:
            n_times = self.rng.randint(0, self.size.n_most)
            chosen = self.rng.choices([*WEIGHTS], [*WEIGHTS.values()], k=n_times)
            if self.size == SMALL:
                # Each of them, few as the tasks are; the server recovers for seconds.
                chosen = [next(self.in_turn)]
            ways = ((way, self.rng.randint(1, 3)) for way in chosen)
        disturbed = False
        for _ in range(MOST_TRIES):
            way, number = next(ways, (None, 0))
            outcome = self._attempt(work, name, way, number)
            if outcome.state in (DONE, SKIPPED):
                self.recoveries_s += [outcome.seconds] if disturbed else []
                return outcome
            disturbed = True
            if outcome.state == FAILED:
                return outcome
            self._look_at_files()
            if outcome.state == RETRY:
                self.errors[f"{name}: {outcome.value.splitlines()[0][:150]}"] += 1
                time.sleep(PATIENCE_S)
                recovered(self.house)
        return outcome

    def _attempt(self, work: Callable[[], Any], name: str, way: str | None, number: int) -> Outcome:
        """One attempt, disturbed in a way at a moment (or at its `number`-th commit)."""
        if way in (BEFORE_COMMIT, AFTER_COMMIT):
            before = way == BEFORE_COMMIT
            outcome = Child(work, lambda: dies_at_commit(number, before=before)).outcome()
            self.kills[way] += outcome.state == KILLED
            return outcome
        if way == DISK_FULL:
            n_bytes = self.rng.choice([0, 100, 1000, 10_000])
            if self.disk is None:
                outcome = Child(work, lambda: has_full_disk(n_bytes)).outcome()
            else:
                with self.disk.full(n_bytes):
                    outcome = Child(work).outcome()
            self.kills[way] += outcome.state == RETRY
            return outcome
        usual_s = statistics.mean(self.seconds.get(name, [0.3])[-5:])
        due = [] if way is None else [self.rng.random() * usual_s]

        def disturb(child: Child) -> None:
            if due and child.age_s > due[0]:
                due.clear()
                self.kills[str(way)] += self._strike(str(way), child)

        return Child(work).outcome(while_running=disturb)

    def _strike(self, way: str, child: Child) -> bool:
        """Whether something was there to be struck."""
        if way == AT_RANDOM:
            os.kill(child.pid, signal.SIGKILL)
            return True
        if way == SERVER_STOPPED:
            return restarted(self.house)
        with suppress(psycopg2.Error, ProcessLookupError, Unavailable):
            return bool(
                ended_sessions(self.room, self.rng)
                if way == SESSIONS_ENDED
                else killed_backend(self.room)
            )
        return False

    def _look_at_files(self) -> None:
        """Counts files that are half there, of those that others than the next attempt read."""
        for path in self.room.artifacts.rglob("*.pdf"):
            with suppress(FileNotFoundError):
                if b"%%EOF" not in path.read_bytes()[-32:]:
                    self.halves[path.name] += 1


def dies_at_commit(number: int, *, before: bool) -> None:
    """Lets this process kill itself right before, or right after, its n-th commit."""
    whole, left = Store.transaction, count(1)

    @contextmanager
    def transaction(store: Store) -> Iterator[None]:
        mine = next(left) == number
        with whole(store):
            yield
            if mine and before:
                os.kill(os.getpid(), signal.SIGKILL)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.transaction = transaction  # type: ignore[method-assign, assignment]


def has_full_disk(n_bytes: int) -> None:
    """Lets this process write no file past so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


def restarted(house: House) -> bool:
    """Stops the server as `pg_ctl stop -m immediate` does, and starts it again."""
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid_file = house.cluster.data_folder / "postmaster.pid"
        os.kill(int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0]), signal.SIGQUIT)
        time.sleep(PATIENCE_S)
    postgres.ensure_running(house.folder / "postgres")
    return True


def recovered(house: House) -> None:
    """Waits until the server takes connections again."""
    ends_at = time.monotonic() + RECOVERY_S
    while postgres.running_cluster(house.folder / "postgres") is None:
        if time.monotonic() > ends_at:
            raise AssertionError(f"Expected a server that recovers within {RECOVERY_S:.0f} s.")
        time.sleep(PATIENCE_S)


def ended_sessions(room: Room, rng: random.Random) -> int:
    """How many sessions of the pipeline were ended, in its warehouse or in the source."""
    place = rng.choice(["warehouse", "plant"])
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND datname = %s"
    )
    name = f"{room.name}_{place}"
    return len(asked(room.uri(postgres.OWNER), statement, (postgres.PIPELINE, name)))


def killed_backend(room: Room) -> bool:
    """Whether the server process of one of the pipeline's sessions was killed."""
    statement = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND datname = %s LIMIT 1"
    where = postgres.PIPELINE, f"{room.name}_warehouse"
    for (pid,) in asked(room.uri(postgres.OWNER), statement, where):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


@dataclass
class Life:
    """What a room lives through, with the pipeline that does it."""

    pipeline: Pipeline
    size: Size

    def begin(self) -> None:
        """Trainings, live hours, shadow and promotion, then late rows."""
        run, hours = self.pipeline.run, self.size.n_hours
        run("retrain", START_AT, SCORED_FROM, "first")
        for i in range(hours):
            at = SCORED_FROM + i * HOUR
            run("score", at, at + HOUR, f"hour-{i}")
            if i == 2:
                run("retrain", START_AT, SCORED_FROM, "second", seed=77)
            if i % 4 == 3:
                run("promote", START_AT, at + HOUR, f"hour-{i}")
        self.pipeline.room.change(
            "UPDATE plant.room SET temperature = temperature + 20 WHERE machine = 'm-1' "
            "AND at >= %s AND at < %s",
            SCORED_FROM + HOUR,
            SCORED_FROM + 3 * HOUR,
        )

    def backfill(self, seed: int) -> None:
        """Ranges read and scored again, in an order of their own."""
        starts = [SCORED_FROM + i * HOUR for i in range(0, self.size.n_hours, 3)]
        for at in random.Random(seed).sample(starts, len(starts)):
            self._rescored(at, at + 6 * HOUR, f"{seed}-{at:%d%H}")
            span = at + HOUR, at + 4 * HOUR
            self.pipeline.run(
                "score", *span, f"back-{seed}-{at:%d%H}", is_backfill=True, notify=False
            )

    def end(self) -> None:
        """All of it scored once more, another live hour, a report, housekeeping."""
        end_at = SCORED_FROM + (self.size.n_hours + 1) * HOUR
        self._rescored(SCORED_FROM, end_at - HOUR, "all")
        self.pipeline.run("score", end_at - HOUR, end_at, "last")
        self.pipeline.run("report", SCORED_FROM, end_at, "week")
        self.pipeline.run("maintain", SCORED_FROM, end_at, "day")

    def _rescored(self, start_at: datetime, end_at: datetime, run_id: str) -> None:
        form: dict[str, Any] = {"from": start_at.isoformat(), "to": end_at.isoformat()}
        self.pipeline.run("rescore", run_id=run_id, **form, mode="as_of", version=None)


def main() -> int:
    """Rounds until there were enough kills; 1 where one left anything else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one hour of one detector, for CI")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=60, help="no new round after so many")
    asked_for = parser.parse_args()
    size, wanted = (SMALL, 1) if asked_for.small else (WHOLE, asked_for.kills)
    os.environ["OMP_NUM_THREADS"] = "1"
    preload()
    began, kills, wrong = time.monotonic(), Counter[str](), list[str]()
    with opened_house(durable=True) as house, taken_messages() as sink:
        for number in count():
            if kills.total() >= wanted or time.monotonic() - began > asked_for.minutes * 60:
                break
            found = Round(house, sink, size, number, asked_for.seed + number)
            wrong += found.wrong()
            kills += found.kills
    for way, n in kills.most_common():
        print(f"{way:28}{n:6,}")
    print(f"{kills.total():,} kills in {time.monotonic() - began:.0f} s; {len(wrong)} differences")
    return int(bool(wrong) or kills.total() < wanted)


@dataclass
class Round:
    """The same life twice: undisturbed, and with kills."""

    house: House
    sink: Sink
    size: Size
    number: int
    seed: int
    kills: Counter[str] = field(default_factory=Counter)

    def wrong(self) -> list[str]:
        """What the kills changed, after printing it."""
        variant = DETECTORS[self.number % len(DETECTORS)]
        target = {"webhook": "hook", "news": ["gate_failed", "shadow_failed", "promoted"]}
        config = config_of(
            **variant,
            shadow={"hours": 3, "min_windows": 5},
            notifications={"targets": [target], "max_age": "3000d"},
        )
        began, seconds = time.monotonic(), defaultdict[str, list[float]](list)

        def timed(task: Task, work: Callable[[], Any]) -> Outcome:
            outcome = Child(work).outcome()
            seconds[f"{task.dag} {task.name}"].append(outcome.seconds)
            return outcome

        quiet = self._room("quiet", config)
        life = self._life(quiet, timed)
        life.begin()
        for seed in range(self.size.n_backfills):
            life.backfill(seed)
        life.end()
        rows, states = seen(quiet), life.pipeline.states
        struck = self._room("struck", config)
        rng = random.Random(self.seed)
        with tmpfs(struck.artifacts, DISK_BYTES) as disk:
            disturber = Disturber(self.house, struck, rng, self.size, seconds, disk)
            life = self._life(struck, disturber)
            try:
                life.begin()
                self._at_once(life, disturber)
                life.end()
                wrong = self._compared(struck, rows, states, life)
            except (Failed, TimeoutError) as error:
                wrong = [str(error)]
        wrong += [f"half there after a kill: {name}" for name in disturber.halves]
        self.kills += disturber.kills
        recovered = disturber.recoveries_s or [0.0]
        print(
            f"round {self.number}, {config.detector.name}: {self.kills.total()} kills in "
            f"{time.monotonic() - began:.0f} s, {sum(map(Counter.total, rows.values())):,} rows "
            f"compared, {disturber.errors.total()} attempts failed; the next one after a kill "
            f"took {statistics.median(recovered):.2f} s (at most {max(recovered):.1f} s)",
            *(f"  {n} x {said}" for said, n in disturber.errors.most_common(5)),
            *(f"  WRONG: {one}" for one in wrong),
            sep="\n",
            flush=True,
        )
        self.house.leave(quiet)
        self.house.leave(struck)
        return wrong

    def _room(self, name: str, config: Any) -> Room:
        return self.house.room(f"{name}_{self.number}", config)

    def _life(self, room: Room, attempt: Attempt) -> Life:
        return Life(Pipeline(room, f"{self.sink.url}/{room.name}", attempt), self.size)

    def _at_once(self, life: Life, disturber: Disturber) -> None:
        """Backfills at the same time, each killed on its own."""

        def work(seed: int) -> Callable[[], Any]:
            def go() -> Any:
                disturber.rng.seed(self.seed * 100 + seed)
                for told in (disturber.kills, disturber.errors, disturber.halves):
                    told.clear()
                life.backfill(seed)
                return life.pipeline.states, disturber.kills, disturber.errors, disturber.halves

            return go

        children = [Child(work(seed)) for seed in range(self.size.n_backfills)]
        for child in children:
            outcome = child.outcome(3600)
            if outcome.state != DONE:
                raise Failed(f"A backfill: {outcome.value}")
            states, *counts = outcome.value
            life.pipeline.states.update(states)
            told = disturber.kills, disturber.errors, disturber.halves
            for own, found in zip(told, counts, strict=True):
                own.update(found)

    def _compared(self, struck: Room, rows: Rows, states: dict[str, str], life: Life) -> list[str]:
        wrong = differences(rows, seen(struck)) + [f"{one} doubled" for one in doubled(struck)]
        now = life.pipeline.states
        wrong += [f"{name} has not run" for name in states if name not in now]
        changed = {name: state for name, state in now.items() if state != states.get(name)}
        # Its work was done before it was killed, and nothing is left for the next attempt.
        done = [name for name in changed if (states.get(name), changed[name]) == (DONE, SKIPPED)]
        wrong += [f"{name}: {changed[name]}" for name in changed if name not in done]
        for name in done:
            print(f"  {name} was done, and skipped when it was tried again")
        wrong += self.sink.wrong(struck)
        locks = struck.rows(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE l.locktype = 'advisory' AND d.datname = current_database()"
        )
        return wrong + [f"{n} advisory locks are left" for (n,) in locks if n]


@dataclass(frozen=True)
class Sink:
    """A receiver of webhooks, which keeps what it was sent."""

    url: str
    path: Path

    def wrong(self, room: Room) -> list[str]:
        """What was lost on the way from the outbox, or came without being in it."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        received = Counter(key for name, key in map(json.loads, lines) if name == room.name)
        outbox = "SELECT key, delivered_at FROM tsad.notification WHERE bundled_into IS NULL"
        sent = dict(room.rows(outbox))
        lost = [key for key, at in sent.items() if at is None or key not in received]
        strange = set(received) - set(sent)
        print(f"  {len(sent)} messages, {received.total() - len(received)} sent twice with one key")
        return [f"{len(lost)} messages are lost"] * bool(lost) + [
            f"{len(strange)} messages have a key that is not in the outbox"
        ] * bool(strange)


@contextmanager
def taken_messages() -> Iterator[Sink]:
    """A receiver in a process of its own, which takes a few milliseconds for a message."""
    rng = random.Random(3)
    with tempfile.NamedTemporaryFile(prefix="tsad-bench-sink-") as kept:
        path = Path(kept.name)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                line = json.dumps([self.path.strip("/"), self.headers["Idempotency-Key"]])
                with path.open("a", encoding="utf-8") as stream:
                    stream.write(line + "\n")
                time.sleep(rng.random() * 0.03)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        child = Child(server.serve_forever)
        server.socket.close()
        try:
            yield Sink(f"http://127.0.0.1:{server.server_port}", path)
        finally:
            os.kill(child.pid, signal.SIGTERM)
            os.waitpid(child.pid, 0)


if __name__ == "__main__":
    sys.exit(main())
