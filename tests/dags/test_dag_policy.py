"""The DAGs as Airflow reads them: the examples, a file with a mistake, and one that no DAG could be
named after.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.environment import Places, airflow_environment, ensure_secrets
from devstack.postgres import ROLES, Cluster
from tsad_tasks.base.enums import Verdict
from tsad_tasks.base.places import project_folder
from tsad_tasks.config import dataset_paths

EXAMPLES = sorted(path.stem for path in dataset_paths())
KINDS = ("score", "retrain", "promote", "report")
BY_HAND = ("verdict", "rescore", "champion")
# Every task that a dataset may ask for is in the DAGs of one that asks for all.
ASKS: dict[str, dict[str, Any]] = {
    "shadow": {"approve": "manual"},
    "training": {"preview": "manual"},
    "drift": {"retrain_above": 0.5},
}
Dag = dict[str, Any]


@pytest.fixture(scope="module")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, one with an approval, a file with a mistake, an impossible name, and a second
    one of a dataset.
    """
    folder = tmp_path_factory.mktemp("datasets")
    for path in dataset_paths():
        shutil.copy(path, folder)
    fields = yaml.safe_load((folder / f"{EXAMPLES[0]}.yaml").read_text(encoding="utf-8"))
    for section, asks in ASKS.items():
        fields[section] = fields.get(section, {}) | asks
    fields |= {"dataset": "asked", "description": "<b>x</b>\n[a](http://x.example)"}
    folder.joinpath("asked.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    folder.joinpath("hall.yaml").write_text("dataset: hall\nsource: 5\n", encoding="utf-8")
    folder.joinpath("pump house (süd).yaml").write_text("dataset: hall\n", encoding="utf-8")
    # Two more that only differ in letters which no DAG's name may have.
    for name in ("pump house [süd].yaml", "pump house (\udcfcd).yaml"):
        folder.joinpath(name).write_text("source: 5\n", encoding="utf-8")
    os.mkfifo(folder / "pipe.yaml")
    shutil.copy(folder / f"{EXAMPLES[0]}.yaml", folder / f"{EXAMPLES[0]}.yml")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, dataset_folder: Path) -> dict[str, str]:
    """Airflow's environment, of a stack whose server nobody has to start for this."""
    home = tmp_path_factory.mktemp("home")
    places, (kept, _) = Places.of(project_folder(), home), ensure_secrets(home)
    nobody = Cluster(home, home, 9, dict.fromkeys(ROLES, "unused"))
    return airflow_environment(places, kept, nobody, os.environ) | {
        "TSAD_DATASETS": str(dataset_folder)
    }


@pytest.fixture(scope="module")
def report(environment: dict[str, str]) -> dict[str, Any]:
    program = Path(__file__).with_name("dag_report.py")
    run = subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-4000:]
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


@pytest.fixture(scope="module")
def dags(report: dict[str, Any]) -> dict[str, Dag]:
    """The DAGs that work: without those of broken files."""
    found: dict[str, Dag] = report["dags"]
    return {dag_id: dag for dag_id, dag in found.items() if not dag_id.endswith(".config_error")}


def test_no_file_has_an_import_error(report: dict[str, Any]) -> None:
    assert report["import_errors"] == []


def test_each_dataset_has_its_dags_and_there_is_one_of_maintenance(dags: dict[str, Dag]) -> None:
    assert sorted(dags) == sorted(
        [f"{name}.{kind}" for name in [*EXAMPLES, "asked"] for kind in (*KINDS, *BY_HAND)]
        + ["tsad.maintain"]
    )


def test_no_id_form_schedule_order_or_trigger_rule_was_lost(report: dict[str, Any]) -> None:
    known = json.loads(Path(__file__).with_name("public_dags.json").read_text(encoding="utf-8"))
    found = {name: report["public"].get(name) for name in known}
    assert found == known


def test_a_file_that_cannot_be_used_is_a_dag_that_fails_with_the_reason(
    report: dict[str, Any], dataset_folder: Path
) -> None:
    assert sorted(report["ends"]) == sorted(
        [
            "hall.config_error",
            "pipe.config_error",
            "pump_house__s_d_.config_error",
            "pump_house___d_.config_error",
            f"{EXAMPLES[0]}.config_error",
        ]
    )
    place = dataset_folder / "hall.yaml"
    assert report["ends"]["hall.config_error"] == (
        f"AirflowFailException: {place}:2: source: Expected a mapping. Received: 5."
    )
    assert "Received: a pipe, socket or device." in report["ends"]["pipe.config_error"]
    assert report["ends"]["pump_house__s_d_.config_error"].count("source: Expected") == 2
    assert "Expected one file per dataset." in report["ends"][f"{EXAMPLES[0]}.config_error"]


