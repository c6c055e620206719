"""A trained plant with scored incidents, and the page over it under an operator's login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from fastapi.testclient import TestClient

from devstack.postgres import ON_CALL, Cluster
from tests.plants.trained import END_AT, SPLIT_AT, config
from tests.statements import run
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.page.app import page_app
from tsad_tasks.page.guard import Visitor
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store

OWN = {"x-tsad": "1", "sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class PageRoom:
    """The page of one warehouse, whose incidents are real."""

    uri: str
    operator_uri: str

    def client(self, *, reads: tuple[str, ...] = ("room",), edits: tuple[str, ...] = ()) -> Any:
        """Requests of somebody who may read and edit these datasets."""

        def visitor() -> Visitor:
            return Visitor("ada", reads.__contains__, edits.__contains__)

        return TestClient(page_app(lambda: self.operator_uri, visitor))

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement, as the owner."""
        return run(self.uri, statement, params)

    @property
    def incidents(self) -> list[tuple[str, str]]:
        """Id and sentence, the worst first."""
        return [
            (str(one), str(sentence))
            for one, sentence in self.execute(
                "SELECT incident_id, sentence FROM tsad.v_incident ORDER BY peak_score DESC"
            )
        ]


@contextmanager
def scored_room(cluster: Cluster, template: str) -> Iterator[PageRoom]:
    """A copy of the trained plant, scored over its faults; dropped at the end."""
    name = f"page_{uuid4().hex}"
    uri = cluster.create_database(name, template=template)
    span = {"start_at": SPLIT_AT, "end_at": END_AT}
    with Store.connect(uri) as store:
        ingest_interval(store, config(), uri, **span)
        score_interval(store, config(), **span)
        build_incidents(store, config(), **span)
    yield PageRoom(uri, cluster.uri(name, ON_CALL))
    cluster.drop_database(name)
