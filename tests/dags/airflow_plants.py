"""Airflow's environment for one warehouse and one dataset file; its metadata database is made once
and copied.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from devstack.environment import (
    DATABASE_URI,
    METADATA_URI,
    Places,
    airflow_environment,
    ensure_secrets,
)
from devstack.postgres import AIRFLOW, PIPELINE, Cluster
from tests.conftest import made_once
from tsad_tasks.base.places import project_folder

METADATA = "airflow_template"
MAKE_METADATA = (
    "from airflow import settings; from tsad_headless import ensure_metadata; ensure_metadata(); "
    "settings.dispose_orm()"
)


@dataclass(frozen=True)
class AirflowPlant:
    """Airflow for a plant: the owner's URI of its warehouse and of its own database, places,
    environment.
    """

    uri: str
    metadata_uri: str
    places: Places
    environment: dict[str, str]


def airflow_plant(
    cluster: Cluster, warehouse_uri: str, folder: Path, config: Mapping[str, Any]
) -> AirflowPlant:
    """Airflow with the dataset `plant`, whose source is in the warehouse's database; tasks are the
    pipeline's login.
    """
    (folder / "datasets").mkdir()
    (folder / "datasets" / "plant.yaml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    places = Places.of(project_folder(), folder / "home")
    kept, _ = ensure_secrets(places.home)
    environment = airflow_environment(places, kept, cluster, os.environ, headless=True)
    environment |= {"TSAD_DATASETS": str(folder / "datasets"), "AIRFLOW_CONN_PLANT": warehouse_uri}
    environment[DATABASE_URI] = cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)
    metadata_uri = cluster.create_database(
        f"airflow_{uuid4().hex}", metadata(cluster, environment), AIRFLOW
    )
    return AirflowPlant(
        warehouse_uri, metadata_uri, places, environment | {METADATA_URI: metadata_uri}
    )


def metadata(cluster: Cluster, environment: Mapping[str, str]) -> str:
    """Name of a database with Airflow's tables; making them takes longer than most tests."""

    def make(uri: str) -> None:
        command = [sys.executable, "-c", MAKE_METADATA]
        made = subprocess.run(
            command,
            env={**environment, METADATA_URI: uri},
            capture_output=True,
            text=True,
            check=False,
            # As our own programs have: it makes Airflow's folder where it is the first to run.
            umask=0o077,
        )
        assert made.returncode == 0, made.stderr[-3000:]

    return made_once(cluster, METADATA, make, owner=AIRFLOW)
