"""What is said of hours whose rows have no value: the same however they are batched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.plants.weeks import Weeks, copied_weeks, week

STATUSES = "SELECT status FROM tsad.v_status WHERE hour_at >= %s ORDER BY hour_at"


@pytest.fixture(scope="module")
def trained(cluster: Cluster, template_database: str, tmp_path_factory: Any) -> Iterator[Weeks]:
    name = f"empty_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    weeks = Weeks.filled(uri, tmp_path_factory.mktemp("empty"))
    weeks.train(week(2))
    weeks.execute(
        "UPDATE plant.metrics SET temperature = NULL, load = NULL WHERE at >= %s AND at < %s",
        week(2, 2),
        week(2, 6),
    )
    yield weeks
    cluster.drop_database(name)


def statuses(cluster: Cluster, trained: Weeks, folder: Path, ranges: Any) -> list[str]:
    with copied_weeks(cluster, trained, folder) as own:
        for first, last in ranges:
            replace(own, folder=trained.folder).score(week(2, first), week(2, last))
        return [one for (one,) in own.execute(STATUSES, week(2))]


def test_rows_without_a_value_are_stale_however_hours_are_batched(
    cluster: Cluster, trained: Weeks, tmp_path: Path
) -> None:
    hourly = [(hour, hour + 1) for hour in range(8)]
    # The first hour of a silence is a gap; then there are rows, and nothing in them.
    expected = ["scored", "scored", "gap", *["stale"] * 3, "scored", "scored"]
    for ranges in (hourly, hourly[::-1], [(4, 8), (0, 4)]):
        assert statuses(cluster, trained, tmp_path, ranges) == expected