def test_a_file_that_takes_too_long_is_a_broken_one_and_the_others_keep_their_dags(
    report: dict[str, Any],
) -> None:
    assert report["slow"] == sorted(report["dags"])
    assert "hall.config_error" in report["slow"]


@pytest.mark.parametrize(
    ("task", "made"),
    [
        ("asked.score ingest", [f"asked.{kind}" for kind in (*KINDS, *BY_HAND)]),
        ("asked.report drift", [f"asked.{kind}" for kind in (*KINDS, *BY_HAND)]),
        ("tsad.maintain asked", [f"asked.{kind}" for kind in (*KINDS, *BY_HAND)]),
        ("hall.config_error", ["hall.config_error"]),
        ("pump_house__s_d_.config_error", ["pump_house__s_d_.config_error"]),
    ],
)
def test_a_task_s_process_makes_the_dags_of_its_own_dataset_alone(
    report: dict[str, Any], task: str, made: list[str]
) -> None:
    assert report["own"][task] == sorted([*made, "tsad.maintain"])


def test_a_task_of_a_dataset_that_no_file_has_sees_all(report: dict[str, Any]) -> None:
    assert report["own"]["other.score ingest"] == sorted(report["dags"])


def test_a_broken_file_shows_itself_without_anybody_s_help(report: dict[str, Any]) -> None:
    dag = report["dags"]["hall.config_error"]
    assert (dag["paused"], dag["catchup"], dag["max_active_runs"]) == (False, False, 1)
    assert [task["retries"] for task in dag["tasks"]] == [0]
    assert "source: Expected a mapping. Received: 5." in dag["doc"]
    assert "config_error" in dag["tags"]


def test_a_description_is_text(dags: dict[str, Dag]) -> None:
    assert "\n`<b>x</b> [a](http://x.example)`\n" in dags["asked.score"]["doc"]


def test_every_dag_says_what_it_is_and_whose(dags: dict[str, Dag]) -> None:
    for dag_id, dag in dags.items():
        dataset, kind = dag_id.split(".")
        assert {"tsad", dataset, kind} == set(dag["tags"])
        assert len(dag["doc"]) > 100
        assert {task["owner"] for task in dag["tasks"]} == {"tsad"}


def test_every_task_is_tried_again_after_a_while(dags: dict[str, Dag]) -> None:
    tasks = [task for dag in dags.values() for task in dag["tasks"]]
    assert {(task["retries"], task["delay_s"]) for task in tasks} == {(2, 30.0)}


def test_no_task_of_ours_lasts_for_ever_and_none_is_cut_short(dags: dict[str, Dag]) -> None:
    """Forms wait for people, and have a time of their own for that."""
    people = {"approve", "is_ready"}
    tasks = [task for dag in dags.values() for task in dag["tasks"] if task["id"] not in people]
    assert {task["longest"] for task in tasks if task["id"] != "retrain"} == {24 * 3600.0}


def test_nothing_catches_up_by_itself_and_only_scoring_runs_beside_itself(
    dags: dict[str, Dag],
) -> None:
    assert {dag["catchup"] for dag in dags.values()} == {False}
    automatic = {dag_id: dag for dag_id, dag in dags.items() if not dag_id.startswith("asked.")}
    assert {dag_id.split(".")[1]: dag["max_active_runs"] for dag_id, dag in automatic.items()} == {
        "score": 4,
        "retrain": 1,
        "report": 1,
        "promote": 1,
        "verdict": 4,
        "rescore": 1,
        "champion": 1,
        "maintain": 1,
    }


def test_a_form_that_waits_for_a_person_does_not_hold_back_later_comparisons(
    dags: dict[str, Dag],
) -> None:
    dag = dags["asked.promote"]
    assert dag["max_active_runs"] == 32
    upstream = {task["id"]: task["upstream"] for task in dag["tasks"]}
    assert upstream["is_ready"] == ["compare"]
    assert upstream["approve"] == ["is_ready"]


def test_scoring_has_intervals_of_an_hour_and_all_can_be_backfilled(dags: dict[str, Dag]) -> None:
    for name in EXAMPLES:
        assert dags[f"{name}.score"]["interval"] == [
            "2026-03-05T10:00:00+00:00",
            "2026-03-05T11:00:00+00:00",
        ]
    assert {dag_id.split(".")[1] for dag_id, dag in dags.items() if not dag["periodic"]} == {
        *BY_HAND
    }


def test_a_run_of_retraining_is_a_day_that_ends_when_it_runs(dags: dict[str, Dag]) -> None:
    start_at, end_at = map(datetime.fromisoformat, dags["server_room.retrain"]["interval"])
    assert (end_at - start_at, end_at.hour) == (timedelta(days=1), 3)


