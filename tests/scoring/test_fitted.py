"""A machine's coverage is a share of the channels that it has: those of its training, or those that
were read of it so far where no model knows it yet.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tests.pipeline.test_same_rows import run_hours
from tests.plants.trained import SPLIT_AT, Plant
from tsad_tasks.base.interval import HOUR

HOURS = [SPLIT_AT + i * HOUR for i in range(4)]
# host-03 has no thermometer; host-04 has one, which dies after two hours; host-05 gets one then.
FILL = """
INSERT INTO plant.metrics
SELECT at, h, cpu, CASE WHEN (h = 'host-04') = (at < %s) AND h <> 'host-03' THEN temperature END
FROM plant.metrics, unnest(ARRAY['host-03', 'host-04', 'host-05']) h
WHERE host = 'host-02' AND at >= %s
"""
COVERAGE = (
    "SELECT entity, hour_at, status, coverage, n_seen FROM tsad.v_status WHERE entity >= 'host-03' "
    "ORDER BY 1, 2"
)
DIED_AT = SPLIT_AT + 2 * HOUR


def covered(plant: Plant) -> dict[tuple[str, datetime], float]:
    rows = plant.execute(COVERAGE)
    assert {status for _, _, status, *_ in rows} == {"unknown_entity_scale"}
    return {(entity, hour): coverage for entity, hour, _, coverage, _ in rows}


def test_a_machine_that_no_model_knows_is_covered_by_the_channels_read_so_far(plant: Plant) -> None:
    plant.execute(FILL, DIED_AT, SPLIT_AT)
    run_hours(plant, HOURS)
    found = covered(plant)
    of = {
        name: [found[name, hour] for hour in HOURS[1:]]
        for name in ("host-03", "host-04", "host-05")
    }
    assert of["host-03"] == [1.0, 1.0, 1.0]
    # One of two channels; a window of six steps still holds what was read before.
    assert of["host-04"] == [1.0, 0.5, 0.5]
    assert of["host-05"][0] == 1.0
    assert 0.5 < of["host-05"][1] < of["host-05"][2] == 1.0
    assert plant.execute(
        "SELECT DISTINCT channel FROM tsad.v_attribution WHERE entity = 'host-03'"
    ) in ([], [("cpu",)])


@pytest.mark.parametrize("order", ["reverse", "late"])
def test_its_coverage_does_not_depend_on_the_order_of_runs(
    plant: Plant, cluster: Any, trained_template: str, order: str
) -> None:
    name = f"fitted_{order}"
    forward = Plant(cluster.create_database(name, template=trained_template), plant.config)
    for one in (forward, plant):
        one.execute(FILL, DIED_AT, SPLIT_AT)
    run_hours(forward, HOURS)
    if order == "reverse":
        run_hours(plant, HOURS[::-1])
    else:
        # Its thermometer has shown nothing yet when these hours are scored first.
        plant.execute("UPDATE plant.metrics SET temperature = NULL WHERE host = 'host-04'")
        run_hours(plant, HOURS[:3])
        assert covered(plant)["host-04", HOURS[1]] == 1.0
        plant.execute(
            "UPDATE plant.metrics m SET temperature = o.temperature FROM plant.metrics o WHERE "
            "m.host = 'host-04' AND o.host = 'host-02' AND o.at = m.at AND m.at < %s",
            DIED_AT,
        )
        plant.execute("UPDATE tsad.ingest_hour SET read_at = hour_at + interval '61 minutes'")
        run_hours(plant, HOURS[3:])
    # Said in words, since NaN is not itself.
    assert repr(plant.rows()) == repr(forward.rows())
    cluster.drop_database(name)
    assert np.isfinite([*covered(plant).values()]).all()
