"""Many steps at once: no deadlock, nothing doubled, and afterwards the rows of a quiet run.

Usage: python benchmarks/concurrent_steps.py [--small] [--seconds 180]

Live hours, two backfills, retrainings, promotions and rollbacks, housekeeping, reports, people's
words and late rows, each over and over in a process of its own. Fails where the server counts a
deadlock, a step fails otherwise than it may (the champion changed meanwhile, a version that is not
there), does not end, or where, once all is quiet, the rows differ from what is computed afresh.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from lab.room import START_AT, WEEK, Room, asked, config_of, opened_house
from lab.rows import differences, doubled, seen
from lab.runs import DONE, Child, Outcome, Pipeline, preload

from devstack.postgres import ON_CALL
from tsad_tasks.base.errors import BadInput, NothingToDo, Unavailable
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import promote, roll_back
from tsad_tasks.pipeline.task import Task
from tsad_tasks.storage.store import Store

SCORED_FROM = START_AT + WEEK
HOURS = [SCORED_FROM + i * HOUR for i in range(36)]
END_AT = HOURS[-1] + HOUR
TRIES = 3
VERDICTS = ("confirmed", "false_alarm", "expected")
CLEARED = (
    *("attribution", "anomaly", "score_block", "fold_state", "incident", "ingest_hour"),
    *("reading_block", "unscored_hour"),
)
# What nobody computes afresh: decisions of people and of the moment, and who was told.
DECIDED = (
    *("models", "decisions", "history", "exclusions", "references", "drift", "audit", "alerts"),
    *("messages", "quality"),
)
# How long after its seconds a step may take to end.
LAST_STEP_S = 120


@dataclass(frozen=True)
class Worker:
    """Does one kind of step again and again, and counts how the steps ended."""

    room: Room
    rng: random.Random

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.room, attempt=tried)

    def live(self, number: int) -> None:
        """The next hour."""
        at = HOURS[number % len(HOURS)]
        self.pipeline.run("score", at, at + HOUR, f"live-{number}")

    def backfill(self, number: int) -> None:
        """A range somewhere, now and then read again."""
        at = self.rng.choice(HOURS)
        until = min(at + self.rng.choice([1, 6, 24]) * HOUR, END_AT)
        if self.rng.random() < 0.5:
            self.pipeline.run("score", at, until, f"{self._id()}-{number}", is_backfill=True)
        else:
            span = {"from": at.isoformat(), "to": until.isoformat()}
            form: dict[str, Any] = span | {"mode": "as_of", "version": None}
            self.pipeline.run("rescore", run_id=f"{self._id()}-{number}", **form)

    def retrain(self, number: int) -> None:
        """A challenger of another range and seed."""
        end_at = SCORED_FROM + self.rng.randrange(12) * HOUR
        seed = self.rng.randrange(10**6)
        self.pipeline.run("retrain", START_AT, end_at, f"{self._id()}-{number}", seed=seed)

    def decide(self, number: int) -> None:
        """What the promote DAG and a hasty person do."""
        chance = self.rng.random()
        if chance < 0.6:
            self.pipeline.run("promote", START_AT, self.rng.choice(HOURS), f"{number}")
            return
        with Store.open(self.room.uri()) as store:
            said: dict[str, Any] = {"by": "ada", "reason": "hasty"}
            if chance < 0.8:
                roll_back(store, self.room.config, **said)
            else:
                promote(store, self.room.config, self.rng.randrange(1, 6), **said)

    def maintain(self, number: int) -> None:
        """Housekeeping, which prunes bundles."""
        at = self.rng.choice(HOURS)
        self.pipeline.run("maintain", at - HOUR, at, f"{number}")

    def report(self, number: int) -> None:
        """Drift, audit, and a report."""
        self.pipeline.run("report", SCORED_FROM, self.rng.choice(HOURS[1:]), f"{number}")

    def word(self, _number: int) -> None:
        """A verdict, or a maintenance window that is taken back."""
        uri = self.room.uri(ON_CALL)
        incident = "SELECT incident_id FROM tsad.v_incident ORDER BY random() LIMIT 1"
        for (name,) in asked(uri, incident):
            # Rows of a range that is scored anew may be another incident's by now.
            with suppress(psycopg2.DataError):
                asked(uri, "SELECT tsad.set_verdict(%s, %s)", (name, self.rng.choice(VERDICTS)))
        window = "SELECT tsad.add_maintenance('room', %s, %s, 'cleaning')"
        (row,) = asked(uri, window, (self.rng.choice(HOURS), END_AT))
        asked(uri, "SELECT tsad.withdraw_maintenance(%s)", row)

    def late(self, _number: int) -> None:
        """Rows that change in the source."""
        at, change = self.rng.choice(HOURS), self.rng.choice([-5, 5])
        self.room.change(
            "UPDATE plant.room SET temperature = temperature + %s WHERE machine = %s "
            "AND at >= %s AND at < %s",
            *(change, f"m-{self.rng.randrange(3)}", at, at + HOUR),
        )
        time.sleep(0.3)

    def _id(self) -> str:
        return f"{os.getpid()}"


STEPS: tuple[tuple[str, Callable[[Worker, int], None]], ...] = (
    ("live hours", Worker.live),
    ("backfill", Worker.backfill),
    ("another backfill", Worker.backfill),
    ("retraining", Worker.retrain),
    ("decisions", Worker.decide),
    ("housekeeping", Worker.maintain),
    ("report", Worker.report),
    ("words", Worker.word),
    ("late rows", Worker.late),
)


def tried(_task: Task, work: Callable[[], Any]) -> Outcome:
    """The task in this process; what Airflow tries again is tried again, as often."""
    for _ in range(TRIES - 1):
        with suppress(Unavailable):
            return _ended(work)
    return _ended(work)


def _ended(work: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(DONE, work(), 0)
    except NothingToDo:
        return Outcome("skipped", None, 0)


def worked(room: Room, seed: int, step: Callable[[Worker, int], None], until_s: float) -> Any:
    """How the steps of a worker ended, and how often."""
    worker, ends, number = Worker(room, random.Random(seed)), Counter[str](), 0
    while time.time() < until_s:
        try:
            step(worker, number)
            ends["done"] += 1
        except (NothingToDo, BadInput, Unavailable) as error:
            ends[f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"] += 1
        number += 1
    return ends


def main() -> int:
    """A line for each worker; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=180)
    chosen = parser.parse_args()
    seconds = 5 if chosen.small else chosen.seconds
    preload()
    with opened_house() as house:
        config = config_of(shadow={"hours": 2, "min_windows": 5}, retention={"models": "1d"})
        room = house.room("room", config)
        Pipeline(room).run("retrain", START_AT, SCORED_FROM, "first")
        wrong, n_steps = at_once(room, time.time() + seconds)
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        wrong += [f"{n} deadlocks" for (n,) in room.rows(deadlocks) if n]
        wrong += [f"{one} doubled" for one in doubled(room)]
        wrong += afresh(room)
    print("\n".join(f"WRONG: {one}" for one in wrong))
    print(f"{n_steps:,} steps at once; {len(wrong)} differences")
    return int(bool(wrong))


