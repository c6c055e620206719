"""What a source says of its entities themselves: who is gone, and what carries whom."""

from __future__ import annotations

import pytest

from tests.plants.plant import Plant
from tests.statements import run
from tsad_tasks.base.errors import BadInput, ConfigError

INVENTORY = "SELECT name AS entity, is_off AS retired, gateway AS carrier FROM machine"
STATES = "SELECT entity, state, retired_by, carrier FROM tsad.v_entity ORDER BY 1"


def fill(plant: Plant) -> None:
    plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8);"
        "INSERT INTO reading SELECT '2024-05-01Z'::timestamptz + i * interval '10 minutes', m, 1, "
        "2 FROM generate_series(0, 71) i, unnest(ARRAY['m1', 'm2']) m;"
        "CREATE TABLE machine (name text, is_off boolean, gateway text);"
        "INSERT INTO machine VALUES ('m1', false, 'gw-1'), ('m2', true, NULL), ('m3', false, '')"
    )


def states(plant: Plant) -> list[tuple[object, ...]]:
    return run(plant.warehouse_uri, STATES)


def test_whom_the_inventory_calls_retired_is_and_is_back_when_it_says_otherwise(
    empty_plant: Plant,
) -> None:
    fill(empty_plant)
    config = empty_plant.config(inventory=INVENTORY)
    empty_plant.ingest("00:00", "12:00", config)
    assert states(empty_plant) == [
        ("m1", "alive", None, "gw-1"),
        ("m2", "retired", "inventory", None),
    ]
    empty_plant.run("UPDATE machine SET is_off = NOT is_off")
    empty_plant.ingest("12:00", "13:00", config)
    assert states(empty_plant) == [
        ("m1", "retired", "inventory", "gw-1"),
        ("m2", "alive", None, None),
    ]


def test_of_whom_it_does_not_speak_nothing_changes(empty_plant: Plant) -> None:
    fill(empty_plant)
    config = empty_plant.config(inventory=INVENTORY)
    empty_plant.ingest("00:00", "12:00", config)
    empty_plant.run("DELETE FROM machine")
    empty_plant.ingest("12:00", "13:00", config)
    assert [row[1] for row in states(empty_plant)] == ["alive", "retired"]


def test_a_retired_machine_that_speaks_is_alive(empty_plant: Plant) -> None:
    fill(empty_plant)
    config = empty_plant.config(inventory=INVENTORY)
    empty_plant.ingest("00:00", "10:00", config)
    empty_plant.ingest("10:00", "12:00", config)
    assert [row[1] for row in states(empty_plant)] == ["alive", "alive"]


def test_a_person_may_know_better_than_the_inventory(empty_plant: Plant) -> None:
    fill(empty_plant)
    config = empty_plant.config(inventory=INVENTORY)
    empty_plant.ingest("00:00", "12:00", config)
    run(empty_plant.warehouse_uri, "SELECT tsad.unretire_entity('plant', 'm2', 'it is there')")
    empty_plant.ingest("12:00", "13:00", config)
    assert [row[1] for row in states(empty_plant)] == ["alive", "alive"]


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        ("SELECT name FROM machine", "Expected the column entity, and retired, carrier or both"),
        ("SELECT name AS entity, 'maybe' AS retired FROM machine", "Expected yes or no"),
        ("SELECT 1; DROP TABLE machine", "source.inventory"),
    ],
)
def test_what_is_no_inventory_is_refused(empty_plant: Plant, inventory: str, said: str) -> None:
    fill(empty_plant)
    with pytest.raises(BadInput, match=said):
        empty_plant.ingest("00:00", "12:00", empty_plant.config(inventory=inventory))


def test_an_empty_inventory_is_refused(empty_plant: Plant) -> None:
    with pytest.raises((ConfigError, ValueError), match="one SELECT"):
        empty_plant.config(inventory=" ; ")
