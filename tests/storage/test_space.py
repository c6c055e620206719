"""A server without space is said to be so, wherever it says it, and a task is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.storage.rooms import Room, opened_room
from tsad_tasks.base.errors import NoSpace, Unavailable
from tsad_tasks.pipeline.record import recorded
from tsad_tasks.storage.copy_binary import Field
from tsad_tasks.storage.store import Statement

FULL_FUNCTION = (
    "CREATE FUNCTION tsad.full_at_once() RETURNS {returns} LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE 'could not extend file' USING ERRCODE = '{code}'; END $$"
)
CODES = {"disk": "53100", "memory": "53200"}


@pytest.fixture(scope="module")
def room(cluster: Cluster, template_database: str) -> Iterator[Room]:
    name = f"space_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    with opened_room(uri) as opened:
        yield opened
    cluster.drop_database(name)


class Said(Statement):
    """A statement of this test's own, in place of one of a file."""

    @property
    def text(self) -> str:
        return self.path


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("where", ["statement", "copy", "commit"])
def test_what_fails_for_want_of_space_is_told_and_rolled_back(
    room: Room, where: str, code: str
) -> None:
    returns = "trigger" if where == "commit" else "int"
    room.rows(FULL_FUNCTION.format(returns=returns, code=code))
    if where == "commit":
        room.rows(
            "CREATE CONSTRAINT TRIGGER full_at_commit AFTER UPDATE ON tsad.dataset DEFERRABLE "
            "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tsad.full_at_once()"
        )
    database = room.uri.rsplit("/", 1)[1]
    said = f"Expected room on the server of the database {database} .*could not extend file"
    try:
        with pytest.raises(NoSpace, match=said), room.store.transaction():
            _provoke(room, where)
    finally:
        room.rows("DROP FUNCTION tsad.full_at_once CASCADE")
    assert room.rows("SELECT count(*) FROM tsad.dataset WHERE site_zone = 'Full'") == [(0,)]


def _provoke(room: Room, where: str) -> None:
    if where == "copy":
        room.store.copy_out(Said("SELECT tsad.full_at_once() AS n"), [Field("n", "i4")])
    elif where == "statement":
        room.store.execute(Said("SELECT tsad.full_at_once()"))
    else:
        room.store.execute(Said("UPDATE tsad.dataset SET site_zone = 'Full'"))


def test_a_task_on_a_full_disk_leaves_a_state_of_its_own(room: Room) -> None:
    def work() -> Any:
        raise OSError(28, "No space left on device", "/somewhere/else/file")

    with (
        pytest.raises(Unavailable, match="Expected room to write in /somewhere/else"),
        recorded(room.store, room.config, "train", run_id="r"),
    ):
        work()
    assert room.rows("SELECT state FROM tsad.run_status WHERE run_id = 'r'") == [("no_space",)]
