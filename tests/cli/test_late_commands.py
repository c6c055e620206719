"""What `tsad.maintain` prints of late rows does what it says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from tests.cli.test_commands import Tsad, tsad
from tests.pipeline.test_late_rows import LatePlant, at, late, late_template
from tests.plants.trained import CONFIG, config
from tsad_tasks.monitoring.maintain import MaintainSummary, maintain_dataset
from tsad_tasks.storage.store import Store

__all__ = ["late", "late_template", "tsad"]
# Rows of longer ago are not read by themselves.
SHORT = CONFIG | {"source": CONFIG["source"] | {"late": "6h"}}


def maintained(plant: LatePlant) -> MaintainSummary:
    with Store.connect(plant.uri) as store:
        return maintain_dataset(store, plant.config, plant.uri, at=at(22))


def test_hours_older_than_the_period_are_counted_and_one_command_scores_them(
    late: LatePlant, tsad: Tsad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATABASE_URI", late.uri)
    monkeypatch.setenv("TSAD_CONNECTION_ROOM", late.uri)
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    monkeypatch.setenv("TSAD_ARTIFACTS", str(tmp_path / "artifacts"))
    (tmp_path / "room.yaml").write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    short = LatePlant(late.uri, config(source=SHORT["source"]))
    short.hold_back("host-01", 2, 20)
    short.run(0, 20)
    short.arrive("host-01")
    short.run(20, 22)
    # The first hour of the period lacks what its windows look back on.
    assert (short.counts()["scored"], short.counts()["partial"]) == (2 + 6, 1)
    summary = maintained(short)
    assert summary.n_late_hours == 13
    (command,) = summary.late_commands
    assert command == "tsad rescore room --from 2026-03-07T14:00Z --to 2026-03-08T03:00Z"
    said = tsad(*shlex.split(command)[1:])
    assert (said.code, said.err) == (0, "")
    assert short.counts() == {"scored": 22}
    assert maintained(short).n_late_hours == 0
