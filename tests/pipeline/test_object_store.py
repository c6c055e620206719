"""Bundles, run files and reports in an object store: the same rows as in a folder, and errors that
say what to do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem
from upath import UPath

from devstack.postgres import Cluster
from tests.champions.test_prune import register
from tests.plants.challengers import FAILED
from tests.plants.trained import CURRENT
from tests.plants.weeks import CONFIG, Weeks, week
from tsad_tasks.base.errors import AccessDenied, BadInput, BundleError
from tsad_tasks.base.places import project_folder
from tsad_tasks.detectors.bundle import read_bundle, store_bundle, write_bundle
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.monitoring.maintain import delete_run_folders
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.store import Store

BUCKET = "plant-models"
ROOT = f"s3://{BUCKET}/tsad"
FAULT = (week(1, 3), week(1, 5))
SPAN: dict[str, Any] = {"start_at": week(1), "end_at": week(1, 6)}
COMMAND = [sys.executable, "-c", "from tsad_tasks.cli import main; main()"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """An S3 endpoint on loopback with one bucket, and credentials for it in the environment.

    xdist gives a worker this module in pieces, each with a server of its own, and fsspec keeps a
    client with the address of the last one.
    """
    S3FileSystem.clear_instance_cache()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "plant")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        # The buckets are the process's: a server before this one may have made it.
        S3FileSystem().makedirs(BUCKET, exist_ok=True)
        yield f"http://{host}:{port}"
    S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def root(address: str) -> UPath:
    """A place in the bucket that no other test uses."""
    return artifact_path(f"{ROOT}/{uuid4().hex}")


def made(uri: str, folder: Path | UPath) -> Weeks:
    """A week learned and six hours of the next with a fault, scored by the three tasks with their
    files.
    """
    plant = Weeks.filled(uri, folder)
    plant.shift(*FAULT)
    plant.train(week(1))
    with Store.connect(uri) as store:
        ingest_interval(store, plant.config, uri, **SPAN)
        run = folder / "runs" / "plant.score" / "one"
        features = build_features(store, plant.config, folder=run, n_shards=1, **SPAN)
        build_windows(features.shards)
        for shard in features.shards:
            score_shard(store, plant.config, shard)
        build_incidents(store, plant.config, **SPAN)
    return plant


def rows(plant: Weeks) -> dict[str, list[tuple[Any, ...]]]:
    return {name: plant.execute(statement) for name, statement in CURRENT.items()}


def tsad(
    plant: Weeks, folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which knows of the plant what the environment says."""
    folder.joinpath("plant.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    known = {
        "TSAD_DATABASE_URI": plant.uri,
        "TSAD_CONNECTION_PLANT": plant.uri,
        "TSAD_DATASETS": str(folder),
    }
    variables = os.environ | known | {"TSAD_ARTIFACTS": str(plant.folder)} | environment
    return subprocess.run(
        [*COMMAND, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        cwd=project_folder(),
    )


def test_a_plant_in_an_object_store_has_the_rows_of_one_in_a_folder(
    cluster: Cluster, template_database: str, tmp_path: Path, root: UPath
) -> None:
    names = [f"object_{uuid4().hex}" for _ in range(2)]
    folder, bucket = (
        made(cluster.create_database(name, template=template_database), where)
        for name, where in zip(names, (tmp_path, root), strict=True)
    )
    assert rows(bucket) == rows(folder)
    assert rows(bucket)["incidents"]
    assert rows(bucket)["scores"]
    for name in names:
        cluster.drop_database(name)


def test_a_fresh_process_scores_reports_and_prunes(
    warehouse_uri: str, tmp_path: Path, root: UPath
) -> None:
    plant = made(warehouse_uri, root)
    span = ("--from", week(1, 6).isoformat(), "--to", week(1, 8).isoformat())
    assert tsad(plant, tmp_path, "score", "plant", *span).stderr == ""
    assert plant.execute("SELECT status, count(*) FROM tsad.v_status GROUP BY 1") == [("scored", 8)]
    assert tsad(plant, tmp_path, "report", "plant", "--end", week(1, 8).isoformat()).stderr == ""
    made_files = sorted((root / "reports" / "plant").iterdir(), key=lambda one: one.suffix)
    assert [one.suffix for one in made_files] == [".csv", ".csv", ".pdf"]
    assert made_files[-1].read_bytes()[:5] == b"%PDF-"
    register(plant, week(1, 1), FAILED)
    assert (
        "removed; 0 folders" in tsad(plant, tmp_path, "prune", "plant", "--older-than", "1h").stdout
    )
    assert len(list((root / "plant").iterdir())) == 1
    assert delete_run_folders(root / "runs", "plant", week(99)) == 1


def test_writers_of_one_version_at_once_make_one_bundle_and_another_is_refused(
    warehouse_uri: str, root: UPath
) -> None:
    plant = Weeks.filled(warehouse_uri, root)
    plant.train(week(1))
    (uri,) = plant.execute("SELECT artifact_uri FROM tsad.model")[0]
    known = read_bundle(artifact_path(uri))
    with ThreadPoolExecutor(4) as pool:
        writers = [
            pool.submit(
                store_bundle, root / "race", known.detector, known.spec, known.card, known.canary
            )
            for _ in range(4)
        ]
    ((folder, sha256),) = {(str(writer.result()[0]), writer.result()[1]) for writer in writers}
    assert sha256 == known.sha256
    with pytest.raises(BundleError, match="never overwritten"):
        write_bundle(artifact_path(folder), known.detector, known.spec, {"another": 1})
    assert read_bundle(artifact_path(folder), expected_sha256=sha256).card == known.card


def test_what_another_process_writes_is_seen(root: UPath) -> None:
    (root / "one").write_bytes(b"1")
    assert [path.name for path in root.iterdir()] == ["one"]
    S3FileSystem(skip_instance_cache=True).pipe_file(f"{root.path}/two", b"2")
    assert sorted(path.name for path in root.iterdir()) == ["one", "two"]
    assert (root / "two").read_bytes() == b"2"


def test_a_bucket_that_is_missing_is_named_and_not_made(address: str) -> None:
    with pytest.raises(
        BadInput, match=r"Expected an object store with the bucket no-such-bucket.*Received: none"
    ):
        artifact_path("s3://no-such-bucket/tsad")
    assert not S3FileSystem(skip_instance_cache=True).exists("no-such-bucket")


def test_a_refused_login_says_what_is_needed(address: str, root: UPath) -> None:
    requests.post(f"{address}/moto-api/reset-auth", data="0", timeout=5)
    try:
        with pytest.raises(
            AccessDenied,
            match=r"may list, read and write the bucket secrets, from AWS_ACCESS_KEY_ID",
        ):
            artifact_path("s3://secrets/tsad")
        with pytest.raises(
            AccessDenied,
            match=r"Expected to be let read the file s3://.*manifest\.json\. Received: Forbidden",
        ):
            read_bundle(root / "bundle")
    finally:
        requests.post(f"{address}/moto-api/reset-auth", data="inf", timeout=5)


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 2, "Received: none, or not all."),
        (
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"},
            1,
            "Received: Could not connect to the endpoint URL",
        ),
        ({"TSAD_ARTIFACTS": "s3://no-such-bucket/tsad"}, 2, "Received: none of that name."),
    ],
)
def test_a_command_says_it_in_one_paragraph(
    warehouse_uri: str,
    tmp_path: Path,
    root: UPath,
    environment: dict[str, str],
    code: int,
    said: str,
) -> None:
    plant = Weeks.filled(warehouse_uri, root)
    with Store.connect(warehouse_uri) as store:
        ingest_interval(store, plant.config, warehouse_uri, start_at=week(1), end_at=week(1, 1))
    found = tsad(plant, tmp_path, "prune", "plant", "--older-than", "1h", **environment)
    assert (found.returncode, found.stdout) == (code, "")
    assert found.stderr.startswith("Error: Expected ")
    assert said in found.stderr
