"""Rows that come late, as they are seen to come."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.plants.plant import Plant
from tsad_tasks.base.errors import SourceError
from tsad_tasks.ingest.sources.base import open_sources
from tsad_tasks.stores.lateness import Watch, proposals

TABLE = "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8)"
INSERT_LONG = "INSERT INTO reading VALUES (now() - interval '{} s', 'm', '{}', 1)"
INSERT = "INSERT INTO reading VALUES (now() - interval '{} s', '{}', 1, 2)"


def test_a_row_is_as_late_as_the_look_that_shows_it(empty_plant: Plant) -> None:
    empty_plant.run(TABLE)
    empty_plant.run(INSERT.format(900, "m1"))
    config = empty_plant.config(updated_at=None, label=None)
    with open_sources(empty_plant.source_uri, config) as parts:
        watch = Watch(parts[0])
        assert (watch.look(), watch.found()) == (1, [])
        for late_s, machine in ((40, "m1"), (40, "m2"), (70, "m1")):
            empty_plant.run(INSERT.format(late_s, machine))
        assert (watch.look(), watch.look()) == (3, 0)
        (found,) = watch.found()
    assert (found.what, found.n_rows) == ("public.reading", 3)
    assert 40 <= found.median_s < 50
    assert 70 <= found.longest_s < 80
    said = proposals(config, [found])
    assert said[0].startswith("wait_for_rows: 2min instead of 0s takes in all that was seen")


def test_each_channel_of_a_long_table_has_a_lateness_of_its_own(empty_plant: Plant) -> None:
    empty_plant.run("CREATE TABLE reading (at timestamptz, machine text, what text, value float8)")
    config = empty_plant.config(
        shape="long", channel_column="what", value_column="value", updated_at=None, label=None
    )
    with open_sources(empty_plant.source_uri, config) as parts:
        watch = Watch(parts[0])
        watch.look()
        for what, late_s in (("temp", 5), ("load", 200), ("load", 230)):
            empty_plant.run(INSERT_LONG.format(late_s, what))
        watch.look()
        found = {one.what: (one.n_rows, round(one.longest_s, -1)) for one in watch.found()}
    assert found["load"] == (2, 230)
    assert found["temp"][0] == 1


def test_a_large_table_without_a_key_is_not_looked_at_again_and_again(
    empty_plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_LARGE_ROWS", 10_000), ("_LARGE_COST", 200)):
        monkeypatch.setattr(f"tsad_tasks.ingest.sources.postgres_tables.advice.{name}", value)
    old = "SELECT '2024-04-01Z'::timestamptz, 'm1', 1, 2 FROM generate_series(1, 20000)"
    empty_plant.run(f"{TABLE}; INSERT INTO reading {old}; ANALYZE reading")
    for accepted in (False, True):
        config = empty_plant.config(full_scan=accepted)
        with open_sources(empty_plant.source_uri, config) as parts:
            if accepted:
                Watch(parts[0]).look()
            else:
                with pytest.raises(SourceError, match=r"source\.full_scan"):
                    Watch(parts[0])


def test_where_the_file_waits_long_enough_it_is_left(empty_plant: Plant) -> None:
    empty_plant.run(TABLE)
    config = empty_plant.config(wait_for_rows="2min", updated_at=None, label=None)
    with open_sources(empty_plant.source_uri, config) as parts:
        watch = Watch(parts[0])
        watch.look()
        assert proposals(config, watch.found()) == [
            "No row came: watch for longer than the source's step."
        ]
        empty_plant.run(INSERT.format(timedelta(seconds=65).seconds, "m1"))
        watch.look()
        assert proposals(config, watch.found())[0].startswith("wait_for_rows: 2min is as the file")
