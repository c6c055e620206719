"""Run in a process of its own, with Airflow's environment: what the DAG files are, as one line of
JSON.

First which heavy modules the import of DAGs and plugins loads, then the DAGs as Airflow's own
loader reads them, what the DAGs of broken files raise, and what the bridge makes of our errors.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

HEAVY = {
    "keras",
    "tensorflow",
    "numpy",
    "pandas",
    "matplotlib",
    "onnxruntime",
    "onnx",
    "sklearn",
    "reportlab",
    "pyarrow",
}


def loaded() -> dict[str, Any]:
    """Heavy modules after importing all DAG files and all plugins, beside those that Airflow alone
    loads.
    """
    import airflow.sdk  # noqa: F401

    before = HEAVY & set(sys.modules)
    runpy.run_path(str(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / "tsad_dags.py"))
    for plugin in sorted(Path(os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"]).glob("*.py")):
        __import__(plugin.stem)
    return {"airflow": sorted(before), "ours": sorted(HEAVY & set(sys.modules))}


def report() -> dict[str, Any]:
    """Everything that the tests ask for."""
    heavy = loaded()
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    found = {dag_id: described(dag) for dag_id, dag in bag.dags.items()}
    public = {dag_id: public_of(dag) for dag_id, dag in bag.dags.items()}
    errors = list(bag.import_errors.values())
    tasks = ["asked.score ingest", "asked.report drift", "tsad.maintain asked", "hall.config_error"]
    tasks += ["pump_house__s_d_.config_error", "other.score ingest"]
    return {
        "heavy": heavy,
        "import_errors": errors,
        "dags": found,
        "public": public,
        "bridge": bridge(),
        "ends": ends(bag),
        "own": {one: made_for(*one.split()) for one in tasks},
        "slow": made_with_a_slow_file("hall"),
    }


def made_for(dag_id: str, task_id: str = "explain") -> list[str]:
    """The DAGs that the process of one task makes."""
    from airflow.sdk.definitions.context import (
        _AIRFLOW_PARSING_CONTEXT_DAG_ID,
        _AIRFLOW_PARSING_CONTEXT_TASK_ID,
    )

    context = {
        _AIRFLOW_PARSING_CONTEXT_DAG_ID: dag_id,
        _AIRFLOW_PARSING_CONTEXT_TASK_ID: task_id,
    }
    with patch.dict(os.environ, context):
        return made()


def made() -> list[str]:
    """The DAGs that the DAG file makes."""
    found = runpy.run_path(str(Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / "tsad_dags.py"))
    return sorted({one.dag_id for one in found.values() if isinstance(one, found["DAG"])})


def made_with_a_slow_file(stem: str) -> list[str]:
    """The DAGs that are made when the reading of one file does not end."""
    from tsad_tasks import config
    from tsad_tasks.base import cpu_limit

    def read(path: Path) -> Any:
        while path.stem == stem:
            pass
        return named_config(path)

    def at_once(_seconds: float, error: Exception) -> Any:
        return limit(0.2, error)

    named_config, limit = config.named_config, cpu_limit.cpu_limit
    with patch.object(config, "named_config", read), patch.object(cpu_limit, "cpu_limit", at_once):
        return made()


def described(dag: Any) -> dict[str, Any]:
    """What a policy looks at."""
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    tasks = [
        {
            "id": one.task_id,
            "owner": one.owner,
            "retries": one.retries,
            "delay_s": one.retry_delay.total_seconds(),
            "longest": one.execution_timeout and one.execution_timeout.total_seconds(),
        }
        | {
            "upstream": sorted(one.upstream_task_ids),
            "doc": one.doc_md or "",
            "rule": str(one.trigger_rule),
        }
        for one in dag.tasks
    ]
    if dag.timetable.can_be_scheduled:
        # Airflow does so at each import; the DAG file leaves it to this test.
        dag.params.validate()
    return {
        "tags": sorted(dag.tags),
        "doc": dag.doc_md or "",
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "interval": interval(timetable, datetime(2026, 3, 5, 10, 0, tzinfo=UTC)),
        "periodic": timetable.periodic,
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
        "paused": dag.is_paused_upon_creation,
        "tasks": tasks,
    }


def public_of(dag: Any) -> dict[str, Any]:
    """What people, their runs and their XComs hold on to."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    forms = {
        name: one.schema
        | {"description": one.description}
        | ({"default": one.value} if one.has_value else {})
        for name, one in params.items()
    }
    tasks = {
        one.task_id: [
            str(one.trigger_rule).rsplit(".", 1)[-1].lower(),
            *sorted(one.upstream_task_ids),
        ]
        for one in dag.tasks
    }
    return {
        "schedule": str(getattr(dag.timetable, "expression", None)),
        "max_active_runs": dag.max_active_runs,
        "params": forms,
        "tasks": tasks,
    }


