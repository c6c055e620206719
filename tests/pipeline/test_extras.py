"""A machine that only scores needs neither TensorFlow nor pandas, and says so where it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.plants.trained import CONFIG, END_AT, SPLIT_AT, Plant
from tsad_tasks.base.extras import EXTRAS

MODULES = [name for names in EXTRAS.values() for name in names] + ["keras"]
# A name that is None in sys.modules cannot be imported, and no spec of it is found.
PROGRAM = f"""
import sys
sys.modules.update(dict.fromkeys({MODULES}))
from tsad_tasks.cli import main
main()
"""


@pytest.fixture
def small(plant: Plant, tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without extras, beside a trained plant."""
    (tmp_path / "room.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    folders = {"TSAD_DATASETS": str(tmp_path), "TSAD_ARTIFACTS": str(tmp_path / "artifacts")}
    places = {"TSAD_DATABASE_URI": plant.uri, "TSAD_CONNECTION_ROOM": plant.uri}
    return {**os.environ, **folders, **places}


def tsad(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_network_scores_without_the_packages_that_train_it(
    small: dict[str, str], plant: Plant
) -> None:
    span = ("--from", SPLIT_AT.isoformat(), "--to", END_AT.isoformat())
    done = tsad(small, "score", "room", *span)
    assert (done.returncode, done.stderr) == (0, "")
    ((n_scored,),) = plant.execute("SELECT count(*) FROM tsad.v_status WHERE status = 'scored'")
    assert n_scored > 0


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("retrain", "room", "--end", END_AT.isoformat()), "train"),
        (("load-csv", "room.csv", "--table", "plant.new"), "files"),
    ],
)
def test_what_needs_an_extra_names_it(
    small: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], extra: str
) -> None:
    (tmp_path / "room.csv").write_text("timestamp,a\n2026-03-01,1\n", encoding="utf-8")
    uri = ("--uri", small["TSAD_DATABASE_URI"]) if extra == "files" else ()
    named = [str(tmp_path / one) if one.endswith(".csv") else one for one in arguments]
    done = tsad(small, *named, *uri)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: Expected the packages {EXTRAS[extra][0]}, ")
    assert done.stderr.endswith(f" Install tsad[{extra}].\n")
