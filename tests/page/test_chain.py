"""A fault that is kept in parts is one incident on the page, with one verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.page.room import OWN
from tests.reporting.test_counted_once import fleet, plant
from tests.scoring.test_groups import at
from tests.scoring.test_long_incidents import Fleet
from tsad_tasks.base.interval import unix_s
from tsad_tasks.page.app import page_app
from tsad_tasks.page.guard import Visitor

__all__ = ["fleet", "plant"]

PARTS = "SELECT incident_id, verdict FROM tsad.v_incident WHERE entity = 'a' ORDER BY started_at"


@pytest.fixture
def client(plant: Fleet, warehouse_uri: str) -> Iterator[Any]:
    def visitor() -> Visitor:
        return Visitor("ada", lambda _: True, lambda _: True)

    with TestClient(page_app(lambda: warehouse_uri, visitor), follow_redirects=False) as made:
        yield made


def test_each_part_leads_to_all_of_it(plant: Fleet, client: Any) -> None:
    first, *later = (key for key, _ in plant.ask(PARTS))
    for key in later:
        for asked in ("", "?whole"):
            answer = client.get(f"/incidents/{key}{asked}")
            assert (answer.status_code, answer.headers["location"]) == (302, f"{first}{asked}")
    text = client.get(f"/incidents/{first}?whole").text
    assert re.search(r">9 h, kept in 3 parts<|>9 h so far, kept in 3 parts<", text)
    assert "54 flagged readings" in text
    zooms = re.findall(r'data-from="(\d+)" data-to="(\d+)"', text)
    assert len(zooms) == 3
    whole = [unix_s(at(0)), unix_s(at(9 * 60))]
    assert [int(zooms[0][0]), int(zooms[-1][1])] == whole
    plots = client.get(f"/incidents/{later[0]}/first.json").json()
    assert plots["incident"] == whole
    assert plots["times"][0] < whole[0]
    assert plots["times"][-1] >= whole[1] - 600


def test_what_is_said_of_a_part_is_said_of_all_of_it(plant: Fleet, client: Any) -> None:
    keys = [key for key, _ in plant.ask(PARTS)]
    plant.ask("SELECT tsad.set_verdict(%(key)s, 'sensor_fault', 'ben')", key=keys[1])
    assert {verdict for _, verdict in plant.ask(PARTS)} == {"sensor_fault"}
    said = client.post(f"/incidents/{keys[2]}/verdict", json={"verdict": "confirmed"}, headers=OWN)
    assert said.status_code == 200
    assert {verdict for _, verdict in plant.ask(PARTS)} == {"confirmed"}
    of_chain = "SELECT verdict FROM tsad.v_incident_chain WHERE entity = 'a'"
    assert plant.ask(of_chain) == [("confirmed",)]
    client.post(f"/incidents/{keys[0]}/verdict", json={"verdict": None}, headers=OWN)
    assert {verdict for _, verdict in plant.ask(PARTS)} == {"sensor_fault"}


def test_a_part_is_told_without_the_name_of_the_one_before(plant: Fleet, client: Any) -> None:
    first = plant.ask(PARTS)[0][0]
    text = client.get(f"/incidents/{first}?whole").text
    assert "continues" not in text
    assert text.count("Zoom to part") == 3
