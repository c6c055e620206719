"""Runs a DAG over a range of intervals in one process, without scheduler or api-server.

`python plugins/tsad_headless.py --dag <dag_id> --start <ISO> --end <ISO> [--step 1h] [--reverse]
[--conf JSON] [--scheduled]`, or with `--jobs` and the same as lines of JSON on stdin, which spares
Airflow's start (15 s) for each but the first, in the environment of
`devstack.environment.airflow_environment(..., headless=True)`. For each interval one line of JSON
goes to stdout: dag_id, interval_start, interval_end, state, seconds, n_tasks, failed_tasks.
Airflow's own words go to the log file. Exit code: 0 all runs succeeded, 1 a run failed, 2 bad
arguments.

It takes the steps of Airflow's `DAG.test`, with two differences that a backfill needs: the data
interval is the one asked for (`DAG.test` infers the one *before* a logical date on the hour), and
the DAG files are read once, not again for every run. Airflow imports this file as it does all of
its plugins folder, so nothing heavy is imported on top.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.files import FILE_MODE, make_folder
from tsad_tasks.base.interval import Span, moment

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import DAG
    from sqlalchemy.orm import Session

UNIT_S = {"m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
POLL_S = 0.2


class BadArguments(BadInput):
    """The command line asks for something that cannot be run."""


class HeadlessJob(NamedTuple):
    """DAGs to be run over intervals `[start_at, end_at)`, in that order."""

    dag_ids: list[str]
    intervals: list[Span]
    conf: dict[str, Any]
    is_scheduled: bool = False
    is_backfill: bool = False


def step_of(text: str) -> timedelta:
    """The duration that `text` names.

    >>> step_of("1h"), step_of("15min")
    (datetime.timedelta(seconds=3600), datetime.timedelta(seconds=900))
    """
    match = re.fullmatch(r"(\d+)(m|min|h|d|w)", text)
    if match is None or int(match[1]) == 0:
        raise BadArguments(f"Expected --step such as 15min, 1h, 7d. Received: {text}.")
    return timedelta(seconds=int(match[1]) * UNIT_S[match[2]])


def intervals_between(start_at: datetime, end_at: datetime, step: timedelta) -> list[Span]:
    """The whole steps of `[start_at, end_at)`, oldest first.

    >>> start_at, end_at = moment("2024-05-01"), moment("2024-05-01T03:30")
    >>> [start.hour for start, _ in intervals_between(start_at, end_at, step_of("1h"))]
    [0, 1, 2]
    """
    n_steps = (end_at - start_at) // step
    if n_steps < 1:
        received = f"{start_at} to {end_at}"
        raise BadArguments(f"Expected --end at least one step after --start. Received: {received}.")
    return list(pairwise(start_at + k * step for k in range(n_steps + 1)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    chosen = _parser().parse_args(arguments)
    log = chosen.log or Path(os.environ.get("TSAD_HOME", ".tsad")) / "logs" / "headless.log"
    try:
        jobs: Iterable[HeadlessJob]
        if chosen.jobs:
            defaults = {
                "step": "1h",
                "reverse": False,
                "conf": {},
                "scheduled": False,
                "backfill": False,
            }
            jobs = (_job_of(defaults | _object_of(line)) for line in sys.stdin)
        else:
            jobs = [_job_of(vars(chosen) | {"conf": _object_of(chosen.conf)})]
        with _airflow_speaks_to(log) as answers:
            return _run_all(jobs, answers)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except (BrokenPipeError, KeyboardInterrupt):
        # Whoever asked is gone, or pressed Ctrl-C, and says so.
        return 130


def _job_of(wanted: Mapping[str, Any]) -> HeadlessJob:
    missing = [name for name in ("dag", "start", "end") if not wanted.get(name)]
    if missing:
        raise BadArguments(f"Expected dag, start and end. Received: no {' and no '.join(missing)}.")
    start_at, end_at = moment(wanted["start"]), moment(wanted["end"])
    intervals = intervals_between(start_at, end_at, step_of(wanted["step"]))
    order = -1 if wanted["reverse"] else 1
    kinds = (bool(wanted.get(name)) for name in ("scheduled", "backfill"))
    return HeadlessJob(wanted["dag"], intervals[::order], wanted["conf"], *kinds)


def _run_all(jobs: Iterable[HeadlessJob], answers: TextIO) -> int:
    from airflow import settings

    ensure_metadata()
    bag = _synced_bag()
    n_failed = 0
    try:
        for job in jobs:
            for dag, interval in product(_chosen_dags(bag, job.dag_ids), job.intervals):
                outcome = _timed_run(dag, interval, job)
                print(json.dumps(outcome), file=answers, flush=True)
                n_failed += outcome["state"] != "success"
    finally:
        settings.dispose_orm()
    return 1 if n_failed else 0


def _timed_run(dag: DAG, interval: Span, job: HeadlessJob) -> dict[str, Any]:
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    started_s = time.perf_counter()
    with create_session() as session:
        run = _created_run(dag, interval, job, session)
        while run.state == "running":
            session.expire_all()
            ready = _scheduled_instances(run, session)
            for one in ready:
                _run_task(ti=one, task=dag.task_dict[one.task_id], run_triggerer=True)
            if not ready and run.state == "running":
                # Nothing can start yet: a retry's delay is running.
                time.sleep(POLL_S)
        instances = run.get_task_instances(session=session)
        failed = [one for one in instances if one.state == "failed"]
        names = (f"[{one.map_index}]" if one.map_index >= 0 else "" for one in failed)
        return {
            "dag_id": dag.dag_id,
            "interval_start": interval[0].isoformat(),
            "interval_end": interval[1].isoformat(),
            "state": str(run.state),
            "seconds": round(time.perf_counter() - started_s, 3),
            "n_tasks": len(instances),
            "failed_tasks": sorted(
                f"{one.task_id}{n}" for one, n in zip(failed, names, strict=True)
            ),
        }


def _created_run(dag: DAG, interval: Span, job: HeadlessJob, session: Session) -> DagRun:
    """A new run of the interval, dated like a scheduled one, in the place of an earlier run."""
    from airflow.models.dagrun import DagRun, get_or_create_dagrun
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    start_at, end_at = interval
    at = {"logical_date": start_at, "run_after": start_at}
    run = get_or_create_dagrun(
        dag=DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)),
        run_id=DagRun.generate_run_id(run_type=DagRunType.MANUAL, **at),
        logical_date=start_at,
        data_interval=interval,
        run_after=end_at,
        start_date=datetime.now(UTC),
        conf=job.conf,
        triggered_by=DagRunTriggeredByType.TEST,
        triggering_user_name="tsad_headless",
        session=session,
    )
    if job.is_scheduled or job.is_backfill:
        run.run_type = DagRunType.SCHEDULED if job.is_scheduled else DagRunType.BACKFILL_JOB
        session.commit()
    return run


def _scheduled_instances(run: DagRun, session: Session) -> list[TaskInstance]:
    schedulable, _ = run.update_state(session=session)
    for instance in schedulable:
        instance.try_number += instance.state != "up_for_reschedule"
        instance.state = "scheduled"
        instance.scheduled_dttm = datetime.now(UTC)
    session.commit()
    ready = [one for one in run.get_task_instances(session=session) if one.state == "scheduled"]
    return sorted(ready, key=lambda one: (one.task_id, one.map_index))


def ensure_metadata() -> None:
    """Makes the tables of Airflow's metadata database, unless they are up to date."""
    from airflow import settings
    from airflow.utils import db

    with contextlib.suppress(TimeoutError):
        db.check_migrations(0)
        return
    db.initdb()
    settings.configure_orm()