def interval(timetable: Any, at: datetime) -> list[str]:
    """The first data interval that starts at a moment or later; none where only people start
    runs.
    """
    from airflow.timetables.base import TimeRestriction
    from pendulum import instance

    restriction = TimeRestriction(earliest=instance(at), latest=None, catchup=True)
    info = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    return [at.isoformat() for at in info.data_interval] if info else []


def ends(bag: Any) -> dict[str, str]:
    """How the one task of each DAG of a broken file ends."""
    broken = [dag for dag_id, dag in bag.dags.items() if dag_id.endswith(".config_error")]
    return {dag.dag_id: ending(dag.get_task("explain").python_callable) for dag in broken}


def ending(call: Callable[[], Any]) -> str:
    """Name and text of what a call raises."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {getattr(error, 'reschedule_date', error)}"
    return "nothing raised"


def bridge() -> dict[str, str]:
    """What Airflow gets to see of each family of errors, and of runs without an interval."""
    import psycopg2

    from tsad_bridge import airflow_errors
    from tsad_tasks.base import errors

    def raised(error: Exception) -> Callable[[], None]:
        def call() -> None:
            with airflow_errors():
                raise error

        return call

    families = (name for name in dir(errors) if isinstance(getattr(errors, name), type))
    ours = [
        getattr(errors, name)
        for name in sorted(families)
        if issubclass(getattr(errors, name), errors.TsadError)
    ]
    later = datetime(2026, 3, 5, 11, tzinfo=UTC)
    made = [
        family("said", timedelta(hours=2)) if family is errors.NotYet else family("said")
        for family in ours
    ]
    made += [psycopg2.OperationalError("said"), ValueError("said")]
    ended = {"asked_at": datetime.now(UTC).isoformat()}
    ended |= {type(error).__name__: ending(raised(error)) for error in made}
    ended["no interval"] = ending(lambda: run_of(None, None).span)
    ended["empty interval"] = ending(lambda: run_of(later, later).span)
    found = run_of(later - timedelta(hours=1), later)
    kinds = [type(at).__name__ for at in found.span.values()]
    ended["interval"] = f"{kinds} {found.start_at} {found.end_at} {found.is_backfill}"
    return ended


def run_of(start_at: datetime | None, end_at: datetime | None) -> Any:
    """What the bridge makes of a backfill's context, in Airflow's own times."""
    from types import SimpleNamespace

    import pendulum

    from tsad_bridge import task_run

    context = {
        "data_interval_start": start_at
        and pendulum.instance(start_at).in_timezone("Europe/Berlin"),
        "data_interval_end": end_at and pendulum.instance(end_at),
        "dag_run": SimpleNamespace(
            run_type="backfill", run_id="backfill__x", triggering_user_name=None
        ),
        "dag": SimpleNamespace(dag_id="room.score"),
        "params": {"lineage": "live"},
        "ti": SimpleNamespace(map_index=-1),
    }
    config: Any = SimpleNamespace()
    return task_run(config, {}, context)


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps(report()), file=answers)
