from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml

from devstack.compose_secrets import PASSWORDS, write_compose_secrets
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.places import project_folder


def test_every_secret_is_random_and_the_file_private(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_compose_secrets(first)
    write_compose_secrets(second)
    lines = set(first.read_text(encoding="utf-8").splitlines())
    assert {line.split("=")[0] for line in lines} == {*PASSWORDS, "AIRFLOW_FERNET_KEY"}
    assert not lines & set(second.read_text(encoding="utf-8").splitlines())
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("KEPT=1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="Received: one"):
        write_compose_secrets(path)
    assert path.read_text(encoding="utf-8") == "KEPT=1\n"


METADATA, QUEUE, WAREHOUSE = {"AIRFLOW_DB_PASSWORD"}, {"REDIS_PASSWORD"}, {"TSAD_PIPELINE_PASSWORD"}
RESULTS, TOKENS, BUCKET = (
    {"AIRFLOW_RESULTS_PASSWORD"},
    {"AIRFLOW_JWT_SECRET"},
    {"AWS_SECRET_ACCESS_KEY"},
)
WORKER = QUEUE | RESULTS | WAREHOUSE | BUCKET
SEEN = {
    "api-server": METADATA
    | TOKENS
    | BUCKET
    | {"AIRFLOW_API_SECRET_KEY", "AIRFLOW_FERNET_KEY", "TSAD_ON_CALL_PASSWORD"},
    "dag-processor": METADATA,
    "migrate": METADATA | {"AIRFLOW_ADMIN_PASSWORD", "TSAD_OWNER_PASSWORD"},
    "postgres": {
        name for name in PASSWORDS if re.match("POSTGRES|TSAD|AIRFLOW_(DB|RESULTS)", name)
    },
    "redis": QUEUE,
    "scheduler": METADATA | QUEUE | RESULTS | TOKENS,
    "worker-1": WORKER,
    "worker-2": WORKER,
}
SERVICES = yaml.safe_load((project_folder() / "docker-compose.yml").read_text())["services"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sees_the_secrets_that_it_needs_and_no_others(service: str) -> None:
    """People's code runs on workers: what they see, whoever writes a dataset file may have."""
    environment = SERVICES[service]["environment"].items()
    named = {name for _, value in environment for name in re.findall(r"\$\{(\w+)", str(value))}
    handed_on = {name for name, value in environment if value is None and "SECRET" in name}
    secrets = {*PASSWORDS, "AIRFLOW_FERNET_KEY"}
    assert (named & secrets) | handed_on == SEEN[service]
    assert "env_file" not in SERVICES[service]


def test_every_secret_has_a_use() -> None:
    assert set().union(*SEEN.values()) - BUCKET == {*PASSWORDS, "AIRFLOW_FERNET_KEY"}


def test_only_workers_write_models_and_reports_and_only_the_page_reads_them() -> None:
    folder = "artifacts:/var/lib/tsad/artifacts"
    mounted = {
        name: volume
        for name, fields in SERVICES.items()
        for volume in fields.get("volumes", [])
        if volume.startswith("artifacts:")
    }
    assert mounted == {"api-server": f"{folder}:ro", "worker-1": folder, "worker-2": folder}
