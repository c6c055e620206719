from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from devstack.environment import Places, Secrets, airflow_environment, ensure_secrets
from devstack.postgres import ROLES, Cluster

KEPT = Secrets("fernet", "jwt", "api", "password")
CLUSTER = Cluster(Path("db"), Path("db/rows"), 5432, dict.fromkeys(ROLES, "pw"))
PLACES = Places.of(Path("/project"), Path("/project/.tsad"))


def environment(
    inherited: dict[str, str], cluster: Cluster | None = CLUSTER, *, headless: bool = False
) -> dict[str, str]:
    return airflow_environment(PLACES, KEPT, cluster, inherited, api_port=8123, headless=headless)


def test_both_databases_are_the_embedded_servers_unless_something_else_is_said() -> None:
    made = environment({})
    assert made["TSAD_DATABASE_URI"] == "postgresql://tsad_pipeline:pw@127.0.0.1:5432/warehouse"
    assert made["TSAD_MIGRATE_URI"] == "postgresql://tsad_owner:pw@127.0.0.1:5432/warehouse"
    assert (
        made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        == "postgresql+psycopg2://airflow:pw@127.0.0.1:5432/airflow"
    )


def test_any_server_replaces_the_embedded_one() -> None:
    elsewhere = {
        "TSAD_DATABASE_URI": "postgresql://a@b/c",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://d@e/f",
    }
    made = environment(elsewhere, cluster=None)
    assert made["TSAD_DATABASE_URI"] == made["TSAD_MIGRATE_URI"] == "postgresql://a@b/c"
    assert made["AIRFLOW_CONN_TSAD_WAREHOUSE"] == "postgresql://a@b/c"
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://d@e/f"


def test_a_database_without_a_server_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expected a cluster for the database warehouse"):
        environment({}, cluster=None)


def test_headless_runs_keep_their_own_metadata() -> None:
    made = environment({}, headless=True)
    assert made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("/airflow_headless")
    assert made["TSAD_DATABASE_URI"] == environment({})["TSAD_DATABASE_URI"]


def test_connections_of_sources_and_unrelated_variables_pass_through() -> None:
    made = environment({"AIRFLOW_CONN_PLANT": "postgresql://plant", "LANG": "C"})
    assert (made["AIRFLOW_CONN_PLANT"], made["LANG"]) == ("postgresql://plant", "C")


def test_tasks_call_back_the_port_that_the_api_server_listens_on() -> None:
    made = environment({})
    assert made["AIRFLOW__API__PORT"] == "8123"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"


def test_the_python_path_has_each_folder_once_however_often_it_is_built() -> None:
    once = environment({"PYTHONPATH": "/elsewhere"})
    assert once["PYTHONPATH"] == "/project:/project/plugins:/elsewhere"
    assert environment(once)["PYTHONPATH"] == once["PYTHONPATH"]


def test_secrets_are_generated_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first, is_first_new = ensure_secrets(tmp_path)
    second, is_second_new = ensure_secrets(tmp_path)
    assert (is_first_new, is_second_new) == (True, False)
    assert first == second
    assert json.loads((tmp_path / "passwords.json").read_text(encoding="utf-8")) == {
        "admin": first.admin_password
    }
    modes = {
        stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("secrets.json", "passwords.json")
    }
    assert modes == {0o600}


def test_secrets_do_not_show_in_a_repr() -> None:
    assert "password" not in repr(KEPT).replace("admin_password", "")
    assert "pw" not in repr(CLUSTER)
