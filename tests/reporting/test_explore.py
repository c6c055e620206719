"""An exploration shows what the warehouse, or the source, has; a preview shows what a training
would take.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.plants.trained import SPLIT_AT, START_AT, Plant, config
from tsad_tasks.base.errors import BadInput
from tsad_tasks.ingest.queries import UPSERT_LABELS, Label
from tsad_tasks.reporting.exploration.content import LabelRange
from tsad_tasks.reporting.exploration.explore import (
    explored_content,
    explored_range,
    label_marks,
    source_readings,
    warehouse_readings,
)
from tsad_tasks.reporting.exploration.training_preview import training_preview
from tsad_tasks.storage.datasets import select_dataset, select_entities, upsert_dataset
from tsad_tasks.storage.store import Store, columns

NOW = datetime(2026, 3, 8, tzinfo=UTC)
DAY = (START_AT + timedelta(days=1), START_AT + timedelta(days=2))


def test_the_source_and_the_warehouse_show_the_same_readings(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        known = warehouse_readings(store, plant.config, *DAY)
    source = source_readings(plant.config, plant.uri, *DAY)
    assert (known.entities, known.from_source, source.from_source) == (source.entities, False, True)
    np.testing.assert_array_equal(known.values, source.values)


def test_an_exploration_sums_up_what_was_read(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        found = explored_content(
            plant.config, warehouse_readings(store, plant.config, *DAY), generated_at=NOW
        )
    ((n, mean),) = plant.execute(
        "SELECT count(cpu), avg(cpu) FROM plant.metrics WHERE at >= %s AND at < %s", *DAY
    )
    assert found.channels[0].summary.n_known == n == 2 * 288
    assert found.channels[0].summary.mean == pytest.approx(mean)
    assert (found.days[0], len(found.days), found.missing.tolist()) == (
        DAY[0].date(),
        1,
        [[0.0], [0.0]],
    )


def test_labels_are_marked_on_their_entity_and_day(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        with store.transaction():
            ids = select_entities(store, select_dataset(store, "room").dataset_id)
            store.execute(
                UPSERT_LABELS,
                **columns(
                    [Label(ids["host-02"], DAY[0], DAY[0] + timedelta(hours=6), "hot", "file", "")],
                    Label,
                ),
            )
        readings = warehouse_readings(store, plant.config, *DAY)
    found = explored_content(plant.config, readings, generated_at=NOW)
    assert [label.entity for label in found.labels] == ["host-02"]
    assert found.labelled_share.tolist() == [6 / 48]
    assert found.series[0].entity == "host-02"
    assert found.channels[0].labelled is not None


def test_marks_start_with_the_first_step_inside_a_label() -> None:
    label = LabelRange(
        "a", START_AT + timedelta(seconds=90), START_AT + timedelta(seconds=240), "x"
    )
    assert label_marks(["b", "a"], [label], START_AT, 6, 60).tolist() == [
        [False] * 6,
        [False] * 2 + [True] * 2 + [False] * 2,
    ]


def test_one_entity_is_shown_alone_and_an_unknown_one_is_refused(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        assert warehouse_readings(store, plant.config, *DAY, "host-02").values.shape == (1, 288, 2)
        with pytest.raises(
            BadInput,
            match=r"Expected an entity with readings \(host-01, host-02\)\. Received: host-09\.",
        ):
            warehouse_readings(store, plant.config, *DAY, "host-09")


def test_by_default_the_range_is_a_training_range_up_to_the_newest_reading(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        assert explored_range(store, plant.config, None, None) == (
            SPLIT_AT - timedelta(days=5),
            SPLIT_AT,
        )
        with pytest.raises(BadInput, match="Expected a range that starts before its end"):
            explored_range(store, plant.config, SPLIT_AT, START_AT)


def test_nothing_ingested_is_told_with_what_to_do(warehouse_uri: str) -> None:
    with Store.connect(warehouse_uri) as store:
        with store.transaction():
            upsert_dataset(store, config())
        with pytest.raises(
            BadInput,
            match=r"Expected readings of room\. Received: none yet\. Run: tsad ingest room",
        ):
            explored_range(store, config(), None, None)


def test_a_preview_is_what_the_training_then_took(plant: Plant) -> None:
    with Store.connect(plant.uri) as store:
        preview = training_preview(store, plant.config, SPLIT_AT)
    ((card,),) = plant.execute("SELECT card FROM tsad.model")
    assert (preview.n_windows, preview.n_available) == (
        card["n_windows_used"],
        card["n_windows_available"],
    )
    assert dict(preview.running_hours) == card["running_hours"]
    assert preview.split_at.isoformat() == card["train_split_at"]
    assert all(0 <= one.distance <= 1 for one in preview.channels)


def test_a_preview_names_what_is_left_out_and_the_farthest_reading(plant: Plant) -> None:
    at = START_AT + timedelta(days=1)
    with Store.connect(plant.uri) as store:
        with store.transaction():
            ids = select_entities(store, select_dataset(store, "room").dataset_id)
            store.execute(
                UPSERT_LABELS,
                **columns(
                    [Label(ids["host-01"], at, at + timedelta(hours=3), "fault", "file", "")], Label
                ),
            )
        preview = training_preview(store, plant.config, SPLIT_AT)
    assert [(one.entity, one.reason, one.n_steps) for one in preview.excluded] == [
        ("host-01", "label: fault", 48)
    ]
    assert preview.excluded_share == pytest.approx(48 / (2 * 5 * 288))
    cpu = preview.channels[0]
    ((highest, lowest),) = plant.execute(
        "SELECT max(cpu), min(cpu) FROM plant.metrics WHERE at < %s "
        "AND NOT (host = 'host-01' AND at >= %s AND at < %s)",
        preview.split_at,
        at - timedelta(minutes=30),
        at + timedelta(hours=3, minutes=30),
    )
    assert cpu.worst in (pytest.approx(highest), pytest.approx(lowest))