def _synced_bag() -> BundleDagBag:
    """All DAGs, read once from the configured folder and written to the metadata database."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db

    bundles = DagBundlesManager()
    bundles.sync_bundles_to_db()
    (bundle,) = bundles.get_all_dag_bundles()
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(bag, bundle.name, bundle.version)
    return bag


def _chosen_dags(bag: BundleDagBag, dag_ids: list[str]) -> list[DAG]:
    for dag_id in dag_ids:
        if dag_id not in bag.dags:
            known = f"{', '.join(sorted(bag.dags)) or '(none)'} in {bag.dag_folder}"
            broken = " ".join(
                f"{path} failed: {trace.strip().splitlines()[-1]}"
                for path, trace in sorted(bag.import_errors.items())
            )
            raise BadArguments(f"Expected --dag to be one of {known}. Received: {dag_id}. {broken}")
    return [bag.dags[dag_id] for dag_id in dag_ids]


@contextlib.contextmanager
def _airflow_speaks_to(log: Path) -> Iterator[TextIO]:
    """Send all that is printed, by native libraries too, to `log`; yields the real stdout."""
    make_folder(log.parent)
    # Airflow writes its logs and settings: nobody else reads them.
    former_umask = os.umask(0o077)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    errors_fd = os.dup(2)
    log_fd = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, FILE_MODE)
    for fd in (1, 2):
        os.dup2(log_fd, fd)
    try:
        yield answers
    finally:
        os.umask(former_umask)
        sys.stderr.flush()
        os.dup2(errors_fd, 2)
        with contextlib.suppress(BrokenPipeError):
            answers.close()


def _object_of(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        received = f"{text.strip()} ({error})"
        raise BadArguments(f"Expected a JSON object. Received: {received}.") from error
    if not isinstance(found, dict):
        raise BadArguments(f"Expected a JSON object. Received: {text.strip()}.")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stdin = "read jobs from stdin: JSON lines with these names"
    parser.add_argument("--jobs", action="store_true", help=stdin)
    parser.add_argument("--dag", action="append", help="id of a DAG; may be given several times")
    parser.add_argument("--start", help="start of the first interval, ISO 8601")
    parser.add_argument("--end", help="end of the last interval, exclusive")
    parser.add_argument("--step", default="1h", help="length of an interval; default: %(default)s")
    parser.add_argument("--reverse", action="store_true", help="newest interval first")
    scheduled = "runs as the scheduler starts them, which make up what none came to"
    parser.add_argument("--scheduled", action="store_true", help=scheduled)
    parser.add_argument("--conf", default="{}", help="params of every run, as a JSON object")
    log = "where Airflow's own words go; default: $TSAD_HOME/logs/headless.log"
    parser.add_argument("--log", type=Path, help=log)
    return parser


if __name__ == "__main__":
    sys.exit(main())