def test_the_tasks_of_scoring_follow_one_another(dags: dict[str, Dag]) -> None:
    after = {task["id"]: task["upstream"] for task in dags["server_room.score"]["tasks"]}
    assert after == {
        "ingest": [],
        "features": ["ingest"],
        "windows": ["features"],
        "score": ["windows"],
        "incidents": ["score"],
        "notify": ["incidents"],
    }
    assert all(task["doc"] for task in dags["server_room.score"]["tasks"])


def test_a_retraining_is_a_chain_of_ten_tasks_that_tells_of_itself(dags: dict[str, Dag]) -> None:
    every = dags["server_room.retrain"]["tasks"]
    tasks = [task for task in every if task["id"] not in ("notify", "champion")]
    names = ["ingest_history", "exclusions", "features", "windows", "train"]
    names += ["calibrate", "gate", "register", "fallback", "evaluate"]
    assert [task["id"] for task in tasks] == names
    # The challenger's PDF waits for no model that stands in.
    upstream = [[], *([name] for name in names[:-2]), ["register"]]
    assert [task["upstream"] for task in tasks] == upstream
    assert dags["server_room.retrain"]["params"]["end"]["type"] == ["null", "string"]
    # Without a champion nothing is scored: the run is red, and its PDF is there.
    assert {task["id"]: task["upstream"] for task in every}["champion"] == ["fallback"]
    (told,) = [task for task in every if task["id"] == "notify"]
    assert (told["upstream"], told["rule"], bool(told["doc"])) == (
        ["fallback"],
        "TriggerRule.ALL_DONE",
        True,
    )


def test_a_promotion_tells_of_itself_and_hides_no_failure(dags: dict[str, Dag]) -> None:
    found = {}
    for name in ("server_room", "asked"):
        (found[name],) = [
            task for task in dags[f"{name}.promote"]["tasks"] if task["id"] == "notify"
        ]
    assert {name: task["upstream"] for name, task in found.items()} == {
        "server_room": ["promote"],
        "asked": ["decline"],
    }
    assert {task["rule"] for task in found.values()} == {"TriggerRule.NONE_FAILED"}


def test_a_lineage_is_chosen_from_a_form(dags: dict[str, Dag]) -> None:
    for kind in KINDS:
        assert dags[f"server_room.{kind}"]["params"]["lineage"]["enum"] == ["live", "replay"]


def test_a_verdict_is_said_on_a_form_that_runs_by_hand_only(dags: dict[str, Dag]) -> None:
    dag = dags["server_room.verdict"]
    assert dag["interval"] == []
    assert dag["params"]["verdict"]["enum"] == list(Verdict)
    assert dag["params"]["incident"]["minLength"] == 1


def test_importing_dags_and_plugins_loads_nothing_heavy(report: dict[str, Any]) -> None:
    assert report["heavy"] == {"airflow": [], "ours": []}


def test_the_bridge_fails_skips_reschedules_or_lets_airflow_try_again(
    report: dict[str, Any],
) -> None:
    ended = report["bridge"]
    fails = ["AccessDenied", "BadInput", "BundleError", "ConfigError", "SourceError"]
    again = ["NoSpace", "OperationalError", "TsadError", "Unavailable", "ValueError"]
    assert {name: ended[name] for name in fails} == dict.fromkeys(
        fails, "AirflowFailException: said"
    )
    assert {name: ended[name] for name in again} == {name: f"{name}: said" for name in again}
    assert ended["NothingToDo"] == "AirflowSkipException: said"
    # So long from now on as the warehouse said, by the clock of Airflow.
    kind, _, wakes_at = ended["NotYet"].partition(": ")
    assert kind == "AirflowRescheduleException"
    away = datetime.fromisoformat(wakes_at) - datetime.fromisoformat(ended["asked_at"])
    assert timedelta(hours=2) <= away < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize("case", ["no interval", "empty interval"])
def test_a_run_without_an_interval_says_how_to_get_one(report: dict[str, Any], case: str) -> None:
    assert report["bridge"][case] == (
        "BadInput: Expected a run with a data interval. Received: none. Trigger it in the UI "
        "with a logical date, at which its interval ends, or start a backfill, there or by: "
        "airflow backfill create --dag-id room.score --from-date <start> --to-date <last start>. "
        "(airflow dags trigger takes the interval before now, whatever date it is given.)"
    )


def test_the_interval_of_a_run_comes_in_plain_utc(report: dict[str, Any]) -> None:
    assert report["bridge"]["interval"] == (
        "['datetime', 'datetime'] 2026-03-05 10:00:00+00:00 2026-03-05 11:00:00+00:00 True"
    )
