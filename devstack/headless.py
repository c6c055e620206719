"""DAG runs in one Airflow process without scheduler, for commands, tests and benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from devstack.environment import Places
from tsad_tasks.base.errors import TsadError

MINUTE = timedelta(minutes=1)
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Headless:
    """An Airflow process that starts once and runs what it is handed, one job after the other."""

    child: subprocess.Popen[str]

    def runs(
        self,
        dag_ids: Sequence[str],
        start_at: datetime,
        end_at: datetime,
        step: timedelta,
        conf: Mapping[str, Any] | None = None,
        *,
        scheduled: bool = False,
        backfill: bool = False,
    ) -> Iterator[Outcome]:
        """What became of each run, of each DAG over each step of the range, as Airflow says it.

        Parameters
        ----------
        scheduled, backfill : runs are as the scheduler or a backfill starts them, not as people do.

        Raises
        ------
        TsadError : after the last run, when one has failed, or the process ended.
        """
        job: dict[str, Any] = {
            "dag": [*dag_ids],
            "conf": conf or {},
            "step": f"{step // MINUTE}min",
            "scheduled": scheduled,
            "backfill": backfill,
        }
        job |= {"start": start_at.isoformat(), "end": end_at.isoformat()}
        assert self.child.stdin is not None
        print(json.dumps(job), file=self.child.stdin, flush=True)
        n_runs, failed = len(dag_ids) * ((end_at - start_at) // step), []
        for outcome in self._answers(n_runs):
            failed += [outcome] if outcome["state"] != "success" else []
            yield outcome
        if failed:
            named = {f"{one['dag_id']}: {task}" for one in failed for task in one["failed_tasks"]}
            received = f"{len(failed)} failed ({', '.join(sorted(named))})"
            raise TsadError(f"Expected all {n_runs} runs to succeed. Received: {received}.")

    def _answers(self, n_runs: int) -> Iterator[Outcome]:
        assert self.child.stdout is not None
        for n_done in range(n_runs):
            line = self.child.stdout.readline()
            if not line:
                received = f"{n_done}, then Airflow's process ended"
                raise TsadError(f"Expected {n_runs} runs. Received: {received}.")
            yield json.loads(line)


@contextmanager
def headless(places: Places, environment: Mapping[str, str]) -> Iterator[Headless]:
    """An Airflow process that ends with the block; it logs to `logs/headless.log` in its home."""
    command = [sys.executable, str(places.plugins / "tsad_headless.py"), "--jobs"]
    env, pipe = dict(environment), subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as child:
        try:
            yield Headless(child)
        except BaseException:
            child.terminate()
            raise