def at_once(room: Room, until_s: float) -> tuple[list[str], int]:
    """What went wrong while all workers worked, and how many steps were done."""
    children = {
        name: Child(lambda seed=seed, step=step: worked(room, seed, step, until_s))  # type: ignore[misc]
        for seed, (name, step) in enumerate(STEPS)
    }
    wrong, n_steps = [], 0
    for name, child in children.items():
        try:
            outcome = child.outcome(until_s - time.time() + LAST_STEP_S + child.age_s)
        except TimeoutError as error:
            wrong.append(f"{name}: {error}")
            continue
        if outcome.state != DONE:
            wrong.append(f"{name}: {outcome.value}")
            continue
        n_steps += sum(outcome.value.values())
        print(f"{name:18}{outcome.value.pop('done', 0):6}", outcome.value or "", flush=True)
    return wrong, n_steps


def afresh(room: Room) -> list[str]:
    """How the rows differ, once all was scored again, from those of cleared tables."""

    def scored(run_id: str) -> Any:
        form: dict[str, Any] = {"from": START_AT.isoformat(), "to": END_AT.isoformat()}
        Pipeline(room).run("rescore", run_id=run_id, **form, mode="as_of", version=None)
        return seen(room, *DECIDED)

    settled = scored("settled")
    room.rows(f"TRUNCATE {', '.join(f'tsad.{table}' for table in CLEARED)} CASCADE")
    again = scored("again")
    print(f"{sum(rows.total() for rows in again.values()):,} rows compared")
    return differences(again, settled)


if __name__ == "__main__":
    sys.exit(main())
